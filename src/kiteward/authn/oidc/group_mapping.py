"""Which roles membership in groups of an identity provider gives."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from kiteward.store.identity_records import GroupRole


@dataclass(frozen=True, slots=True)
class GroupMapping:
    """The roles that groups give.

    Attributes:
        exact: name of a group -> names of roles.
        patterns: pattern -> names of roles. `*` stands for any characters, none too; all others stand for themselves.
    """

    exact: Mapping[str, frozenset[str]] = field(default_factory=dict)
    patterns: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Iterable[GroupRole]) -> Self:
        """Return the mapping that the store holds of one issuer."""
        exact: dict[str, frozenset[str]] = {}
        patterns: dict[str, frozenset[str]] = {}
        for each in stored:
            held = patterns if each.is_pattern else exact
            held[each.group] = held.get(each.group, frozenset()) | {each.role}
        return cls(exact, patterns)

    def roles_of(self, groups: Iterable[str]) -> frozenset[str]:
        """Return the roles that membership in all these groups gives."""
        none: frozenset[str] = frozenset()
        found = set[str]()
        for group in groups:
            found |= self.exact.get(group, none)
            for pattern, roles in self.patterns.items():
                if matches(pattern, group):
                    found |= roles
        return frozenset(found)


def matches(pattern: str, text: str) -> bool:
    """Return whether a text matches a pattern, without going back: names of groups come from elsewhere."""
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    *middle, last = others
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    end, position = len(text) - len(last), len(first)
    for part in middle:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True
