"""A filter's text in tokens. Nothing is skipped but blanks: anything that is not a token is refused."""

import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Final, NamedTuple

from kiteward.filters.dialect import MAX_LENGTH
from kiteward.filters.quoting import check_characters
from kiteward.filters.refusals import refusal, shown


class Kind(Enum):
    """What a token is."""

    NAME = auto()
    NUMBER = auto()
    STRING = auto()
    VARIABLE = auto()
    TEMPLATE = auto()
    SYMBOL = auto()
    END = auto()


class Token(NamedTuple):
    """A part of a filter: what it is, its text, and the offset of its first character."""

    kind: Kind
    text: str
    position: int


# Each alternative begins with other characters than the rest, and none gives back what it has read: reading takes time
# in proportion to the length.
_TOKEN: Final = re.compile(
    r"""(?P<BLANK>[ \t\r\n]++)"""
    r"""|(?P<NAME>[^\W\d]\w*+)"""
    r"""|(?P<NUMBER>[0-9][0-9A-Za-z_.]*+(?:(?<=[eE])[+-][0-9A-Za-z_.]*+)?+)"""
    r"""|(?P<STRING>"(?:[^"\\\r\n]|\\[^\r\n])*+"|'(?:[^'\\\r\n]|\\[^\r\n])*+')"""
    r"""|(?P<VARIABLE>\$[A-Za-z_]\w*+)"""
    r"""|(?P<TEMPLATE>\{[ \t\r\n]*+[A-Za-z_][0-9A-Za-z_]*+[ \t\r\n]*+\})"""
    r"""|(?P<SYMBOL>==|!=|<=|>=|&&|\|\||\*\*|<<|>>|[-()\[\],<>+*/%!])"""
    r"""|(?P<OTHER>[\s\S])"""
)

_KINDS: Final[Mapping[str | None, Kind]] = {kind.name: kind for kind in Kind}


def tokenize(text: str) -> Iterator[Token]:
    """Yield a filter's tokens as they are asked for, then END again and again.

    Raises:
        FilterSyntaxError: the text is too long, or has something that is no token: an unknown character, a string that
            does not end on its line, half of a surrogate pair.
    """
    if len(text) > MAX_LENGTH:
        raise refusal(f"the filter has {len(text)} characters", right=f"a filter has at most {MAX_LENGTH}")
    check_characters(text)
    for found in _TOKEN.finditer(text):
        kind = _KINDS.get(found.lastgroup)
        if kind is not None:
            yield Token(kind, found[0], found.start())
        elif found.lastgroup != "BLANK":
            raise _not_a_token(text, found.start())
    while True:
        yield Token(Kind.END, "", len(text))


def _not_a_token(text: str, position: int) -> Exception:
    character = text[position]
    if character in "\"'":
        return refusal(
            "a string does not end", position, right=rf"close it with {character}, and write a line break as \n"
        )
    if character == "=":
        return refusal("`=` is no operator", position, right="write `==`")
    if character == "{":
        return refusal("a template does not end", position, right="a template is a name in braces, as `{ids}`")
    if character in "#;`":
        return refusal(f"unexpected {shown(character)}", position, right="filters have no comments and no statements")
    right = "white space is blank, tab or line break" if not character.isprintable() else ""
    return refusal(f"unexpected {shown(character)}", position, right=right)
