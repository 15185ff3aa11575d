import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import grpc.aio
import pytest
from tests.unit.engine.samples import until

from kiteward.domain.errors import (
    EngineAccessDenied,
    EngineAccountRejected,
    EngineDeadlineExceeded,
    EngineError,
    EngineLacksOperation,
    EngineRejected,
    EngineUnavailable,
)
from kiteward.engine.channel import EngineChannel
from kiteward.milvus.limits import MAX_MESSAGE_BYTES

Answer = Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]


class Upstream(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc carries no types
    """An engine that answers every RPC in one way and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = echo
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.cancelled = asyncio.Event()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        self.seen.append((handler_call_details.method, dict(handler_call_details.invocation_metadata)))

        async def handle(payload: bytes, context: grpc.aio.ServicerContext) -> bytes:
            try:
                return await self.answer(payload, context)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise

        return grpc.unary_unary_rpc_method_handler(handle)


async def echo(payload: bytes, context: grpc.aio.ServicerContext) -> bytes:
    return payload


async def never(payload: bytes, context: grpc.aio.ServicerContext) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError


def refusing(code: grpc.StatusCode, text: str) -> Answer:
    async def refuse(_payload: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await context.abort(code, text)
        raise AssertionError

    return refuse


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
async def channel(upstream: Upstream, tmp_path: Path) -> AsyncIterator[EngineChannel]:
    address = f"unix:{tmp_path}/upstream.sock"
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers((upstream,))
    server.add_insecure_port(address)
    await server.start()
    opened = EngineChannel(address)
    yield opened
    await opened.close()
    await server.stop(None)


async def ask(channel: EngineChannel, *, timeout: float | None = 5) -> bytes:
    return await channel.call("Search", b"\x00\xff", metadata={"dbname": "shelf"}, timeout=timeout)


async def test_bytes_pass_unchanged_to_the_named_rpc(channel: EngineChannel, upstream: Upstream) -> None:
    assert await ask(channel) == b"\x00\xff"
    method, metadata = upstream.seen[0]
    assert method == "/milvus.proto.milvus.MilvusService/Search"
    assert metadata.pop("user-agent").startswith("kiteward/")
    assert metadata == {"dbname": "shelf"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, EngineUnavailable),
        (grpc.StatusCode.CANCELLED, EngineUnavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, EngineDeadlineExceeded),
        (grpc.StatusCode.UNIMPLEMENTED, EngineLacksOperation),
        (grpc.StatusCode.UNAUTHENTICATED, EngineAccountRejected),
        (grpc.StatusCode.PERMISSION_DENIED, EngineAccessDenied),
    ],
)
async def test_status_about_the_way_or_the_account_becomes_a_fact_without_the_text_of_the_engine(
    channel: EngineChannel, upstream: Upstream, code: grpc.StatusCode, expected: type[EngineError]
) -> None:
    upstream.answer = refusing(code, "at 10.0.0.7:19530 for kiteward")
    with pytest.raises(EngineError) as raised:
        await ask(channel)
    assert type(raised.value) is expected
    assert "10.0.0.7" not in str(raised.value)


@pytest.mark.parametrize(
    "code",
    [
        code
        for code in grpc.StatusCode
        if code.name not in ("OK", "UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "UNAUTHENTICATED")
        and code.name != "PERMISSION_DENIED"
    ],
)
async def test_any_other_status_is_passed_on_with_its_text(
    channel: EngineChannel, upstream: Upstream, code: grpc.StatusCode
) -> None:
    upstream.answer = refusing(code, "request rate limited: 100 % of größte")
    with pytest.raises(EngineRejected) as raised:
        await ask(channel)
    assert (raised.value.grpc_code, str(raised.value)) == (code.value[0], "request rate limited: 100 % of größte")


async def test_unavailable_call_is_not_repeated(channel: EngineChannel, upstream: Upstream) -> None:
    async def refuse(payload: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "")
        raise AssertionError

    upstream.answer = refuse
    with pytest.raises(EngineUnavailable):
        await ask(channel)
    assert len(upstream.seen) == 1


async def test_deadline_ends_the_call_here_and_upstream(channel: EngineChannel, upstream: Upstream) -> None:
    upstream.answer = never
    with pytest.raises(EngineDeadlineExceeded, match="Search"):
        await ask(channel, timeout=0.1)
    await asyncio.wait_for(upstream.cancelled.wait(), 30)


async def test_cancelling_the_call_cancels_it_upstream(channel: EngineChannel, upstream: Upstream) -> None:
    upstream.answer = never
    calling = asyncio.create_task(ask(channel, timeout=None))
    await until(lambda: bool(upstream.seen))
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await asyncio.wait_for(upstream.cancelled.wait(), 30)


async def test_call_in_flight_when_the_channel_closes_is_unavailable(
    channel: EngineChannel, upstream: Upstream
) -> None:
    upstream.answer = never
    calling = asyncio.create_task(ask(channel, timeout=None))
    await until(lambda: bool(upstream.seen))
    await channel.close()
    with pytest.raises(EngineUnavailable):
        await calling
    with pytest.raises(EngineUnavailable):
        await ask(channel)


async def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    channel = EngineChannel(f"unix:{tmp_path}/nobody.sock")
    with pytest.raises(EngineUnavailable):
        await ask(channel)
    await channel.close()


async def test_proxy_of_the_environment_is_not_used(
    channel: EngineChannel, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_tcp_port}")
    server = grpc.aio.server()
    upstream = Upstream()
    server.add_generic_rpc_handlers((upstream,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    direct = EngineChannel(f"127.0.0.1:{port}")
    assert await ask(direct) == b"\x00\xff"
    await direct.close()
    await server.stop(None)


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_380, 65_536, 65_537, 1_048_571, 1_048_577, 20_000_003])
async def test_message_of_any_size_passes_both_ways(channel: EngineChannel, size: int) -> None:
    payload = random.Random(size).randbytes(size)
    assert await channel.call("Insert", payload, metadata={}, timeout=60) == payload


async def test_long_messages_and_short_ones_pass_at_once(channel: EngineChannel) -> None:
    long = random.Random(1).randbytes(5_000_000)
    payloads = [long if number % 5 == 0 else b"%d" % number for number in range(40)]
    calls = [channel.call("Insert", payload, metadata={}, timeout=60) for payload in payloads]
    assert await asyncio.gather(*calls) == payloads


async def test_message_above_the_limit_is_rejected_unsent(channel: EngineChannel, upstream: Upstream) -> None:
    with pytest.raises(EngineRejected, match="larger"):
        await channel.call("Insert", bytes(MAX_MESSAGE_BYTES + 1), metadata={}, timeout=5)
    assert not upstream.seen


async def test_metadata_that_cannot_be_sent_is_rejected(channel: EngineChannel, upstream: Upstream) -> None:
    for value in ("shelf\r\nx: y", "Büro"):
        with pytest.raises(EngineRejected, match="`dbname` cannot be sent"):
            await channel.call("Search", b"", metadata={"dbname": value}, timeout=5)
    assert not upstream.seen


async def test_drain_waits_for_calls_in_flight_and_accepts_no_others(
    channel: EngineChannel, upstream: Upstream
) -> None:
    go_on = asyncio.Event()

    async def later(payload: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await go_on.wait()
        return payload

    upstream.answer = later
    calling = asyncio.create_task(ask(channel))
    await until(lambda: bool(upstream.seen))
    draining = asyncio.create_task(channel.drain(30))
    await asyncio.sleep(0)
    with pytest.raises(EngineUnavailable, match="closing"):
        await ask(channel)
    assert not channel.health().ready
    assert not draining.done()
    go_on.set()
    await asyncio.wait_for(draining, 30)
    assert await calling == b"\x00\xff"


async def test_drain_ends_with_its_grace(channel: EngineChannel, upstream: Upstream) -> None:
    upstream.answer = never
    calling = asyncio.create_task(ask(channel))
    await until(lambda: bool(upstream.seen))
    await asyncio.wait_for(channel.drain(0.1), 30)
    assert not calling.done()
    await channel.close()
    with pytest.raises(EngineUnavailable):
        await calling


async def test_health_and_generation_follow_the_connection(upstream: Upstream, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/again.sock"
    channel = EngineChannel(address)
    assert channel.health().reason == f"{tmp_path}/again.sock has not been connected to yet"
    for generation in (1, 2):
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((upstream,))
        server.add_insecure_port(address)
        await server.start()
        channel.connect()
        await until(lambda: channel.health().ready)
        assert channel.generation == generation
        assert await ask(channel) == b"\x00\xff"
        await server.stop(None)
        await until(lambda: not channel.health().ready)
    await channel.close()
    assert channel.health().reason == "the connection to the engine is closed"
    await channel.close()
