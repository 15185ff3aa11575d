"""Policy as code: the policy as a file, what a file would change, and the change itself (decision 0076).

`document.py` defines the file, `checking.py` finds what is wrong in one. `exporting.py` makes one of what is stored.
`service.py` plans and applies one, with the services that single changes use in a draft (decision 0088); `roles.py`,
`accounts.py` and `rows.py` are its parts, and `work.py` is what they share.
"""
