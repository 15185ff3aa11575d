"""Filters of Milvus that Milvus Lite's own parser refuses, where their meaning is certain.

`in` and `not in` over a path in JSON, ranges such as `1 < a <= 3`, `%`, and templates. What is still missing is refused
by name. `docs/engine-filters.md` has the table.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import milvus_lite.search.filter
import milvus_lite.search.filter.eval.arrow_backend
import milvus_lite.search.filter.eval.python_backend
import pyarrow as pa
from milvus_lite.search.filter.ast import And, ArithOp, BoolLit, CmpOp, Expr, IsNullOp, MetaAccess, Not, Or, PathAccess
from milvus_lite.search.filter.exceptions import FilterParseError
from milvus_lite.search.filter.parser import Parser
from milvus_lite.search.filter.tokens import Token, TokenKind, tokenize

_ASCENDING: Final = frozenset({"<", "<="})
_DESCENDING: Final = frozenset({">", ">="})

_PIECES: Final = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"|(?P<template>\{\s*\w+\s*\})"
    r"|(?P<logical>&&|\|\|)"
    r"|(?P<missing>\*\*|<<|>>|[&|^~])"
    r"|(?P<modulo>%)",
    re.DOTALL,
)
"""What is looked for in a filter; a string comes first, so that nothing is found inside one."""


class FilterParser(Parser):  # type: ignore[misc]  # milvus_lite carries no types
    """Milvus Lite's parser, extended by the syntax above."""

    def parse_cmp(self) -> Expr:
        """Read a comparison, or a range: two comparisons in one direction with a common middle."""
        start = self.pos
        found = super().parse_cmp()
        if not isinstance(found, CmpOp) or not isinstance(found.left, CmpOp):
            return found
        first, operators = found.left, {found.left.op, found.op}
        one_way = operators <= _ASCENDING or operators <= _DESCENDING
        if not one_way or self._comparisons_since(start) != 2:  # noqa: PLR2004  # a range has two
            return found
        return And(operands=(first, replace(found, left=first.right)), pos=found.pos)

    def _comparisons_since(self, start: int) -> int:
        """Count the comparisons since a token that are in no parentheses."""
        depth = found = 0
        for token in self.tokens[start : self.pos]:
            depth += (token.kind == TokenKind.LPAREN) - (token.kind == TokenKind.RPAREN)
            found += depth == 0 and token.text in _ASCENDING | _DESCENDING
        return found

    def parse_mul(self) -> Expr:
        """Read a product, quotient or remainder."""
        left = self.parse_unary()
        while self._peek().kind in (TokenKind.MUL, TokenKind.DIV):
            token = self._consume()
            left = ArithOp(op=token.text, left=left, right=self.parse_unary(), pos=token.pos)
        return left

    def _parse_in_tail(self, left: Expr, negate: bool) -> Expr:  # as Milvus Lite has it
        """Read a list, also behind a path in JSON, where it means that any of its values is equal.

        As in Milvus, `not in` also finds the rows that have no such key.
        """
        if not isinstance(left, PathAccess | MetaAccess):
            return super()._parse_in_tail(left, negate)
        position = self._consume().pos
        if self._peek().kind != TokenKind.LBRACKET:
            raise FilterParseError("expected '[' after 'in'", self.source, position, hint='example: j["k"] in [1, 2]')
        values = self.parse_list_literal().elements
        equal = [CmpOp(op="==", left=left, right=value, pos=position) for value in values]
        if not equal:
            return BoolLit(value=negate, pos=position)
        any_equal = Or(operands=tuple(equal), pos=position) if len(equal) > 1 else equal[0]
        if not negate:
            return any_equal
        absent = IsNullOp(field=left, negate=False, pos=position)
        return Or(operands=(absent, Not(operand=any_equal, pos=position)), pos=position)


def parse(source: str, default_timezone: str | None = None) -> Expr:
    """Return the tree of a filter.

    Args:
        source: the filter, its templates filled in.
        default_timezone: of timestamps that name none.

    Raises:
        FilterParseError: it is not a filter, or uses something that the engine lacks.
    """
    return FilterParser(_tokens(source), source, default_timezone=default_timezone).parse()


def filled_in(source: str, values: Mapping[str, Any]) -> str:
    """Return a filter with its templates filled in.

    Args:
        source: the filter.
        values: name -> value of each template, as `TemplateValue`.

    Raises:
        FilterParseError: a template has no value, or a value that no filter can hold.
    """
    if not values:
        return source

    def literal(found: re.Match[str]) -> str:
        if found["template"] is None:
            return found[0]
        name = found["template"].strip("{} \t\r\n")
        if name not in values:
            raise FilterParseError(f"the value of expression template variable name {{{name}}} is not found", source, 0)
        text = _literal(values[name])
        if text is None:
            raise FilterParseError(f"the value of {{{name}}} is of a type that a filter cannot hold", source, 0)
        return text

    return _PIECES.sub(literal, source)


def adopt() -> None:
    """Make Milvus Lite read filters by `parse`, and compute remainders."""
    milvus_lite.search.filter.parse_expr = parse
    milvus_lite.search.filter.eval.python_backend._ARITH_OPS["%"] = _remainder  # noqa: SLF001  # it offers no other way
    milvus_lite.search.filter.eval.arrow_backend._ARITH_KERNELS["%"] = _arrow_remainder  # noqa: SLF001  # as above


def _tokens(source: str) -> list[Token]:
    """Return a filter's tokens; a remainder is a product whose text is `%`, which the lexer does not know."""
    remainders = set()
    masked = list(source)
    for found in _pieces(source):
        if found["missing"] is not None:
            raise FilterParseError(
                f"the embedded engine does not support the operator '{found[0]}' in filters", source, found.start()
            )
        if found["template"] is not None:
            raise FilterParseError(f"the template {found[0]} has no value (filter_params)", source, found.start())
        if found["modulo"] is not None:
            remainders.add(found.start())
            masked[found.start()] = "*"
    return [replace(token, text="%") if token.pos in remainders else token for token in tokenize("".join(masked))]


def _pieces(source: str) -> Iterator[re.Match[str]]:
    return (found for found in _PIECES.finditer(source) if found["string"] is None)


def _literal(value: Any) -> str | None:
    """Return a template's value as a filter writes it, or None for one that it cannot write."""
    kind = value.WhichOneof("val")
    if kind != "array_val":
        return _scalar(getattr(value, kind)) if kind in _SCALARS else None
    array = value.array_val.WhichOneof("data")
    if array is None:
        return "[]"
    if array not in _ARRAYS:
        return None
    elements = [_scalar(each) for each in getattr(value.array_val, array).data]
    return None if None in elements else f"[{', '.join(str(each) for each in elements)}]"


_SCALARS: Final = frozenset({"bool_val", "int64_val", "float_val", "string_val"})
_ARRAYS: Final = frozenset({"bool_data", "long_data", "double_data", "string_data"})
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _scalar(value: bool | int | float | str) -> str | None:
    if isinstance(value, str):
        return '"' + "".join(_ESCAPES.get(character, character) for character in value) + '"'
    if isinstance(value, float) and not math.isfinite(value):
        return None
    # A float keeps its point or exponent, so that it is not read as an integer.
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _remainder(left: Any, right: Any) -> Any:
    """Return what a division cut towards zero leaves, as Milvus computes it; None for a division by zero."""
    if not right:
        return None
    if isinstance(left, float) or isinstance(right, float):
        return math.fmod(left, right)
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def _arrow_remainder(left: Any, right: Any) -> Any:
    """Return remainders of a column; a division by zero has none."""
    length = len(left) if isinstance(left, pa.Array | pa.ChunkedArray) else len(right)
    pairs = zip(_column(left, length), _column(right, length), strict=True)
    values = [None if one is None or other is None else _remainder(one, other) for one, other in pairs]
    return pa.array(values, type=pa.float64() if any(isinstance(each, float) for each in values) else pa.int64())


def _column(values: Any, length: int) -> list[Any]:
    return values.to_pylist() if isinstance(values, pa.Array | pa.ChunkedArray) else [values.as_py()] * length
