"""Calls of functions: which arguments each takes is said by the table of the dialect."""

from kiteward.filters.dialect import Argument, Feature, Function
from kiteward.filters.policy_rules import check_list
from kiteward.filters.reader import META, Reader, Scalar
from kiteward.filters.refusals import refusal, shown
from kiteward.filters.tokens import Kind
from kiteward.filters.tree import Call, Expression, Field, JsonPath, ListOf, Literal, Template


def call(reader: Reader) -> Call:
    """Read a function with its arguments.

    Raises:
        FilterSyntaxError: the dialect has no such function, or it takes other arguments.
    """
    token = reader.take()
    name = token.text.lower()
    function = reader.grammar.functions.get(name) if token.text.isascii() else None
    if function is None:
        known = ", ".join(sorted(reader.grammar.functions))
        raise reader.lacks(f"the function {shown(token.text)}", token, right=f"there are {known}")
    reader.check_case(token)
    reader.enter(reader.expect("("))
    arguments = _arguments(reader, function)
    if not reader.at_symbol(")"):
        raise reader.unexpected(f"`{name}` takes {', '.join(each.value for each in function.arguments)}")
    reader.take()
    reader.leave()
    return Call(name, tuple(arguments))


def _arguments(reader: Reader, function: Function) -> list[Expression | ListOf]:
    arguments: list[Expression | ListOf] = []
    for place, wanted in enumerate(function.arguments):
        if place >= len(function.arguments) - function.optional and reader.at_symbol(")"):
            break
        if place:
            reader.expect(",")
        arguments.append(_argument(reader, wanted))
    return arguments


def _argument(reader: Reader, wanted: Argument) -> Expression | ListOf:
    match wanted:
        case Argument.FIELD | Argument.PLACE:
            return _place(reader, wanted)
        case Argument.TEXT:
            return reader.string("a string")
        case Argument.AMOUNT:
            return _amount(reader)
        case Argument.ELEMENT if reader.at_symbol("["):
            return reader.list_of(lists=True)
        case Argument.SCALAR | Argument.ELEMENT:
            return _element(reader)
        case Argument.LIST:
            return _list(reader)


def _place(reader: Reader, wanted: Argument) -> Field | JsonPath:
    token = reader.peek()
    place = reader.place(f"expected {wanted.value}")
    if isinstance(place, JsonPath) and (
        wanted is Argument.FIELD or (place.root == META and not reader.has(Feature.META_ARGUMENT))
    ):
        raise refusal("a path is no argument here", token.position, right="name a field of the collection")
    return place


def _amount(reader: Reader) -> Literal:
    if reader.peek().kind is not Kind.NUMBER:
        raise reader.unexpected("expected a number that is not negative")
    return reader.number(negative=False)


def _element(reader: Reader) -> Scalar:
    if reader.has(Feature.SIGNED_ARGUMENT):
        return reader.signed()
    enclosed = reader.at_symbol("(")
    if not enclosed:
        found = reader.scalar()
        if found is None:
            raise reader.unexpected("expected a value; a negative number is written `(-1)`")
        return found
    reader.enter(reader.take())
    value = reader.signed()
    reader.expect(")")
    reader.leave()
    return value


def _list(reader: Reader) -> ListOf | Template:
    token = reader.peek()
    if token.kind is Kind.TEMPLATE and reader.has(Feature.TEMPLATE):
        return reader.template()
    found = reader.list_of()
    if not found.items:
        raise refusal("the list is empty", token.position, right="it needs a value")
    if reader.has(Feature.VARIABLE):
        check_list(found, token)
    return found
