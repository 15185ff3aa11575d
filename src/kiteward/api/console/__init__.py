"""The web console: HTML pages and forms for users and administrators.

- `app.py`, `security.py`, `request.py`: routing, cookie, cross-site request forgery protection, headers, one request.
- `pages.py`, `navigation.py`: all pages, and the links to them.
- `users.py`, `roles.py`, `access.py`, `audit_pages.py` and their like: the pages, one module a topic.
- `tickets.py`, `one_time_secrets.py`: secrets that are shown once.
- `templates/`, `static/`, `strings/`: markup, files, and texts in each language.

A page shows and changes only what the gateway answers and allows. Texts are in `strings/`, never in code.
"""
