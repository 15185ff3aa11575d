"""The web console: HTML pages and forms for users and administrators.

- `app.py`, `security.py`, `request.py`: routing; cookies, form tokens and headers; one request.
- `pages.py`, `navigation.py`, `way_back.py`: all pages, the links to them, and those back.
- `users.py`, `roles.py`, `access.py`, `audit_pages.py` and the like: the pages, one module for each topic.
- `tickets.py`, `one_time_secrets.py`: secrets that are shown once.
- `templates/`, `static/`, `strings/`: HTML templates, static files, and the texts in each language.

A page shows only what the gateway returns and changes only what it allows. Texts are in `strings/`, never in code.
"""
