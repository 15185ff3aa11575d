"""The brute-force model: what a collection holds, and who may do what with each row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.row_policies.rules import Action, Person, Policy, allows
from tests.row_policies.schemas import MARK, VECTOR, Schema
from tests.row_policies.wire import Key, Row


@dataclass(frozen=True, slots=True)
class Stored:
    """A row, and the partition it is in."""

    row: Row
    partition: str


@dataclass(frozen=True, slots=True)
class KeyOf:
    """An API key: whose it is, the roles that it is restricted to, and its own tags."""

    owner: str
    roles: frozenset[str]
    tags: Mapping[str, str]


@dataclass(slots=True)
class Model:
    """A collection and its rules.

    Attributes:
        schema: of the collection.
        people: users by caller.
        keys: API keys by caller.
        policies: by name.
        enabled: whether the collection is protected.
        forced: whether nobody bypasses its policies.
        stored: rows by key.
    """

    schema: Schema
    people: dict[str, Person] = field(default_factory=dict)
    keys: dict[str, KeyOf] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    enabled: bool = False
    forced: bool = False
    stored: dict[Key, Stored] = field(default_factory=dict)
    _seen: dict[tuple[str, Action], dict[Key, Stored]] = field(default_factory=dict)

    def changed(self) -> None:
        """Forget what was worked out; to be called after each change."""
        self._seen.clear()

    def person(self, caller: str) -> Person:
        """Return who a caller is."""
        key = self.keys.get(caller)
        if key is None:
            return self.people[caller]
        owner = self.people[key.owner]
        return Person(
            owner.name,
            owner.roles & key.roles,
            {**owner.tags, **key.tags},
            bypasses=owner.bypasses,
            withheld=owner.roles - key.roles,
        )

    def governs(self, caller: str) -> bool:
        """Return whether policies concern a caller."""
        return self.enabled and (self.forced or not self.person(caller).bypasses)

    def allowed(self, caller: str, action: Action, row: Row, *, coming: bool = False) -> bool:
        """Return whether a caller may do something with a row."""
        if not self.governs(caller):
            return True
        return allows(list(self.policies.values()), self.person(caller), action, row, coming=coming)

    def visible(self, caller: str, action: Action) -> Mapping[Key, Stored]:
        """Return the rows on which a caller may act."""
        found = self._seen.get((caller, action))
        if found is None:
            found = {key: each for key, each in self.stored.items() if self.allowed(caller, action, each.row)}
            self._seen[caller, action] = found
        return found

    def within(self, rows: Mapping[Key, Stored], partitions: Sequence[str]) -> dict[Key, Row]:
        """Return those rows that are in some partitions; none named means all."""
        return {key: each.row for key, each in rows.items() if not partitions or each.partition in partitions}

    def completed(self, given: Row, before: Row | None = None) -> Row:
        """Return a row as it is stored when it is written over another one, or as a new one.

        Args:
            given: the values sent.
            before: the row there; None for none.
        """
        row = {**(before or {}), **given}
        for each in self.schema.fields:
            if row.get(each.name) is None:
                row[each.name] = each.default
        return row

    def put(self, row: Row, partition: str) -> None:
        """Store a row."""
        self.stored[row[self.schema.key.name]] = Stored(row, partition)
        self.changed()

    def differences(self, rows: Sequence[Row]) -> str:
        """Return how the rows that are stored differ from the model's, in words."""
        name = self.schema.key.name
        found = {row[name]: row for row in rows}
        if len(found) != len(rows):
            return "a key is stored twice"
        return "; ".join(self._differing(found))

    def _differing(self, found: Mapping[Key, Row]) -> Iterator[str]:
        for key in sorted(found.keys() | self.stored.keys(), key=str):
            if key not in found:
                yield f"row {key!r} is gone"
            elif key not in self.stored:
                yield f"row {key!r} is new: {found[key]}"
            else:
                expected = self.stored[key].row
                absent = [name for name, value in expected.items() if value is not None and name not in found[key]]
                wrong = f"has no {absent}" if absent else unequal(found[key], expected, self.schema)
                if wrong:
                    yield f"row {key!r}: {wrong}"


def unequal(found: Row, expected: Row, schema: Schema) -> str:
    """Return which values of a row are not as expected, in words; values that are not there are not looked at."""
    nulls = {each.name for each in schema.fields}
    wrong: list[str] = []
    for name, value in found.items():
        wanted: Any = expected.get(name) if name in nulls or name in expected else _ABSENT
        if value != wanted and not (value is None and wanted is _ABSENT):
            wrong.append(f"{name} is {value!r} instead of {wanted!r}")
    return ", ".join(wrong)


_ABSENT: Any = object()


def marks_of(rows: Mapping[Key, Row]) -> set[str]:
    """Return the marks of rows."""
    return {row[MARK] for row in rows.values()}


def vector_of(row: Row) -> list[float]:
    """Return the vector of a row."""
    found: list[float] = row[VECTOR]
    return found
