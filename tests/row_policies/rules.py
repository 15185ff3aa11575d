"""Random row policies: their text, and what they say of a row and a person, in two-valued logic.

A null, a missing tag and a value of another type make a comparison false.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from tests.access.equivalence.random_values import Draw
from tests.row_policies.schemas import MARK, RULED, Field, Kind, Schema
from tests.row_policies.values import Pool
from tests.row_policies.wire import Row

TAG_KEYS: Final = ("dept", "team", "a.b:c/d@e")
_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "'": "\\'", '"': '\\"'}


class Action(IntEnum):
    """Actions of a policy, with the protocol's numbers."""

    QUERY = 0
    SEARCH = 1
    INSERT = 2
    DELETE = 3
    UPSERT = 4


USING: Final = frozenset({Action.QUERY, Action.SEARCH, Action.DELETE, Action.UPSERT})
"""Actions on rows that are there."""

CHECKED: Final = frozenset({Action.INSERT, Action.UPSERT})
"""Actions that bring rows."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who calls, as policies see it.

    Attributes:
        name: of the user; of the owner for an API key.
        roles: that the credential holds.
        tags: of the user, overlaid by those of the key.
        bypasses: whether policies that are not forced do not concern the caller.
        withheld: roles of the owner that an API key leaves out; restrictive policies for them apply all the same.
    """

    name: str
    roles: frozenset[str]
    tags: Mapping[str, str]
    bypasses: bool = False
    withheld: frozenset[str] = frozenset()


Says = Callable[[Row, Person], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """An expression of a policy: its text, and what it says."""

    text: str
    says: Says


@dataclass(frozen=True, slots=True)
class Policy:
    """One row policy.

    Attributes:
        name: of the policy.
        permissive: joined by `or`; else restrictive, joined by `and`.
        actions: that it is about.
        roles: that it is for; empty for everybody.
        using: about rows that are there; None for no expression.
        check: about rows that come; None for no expression.
    """

    name: str
    permissive: bool
    actions: frozenset[Action]
    roles: frozenset[str]
    using: Rule | None
    check: Rule | None

    def applies(self, person: Person, action: Action) -> bool:
        """Return whether it concerns somebody's action."""
        held = person.roles if self.permissive else person.roles | person.withheld
        return action in self.actions and (not self.roles or bool(self.roles & held))


def allows(policies: Sequence[Policy], person: Person, action: Action, row: Row, *, coming: bool = False) -> bool:
    """Return whether policies let somebody do something with a row.

    Args:
        policies: of the collection, which is protected.
        person: the caller.
        action: what is done.
        row: as it is stored, or as it would be.
        coming: whether `check` decides rather than `using`.
    """
    permitted = False
    for policy in policies:
        if not policy.applies(person, action):
            continue
        rule = policy.check if coming else policy.using
        says = rule is not None and rule.says(row, person)
        if policy.permissive:
            permitted = permitted or says
        elif not says:
            return False
    return permitted


def quoted(draw: Draw, text: str) -> str:
    """Return a text as policies spell it."""
    quote = draw.of("'\"")
    return quote + "".join(_ESCAPES.get(each, each) for each in text) + quote


class Rules:
    """Draws expressions and policies over one collection."""

    def __init__(self, schema: Schema, pool: Pool, roles: Sequence[str]) -> None:
        self._pool = pool
        self._roles = roles
        fields = [field for field in schema.scalars if not field.nullable and field.name != MARK]
        self._scalars = [field for field in fields if field.kind in RULED and field is not schema.key]
        self._texts = [field for field in self._scalars if field.kind is Kind.VARCHAR]
        self._arrays = [field for field in fields if field.element in RULED and field.element is not Kind.BOOL]
        self._groups = [field for field in self._arrays if field.element is Kind.VARCHAR]

    def policy(self, draw: Draw, name: str, *, restrictive: bool) -> Policy:
        """Return a policy."""
        actions = frozenset(draw.random.sample(list(Action), draw.of((1, 2, 3, 5, 5, 5, 5))))
        roles = frozenset(draw.some(self._roles, 2)) if draw.chance(0.6 if restrictive else 0.3) else frozenset[str]()
        using = self.draw(draw, loose=restrictive) if actions & USING else None
        check = None
        if actions & CHECKED:
            check = _EVERYTHING if draw.chance(0.3) else self.draw(draw, loose=restrictive)
        return Policy(name, not restrictive, actions, roles, using, check)

    def draw(self, draw: Draw, depth: int = 2, *, loose: bool = False) -> Rule:
        """Return an expression; a loose one says yes more often."""
        if depth == 0 or draw.chance(0.2 if loose else 0.6):
            kinds = (self._variable, self._literal, self._constant)
            return draw.random.choices(kinds, (6, 5, 1))[0](draw)
        word = "or" if loose else draw.of(("and", "or", "or"))
        parts = [self.draw(draw, depth - 1) for _ in range(draw.random.randint(2, 3))]
        text = f" {word} ".join(f"({part.text})" for part in parts)
        says = [part.says for part in parts]
        if word == "and":
            return Rule(text, lambda row, person: all(each(row, person) for each in says))
        return Rule(text, lambda row, person: any(each(row, person) for each in says))

    def _constant(self, draw: Draw) -> Rule:
        value = draw.chance(0.5)
        return _EVERYTHING if value else Rule("false", lambda _row, _person: False)

    def _variable(self, draw: Draw) -> Rule:
        tag = draw.of((None, *TAG_KEYS))
        text = "$current_principal" if tag is None else f"$current_principal_tags[{quoted(draw, tag)}]"

        def value(person: Person) -> str | None:
            return person.name if tag is None else person.tags.get(tag)

        if self._groups and draw.chance(0.5):
            name = draw.of(self._groups).name
            return Rule(f"array_contains({name}, {text})", lambda row, person: _holds(row[name], value(person)))
        name = draw.of(self._texts).name
        return Rule(f"{name} == {text}", lambda row, person: _same(row[name], value(person)))

    def _literal(self, draw: Draw) -> Rule:
        if self._arrays and draw.chance(0.4):
            return self._containing(draw, draw.of(self._arrays))
        field = draw.of(self._scalars)
        name = field.name
        if draw.chance(0.5):
            listed = [self._pool.value(draw, field.kind) for _ in range(draw.number(4))]
            text = f"{name} in [{', '.join(_literal(draw, each) for each in listed)}]"
            return Rule(text, lambda row, _: row[name] is not None and row[name] in listed)
        value = self._pool.value(draw, field.kind)
        return Rule(f"{name} == {_literal(draw, value)}", lambda row, _: _same(row[name], value))

    def _containing(self, draw: Draw, field: Field) -> Rule:
        assert field.element is not None
        name, mode = field.name, draw.of(("", "_all", "_any"))
        wanted = [self._pool.value(draw, field.element) for _ in range(draw.number(3) if mode else 1)]
        given = ", ".join(_literal(draw, each) for each in wanted)
        check = any if mode == "_any" else all
        return Rule(
            f"array_contains{mode}({name}, {f'[{given}]' if mode else given})",
            lambda row, _: row[name] is not None and check(each in row[name] for each in wanted),
        )


_EVERYTHING: Final = Rule("true", lambda _row, _person: True)


def _literal(draw: Draw, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return quoted(draw, value) if isinstance(value, str) else repr(value)


def _same(found: Any, wanted: Any) -> bool:
    return found is not None and wanted is not None and found == wanted


def _holds(found: Any, wanted: Any) -> bool:
    return found is not None and wanted is not None and wanted in found
