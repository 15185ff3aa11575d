"""From a filter's tree to its text: the only writer. Joining is explicit, with few parentheses."""

import re
from collections.abc import Mapping
from typing import Final

from kiteward.filters.dialect import MAX_LENGTH, Dialect
from kiteward.filters.divisors import check_divisor
from kiteward.filters.quoting import quote
from kiteward.filters.refusals import refusal
from kiteward.filters.tree import (
    And,
    Arithmetic,
    Call,
    Comparison,
    Constant,
    Exists,
    Expression,
    Field,
    IsNull,
    JsonPath,
    Like,
    ListOf,
    Literal,
    Membership,
    Moment,
    Not,
    Or,
    Principal,
    Range,
    Tag,
    Template,
)

_MAX_DEPTH: Final = 300
"""Deepest tree that is written. What is parsed is less deep: by `MAX_NESTING` and `MAX_ARITHMETIC`."""

_CUT: Final = re.compile("[\U00016fe0-\U00016fff\U00020000-\U0003ffff]")
"""Characters of the script Han beyond U+FFFF. Milvus 2.4 and newer cut them to their last 16 bits when they read a
filter, so that U+20041 becomes `A`."""

_STRENGTH: Final[Mapping[str, int]] = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2}


def write(tree: Expression, dialect: Dialect) -> str:
    """Return the text of a filter. Its reader gets the meaning of the tree.

    Args:
        tree: parsed from the same dialect, or from that of policies with values in place of variables, or both
            joined by `conjoin`.
        dialect: who reads the text.

    Raises:
        FilterSyntaxError: the tree has a template or, for an engine, a variable; it has a constant, which Milvus does
            not read; it has a string that Milvus would read as another, or a divisor that Milvus cannot divide by; the
            text would be too long or too deep.
    """
    text = _Writer(dialect).text(_without_true(tree) if dialect is Dialect.MILVUS else tree)
    if len(text) > MAX_LENGTH:
        raise refusal(f"the filter has {len(text)} characters", right=f"a filter has at most {MAX_LENGTH}")
    return text


def _without_true(tree: Expression) -> Expression:
    """Return a conjunction without the constant that `conjoin` may have added."""
    match tree:
        case And((alone, Constant(True))):
            return alone
    return tree


class _Writer:
    """Writes for one reader.

    Args:
        dialect: who reads it.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._depth = 0

    def text(self, node: Expression | ListOf) -> str:
        """Return a node's text.

        Raises:
            FilterSyntaxError: it is too deep, or not of this dialect.
        """
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise refusal("the filter is nested too deeply", right=f"at most {_MAX_DEPTH} levels are written")
        match node:
            case And() | Or() | Not():
                text = self._joined(node)
            case Comparison(operator, left, right):
                text = f"{self.text(left)} {operator} {self.text(right)}"
            case Range(left, first, middle, second, right):
                text = f"{self.text(left)} {first} {self.text(middle)} {second} {self.text(right)}"
            case Membership(field, values, negated):
                text = f"{self.text(field)} {'not in' if negated else 'in'} {self.text(values)}"
            case Like(value, pattern):
                text = f"{self._factor(value, 3)} like {self.text(pattern)}"
            case IsNull(value, negated):
                text = f"{self.text(value)} is {'not null' if negated else 'null'}"
            case Exists(value):
                text = f"exists {self.text(value)}"
            case _:
                text = self._value(node)
        self._depth -= 1
        return text

    def _joined(self, node: And | Or | Not) -> str:
        if isinstance(node, Not):
            text = self.text(node.operand)
            return f"not {text}" if isinstance(node.operand, Call) else f"not ({text})"
        word = " and " if isinstance(node, And) else " or "
        return word.join(self._operand(each, node) for each in node.operands)

    def _operand(self, node: Expression, within: And | Or) -> str:
        text = self.text(node)
        weak = isinstance(node, Or) or (isinstance(node, And) and isinstance(within, And))
        # In Milvus, `exists` binds weaker than everything.
        return f"({text})" if weak or (isinstance(node, Exists) and self._dialect is Dialect.MILVUS) else text

    def _value(self, node: Expression | ListOf) -> str:
        match node:
            case Literal(value, spelling):
                return spelling or self._quoted(value)
            case Field(name):
                return name
            case JsonPath(root, keys):
                return root + "".join(f"[{self.text(each)}]" for each in keys)
            case Moment(keyword, text):
                return f"{keyword} {self.text(text)}"
            case ListOf(items):
                return f"[{', '.join(map(self.text, items))}]"
            case Arithmetic(operator, left, right):
                if self._dialect is Dialect.MILVUS:
                    check_divisor(operator, right)
                strength = _STRENGTH[operator]
                return f"{self._factor(left, strength)} {operator} {self._factor(right, strength + 1)}"
            case Call(function, arguments):
                return f"{function}({', '.join(map(self._argument, arguments))})"
            case _:
                return self._variable(node)

    def _quoted(self, value: bool | int | float | str) -> str:
        if self._dialect is Dialect.MILVUS and isinstance(value, str) and _CUT.search(value):
            raise refusal("Milvus reads Chinese characters beyond U+FFFF as others", right="use others in its values")
        return quote(value)

    def _factor(self, node: Expression, strength: int) -> str:
        text = self.text(node)
        return f"({text})" if isinstance(node, Arithmetic) and _STRENGTH[node.operator] < strength else text

    def _argument(self, node: Expression | ListOf) -> str:
        text = self.text(node)
        # Milvus Lite reads no sign there, and parentheses with one.
        return f"({text})" if self._dialect is Dialect.EMBEDDED and text[0] == "-" else text

    def _variable(self, node: Expression | ListOf) -> str:
        match node:
            case Constant(value) if self._dialect is not Dialect.MILVUS:
                return quote(value)
            case Principal() if self._dialect is Dialect.POLICY:
                return "$current_principal"
            case Tag(key) if self._dialect is Dialect.POLICY:
                return f"$current_principal_tags[{quote(key)}]"
            case Template(name):
                raise refusal(f"the template `{{{name}}}` has no value", right="send one with the filter")
        raise refusal("a constant or a variable is where none can be")
