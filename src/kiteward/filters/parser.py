"""From a filter's text to its tree, by the table of the dialect. What the table does not have is refused.

From weak to strong: `or`, `and`, `not`, comparisons with `in`, `like` and `is null`, sums, products, signs. Milvus
binds `not` and `exists` otherwise: there they are accepted where both readings are the same.
"""

from collections.abc import Mapping
from typing import Final, get_args

from kiteward.filters.arguments import call
from kiteward.filters.dialect import MAX_ARITHMETIC, Dialect, Feature
from kiteward.filters.divisors import check_divisor
from kiteward.filters.policy_rules import check_list, compared_in_policy
from kiteward.filters.quoting import LEAST_INTEGER
from kiteward.filters.reader import Reader
from kiteward.filters.refusals import refusal, shown
from kiteward.filters.tokens import Kind, Token
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
    Literal,
    Membership,
    Not,
    Or,
    Range,
    Template,
    Value,
)

_ASCENDING: Final = frozenset({"<", "<="})
_DESCENDING: Final = frozenset({">", ">="})
_ORDER: Final = _ASCENDING | _DESCENDING
_COMPARISONS: Final = _ORDER | {"==", "!="}
_STRENGTH: Final[Mapping[str, int]] = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2}
_MISSING: Final = ("**", "<<", ">>")
_VALUES: Final[tuple[type, ...]] = get_args(Value)


def parse(text: str, dialect: Dialect) -> Expression:
    """Return the tree of a filter.

    Args:
        text: the filter, at most `MAX_LENGTH` characters.
        dialect: who reads it. What is accepted, that reader takes too, with the meaning that the tree has.

    Raises:
        FilterSyntaxError: the reader does not take it, or not certainly so; with the position, and what would be right.
    """
    return _Parser(Reader(text, dialect)).whole()


class _Parser:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._arithmetic = 0
        self._closed = (
            -1,
            -1,
        )  # position of the last parenthesis that was closed, tokens read by then

    def whole(self) -> Expression:
        reader = self._reader
        start = reader.peek()
        if start.kind is Kind.END:
            raise refusal("the filter is empty", right='write a condition, as `color == "red"`')
        found = self._condition(self._joined(Or), start)
        if reader.peek().kind is not Kind.END:
            raise reader.unexpected("expected `and`, `or`, or the end")
        return found

    def _joined(self, kind: type[And] | type[Or]) -> Expression:
        """Read operands and what joins them: an operand of `or` is what `and` joins, one of `and` may be negated."""
        reader = self._reader
        word, symbol = ("or", "||") if kind is Or else ("and", "&&")
        start = reader.peek()
        operands = [self._joined(And) if kind is Or else self._negation()]
        while self._at_operator(word, symbol):
            reader.take()
            if len(operands) == 1:
                operands[0] = self._condition(operands[0], start)
            start = reader.peek()
            operands.append(self._condition(self._joined(And) if kind is Or else self._negation(), start))
        return kind(tuple(operands)) if len(operands) > 1 else operands[0]

    def _at_operator(self, word: str, symbol: str) -> bool:
        reader = self._reader
        if not reader.at_symbol(symbol):
            return reader.at_word(word)
        if not reader.has(Feature.SYMBOLS):
            raise reader.lacks(f"`{symbol}`", reader.peek(), right=f"write `{word}`")
        return True

    def _negation(self) -> Expression:
        reader = self._reader
        depth = 0
        while self._at_operator("not", "!"):
            if not reader.has(Feature.NEGATION):
                raise reader.lacks("`not`", reader.peek(), right="say which rows are allowed")
            reader.enter(reader.take())
            depth += 1
        start = reader.peek()
        found = self._comparison()
        if depth:
            found = self._condition(found, start)
            if not reader.has(Feature.LOOSE):
                self._check_tight(found, start)
            for _ in range(depth):
                found = Not(found)
            reader.leave(depth)
        return found

    def _check_tight(self, operand: Expression, start: Token) -> None:
        """Refuse what Milvus reads as the negation of a part: it binds `not` stronger than comparisons."""
        if isinstance(operand, Call | Like) or (self._closed == (start.position, self._reader.taken)):
            return
        raise refusal("`not` binds stronger than the condition", start.position, right="write `not (…)`")

    def _condition(self, found: Expression, start: Token) -> Expression:
        """Return an expression as a condition."""
        reader = self._reader
        if isinstance(found, Literal) and isinstance(found.value, bool):
            if not reader.has(Feature.CONSTANT):
                raise reader.lacks("a constant as a condition", start, right="compare a field with it")
            return Constant(found.value)
        if isinstance(found, Field) and not reader.has(Feature.BARE_FIELD):
            raise refusal(f"{shown(found.name)} is no condition", start.position, right="write `… == true`")
        if isinstance(found, Call):
            if not reader.grammar.functions[found.function].condition:
                raise refusal(f"`{found.function}` is no condition", start.position, right="compare it with a number")
        elif isinstance(found, _VALUES) and not isinstance(found, Field):
            raise refusal("a value is no condition", start.position, right='compare it, as `color == "red"`')
        return found

    def _value(self, found: Expression, start: Token) -> Expression:
        """Return an expression as a value."""
        if isinstance(found, Call) and self._reader.grammar.functions[found.function].condition:
            raise refusal(f"`{found.function}` is a condition", start.position, right="use it as it is")
        if isinstance(found, _VALUES):
            return found
        raise refusal("a condition is no value", start.position, right="join conditions by `and` or `or`")

    def _comparison(self) -> Expression:
        reader = self._reader
        start = reader.peek()
        if reader.at_word("exists"):
            return self._exists()
        left = self._computed()
        token = reader.peek()
        if token.kind is Kind.SYMBOL and token.text in _COMPARISONS:
            return self._compared(self._value(left, start), start)
        if reader.at_word("in") or (reader.at_words("not", "in")):
            return self._membership(left, start)
        if reader.at_word("like"):
            return self._like(self._value(left, start))
        if reader.at_word("is"):
            return self._is_null(left, start)
        if token.text in _MISSING and token.kind is Kind.SYMBOL:
            raise reader.lacks(shown(token.text), token)
        return left

    def _compared(self, left: Expression, start: Token) -> Expression:
        reader = self._reader
        operators: list[Token] = []
        values, starts = [left], [start]
        while reader.peek().kind is Kind.SYMBOL and reader.peek().text in _COMPARISONS:
            if len(operators) == 2:  # noqa: PLR2004  # a range has two
                raise reader.unexpected("join comparisons by `and`")
            operators.append(reader.take())
            if operators[-1].text != "==" and not reader.has(Feature.INEQUALITY):
                raise reader.lacks(f"`{operators[-1].text}`", operators[-1], right="write `==` or `in`")
            starts.append(reader.peek())
            values.append(self._value(self._computed(), starts[-1]))
        if len(operators) == 1:
            if reader.has(Feature.VARIABLE):
                return compared_in_policy(values[0], values[1], start)
            self._check_sides(values, start)
            return Comparison(operators[0].text, values[0], values[1])
        first, second = operators
        if reader.has(Feature.VARIABLE):
            raise reader.lacks("a range", second, right="write `==` or `in`")
        one_way = {first.text, second.text} <= _ASCENDING or {first.text, second.text} <= _DESCENDING
        if not one_way:
            raise refusal("a range has one direction", second.position, right="write `1 < a <= 5`, or use `and`")
        if not reader.has(Feature.LOOSE):
            self._check_range(values, starts)
        return Range(values[0], first.text, values[1], second.text, values[2])

    def _check_sides(self, values: list[Expression], start: Token) -> None:
        if not self._reader.has(Feature.LITERALS_COMPARED) and all(
            isinstance(each, Literal | Template) for each in values
        ):
            raise refusal("two values are compared", start.position, right="compare a field with a value")

    def _check_range(self, values: list[Expression], starts: list[Token]) -> None:
        """Refuse anything that is not a range in Milvus. There it would be the comparison of a comparison."""
        ends = all(isinstance(each, Literal | Template) for each in (values[0], values[2]))
        if not ends or not isinstance(values[1], Field | JsonPath) or starts[1].text == "(":
            raise refusal("this is no range", starts[1].position, right="a range is a field between two values")

    def _membership(self, left: Expression, start: Token) -> Expression:
        reader = self._reader
        first = reader.take()
        negated = first.text.lower() == "not"
        if negated:
            if not reader.has(Feature.NEGATION):
                raise reader.lacks("`not in`", first, right="say which rows are allowed")
            reader.check_phrase(first, "not in")
            reader.take()
        if not isinstance(left, Field | JsonPath) and not (
            reader.has(Feature.VARIABLE) and isinstance(left, _VALUES) and not isinstance(left, Literal)
        ):
            raise refusal("`in` looks for the value of a field", start.position, right="write `color in [..]`")
        at = reader.peek()
        if at.kind is Kind.TEMPLATE:
            return Membership(left, reader.template(), negated)
        values = reader.list_of()
        if reader.has(Feature.VARIABLE):
            check_list(values, at)
        return Membership(left, values, negated)

    def _like(self, value: Expression) -> Expression:
        reader = self._reader
        token = reader.take()
        if not reader.has(Feature.LIKE):
            raise reader.lacks("`like`", token)
        return Like(value, reader.string("a pattern"))

    def _is_null(self, value: Expression, start: Token) -> Expression:
        reader = self._reader
        token = reader.take()
        if not reader.has(Feature.NULL):
            raise reader.lacks("`is`", token)
        if not isinstance(value, Field | JsonPath):
            raise refusal("only a field or a path is null", start.position)
        negated = reader.at_word("not")
        if negated:
            reader.take()
        if not reader.at_word("null"):
            raise reader.unexpected("expected `null`")
        reader.take()
        reader.check_phrase(token, "is not null" if negated else "is null")
        return IsNull(value, negated)

    def _exists(self) -> Expression:
        reader = self._reader
        token = reader.take()
        if not reader.has(Feature.EXISTS):
            raise reader.lacks("`exists`", token)
        enclosed = 0
        while reader.at_symbol("("):
            reader.enter(reader.take())
            enclosed += 1
        place = reader.place('expected a key, as `exists a["b"]`')
        for _ in range(enclosed):
            reader.expect(")")
        reader.leave(enclosed)
        if not reader.has(Feature.LOOSE) and not (reader.peek().kind is Kind.END or reader.at_symbol(")")):
            raise refusal("`exists` binds weaker than what follows", token.position, right="write `(exists …)`")
        return Exists(place)

    def _computed(self, weakest: int = 1) -> Expression:
        """Read a value, and what is computed with it by operators that bind as strongly as `weakest`."""
        reader = self._reader
        start = reader.peek()
        left = self._unary()
        while (token := reader.peek()).kind is Kind.SYMBOL and _STRENGTH.get(token.text, 0) >= weakest:
            reader.take()
            if not reader.has(Feature.ARITHMETIC):
                raise reader.lacks(f"`{token.text}`", token)
            self._arithmetic += 1
            if self._arithmetic > MAX_ARITHMETIC:
                raise refusal(f"more than {MAX_ARITHMETIC} arithmetic operators", token.position)
            at = reader.peek()
            right = self._value(self._computed(_STRENGTH[token.text] + 1), at)
            if not reader.has(Feature.ANY_DIVISOR):
                check_divisor(token.text, right, at.position)
            left = Arithmetic(token.text, self._value(left, start), right)
        return left

    def _unary(self) -> Expression:
        reader = self._reader
        start = reader.peek()
        signs = 0
        while reader.at_symbol("-"):
            reader.enter(reader.take())
            signs += 1
        if signs and reader.peek().kind is Kind.NUMBER:
            found: Expression = reader.number(negative=signs % 2 == 1)
        else:
            found = self._primary()
            if signs:
                found = self._negative(found, signs, start)
        reader.leave(signs)
        return found

    def _negative(self, found: Expression, signs: int, start: Token) -> Expression:
        reader = self._reader
        if not reader.has(Feature.ARITHMETIC) or not reader.has(Feature.LOOSE):
            raise reader.lacks("the sign of a value that is no number", start)
        value = self._value(found, start)
        for _ in range(signs):
            value = _opposite(value) if isinstance(value, Literal) else Arithmetic("-", Literal(0), value)
        return value

    def _primary(self) -> Expression:
        reader = self._reader
        token = reader.peek()
        if reader.at_symbol("("):
            reader.enter(reader.take())
            found = self._joined(Or)
            reader.expect(")")
            reader.leave()
            self._closed = (token.position, reader.taken)
            return found
        scalar = reader.scalar()
        if scalar is not None:
            return scalar
        if token.kind is Kind.NAME and reader.peek_second()[:2] == (Kind.SYMBOL, "("):
            return call(reader)
        return reader.place("expected a field, a value, or `(`")


def _opposite(number: Literal) -> Expression:
    """Return a number with the other sign; other values have none, which the engine says."""
    if isinstance(number.value, str | bool) or number.value == LEAST_INTEGER:
        return Arithmetic("-", Literal(0), number)
    return Literal(-number.value, number.spelling[1:] if number.spelling[0] == "-" else f"-{number.spelling}")
