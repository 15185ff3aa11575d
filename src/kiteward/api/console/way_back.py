"""The way back: a link that leads away from a page has the address of the page, as it was, in the parameter `back`.

So a list is as it was before, with its filters, its order and its page, when an action is finished or cancelled. An
address may have a `back` of its own: from a list to a user, and from there to what asks before the user is deleted.
"""

import re
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

BACK: Final = "back"
CARRIED: Final = "way_back"
"""The field of forms that has the way back of their page."""

DONE: Final = "done"
UNDO: Final = "undo"
"""The parameters of a notice: what was done, and the ticket of the undo that it offers."""

_OUR_PAGE: Final = re.compile(r"/console/[A-Za-z0-9_.~%*/-]*(\?[A-Za-z0-9_.~%*/&=+-]*)?")
_LONGEST: Final = 3_000
"""Characters of the longest address that is carried along; browsers and proxies bound the length of a request."""

_DEEPEST: Final = 4


def leaving(path: str, here: str) -> str:
    """Return the address of a page with the way back to another one.

    Args:
        path: the path of the page that a link leads to, perhaps with a query string.
        here: the address of the page that has the link.
    """
    address = without_notice(here)
    if not address or len(address) > _LONGEST:
        return path
    return f"{path}{'&' if '?' in path else '?'}{urlencode({BACK: address})}"


def returning(path: str, back: str, *, removed: str = "") -> str:
    """Return the address that a page leads back to.

    Args:
        path: the path of the page to return to if the browser came from nowhere else, perhaps with a query string.
        back: the parameter `back` of the page that leads back, which anybody can write; only pages of the console are
            taken.
        removed: the path of what is not there any more, so that neither it nor what is below it is returned to.
    """
    before = [each for each in _before(back) if not removed or not f"{_path(each)}/".startswith(f"{removed}/")]
    same = (each for each in before if _path(each) == _path(path))
    return next(same, before[0] if before else path)


def cancelling(path: str, back: str) -> str:
    """Return the address of the page that a form was opened from, else a path."""
    return next(iter(_before(back)), path)


def as_it_was(path: str, back: str) -> str:
    """Return the address of a page as it was, if the browser has come from it, else its path."""
    return next((each for each in _before(back) if _path(each) == _path(path)), path)


def _path(address: str) -> str:
    return address.partition("?")[0]


def _before(address: str) -> list[str]:
    """Return the pages that an address leads back to, the last one first."""
    found: list[str] = []
    while len(found) < _DEEPEST:
        address = without_notice(address)
        if not address:
            break
        found.append(address)
        address = dict(parse_qsl(urlsplit(address).query)).get(BACK, "")
    return found


def without_notice(address: str) -> str:
    """Return an address of the console without what it says about the last action; empty for any other address."""
    try:
        given = urlsplit(address)
    except ValueError:
        return ""
    if given.scheme or given.netloc:
        return ""
    query = urlencode([pair for pair in parse_qsl(given.query, keep_blank_values=True) if pair[0] not in (DONE, UNDO)])
    path = f"{given.path}?{query}" if query else given.path
    return path if is_own(path) else ""


def is_own(path: str) -> bool:
    """Return whether a path, with its query string, can only be that of a page of the console."""
    # Browsers resolve `..` before they ask, which may lead out of the console to whatever else has this origin.
    leads_elsewhere = {".", ".."} & {*unquote(path.partition("?")[0]).split("/")}
    return _OUR_PAGE.fullmatch(path) is not None and "//" not in path and not leads_elsewhere
