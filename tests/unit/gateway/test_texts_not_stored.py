"""Texts that no database can hold: whatever names with them are sent, no operation fails for the store."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final

import msgspec
import pytest
from tests.support.gateway import GatewayHarness, least_arguments, opened, presented
from tests.support.postgresql import Cluster

from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import InvalidArgument, KitewardError, StoreError
from kiteward.gateway.call import Call
from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.operations.row import Executor
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.milvus import messages

TEXTS: Final = ("a\0b", "a\ud800b")

HELD: Final = {
    "username": "alice",
    "user_name": "alice",
    "role_name": "ops",
    "name": "ops",
    "db_name": "default",
    "collection_name": "docs",
    "group_name": "readers",
    "privilege": "Query",
}
"""What the other fields of an RPC hold, so that the one in question is looked up."""

Steps = tuple[messages.ProtocolField, ...]
"""A field of a request: the fields through which one gets there, and itself."""


@pytest.fixture
async def shared(cluster: Cluster, migrated: str) -> AsyncIterator[GatewayHarness]:
    """A gateway whose store is in PostgreSQL, with a user, a role and a privilege group."""
    with cluster.database(options=migrated) as location:
        async with opened(location) as harness:
            await harness.user("alice")
            await harness.role("ops")
            await harness.group("readers", "Query")
            yield harness


async def answer_to(harness: GatewayHarness, operation: str, payload: Any) -> KitewardError | None:
    """Send a request as `root`, and return how it failed."""
    try:
        await harness.gateway.handle(Call(operation, payload, presented("root"), transport="rest"))
    except KitewardError as error:
        return error
    return None


def texts_of(message: Any, before: Steps = ()) -> Iterator[Steps]:
    """Yield every field of text of a request; of messages that hold each other, the outer ones."""
    for field in message.fields:
        if field.message_type is None:
            if field.type == field.TYPE_STRING:
                yield (*before, field)
        elif len(before) < 3 and not field.message_type.GetOptions().map_entry:
            yield from texts_of(field.message_type, (*before, field))


def put(message: messages.ProtocolMessage, steps: Steps, text: str) -> None:
    """Set a field of a message to a text; a list has it alone."""
    *through, last = steps
    for field in through:
        inner = getattr(message, field.name)
        message = (inner[0] if len(inner) else inner.add()) if field.is_repeated else inner
    if last.is_repeated:
        getattr(message, last.name)[:] = [text]
    else:
        setattr(message, last.name, text)


def requests_of(operation: str) -> Iterator[tuple[str, bytes]]:
    """Yield a request for each field of text of an RPC, which alone has a NUL."""
    request = messages.method_of(operation).request
    fields = list(texts_of(request.DESCRIPTOR))
    for field in fields:
        message = request()
        for other in fields:
            if other[-1].name in HELD and len(other) < 3:
                put(message, other, HELD[other[-1].name])
        put(message, field, TEXTS[0])
        yield ".".join(each.name for each in field), message.SerializeToString()


async def test_no_rpc_fails_for_the_store(shared: GatewayHarness) -> None:
    failed = {}
    for name, row in OPERATIONS.items():
        if row.executor is not Executor.NOBODY:
            for field, payload in requests_of(name):
                error = await answer_to(shared, name, payload)
                if isinstance(error, StoreError):
                    failed[name, field] = str(error)
    assert not failed
    assert await shared.store.user("alice") is not None


@pytest.mark.parametrize(
    ("operation", "field", "fields"),
    [
        ("DeleteCredential", "username", {"username": "a\0b"}),
        ("AlterRole", "description", {"role_name": "ops", "description": "a\0b"}),
        ("AddUserTags", "tags", {"user_name": "alice", "tags": {"team\0": "red"}}),
        ("OperatePrivilegeGroup", "privileges", {"group_name": "readers", "privileges": [{"name": "a\0b"}]}),
    ],
)
async def test_change_with_such_a_text_is_refused_by_its_field(
    harness: GatewayHarness, operation: str, field: str, fields: dict[str, Any]
) -> None:
    await harness.user("alice")
    await harness.role("ops")
    await harness.group("readers", "Query")
    before = await harness.state()
    with pytest.raises(InvalidArgument, match=f"`{field}` holds a character that cannot be stored") as refused:
        await harness.call(operation, **fields)
    assert [each.code for each in refused.value.details] == [ErrorCode.ARGUMENT_CHARACTER]
    assert await harness.state() == before


def given_texts(operation: str) -> Sequence[str]:
    """Return the arguments of an operation of our own that are texts."""
    fields = msgspec.structs.fields(ADMIN_OPERATIONS[operation].arguments)
    return [field.name for field in fields if field.type in (str, str | None)]


@pytest.mark.parametrize("operation", [name for name in ADMIN_OPERATIONS if given_texts(name)])
def test_no_operation_of_our_own_takes_such_a_text(operation: str) -> None:
    for name in given_texts(operation):
        for text in TEXTS:
            arguments = msgspec.structs.replace(least_arguments(operation), **{name: text})
            with pytest.raises(InvalidArgument, match="holds a character that cannot be stored"):
                ADMIN_OPERATIONS[operation].complete(arguments)
