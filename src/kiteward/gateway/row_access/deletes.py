"""Deletes from a collection with row policies: of what their filter finds, the rows that the caller may delete.

A list of keys is read first, and the keys of rows that the policies allow are forwarded, because Milvus Lite takes
seconds for a list that is joined with something else. Every other filter is joined with the policies'.
"""

from kiteward.authz.row_policies import BoundRule
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.filters import (
    Constant,
    Dialect,
    Expression,
    Field,
    ListOf,
    Literal,
    Membership,
    conjoin,
    fill,
    parse,
    write,
)
from kiteward.gateway.row_access.reading import template_values
from kiteward.gateway.row_access.stored_rows import Key, StoredRows
from kiteward.gateway.row_access.verdicts import Verdicts
from kiteward.milvus import messages
from kiteward.milvus.messages import common_pb2


async def narrowed(payload: bytes, rule: BoundRule, *, stored: StoredRows, dialect: Dialect) -> bytes:
    """Return a Delete that deletes what its filter finds among the rows that its caller may delete.

    Args:
        payload: the request.
        rule: the rows that its caller may delete.
        stored: reads the collection, to which nobody else writes meanwhile.
        dialect: the engine's language of filters.

    Raises:
        PayloadMalformed: the payload is no such request.
        AccessDenied: the value of a template is of a type that no filter can hold.
        InvalidArgument: it has no filter, or the stored rows cannot be read.
        FilterSyntaxError: its filter cannot be parsed, a template has no value, or the joined filter is too long.
        EngineError: the stored rows cannot be read.
    """
    message = messages.decode("Delete", payload)
    if not isinstance(message, messages.DeleteRequest):
        raise TypeError("this is no request to delete")
    if not message.expr.strip():
        missing = ErrorDetail(ErrorCode.ARGUMENT_MISSING, {"name": "filter"})
        raise InvalidArgument("a delete needs ids or a filter", missing, field="filter")
    given = fill(parse(message.expr, dialect), template_values(message))
    fields = await stored.fields()
    keys = _keys_in(given, fields.key.name) if stored.unique_keys else None
    if keys is not None:
        verdicts = Verdicts(rule)
        rows = await stored.under(keys, verdicts.names, fields=fields)
        allowed: Expression = _listed(
            fields.key.name, [key for key in keys if key in rows and verdicts.allow_row(rows[key])]
        )
    elif rule.expression == Constant(False):
        allowed = conjoin(_listed(fields.key.name, []), given)  # not every engine reads constants
    else:
        allowed = conjoin(rule.expression, given)
    message.expr = write(allowed, dialect)
    message.ClearField("expr_template_values")
    # The rows are found as they are now, not as they were when the caller could still delete them.
    message.consistency_level = common_pb2.ConsistencyLevel.Strong
    return bytes(message.SerializeToString())


def _listed(primary_key: str, keys: list[Key]) -> Membership:
    return Membership(Field(primary_key), ListOf(tuple(Literal(key) for key in keys)))


def _keys_in(given: Expression, primary_key: str) -> list[Key] | None:
    """Return the keys of a filter that is a list of keys, each once; None for every other filter."""
    match given:
        case Membership(Field(name), ListOf(items), False) if name == primary_key:
            values = [item.value if isinstance(item, Literal) else None for item in items]
            keys = [value for value in values if type(value) is int or type(value) is str]
            return list(dict.fromkeys(keys)) if len(keys) == len(values) else None
    return None
