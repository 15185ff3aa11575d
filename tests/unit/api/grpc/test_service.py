"""The gRPC service: callers are authenticated as the contract says, and nothing else is forwarded or returned."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness
from tests.support.listeners import grpc_alone

from kiteward.api.grpc import service
from kiteward.api.grpc.service import presented_credential
from kiteward.api.grpc.unary_call import Refusal, UnaryCall
from kiteward.authn.authenticator import WRONG_KEY
from kiteward.authn.password_verifier import WRONG_PASSWORD
from kiteward.domain.errors import (
    AuthenticationError,
    CredentialMalformed,
    CredentialMissing,
    CredentialTooLong,
    KeyRejected,
)
from kiteward.domain.identity import LONGEST_CREDENTIAL, KeyCredential, PasswordCredential, Secret
from kiteward.engine import metadata as engine_metadata
from kiteward.milvus import messages
from kiteward.net.http2.inbound import InboundFlowControl
from kiteward.net.http2.streams import Head, Owner, Stream

SERVICE = "milvus.proto.milvus.MilvusService"
ROOT, ALICE = "root:Milvus", "alice:Password-1"
NOT_OFFERED = 10
"""`Status.code` of what is closed, or what the engine lacks."""
StatusCode = grpc.StatusCode


def header(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


class Client:
    """Calls methods with exactly the bytes and metadata of the test."""

    def __init__(self, port: int) -> None:
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")

    async def send(
        self, path: str, payload: bytes, *metadata: tuple[str, str | bytes], timeout: float | None = 20
    ) -> bytes:
        """Return the response bytes."""
        answer: bytes = await self.channel.unary_unary(path)(payload, metadata=metadata, timeout=timeout)
        return answer

    async def call(self, method: str, *metadata: tuple[str, str | bytes], token: str = ROOT, **fields: Any) -> Any:
        """Return the response message."""
        rpc = messages.method_of(method)
        own = ("authorization", header(token))
        return rpc.response.FromString(
            await self.send(rpc.path, rpc.request(**fields).SerializeToString(), own, *metadata)
        )

    async def refusal(
        self, path: str, payload: bytes = b"", *metadata: tuple[str, str | bytes]
    ) -> tuple[grpc.StatusCode, str]:
        """Return how a call that must be refused is refused."""
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self.send(path, payload, *metadata)
        return refused.value.code(), str(refused.value.details())

    async def failure(self, rpc: messages.Method, payload: bytes, *metadata: tuple[str, str]) -> grpc.StatusCode:
        """Return how a call that must fail does: an answer that says it is not offered counts as UNIMPLEMENTED."""
        try:
            answer = await self.send(rpc.path, payload, *metadata)
        except grpc.aio.AioRpcError as error:
            code: grpc.StatusCode = error.code()
            return code
        assert messages.status_code(rpc.name, answer) == NOT_OFFERED, rpc.name
        return StatusCode.UNIMPLEMENTED


@pytest.fixture
async def client(harness: GatewayHarness) -> AsyncIterator[Client]:
    async with grpc_alone(harness.gateway) as port:
        client = Client(port)
        yield client
        await client.channel.close()


# Reading the header (contract 1.2, 1.3)


@pytest.mark.parametrize(
    ("text", "user", "password"),
    [
        ("root:Milvus", "root", "Milvus"),
        ("a:b:c:", "a", "b:c:"),
        (":secret", "", "secret"),
        ("user:", "user", ""),
        (":", "", ""),
        (" root :x", " root ", "x"),
        ("jörg:pässwörd…", "jörg", "pässwörd…"),
    ],
)
def test_header_is_split_at_the_first_colon(text: str, user: str, password: str) -> None:
    expected = PasswordCredential(user, Secret(password))
    assert presented_credential(header(text)) == expected
    assert presented_credential(header(text).encode()) == expected


@pytest.mark.parametrize("text", ["k" * LONGEST_CREDENTIAL, "é" * (LONGEST_CREDENTIAL // 2)])
def test_credential_of_the_greatest_length_is_read_and_a_longer_one_is_told_its_length(text: str) -> None:
    assert presented_credential(header(text)) == KeyCredential(Secret(text))
    refused = presented_credential(header(text + "k"))
    assert isinstance(refused, CredentialTooLong)
    assert str(refused).startswith("the token has 16385 bytes, and at most 16384 are accepted: ")
    assert "kkk" not in str(refused)


@pytest.mark.parametrize("size", [LONGEST_CREDENTIAL + 1, 30_000, 31_000, 60_000, 105_000, 1_000_000])
async def test_credential_that_is_too_long_is_unauthenticated_however_long_it_is(client: Client, size: int) -> None:
    own = ("authorization", header("k" * size))
    code, text = await client.refusal(messages.method_of("Query").path, b"", own)
    read = size <= 30_000  # in base64 it has four thirds of that
    said = (
        f"the token has {size} bytes, and at most 16384 are accepted"
        if read
        else "the call's metadata is larger than can be read"
    )
    assert (code, text.partition(":")[0]) == (StatusCode.UNAUTHENTICATED, said)
    assert (await client.call("GetVersion")).version


async def test_credential_of_the_greatest_length_leaves_16_kib_for_other_metadata(client: Client) -> None:
    path, own = messages.method_of("Query").path, ("authorization", header("k" * LONGEST_CREDENTIAL))
    assert await client.refusal(path, b"", own, ("note", "x" * 16_000)) == (StatusCode.UNAUTHENTICATED, WRONG_KEY)
    code, text = await client.refusal(path, b"", own, ("note", "x" * 24_000))
    assert (code, text.partition(":")[0]) == (
        StatusCode.UNAUTHENTICATED,
        "the call's metadata is larger than can be read",
    )


def test_metadata_that_is_too_large_is_refused_as_such_unless_it_is_the_credential() -> None:
    head = ((b":method", b"POST"), (b":path", messages.method_of("Query").path.encode()))
    with pytest.raises(Refusal, match="metadata is larger than allowed") as refused:
        service.caller_of(Head((*head, (b"note", b"x" * 1_000)), 1_000))
    assert refused.value.code.name == StatusCode.INVALID_ARGUMENT.name
    own = (b"authorization", header("k" * (LONGEST_CREDENTIAL + 1)).encode())
    assert isinstance(service.caller_of(Head((*head, own), 1_000)).credential, CredentialTooLong)


def test_text_without_a_colon_is_a_key() -> None:
    assert presented_credential(header("a-key")) == KeyCredential(Secret("a-key"))


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, CredentialMissing, "missing authorization in header"),
        ("", KeyRejected, WRONG_KEY),
        ("root:Milvus", CredentialMalformed, "invalid token format"),
        ("Bearer " + header("root:Milvus"), CredentialMalformed, "invalid token format"),
        ("Basic " + header("root:Milvus"), CredentialMalformed, "invalid token format"),
        (header("root:Milvus12").rstrip("="), CredentialMalformed, "invalid token format"),
        (header("root:Milvus") + "\n", CredentialMalformed, "invalid token format"),
        (" " + header("root:Milvus"), CredentialMalformed, "invalid token format"),
        (base64.urlsafe_b64encode(b"root:~~~???>>>").decode(), CredentialMalformed, "invalid token format"),
        (header(b"root:\xff\xfe"), CredentialMalformed, "invalid token format"),
        ("é", CredentialMalformed, "invalid token format"),
        (b"\xff\xfe", CredentialMalformed, "invalid token format"),
    ],
)
def test_header_that_cannot_be_read_says_why_and_shows_nothing(
    value: str | bytes | None, kind: type[AuthenticationError], text: str
) -> None:
    found = presented_credential(value)
    assert type(found) is kind
    assert str(found) == text


# Authentication on the wire (contract 1.4)


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ((), "missing authorization in header"),
        ((("authorization", "root:Milvus"),), "invalid token format"),
        ((("authorization", header("root:wrong")),), WRONG_PASSWORD),
        ((("authorization", header("nobody:Milvus")),), WRONG_PASSWORD),
        ((("authorization", header(":Milvus")),), WRONG_PASSWORD),
        ((("authorization", header("root:")),), WRONG_PASSWORD),
        ((("authorization", header("a-key")),), WRONG_KEY),
        ((("token", header(ROOT)),), "missing authorization in header"),
    ],
)
async def test_no_method_answers_without_credentials(
    client: Client, engine: FakeEngine, metadata: tuple[tuple[str, str]], text: str
) -> None:
    engine.calls.clear()
    for method in ("Connect", "GetVersion", "CheckHealth", "Query", "CreateCredential", "GetMetrics"):
        # Bad arguments are not looked at before the caller is authenticated.
        refused = await client.refusal(messages.method_of(method).path, b"\xff", *metadata)
        assert refused == (StatusCode.UNAUTHENTICATED, text), method
    assert engine.calls == []


async def test_every_method_of_the_protocol_needs_credentials(client: Client) -> None:
    for rpc in messages.METHODS.values():
        assert await client.refusal(rpc.path) == (StatusCode.UNAUTHENTICATED, "missing authorization in header")


async def test_of_a_repeated_header_the_first_value_counts(client: Client) -> None:
    path = messages.method_of("GetVersion").path
    right, wrong = ("authorization", header(ROOT)), ("authorization", header("root:wrong"))
    assert await client.send(path, b"", right, wrong)
    assert (await client.refusal(path, b"", wrong, right))[0] is StatusCode.UNAUTHENTICATED
    assert (await client.refusal(path, b"", ("authorization", ""), right))[0] is StatusCode.UNAUTHENTICATED


async def test_denial_is_permission_denied_with_privilege_user_and_database(client: Client) -> None:
    metadata = (("authorization", header(ALICE)),)
    payload = messages.QueryRequest(db_name="other", collection_name="papers").SerializeToString()
    code, text = await client.refusal(messages.method_of("Query").path, payload, *metadata)
    assert code is StatusCode.PERMISSION_DENIED
    assert text == "PrivilegeQuery: permission deny to alice in the `other` database"
    code, text = await client.refusal(messages.method_of("ListCredUsers").path, b"", *metadata)
    assert text == "PrivilegeSelectOwnership: permission deny to alice in the `*` database"


async def test_refusal_by_a_handler_is_a_status_in_an_ok_response(client: Client) -> None:
    answer = await client.call("CreateRole", entity={"name": "admin"})
    assert (answer.code, answer.error_code) == (1100, 35)


async def test_unauthenticated_caller_sends_no_more_of_a_large_message_than_a_window(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = 0
    received = UnaryCall.received

    def counted(call: UnaryCall, data: bytes) -> None:
        nonlocal came
        came += len(data)
        received(call, data)

    monkeypatch.setattr(UnaryCall, "received", counted)
    path, large = messages.method_of("Insert").path, bytes(32 * 1024 * 1024)
    for wrong in (header("root:wrong"), header("nobody:Milvus"), header("a-key")):
        code, _ = await client.refusal(path, large, ("authorization", wrong))
        assert code is StatusCode.UNAUTHENTICATED
    assert 0 < came <= 3 * 64 * 1024
    # An authenticated caller sends all of it.
    code, _ = await client.refusal(path, large, ("authorization", header(ROOT)))
    assert code is StatusCode.INVALID_ARGUMENT
    assert came > len(large)


# Unknown and closed methods


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (f"/{SERVICE}/Bogus", f"unknown method Bogus for service {SERVICE}"),
        (f"/{SERVICE}/query", f"unknown method query for service {SERVICE}"),
        ("/grpc.health.v1.Health/Check", "unknown method Check for service grpc.health.v1.Health"),
        ("/other.Service/Query", "unknown method Query for service other.Service"),
    ],
)
async def test_unknown_method_is_unimplemented_even_without_credentials(client: Client, path: str, text: str) -> None:
    assert await client.refusal(path) == (StatusCode.UNIMPLEMENTED, text)
    assert await client.refusal(path, b"", ("authorization", header(ROOT))) == (StatusCode.UNIMPLEMENTED, text)


@pytest.mark.parametrize("method", [rpc.name for rpc in messages.METHODS.values() if rpc.streaming])
async def test_streams_are_closed_but_only_to_those_who_are_known(client: Client, method: str) -> None:
    async def refusal(*metadata: tuple[str, str]) -> grpc.StatusCode:
        # Nothing is written: a client that still writes when the stream is closed reports that instead of the status.
        stream = client.channel.stream_stream(messages.method_of(method).path)(metadata=metadata)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stream.read()
        code: grpc.StatusCode = refused.value.code()
        return code

    assert await refusal() is StatusCode.UNAUTHENTICATED
    assert await refusal(("authorization", header("root:wrong"))) is StatusCode.UNAUTHENTICATED
    assert await refusal(("authorization", header(ROOT))) is StatusCode.UNIMPLEMENTED


async def test_closed_methods_say_why_in_their_answer_and_never_reach_the_engine(
    client: Client, engine: FakeEngine
) -> None:
    engine.calls.clear()
    answer = (await client.call("CalcDistance")).status
    assert answer.code == NOT_OFFERED
    reason = "CalcDistance is not supported here: Milvus no longer offers it, and it selects stored vectors by id"
    assert answer.reason == f"{reason}: service unimplemented"
    assert engine.calls == []


async def test_telemetry_is_unimplemented_in_the_protocol_so_that_node_asks_less_often(client: Client) -> None:
    path = messages.method_of("ClientHeartbeat").path
    code, text = await client.refusal(path, b"", ("authorization", header(ROOT)))
    assert code is StatusCode.UNIMPLEMENTED
    assert text.startswith("ClientHeartbeat is not supported here: ")


# Refused sign-ins (decision 0033)


def connecting(sdk_type: str, sdk_version: str) -> bytes:
    info = messages.ClientInfo(sdk_type=sdk_type, sdk_version=sdk_version)
    return bytes(messages.ConnectRequest(client_info=info).SerializeToString())


WRONG = (
    ((), "missing authorization in header"),
    ((("authorization", header("root:wrong")),), WRONG_PASSWORD),
    ((("authorization", header("a-key")),), WRONG_KEY),
)


@pytest.mark.parametrize("version", ["2.6.0", "2.6.17", "2.10.1", "3.0.2", "3.1.0rc2.dev5", "10.0"])
@pytest.mark.parametrize(("metadata", "text"), WRONG)
async def test_client_that_hides_the_status_of_connect_gets_it_in_the_answer_and_refused_at_the_next_call(
    client: Client, monkeypatch: pytest.MonkeyPatch, version: str, metadata: tuple[tuple[str, str], ...], text: str
) -> None:
    path, admitted = messages.method_of("Connect").path, list[int]()
    monkeypatch.setattr(InboundFlowControl, "admit", lambda _flow, _stream, size: admitted.append(size))
    answer = messages.ConnectResponse.FromString(await client.send(path, connecting("Python", version), *metadata))
    assert (answer.status.code, answer.status.error_code, answer.status.reason) == (1400, 1, text)
    assert not answer.status.retriable
    # Nothing of the server is revealed, and the caller is not authenticated.
    assert (answer.identifier, answer.HasField("server_info"), admitted) == (0, False, [])
    assert await client.refusal(messages.method_of("GetVersion").path, b"", *metadata) == (
        StatusCode.UNAUTHENTICATED,
        text,
    )


@pytest.mark.parametrize(
    "payload",
    [
        *(connecting("Python", version) for version in ("2.5.18", "2.4.15", "1.9", "", "3", "new", "²6.2", "99999.1")),
        *(connecting(language, "3.0.6") for language in ("nodejs", "Golang", "Java", "python", "")),
        b"",
        b"\xff",
    ],
)
async def test_every_other_client_is_refused_by_the_status_of_connect(client: Client, payload: bytes) -> None:
    path = messages.method_of("Connect").path
    for metadata, text in WRONG:
        assert await client.refusal(path, payload, *metadata) == (StatusCode.UNAUTHENTICATED, text)


# Requests that are no messages


MALFORMED = (b"\xff\xff\xff\xff", b"\x0a\x7f", b"\x0a\x05ab", b"\x12\x02\xff\xfe\x1a\x02\xff\xfe\x22\x02\xff\xfe")
"""No tag; lengths beyond the end; text that is not UTF-8 in fields 2, 3 and 4."""


@pytest.mark.parametrize("payload", MALFORMED[:3])
async def test_malformed_request_is_refused_by_every_method_and_changes_nothing(
    client: Client, harness: GatewayHarness, engine: FakeEngine, payload: bytes
) -> None:
    before, databases = await harness.state(), repr(engine.databases)
    for rpc in messages.METHODS.values():
        for token, allowed in (
            (ROOT, {StatusCode.INVALID_ARGUMENT, StatusCode.UNIMPLEMENTED}),
            (ALICE, {StatusCode.INVALID_ARGUMENT, StatusCode.UNIMPLEMENTED, StatusCode.PERMISSION_DENIED}),
        ):
            code = await client.failure(rpc, payload, ("authorization", header(token)))
            assert code in allowed, f"{rpc.name}: {code}"
    assert await harness.state() == before
    assert repr(engine.databases) == databases
    assert (await client.call("GetVersion")).version


async def test_text_that_is_no_utf8_is_never_acted_upon(
    client: Client, harness: GatewayHarness, engine: FakeEngine
) -> None:
    before, databases = await harness.state(), repr(engine.databases)
    for rpc in messages.METHODS.values():
        try:
            rpc.request.FromString(MALFORMED[3])
        except Exception:  # noqa: BLE001  the parser's own class
            code = await client.failure(rpc, MALFORMED[3], ("authorization", header(ROOT)))
            assert code in {StatusCode.INVALID_ARGUMENT, StatusCode.UNIMPLEMENTED}, rpc.name
    assert await harness.state() == before
    assert repr(engine.databases) == databases


async def test_empty_request_is_answered_by_every_method(client: Client) -> None:
    for rpc in messages.METHODS.values():
        try:
            await client.send(rpc.path, b"", ("authorization", header(ROOT)))
        except grpc.aio.AioRpcError as error:
            assert error.code() in {StatusCode.INVALID_ARGUMENT, StatusCode.UNIMPLEMENTED}, f"{rpc.name}: {error}"


# What nobody expected


async def test_unexpected_failure_tells_an_id_and_the_log_has_the_rest(
    client: Client, harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object, **__: object) -> bytes:
        raise RuntimeError("SELECT * FROM users")

    monkeypatch.setattr(harness.engine, "call", fail)
    payload = messages.QueryRequest(collection_name="docs").SerializeToString()
    with caplog.at_level(logging.ERROR, "kiteward.grpc"):
        code, text = await client.refusal(messages.method_of("Query").path, payload, ("authorization", header(ROOT)))
    assert code is StatusCode.UNKNOWN
    start = "the request failed unexpectedly; its id is "
    assert text.startswith(start)
    request_id = text.removeprefix(start)
    assert len(request_id) >= 8
    assert request_id in caplog.text
    assert "SELECT * FROM users" in caplog.text
    assert "Milvus" not in caplog.text.replace("MilvusService", "")
    assert (await client.call("GetVersion")).version


# What is forwarded to the engine


async def test_engine_sees_the_payload_and_allowed_metadata_only(client: Client, engine: FakeEngine) -> None:
    engine.calls.clear()
    metadata = (
        ("dbname", "default"),
        ("client-request-id", "first"),
        ("client-request-unixmsec", "12"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("sourceid", "@@milvus-member@@"),
        ("token", "x"),
        ("identifier", "5"),
        ("x-anything", "x"),
        ("data-bin", b"\x00\xff"),
    )
    await client.call("Query", *metadata, collection_name="docs", token=ALICE)
    (call,) = engine.called("Query")
    assert call.request == messages.QueryRequest(collection_name="docs")
    assert call.metadata == {
        "dbname": "default",
        "client-request-id": "first",
        "client-request-unixmsec": "12",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }


async def test_connections_database_is_the_first_one_given(client: Client, engine: FakeEngine) -> None:
    await client.call("Query", ("dbname", "other"), ("dbname", "default"), collection_name="papers")
    assert engine.called("Query")[-1].metadata["dbname"] == "other"
    await client.call("Query", ("dbname", ""), collection_name="docs")
    assert engine.called("Query")[-1].metadata["dbname"] == "default"
    # There is no key called `database`.
    await client.call("Query", ("database", "other"), collection_name="docs")
    assert engine.called("Query")[-1].metadata["dbname"] == "default"


async def test_database_with_space_around_it_is_no_value_that_http2_carries(client: Client, engine: FakeEngine) -> None:
    # libnghttp2 resets the stream (RFC 9113, 8.2.1; decision 0037).
    engine.calls.clear()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.call("Query", ("dbname", " default"), collection_name="docs")
    assert refused.value.code() is StatusCode.INTERNAL
    assert engine.called("Query") == []


@pytest.mark.parametrize("key", sorted(engine_metadata.ALLOWED_KEYS))
def test_metadata_that_cannot_be_forwarded_is_refused_and_not_left_out(key: str) -> None:
    # Left out, `dbname` would be another database. The gRPC library's own clients cannot send such values.
    path = messages.method_of("Query").path
    head = Head(((b":method", b"POST"), (b":path", path.encode()), (key.encode(), b"d\xe4")), 16_384)
    with pytest.raises(Refusal, match=f"the metadata `{key}` has characters other than printable ASCII") as refused:
        service.caller_of(head)
    assert refused.value.code.name == StatusCode.INVALID_ARGUMENT.name


@pytest.mark.parametrize(
    ("value", "same"), [(header(ROOT).encode(), True), (header(ALICE).encode(), False), (None, False)]
)
def test_a_credential_is_read_anew_unless_the_connection_has_sent_the_same_one_before(
    value: bytes | None, *, same: bool
) -> None:
    path = messages.method_of("Query").path.encode()
    pseudo = ((b":method", b"POST"), (b":path", path))
    first = service.caller_of(Head((*pseudo, (b"authorization", header(ROOT).encode())), 16_384))
    fields = () if value is None else ((b"authorization", value),)
    second = service.caller_of(Head((*pseudo, *fields), 16_384, before=first))
    assert (second.credential is first.credential) is same
    expected = presented_credential(value)
    assert type(second.credential) is type(expected)
    if isinstance(expected, PasswordCredential):
        assert second.credential == expected


@pytest.mark.parametrize("value", [None, b"not base64", header(ROOT).encode()])
async def test_what_a_head_says_is_kept_for_the_next_call_unless_it_has_no_credential(
    harness: GatewayHarness, value: bytes | None
) -> None:
    # An error that is raised for each of many calls would hold the frames of all of them.
    fields = () if value is None else ((b"authorization", value),)
    pseudo = ((b":method", b"POST"), (b":path", messages.method_of("Query").path.encode()))
    head = Head((*pseudo, (b"content-type", b"application/grpc"), *fields), 16_384)
    owner = cast("Owner", SimpleNamespace(loop=asyncio.get_running_loop()))
    service.GrpcService(harness.gateway).begin(Stream(owner, 1, since=0.0), head)
    assert (head.kept is not None) is isinstance(presented_credential(value), PasswordCredential)


def test_what_a_head_says_is_shown_without_its_credential() -> None:
    path = messages.method_of("Query").path.encode()
    head = Head(((b":method", b"POST"), (b":path", path), (b"authorization", header(ROOT).encode())), 16_384)
    assert repr(service.caller_of(head)) == "Caller('Query')"


async def test_callers_deadline_is_forwarded(client: Client, engine: FakeEngine) -> None:
    payload = messages.QueryRequest(collection_name="docs").SerializeToString()
    path, own = messages.method_of("Query").path, ("authorization", header(ROOT))
    await client.send(path, payload, own, timeout=7)
    # gRPC rounds a deadline up a little on its way.
    assert 0 < (engine.called("Query")[-1].timeout or 0) < 8
    await client.send(path, payload, own, timeout=None)
    assert engine.called("Query")[-1].timeout is None


# Connections that are idle


async def answers_to_pings(port: int, *, count: int, apart: float) -> list[int]:
    """Send pings over an otherwise idle connection, and return the types of the frames that answer them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    settings, ping = b"\0\0\0\4\0" + b"\0" * 4, b"\0\0\x08\6\0" + b"\0" * 12
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
    answers: list[int] = []
    while len(answers) < count and 0x7 not in answers:
        writer.write(ping)
        kind = None
        while kind not in {0x6, 0x7}:  # PING, GOAWAY
            head = await asyncio.wait_for(reader.readexactly(9), 30)
            await reader.readexactly(int.from_bytes(head[:3], "big"))
            kind = head[3]
        answers.append(kind)
        await asyncio.sleep(apart)
    writer.close()
    return answers


@pytest.mark.slow
async def test_idle_client_that_pings_every_few_seconds_is_kept_and_one_that_floods_is_not(
    harness: GatewayHarness,
) -> None:
    async with grpc_alone(harness.gateway) as port:
        # The SDK for Go pings every five seconds.
        assert await answers_to_pings(port, count=5, apart=0.5) == [0x6] * 5
        assert 0x7 in await answers_to_pings(port, count=5_000, apart=0)
