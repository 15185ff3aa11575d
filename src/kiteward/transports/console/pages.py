"""The console's table: every page."""

from typing import Final

from kiteward.transports.console import access, account, keys, once, roles, sign_in, trail, users

PAGES: Final = (
    *sign_in.PAGES,
    *account.PAGES,
    *keys.PAGES,
    *once.PAGES,
    *users.PAGES,
    *roles.PAGES,
    *access.PAGES,
    *trail.PAGES,
)
"""Every page. `new-user` is not below `users/`, where a user may be called anything."""
