"""Reads filters and paths (RFC 7644, 3.4.2.2 and 3.5.2) into trees that are bound to a schema."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from kiteward.domain.errors import InvalidArgument
from kiteward.iam.scim.faults import invalid_filter, invalid_path
from kiteward.iam.scim.schemas import Attribute, Kind, ResourceSchema

LONGEST: Final = 4096
"""Characters of a filter at most."""

DEEPEST: Final = 20
"""Brackets and negations inside each other at most."""

_TOKEN: Final = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\\x00-\x1f]|\\.)*")'
    r"|(?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?![\w.:-])"
    r"|(?P<word>\.?[A-Za-z$][A-Za-z0-9$_.:-]*)"
    r"|(?P<mark>[()\[\]]))"
)
_OPERATORS: Final = frozenset(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"])
_ORDER: Final = frozenset(["co", "sw", "ew", "gt", "ge", "lt", "le"])
_WORDS: Final = {"true": True, "false": False, "null": None}

Value = str | bool | float | None


@dataclass(frozen=True, slots=True)
class Target:
    """An attribute, or a part of one, that a filter or path names.

    Attributes:
        attribute: the attribute.
        part: its part, or None.
    """

    attribute: Attribute
    part: Attribute | None = None

    @property
    def compared(self) -> Attribute:
        """What holds the values: the part, for a list of complex values `value`, else the attribute."""
        if self.part is None and self.attribute.kind is Kind.COMPLEX:
            return self.attribute.part("value") or self.attribute
        return self.part or self.attribute


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison with a value; `value` is of the type of what is compared, None for no value."""

    target: Target
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class Present:
    """Whether there is a value."""

    target: Target


@dataclass(frozen=True, slots=True)
class Negation:
    """The opposite of a filter."""

    term: "Filter"


@dataclass(frozen=True, slots=True)
class Combination:
    """Terms of which all must hold, or one."""

    every: bool
    terms: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Whether one of several values meets a filter on its parts."""

    attribute: Attribute
    inner: "Filter"


@dataclass(frozen=True, slots=True)
class NotKept:
    """A comparison of an attribute that is not kept with a text: nobody has the value.

    It is accepted beside `id eq "…"` alone, in a conjunction: as Entra asks whether a user has a certain manager.
    """

    name: str


Filter = Comparison | Present | Negation | Combination | Selection | NotKept


@dataclass(frozen=True, slots=True)
class Path:
    """What an operation of a PATCH is about.

    Attributes:
        attribute: the attribute; None for one that is accepted and not kept.
        part: its part, or None.
        selected: which of several values; None for all.
    """

    attribute: Attribute | None
    part: Attribute | None = None
    selected: Filter | None = None


def parse_filter(schema: ResourceSchema, text: str) -> Filter:
    """Return the tree of a filter.

    Raises:
        InvalidArgument: it cannot be read, names an attribute that is not kept, or compares with another type of value.
    """
    return _Parser(schema, text).whole_filter()


def parse_path(schema: ResourceSchema, text: str) -> Path:
    """Return what a path names.

    Raises:
        InvalidArgument: it cannot be read, or names no attribute of this schema, or of RFC 7643 where it is not kept.
    """
    return _Parser(schema, text).whole_path()


class _Parser:
    """Reads one filter or path by recursive descent."""

    def __init__(self, schema: ResourceSchema, text: str) -> None:
        self._schema = schema
        self._text = text
        self._at = 0
        self._depth = 0
        self._inside: Attribute | None = None
        self._unkept: list[NotKept] = []
        if len(text) > LONGEST:
            raise invalid_filter(f"it has more than {LONGEST} characters")

    def whole_filter(self) -> Filter:
        """Read all of it as a filter."""
        found = self._either()
        self._require_end()
        beside = found.terms if isinstance(found, Combination) and found.every and any(map(_is_id, found.terms)) else ()
        for each in self._unkept:
            if each not in beside:
                raise self._unknown(each.name, invalid_filter)
        return found

    def whole_path(self) -> Path:
        """Read all of it as a path."""
        if "\0" in self._text or not self._text.strip():
            raise invalid_path("it is empty")
        word = self._word()
        if not word:
            raise invalid_path("it does not begin with the name of an attribute")
        if self._is_not_kept(word):
            return Path(None)
        target = self._named(word, invalid_path)
        selected, part = None, target.part
        if self._taken("["):
            selected = self._within(target)
            after = self._word()
            if after:
                part = target.attribute.part(after.removeprefix("."))
                if part is None or not after.startswith("."):
                    raise invalid_path(f"`{target.attribute.name}` has no part `{after.removeprefix('.')}`")
        if self._text[self._at :].strip():
            raise invalid_path(f"what follows character {self._at} cannot be read")
        return Path(target.attribute, part, selected)

    def _is_not_kept(self, word: str) -> bool:
        urn, _, name = word.rpartition(":")
        if word.lower() == self._schema.urn.lower():
            raise invalid_path("it names a schema, not an attribute")
        if word.lower().startswith("urn:") and urn.lower() != self._schema.urn.lower():
            # An extension as a whole, or an attribute of one.
            self._at = len(self._text)
            return True
        kept = name.partition(".")[0].lower() not in self._schema.not_kept
        if not kept:
            self._at = len(self._text)
        return not kept

    def _is_unkept(self, word: str) -> bool:
        """Return whether a word of a filter names an attribute of RFC 7643 that is not kept, or one of an extension."""
        urn, _, name = word.lower().rpartition(":")
        of_extension = urn.startswith("urn:") and urn != self._schema.urn.lower()
        return of_extension or name.partition(".")[0] in self._schema.not_kept

    def _nobody(self, word: str) -> Filter:
        operator, value = self._word().lower(), self._next()
        if operator != "eq" or value is None or value["text"] is None:
            raise self._unknown(word, invalid_filter)
        self._unquoted(value["text"])
        found = NotKept(word)
        self._unkept.append(found)
        return found

    def _either(self) -> Filter:
        return self._joined("or", self._both, every=False)

    def _both(self) -> Filter:
        return self._joined("and", self._term, every=True)

    def _joined(self, word: str, read: "Callable[[], Filter]", *, every: bool) -> Filter:
        terms = [read()]
        while self._keyword(word):
            terms.append(read())
        return terms[0] if len(terms) == 1 else Combination(every, tuple(terms))

    def _term(self) -> Filter:
        if self._keyword("not"):
            if not self._taken("("):
                self._refuse("`not` is followed by `(`")
            return Negation(self._grouped(")"))
        if self._taken("("):
            return self._grouped(")")
        word = self._word()
        if not word:
            self._refuse("the name of an attribute is expected")
        if self._inside is None and self._is_unkept(word):
            return self._nobody(word)
        target = self._named(word, invalid_filter)
        if self._taken("["):
            if self._inside is not None:
                self._refuse("brackets cannot be inside brackets")
            return self._selected(target)
        return self._compared(target)

    def _selected(self, target: Target) -> Filter:
        """Read what follows `[`; Entra writes `emails[type eq "work"].value eq "…"` for a comparison in brackets."""
        inner = self._within(target)
        before = self._at
        after = self._word()
        if not after.startswith("."):
            self._at = before
            return Selection(target.attribute, inner)
        part = target.attribute.part(after.removeprefix("."))
        if part is None:
            self._refuse(f"`{target.attribute.name}` has no part `{after.removeprefix('.')[:64]}`")
        return Selection(target.attribute, Combination(True, (inner, self._compared(Target(part)))))

    def _within(self, target: Target) -> Filter:
        if not target.attribute.multi_valued or target.part is not None:
            self._refuse(f"`{target.attribute.name}` has no values to select from")
        self._inside = target.attribute
        found = self._grouped("]")
        self._inside = None
        return found

    def _grouped(self, end: str) -> Filter:
        self._depth += 1
        if self._depth > DEEPEST:
            self._refuse(f"it has more than {DEEPEST} brackets inside each other")
        found = self._either()
        if not self._taken(end):
            self._refuse(f"`{end}` is expected")
        self._depth -= 1
        return found

    def _compared(self, target: Target) -> Filter:
        operator = self._word().lower()
        if operator == "pr":
            return Present(target)
        if operator not in _OPERATORS:
            self._refuse("an operator is expected: eq, ne, co, sw, ew, gt, ge, lt, le or pr")
        value = self._value(target.compared)
        if operator in _ORDER and (target.compared.kind is Kind.BOOLEAN or value is None):
            self._refuse(f"`{operator}` does not apply to `{target.compared.name}`, or to null")
        return Comparison(target, operator, value)

    def _value(self, attribute: Attribute) -> Value:
        if attribute.kind is Kind.COMPLEX:
            self._refuse(f"`{attribute.name}` has parts: compare one of them")
        found = self._next()
        if found is None:
            self._refuse("a value is expected")
        value: Value
        if found["text"] is not None:
            value = self._unquoted(found["text"])
        elif (found["word"] or "").lower() in _WORDS:
            value = _WORDS[found["word"].lower()]
        else:
            self._refuse("a value is expected, a text in double quotes or true, false or null")
        if attribute.kind is Kind.BOOLEAN and isinstance(value, str):
            value = {"true": True, "false": False}.get(value.lower(), value)
        if value is not None and isinstance(value, bool) is not (attribute.kind is Kind.BOOLEAN):
            self._refuse(f"`{attribute.name}` is compared with a value of another type")
        return value

    def _unquoted(self, text: str) -> str:
        try:
            value: str = json.loads(text)
            value.encode()
        except ValueError:
            self._refuse("a text is not written as in JSON")
        if "\0" in value:
            self._refuse("a text contains NUL")
        return value

    def _named(self, word: str, fault: Callable[[str], InvalidArgument]) -> Target:
        """Return what a word names: inside brackets a part, else an attribute or a part of one."""
        if self._inside is not None:
            part = self._inside.part(word)
            if part is None:
                self._refuse(f"`{self._inside.name}` has no part `{word}`")
            return Target(part)
        urn, _, name = word.rpartition(":")
        attribute_name, _, part_name = name.partition(".")
        attribute = self._schema.attribute(attribute_name) if urn.lower() in ("", self._schema.urn.lower()) else None
        part = attribute.part(part_name) if attribute is not None and part_name else None
        if attribute is None or (part_name and part is None):
            raise self._unknown(word, fault)
        return Target(attribute, part)

    def _unknown(self, word: str, fault: Callable[[str], InvalidArgument]) -> InvalidArgument:
        return fault(f"there is no attribute `{word[:64]}`, or none that is kept")

    def _next(self) -> "re.Match[str] | None":
        found = _TOKEN.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def _word(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        if found is None or found["word"] is None:
            return ""
        self._at = found.end()
        return str(found["word"])

    def _keyword(self, word: str) -> bool:
        before = self._at
        if self._word().lower() == word:
            return True
        self._at = before
        return False

    def _taken(self, mark: str) -> bool:
        found = _TOKEN.match(self._text, self._at)
        if found is None or found["mark"] != mark:
            return False
        self._at = found.end()
        return True

    def _require_end(self) -> None:
        if self._text[self._at :].strip():
            self._refuse("what follows cannot be read")

    def _refuse(self, why: str) -> NoReturn:
        raise invalid_filter(f"{why} (at character {self._at})")


def _is_id(found: Filter) -> bool:
    return isinstance(found, Comparison) and found.target.attribute.name == "id" and found.operator == "eq"
