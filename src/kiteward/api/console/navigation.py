"""The navigation: which links a user gets. The gateway decides what the user may do."""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Link:
    """One entry: the name of a page, which is its path below `/console/` and, after `nav.`, the key of its text."""

    page: str

    @property
    def path(self) -> str:
        """The path of the page."""
        return f"/console/{self.page}"


EVERYBODY: Final = tuple(Link(page) for page in ("account", "keys", "collections", "explain", "connect"))
ADMINISTRATORS: Final = tuple(
    Link(page) for page in ("users", "providers", "roles", "matrix", "groups", "limits", "audit", "health")
)


def sections(me: Any) -> tuple[tuple[str, tuple[Link, ...]], ...]:
    """Return the sections for the signed-in user: the key of each heading, and its links."""
    if me is None or me.enrolment_due:
        return ()
    own = ("nav.everybody", EVERYBODY)
    return (own, ("nav.administrators", ADMINISTRATORS)) if me.administrator else (own,)
