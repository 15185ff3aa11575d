"""What the navigation offers to whom. The gateway decides what may be done; this decides what is worth a link."""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Link:
    """One entry: the page's name, which is its path and, behind `nav.`, its text."""

    page: str

    @property
    def path(self) -> str:
        """Where it leads."""
        return f"/console/{self.page}"


EVERYBODY: Final = tuple(Link(page) for page in ("account", "keys", "collections", "explain", "connect"))
ADMINISTRATORS: Final = tuple(Link(page) for page in ("users", "roles", "matrix", "groups", "audit", "health"))


def sections(me: Any) -> tuple[tuple[str, tuple[Link, ...]], ...]:
    """Return the sections for who is signed in: the key of each heading, and its links."""
    if me is None:
        return ()
    own = ("nav.everybody", EVERYBODY)
    return (own, ("nav.administrators", ADMINISTRATORS)) if me.administrator else (own,)
