"""Random filters whose meaning is certain: the text, and whether a row matches, in three-valued logic.

The meaning is certain if both evaluators of Milvus Lite agree on it, whatever else the filter contains. They disagree
on a null that is not in a list (`x not in [1]`, `not (x in [1])`), so such terms are about fields that are never null.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tests.access.equivalence.random_values import Draw
from tests.row_policies.schemas import FLOATS, INTEGERS, MARK, Field, Kind, Schema
from tests.row_policies.values import Pool
from tests.row_policies.wire import Row

Truth = bool | None
Holds = Callable[[Row], Truth]

_ATOM, _NOT, _AND, _OR = range(4)
_COMPARISONS: Final = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MIRRORED: Final = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_WORDS: Final = {
    "and": ("and", "and", "AND", "&&", "And"),
    "or": ("or", "or", "OR", "||", "oR"),
    "not": ("not ", "not ", "NOT ", "!", "! "),
    "in": ("in", "in", "IN"),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter.

    Attributes:
        text: as it is sent.
        holds: what it says of a row.
        level: how weakly its outermost operator binds.
        negatable: whether its negation is certain too.
        keys: whether the whole filter is a list of keys, which the engine answers in the order of the list.
        templates: values by the names in braces that stand for them.
    """

    text: str
    holds: Holds
    level: int = _ATOM
    negatable: bool = True
    keys: bool = False
    templates: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, row: Row) -> bool:
        """Return whether a row is found."""
        return self.holds(row) is True


EVERYTHING: Final = Filter("", lambda _: True)


def literal(draw: Draw, value: Any) -> str:
    """Return a value as a filter spells it."""
    if isinstance(value, bool):
        return draw.of(("true", "True", "TRUE")) if value else draw.of(("false", "False", "FALSE"))
    if isinstance(value, str):
        quote = draw.of("\"'")
        inner = "".join(_ESCAPES.get(each, each) for each in value)
        return quote + inner.replace(quote, "\\" + quote) + quote
    return repr(value)


class Filters:
    """Draws filters over one collection."""

    def __init__(self, schema: Schema, pool: Pool) -> None:
        self._schema = schema
        self._pool = pool
        self._leaves: list[Callable[[Draw], Filter]] = []
        for each in schema.scalars:
            if each.name != MARK:
                self._leaves.extend(self._leaves_of(each))
        if schema.dynamic:
            self._leaves.extend((self._extra, self._note))
        self._leaves.append(self._constant)

    def draw(self, draw: Draw, depth: int = 3) -> Filter:
        """Return a filter."""
        roll = draw.random.random()
        if depth == 0 or roll < 0.45:
            made = draw.of(self._leaves)(draw)
        elif roll < 0.6:
            inner = self.draw(draw, depth - 1)
            made = negation(draw, inner) if inner.negatable else inner
        else:
            word = "and" if roll < 0.8 else "or"
            made = junction(draw, word, [self.draw(draw, depth - 1) for _ in range(draw.random.randint(2, 3))])
        return replace(made, text=f"({made.text})", level=_ATOM) if draw.chance(0.1) else made

    def of_keys(self, draw: Draw, keys: Sequence[Any]) -> Filter:
        """Return the filter of clients that get or delete by keys."""
        chosen = set(keys)
        name = self._schema.key.name
        return Filter(f"{name} in [{_listed(draw, keys)}]", lambda row: row[name] in chosen, keys=True)

    def templated(self, draw: Draw) -> Filter:
        """Return a filter whose values are sent beside it."""
        chosen = draw.of([each for each in self._schema.scalars if each.kind in _TEMPLATED and each.name != MARK])
        name, values = chosen.name, [self._pool.value(draw, chosen.kind) for _ in range(draw.number(4))]
        if draw.chance(0.5):
            return Filter(f"{name} in {{some}}", lambda row: row[name] in values, templates={"some": values})
        return Filter(
            f"{name} == {{one}}",
            lambda row: row[name] is not None and row[name] == values[0],
            templates={"one": values[0]},
        )

    def _leaves_of(self, field: Field) -> list[Callable[[Draw], Filter]]:
        bound = {
            "compare": lambda draw: self._comparison(draw, field),
            "in": lambda draw: self._membership(draw, field),
            "null": lambda draw: _null(draw, field),
            "like": lambda draw: self._like(draw, field),
            "add": lambda draw: self._sum(draw, field),
            "flag": lambda draw: _flag(draw, field),
            "contains": lambda draw: self._contains(draw, field),
            "length": lambda draw: self._length(draw, field),
            "item": lambda draw: self._item(draw, field),
            "path": lambda draw: self._path(draw, field),
        }
        kinds = {
            Kind.BOOL: ("flag", "compare", "null"),
            Kind.VARCHAR: ("compare", "compare", "in", "like", "null"),
            Kind.ARRAY: ("contains", "contains", "length", "item"),
            Kind.JSON: ("path", "path", "null"),
            Kind.GEOMETRY: ("null",),
            Kind.TIMESTAMPTZ: ("null",),
        }
        usual = ("compare", "compare", "in", "null", *(("add",) if field.kind in _SMALL else ()))
        return [bound[name] for name in kinds.get(field.kind, usual)]

    def _comparison(self, draw: Draw, field: Field) -> Filter:
        name = field.name
        others = [each for each in self._schema.of_kind(field.kind) if each is not field and each.name != MARK]
        sign = draw.of(("==", "!=")) if field.kind is Kind.BOOL else draw.of(tuple(_COMPARISONS))
        if others and draw.chance(0.15):
            other, compare = draw.of(others).name, _COMPARISONS[sign]
            return Filter(_spaced(draw, name, sign, other), lambda row: _compared(compare, row[name], row[other]))
        return _with_literal(draw, name, sign, self._pool.value(draw, field.kind))

    def _membership(self, draw: Draw, field: Field) -> Filter:
        name, listed = field.name, [self._pool.value(draw, field.kind) for _ in range(draw.random.randint(0, 4))]
        negated = not field.nullable and draw.chance(0.4)
        word = draw.of(("not in", "NOT IN")) if negated else draw.of(_WORDS["in"])
        chosen = set(listed)
        return Filter(
            f"{name} {word} [{_listed(draw, listed)}]",
            lambda row: None if row[name] is None else (row[name] in chosen) is not negated,
            negatable=not field.nullable,
            keys=field is self._schema.key and not negated,
        )

    def _like(self, draw: Draw, field: Field) -> Filter:
        name, word = field.name, draw.of([text for text in self._pool.texts if "\\" not in text])
        pattern = draw.of((f"{word[:2]}%", f"%{word[-2:]}", f"%{word[1:3]}%", f"{word[:1]}_{word[2:]}", word, "%"))
        shape = re.compile("".join(_WILD.get(each, re.escape(each)) for each in pattern), re.DOTALL)
        text = f"{name} {draw.of(('like', 'LIKE'))} {literal(draw, pattern)}"
        return Filter(text, lambda row: None if row[name] is None else shape.fullmatch(row[name]) is not None)

    def _sum(self, draw: Draw, field: Field) -> Filter:
        name, more, bound = field.name, draw.random.randint(0, 3), draw.random.randint(-2, 6)
        sign, arithmetic = draw.of(tuple(_COMPARISONS)), draw.of("+-*")
        compare, combine = _COMPARISONS[sign], {"+": operator.add, "-": operator.sub, "*": operator.mul}[arithmetic]
        text = f"{name} {arithmetic} {more} {sign} {bound}"
        return Filter(text, lambda row: None if row[name] is None else compare(combine(row[name], more), bound))

    def _contains(self, draw: Draw, field: Field) -> Filter:
        assert field.element is not None
        name, mode = field.name, draw.of(("", "_all", "_any"))
        wanted = [self._pool.value(draw, field.element) for _ in range(draw.random.randint(1, 3) if mode else 1)]
        check = any if mode == "_any" else all
        given = f"[{_listed(draw, wanted)}]"
        if not mode:  # Milvus Lite takes no sign there
            wanted = [abs(each) if isinstance(each, int | float) and each < 0 else each for each in wanted]
            given = literal(draw, wanted[0])
        return Filter(
            f"array_contains{mode}({name}, {given})",
            lambda row: row[name] is not None and check(each in row[name] for each in wanted),
        )

    def _length(self, draw: Draw, field: Field) -> Filter:
        name, sign, bound = field.name, draw.of(tuple(_COMPARISONS)), draw.random.randint(0, 4)
        compare = _COMPARISONS[sign]
        return Filter(f"array_length({name}) {sign} {bound}", lambda row: compare(len(row[name] or ()), bound))

    def _item(self, draw: Draw, field: Field) -> Filter:
        assert field.element is not None
        name, place, value = field.name, draw.random.randint(0, 2), self._pool.value(draw, field.element)
        sign = draw.of(("==", "!="))
        compare = _COMPARISONS[sign]

        def holds(row: Row) -> Truth:
            found = row[name] or ()
            return compare(found[place], value) if place < len(found) else None

        return Filter(f"{name}[{place}] {sign} {literal(draw, value)}", holds)

    def _path(self, draw: Draw, field: Field) -> Filter:
        name, key = field.name, draw.of("nsl")
        path = f'{name}["{key}"]'
        if draw.chance(0.2):
            return Filter(f"{draw.of(('exists', 'EXISTS'))} {path}", lambda row: _inside(row[name], key) is not None)
        if key == "l":
            wanted = abs(self._pool.integer(draw, Kind.INT8))
            return Filter(f"json_contains({path}, {wanted})", lambda row: wanted in (_inside(row[name], key) or ()))
        value: Any = self._pool.text(draw) if key == "s" else self._pool.integer(draw, Kind.INT8)
        sign = draw.of(tuple(_COMPARISONS))
        compare = _COMPARISONS[sign]
        return Filter(
            f"{path} {sign} {literal(draw, value)}", lambda row: _compared(compare, _inside(row[name], key), value)
        )

    def _extra(self, draw: Draw) -> Filter:
        sign, value = draw.of(tuple(_COMPARISONS)), self._pool.integer(draw, Kind.INT8)
        compare = _COMPARISONS[sign]
        spelled = draw.of(("extra", '$meta["extra"]'))
        return Filter(f"{spelled} {sign} {value}", lambda row: _compared(compare, row.get("extra"), value))

    def _note(self, draw: Draw) -> Filter:
        value, sign = draw.of(self._pool.texts), draw.of(("==", "!="))
        compare = _COMPARISONS[sign]
        text = f"{draw.of(('note', '$meta[' + chr(34) + 'note' + chr(34) + ']'))} {sign} {literal(draw, value)}"
        return Filter(text, lambda row: _compared(compare, row.get("note"), value))

    def _constant(self, draw: Draw) -> Filter:
        value = draw.chance(0.6)
        return Filter(literal(draw, value), lambda _: value)


_TEMPLATED: Final = (*INTEGERS, Kind.VARCHAR)
_SMALL: Final = tuple(kind for kind in (*INTEGERS, *FLOATS) if kind is not Kind.INT64)
_WILD: Final = {"%": ".*", "_": "."}


def negation(draw: Draw, inner: Filter) -> Filter:
    """Return `not` of a filter."""

    def holds(row: Row) -> Truth:
        found = inner.holds(row)
        return None if found is None else not found

    return Filter(draw.of(_WORDS["not"]) + _within(draw, inner, _NOT), holds, _NOT)


def junction(draw: Draw, word: str, parts: Sequence[Filter]) -> Filter:
    """Return filters joined by `and` or `or`."""
    level, settled = (_AND, False) if word == "and" else (_OR, True)

    def holds(row: Row) -> Truth:
        found: Truth = not settled
        for part in parts:
            each = part.holds(row)
            if each is settled:
                return settled
            if each is None:
                found = None
        return found

    texts = [_within(draw, part, level) for part in parts]
    joint = f"{_blank(draw)}{draw.of(_WORDS[word])}{_blank(draw)}"
    return Filter(joint.join(texts), holds, level, negatable=all(part.negatable for part in parts))


def _within(draw: Draw, part: Filter, level: int) -> str:
    return f"({part.text})" if part.level > level or draw.chance(0.15) else part.text


def _with_literal(draw: Draw, name: str, sign: str, value: Any) -> Filter:
    compare = _COMPARISONS[sign]
    text = (
        _spaced(draw, literal(draw, value), _MIRRORED[sign], name)
        if draw.chance(0.15)
        else _spaced(draw, name, sign, literal(draw, value))
    )
    return Filter(text, lambda row: _compared(compare, row[name], value))


def _compared(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> Truth:
    return None if left is None or right is None else compare(left, right)


def _null(draw: Draw, field: Field) -> Filter:
    name, negated = field.name, draw.chance(0.5)
    word = draw.of(("is not null", "IS NOT NULL")) if negated else draw.of(("is null", "IS NULL"))
    return Filter(f"{name} {word}", lambda row: (row[name] is None) is not negated)


def _flag(_: Draw, field: Field) -> Filter:
    name = field.name
    return Filter(name, lambda row: row[name])


def _inside(document: Any, key: str) -> Any:
    return document.get(key) if document is not None else None


def _listed(draw: Draw, listed: Sequence[Any]) -> str:
    return draw.of((", ", ",", " , ")).join(literal(draw, each) for each in listed)


def _spaced(draw: Draw, left: str, sign: str, right: str) -> str:
    return draw.of((f"{left} {sign} {right}", f"{left}{sign}{right}", f"{left}\t{sign}\n{right}"))


def _blank(draw: Draw) -> str:
    return draw.of((" ", " ", " ", "  ", "\t", "\n"))
