"""A filter's tokens, read one after another, and the values that they spell."""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from kiteward.filters.dialect import GRAMMARS, MAX_NESTING, Dialect, Feature
from kiteward.filters.quoting import MOST_INTEGER, unquoted
from kiteward.filters.refusals import refusal, shown
from kiteward.filters.tokens import Kind, Token, tokenize
from kiteward.filters.tree import Field, JsonPath, ListOf, Literal, Moment, Principal, Tag, Template

_BOOLEANS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MOMENTS: Final = frozenset({"iso", "interval"})

KEYWORDS: Final = frozenset({"and", "or", "not", "in", "like", "is", "null", "exists", "true", "false"}) | _MOMENTS
"""Words that name no field, in any case: at least one engine reads them as something else."""

META: Final = "$meta"
_PRINCIPAL: Final = "$current_principal"
_TAGS: Final = "$current_principal_tags"

_INTEGER: Final[Mapping[Dialect, re.Pattern[str]]] = {
    Dialect.EMBEDDED: re.compile(r"[0-9]{1,30}\Z"),
    Dialect.MILVUS: re.compile(r"(?:0|[1-9][0-9]{0,29}|0[0-7]{1,30}|0[xX][0-9a-fA-F]{1,30}|0[bB][01]{1,70})\Z"),
    Dialect.POLICY: re.compile(r"(?:0|[1-9][0-9]{0,29})\Z"),
}
_PLACE: Final = re.compile(r"(?:0|[1-9][0-9]{0,8})\Z")
_FLOAT: Final = re.compile(r"(?:[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)\Z")

_AMOUNT: Final = r"([0-9]+(?:\.[0-9]+)?)"
_DURATION: Final = re.compile(
    f"P(?:{_AMOUNT}W)?(?:{_AMOUNT}D)?(?:T(?:{_AMOUNT}H)?(?:{_AMOUNT}M)?(?:{_AMOUNT}S)?)?\\Z", re.IGNORECASE
)

Scalar = Literal | Moment | Template | Principal | Tag


class Reader:
    """What the parser reads from.

    Args:
        text: the filter.
        dialect: who reads it.
    """

    def __init__(self, text: str, dialect: Dialect) -> None:
        self.grammar = GRAMMARS[dialect]
        self.text = text
        self._dialect = dialect
        self._tokens = tokenize(text)
        self._next = next(self._tokens)
        self._second = next(self._tokens)
        self._nesting = 0
        self.taken = 0

    def peek(self) -> Token:
        """Return the next token; behind the last one is an END."""
        return self._next

    def peek_second(self) -> Token:
        """Return the token after the next one."""
        return self._second

    def take(self) -> Token:
        """Return the next token, and go on to the one after it."""
        token = self._next
        self._next, self._second = self._second, next(self._tokens)
        self.taken += 1
        return token

    def has(self, feature: Feature) -> bool:
        """Return whether the dialect has a part of the language."""
        return feature in self.grammar.features

    def at_symbol(self, *symbols: str) -> bool:
        """Return whether the next token is one of some symbols."""
        return self._next.kind is Kind.SYMBOL and self._next.text in symbols

    def at_word(self, word: str) -> bool:
        """Return whether the next token is a keyword, as the dialect spells it.

        Raises:
            FilterSyntaxError: it is, in a mix of cases that the dialect does not have.
        """
        return self._is_word(self._next, word)

    def at_words(self, first: str, second: str) -> bool:
        """Return whether the next two tokens are keywords.

        Raises:
            FilterSyntaxError: they are, in a mix of cases that the dialect does not have.
        """
        return self._is_word(self._next, first) and self._is_word(self._second, second)

    def _is_word(self, token: Token, word: str) -> bool:
        if token.kind is not Kind.NAME or token.text.lower() != word:
            return False
        self.check_case(token)
        return True

    def check_case(self, token: Token) -> None:
        """Refuse a keyword or the name of a function in a mix of cases that the dialect does not have."""
        lower = token.text.lower()
        if not self.grammar.any_case and token.text not in (lower, lower.upper()):
            raise refusal(f"unexpected {shown(token.text)}", token.position, right=f"write `{lower}`")

    def check_phrase(self, start: Token, phrase: str) -> None:
        """Refuse keywords that are one token in Milvus and are not written as it has them.

        Raises:
            FilterSyntaxError: there is something else than one blank between them, or their cases differ.
        """
        written = self.text[start.position : start.position + len(phrase)]
        if not self.has(Feature.LOOSE) and written not in (phrase, phrase.upper()):
            raise refusal(f"unexpected {shown(written)}", start.position, right=f"write `{phrase}`, with single blanks")

    def expect(self, symbol: str) -> Token:
        """Read a symbol.

        Raises:
            FilterSyntaxError: something else comes.
        """
        if not self.at_symbol(symbol):
            raise self.unexpected(f"expected `{symbol}`")
        return self.take()

    def unexpected(self, right: str) -> Exception:
        """Return the refusal of the next token."""
        token = self.peek()
        return refusal(f"unexpected {shown(token.text)}", token.position, right=right)

    def lacks(self, what: str, token: Token, *, right: str = "") -> Exception:
        """Return the refusal of something that the dialect does not have."""
        return refusal(f"{what} is not available in {self.grammar.name}", token.position, right=right)

    def enter(self, token: Token) -> None:
        """Go one level deeper, to which `leave` belongs.

        Raises:
            FilterSyntaxError: too deep.
        """
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise refusal(
                "the filter is nested too deeply",
                token.position,
                right=f"at most {MAX_NESTING} parentheses, negations and signs may be inside one another",
            )

    def leave(self, levels: int = 1) -> None:
        """Go up again."""
        self._nesting -= levels

    def name(self, expected: str) -> str:
        """Read the name of a field.

        Raises:
            FilterSyntaxError: something else comes, a keyword, or a name that the engine does not read as one.
        """
        token = self.peek()
        if token.kind is not Kind.NAME:
            raise self.unexpected(expected)
        if token.text.lower() in KEYWORDS:
            raise refusal(f"{shown(token.text)} is a keyword", token.position, right=expected)
        letter = token.text[0].isalpha() or token.text[0] == "_"
        if not letter or not (token.text.isascii() or self.has(Feature.UNICODE_NAMES)):
            raise refusal(
                f"{shown(token.text)} is no name of a field",
                token.position,
                right="a name has letters a to z, digits and underscores",
            )
        return self.take().text

    def place(self, expected: str) -> Field | JsonPath:
        """Read a field, or a path in one.

        Raises:
            FilterSyntaxError: something else comes.
        """
        start = self.peek()
        if start.kind is Kind.VARIABLE and start.text == META and self.has(Feature.PATH):
            self.take()
            if not self.at_symbol("["):
                raise self.unexpected('`$meta` takes a key, as `$meta["color"]`')
            return JsonPath(META, self._keys(start))
        name = self.name(expected)
        if not self.at_symbol("["):
            return Field(name)
        if not self.has(Feature.PATH):
            raise self.lacks("a key of a field", self.peek(), right="compare a declared field")
        return JsonPath(name, self._keys(start))

    def _keys(self, start: Token) -> tuple[Literal, ...]:
        keys: list[Literal] = []
        width = len(start.text)
        while self.at_symbol("["):
            self.take()
            token = self.peek()
            if token.kind is Kind.STRING:
                keys.append(self.string("a key"))
            elif token.kind is Kind.NUMBER and _PLACE.match(token.text):
                keys.append(self.number(negative=False))
            else:
                raise self.unexpected('a path has keys and places, as `["color"]` and `[0]`')
            end = self.expect("]")
            width += len(token.text) + len("[]")
            if not self.has(Feature.LOOSE) and end.position + 1 - start.position != width:
                raise refusal("a path has a blank", start.position, right='write it without, as `a["b"][0]`')
            if len(keys) > MAX_NESTING:
                raise refusal("a path is too long", start.position, right=f"it has at most {MAX_NESTING} keys")
        if start.text == META and isinstance(keys[0].value, int):
            raise refusal("`$meta` has no places", start.position, right='it takes a key, as `$meta["color"]`')
        return tuple(keys)

    def string(self, expected: str) -> Literal:
        """Read a string.

        Raises:
            FilterSyntaxError: something else comes, or it has an escape that not every engine reads.
        """
        token = self.peek()
        if token.kind is not Kind.STRING:
            raise self.unexpected(f"expected {expected} in quotes")
        self.take()
        value = unquoted(token.text, token.position)
        return Literal(value, "" if self._dialect is Dialect.POLICY else token.text)

    def number(self, *, negative: bool) -> Literal:
        """Read a number.

        Args:
            negative: whether a sign came before it.

        Raises:
            FilterSyntaxError: it is not spelled as the engine spells numbers, or is beyond 64 bits.
        """
        token = self.take()
        value = self._integer(token) if _INTEGER[self._dialect].match(token.text) else self._float(token)
        most = MOST_INTEGER + (negative and self._dialect is not Dialect.MILVUS)
        if isinstance(value, int) and value > most:
            raise refusal(f"{shown(token.text)} is beyond 64 bits", token.position, right="the most is 2^63-1")
        sign = "-" if negative else ""
        return Literal(-value if negative else value, "" if self._dialect is Dialect.POLICY else sign + token.text)

    def _integer(self, token: Token) -> int:
        text = token.text.lower()
        if self._dialect is not Dialect.MILVUS or text == "0" or text[0] != "0":
            return int(text)
        return int(text[2:], 16 if text[1] == "x" else 2) if text[1] in "xb" else int(text, 8)

    def _float(self, token: Token) -> float:
        if not _FLOAT.match(token.text):
            raise refusal(f"{shown(token.text)} is no number", token.position, right="write it as 12, 1.5 or 1e-3")
        if not self.has(Feature.FLOAT):
            raise self.lacks("a fraction", token, right="write a whole number")
        value = float(token.text)
        if not math.isfinite(value):
            raise refusal(f"{shown(token.text)} is too large", token.position)
        return value

    def scalar(self) -> Scalar | None:
        """Read a value without a sign, or return None if something else comes.

        Raises:
            FilterSyntaxError: it is a value that the dialect does not have.
        """
        token = self.peek()
        if token.kind is Kind.NUMBER:
            return self.number(negative=False)
        if token.kind is Kind.STRING:
            return self.string("a string")
        if token.kind is Kind.TEMPLATE:
            return self.template()
        if token.kind is Kind.VARIABLE:
            return self._variable()
        return self._word()

    def template(self) -> Template:
        """Read a template.

        Raises:
            FilterSyntaxError: the dialect has none.
        """
        token = self.take()
        if not self.has(Feature.TEMPLATE):
            raise self.lacks("a template", token)
        return Template(token.text.strip("{} \t\r\n"))

    def _word(self) -> Literal | Moment | None:
        token = self.peek()
        word = token.text.lower() if token.kind is Kind.NAME else ""
        if word in ("true", "false"):
            if token.text not in _BOOLEANS:
                raise refusal(f"unexpected {shown(token.text)}", token.position, right=f"write `{word}`")
            self.take()
            return Literal(_BOOLEANS[token.text])
        if word not in _MOMENTS:
            return None
        if not self.has(Feature.MOMENT):
            raise self.lacks(shown(token.text), token)
        self.take()
        return self._moment(word, token)

    def _moment(self, word: str, token: Token) -> Moment:
        text = self.string("a time" if word == "iso" else "a duration")
        if not (_is_time if word == "iso" else _is_duration)(str(text.value)):
            example = "2026-01-31T12:00:00Z" if word == "iso" else "P1DT12H"
            raise refusal("this is not ISO 8601", token.position, right=f"write it as '{example}'")
        return Moment("ISO" if word == "iso" else "INTERVAL", text)

    def _variable(self) -> Principal | Tag | None:
        token = self.peek()
        if token.text == META and self.has(Feature.PATH):
            return None
        if not self.has(Feature.VARIABLE) or token.text not in (_PRINCIPAL, _TAGS):
            known = f"row policies have `{_PRINCIPAL}` and `{_TAGS}['key']`" if self.has(Feature.VARIABLE) else ""
            raise self.lacks(shown(token.text), token, right=known)
        self.take()
        if token.text == _PRINCIPAL:
            return Principal()
        self.expect("[")
        key = self.string("the key of a tag")
        self.expect("]")
        return Tag(str(key.value))

    def signed(self) -> Scalar:
        """Read a value with or without a sign.

        Raises:
            FilterSyntaxError: something else comes.
        """
        if self.at_symbol("-") and self._second.kind is Kind.NUMBER:
            self.take()
            return self.number(negative=True)
        found = self.scalar()
        if found is None or (isinstance(found, Moment) and found.keyword == "INTERVAL"):
            raise self.unexpected("expected a value: a string, a number, true or false")
        return found

    def list_of(self, *, lists: bool = False) -> ListOf:
        """Read a list.

        Args:
            lists: whether its elements may be lists.

        Raises:
            FilterSyntaxError: something else comes.
        """
        self.enter(self.expect("["))
        items: list[Scalar | ListOf] = []
        while not self.at_symbol("]"):
            items.append(self.list_of(lists=True) if lists and self.at_symbol("[") else self.signed())
            if not self.at_symbol(","):
                break
            self.take()
        if not self.at_symbol("]"):
            raise self.unexpected("expected `,` or `]`")
        self.take()
        self.leave()
        return ListOf(tuple(items))


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(re.sub(r"Z\Z", "+00:00", text.strip()))
    except ValueError:
        return False
    return True


def _is_duration(text: str) -> bool:
    found = _DURATION.match(text)
    return found is not None and (any(float(each) for each in found.groups("0")) or text.upper() == "P0D")
