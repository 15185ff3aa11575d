"""All operations by name: the RPCs of the protocol and our own; and which row a request belongs to."""

from kiteward.gateway.call import AnyCall
from kiteward.gateway.operations import OPERATIONS, Operation
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.base import AdminOperation

Row = Operation | AdminOperation


def row_named(name: str) -> Row | None:
    """Return the row of an operation; None if there is none, and requests for it are refused.

    Our own are looked for first: the command line calls no others, and the table of the RPCs takes long to make.
    """
    return ADMIN_OPERATIONS.get(name) or OPERATIONS.get(name)


def row_of(call: AnyCall) -> Row | None:
    """Return the row of a request.

    An RPC takes a serialised message, an operation of our own its type of arguments. With any other payload there is no
    such operation, so that none of our own can be called with bytes that have not been checked.

    Returns:
        The row; None if there is no such operation.
    """
    row, payload = row_named(call.operation), call.payload
    matches = type(payload) is row.arguments if isinstance(row, AdminOperation) else isinstance(payload, bytes)
    return row if matches else None
