"""The navigation: groups of links, and which of them a user gets. The gateway decides what the user may do."""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Link:
    """One entry.

    Attributes:
        page: the name of a page, which is its path below `/console/` and, after `nav.`, the key of its text.
        icon: the name of its icon in `templates/icons.html`.
        administrators: whether only administrators get it.
        also: the first parts of other paths, below `/console/`, at which it is the current entry.
    """

    page: str
    icon: str
    administrators: bool = True
    also: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The path of the page."""
        return f"/console/{self.page}"

    def is_current(self, path: str) -> bool:
        """Return whether a path, perhaps with a query string, is that of the page, or of one that belongs to it."""
        return path.partition("?")[0].removeprefix("/console/").partition("/")[0] in (self.page, *self.also)


@dataclass(frozen=True, slots=True)
class Group:
    """Entries below one heading, whose text is `nav.group.<name>`."""

    name: str
    links: tuple[Link, ...]


GROUPS: Final = (
    Group(
        "overview",
        (
            Link("overview", "chart"),
            Link("account", "person", administrators=False, also=("second-factors", "sessions")),
            Link("connect", "plug", administrators=False),
        ),
    ),
    Group(
        "data",
        (Link("collections", "layers", administrators=False, also=("new-collection", "new-database", "databases")),),
    ),
    Group(
        "identity",
        (
            Link("users", "people", also=("new-user", "tagged-users")),
            Link("keys", "key", administrators=False, also=("new-key",)),
            Link("providers", "globe"),
        ),
    ),
    Group(
        "access",
        (
            Link("roles", "shield", also=("new-role", "compare-roles")),
            Link("matrix", "grid"),
            Link("groups", "stack", also=("new-group",)),
            Link("limits", "gauge"),
            Link("unused", "clock"),
            Link("explain", "question", administrators=False),
        ),
    ),
    Group("system", (Link("audit", "audit"), Link("health", "pulse"))),
)
"""All groups, in the order of the page."""


def groups(me: Any) -> tuple[Group, ...]:
    """Return the groups of the signed-in user, each with the links that the user gets.

    There are none while the user has to enrol a second factor, or to change a one-time password: no link would lead on.
    """
    if me is None or me.enrolment_due or me.one_time_password:
        return ()
    found = [
        Group(group.name, tuple(link for link in group.links if me.administrator or not link.administrators))
        for group in GROUPS
    ]
    return tuple(group for group in found if group.links)
