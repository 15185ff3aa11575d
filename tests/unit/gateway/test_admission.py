"""What a request holds beyond what is accepted is refused; the operator may name fields that pass."""

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, presented

from kiteward.domain.errors import AuthenticationError, InvalidArgument
from kiteward.gateway.admission import Admission
from kiteward.gateway.call import Call
from kiteward.gateway.settings import UnknownParameters
from kiteward.milvus import messages

FIELD_27 = b"\xd8\x01\x01"


async def test_a_field_of_a_newer_protocol_is_refused_and_reaches_no_engine(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    engine.create("docs")
    await harness.catalog.refresh()
    payload = messages.QueryRequest(collection_name="docs").SerializeToString() + FIELD_27
    with pytest.raises(InvalidArgument, match="QueryRequest has the field 27, which this server does not know"):
        await harness.call("Query", payload=payload)
    with pytest.raises(AuthenticationError):
        await harness.gateway.handle(Call("Query", payload, presented("root", "wrong")))
    assert not engine.called("Query")


async def test_a_field_that_the_operator_names_is_forwarded_as_it_came(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    engine.create("docs")
    await harness.catalog.refresh()
    harness.admission = Admission.of(frozenset({"QueryRequest.27"}), UnknownParameters.FORWARD)
    harness.configure()
    payload = messages.QueryRequest(collection_name="docs").SerializeToString() + FIELD_27
    await harness.succeed("Query", payload=payload)
    assert engine.called("Query")[-1].payload == payload
    with pytest.raises(InvalidArgument, match="field 28"):
        await harness.call("Query", payload=payload + b"\xe0\x01\x01")


async def test_operations_that_are_executed_here_are_no_exception(harness: GatewayHarness) -> None:
    for name in ("CreateCredential", "ListCredUsers", "GetVersion", "Connect", "RestoreRBAC"):
        with pytest.raises(InvalidArgument, match="has the field 27"):
            await harness.call(name, payload=FIELD_27)


@pytest.mark.parametrize("text", ["QueryRequest", "27", ".27", "QueryRequest.x", "QueryRequest.-1"])
def test_fields_are_named_by_message_and_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"QueryRequest\.27"):
        Admission.of(frozenset({text}), UnknownParameters.FORWARD)


def test_messages_inside_messages_can_be_named() -> None:
    named = Admission.of(frozenset({"AlterCollectionSchemaRequest.AddRequest.9"}), UnknownParameters.REFUSE)
    assert named.forwarded_fields == {("AlterCollectionSchemaRequest.AddRequest", 9)}
