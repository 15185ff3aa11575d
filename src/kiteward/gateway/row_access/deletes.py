"""Deletes from a collection with row policies: the caller's filter is joined with the policies'.

Ids are a filter too: clients send `id in [..]`.
"""

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.filters import Constant, Dialect, Expression, Field, ListOf, Membership, conjoin, fill, parse, write
from kiteward.gateway.row_access.reading import template_values
from kiteward.milvus import messages
from kiteward.milvus.messages import common_pb2


def narrowed(payload: bytes, policy: Expression, *, dialect: Dialect, primary_key: str) -> bytes:
    """Return a Delete that deletes what its filter finds among the rows that a policy allows.

    Args:
        payload: the request.
        policy: the rows that the caller may delete.
        dialect: the engine's language of filters.
        primary_key: the name of the primary key.

    Raises:
        PayloadMalformed: the payload is no such request.
        InvalidArgument: it has no filter.
        FilterSyntaxError: its filter cannot be parsed, a template has no value, or the joined filter is too long.
    """
    message = messages.decode("Delete", payload)
    if not isinstance(message, messages.DeleteRequest):
        raise TypeError("this is no request to delete")
    if not message.expr.strip():
        raise InvalidArgument(
            "a delete needs ids or a filter",
            ErrorDetail(ErrorCode.ARGUMENT_MISSING, {"name": "filter"}),
            field="filter",
        )
    given = fill(parse(message.expr, dialect), template_values(message))
    if policy == Constant(False):
        policy = Membership(Field(primary_key), ListOf(()))  # not every engine reads constants
    message.expr = write(conjoin(policy, given), dialect)
    message.ClearField("expr_template_values")
    # The rows are found as they are now, not as they were when the caller could still delete them.
    message.consistency_level = common_pb2.ConsistencyLevel.Strong
    return bytes(message.SerializeToString())
