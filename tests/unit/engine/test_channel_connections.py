"""What a channel sends, and how it uses its connections and its memory."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.http2_peer import RESPONSE, Peer, Peers, framed, listening
from tests.unit.engine.samples import until

from kiteward.domain.errors import EngineUnavailable
from kiteward.domain.identity import Secret
from kiteward.engine.channel import EngineChannel
from kiteward.net.http2 import ClientSettings, NeverIndexedHeader
from kiteward.net.http2.session import Event, PingAcknowledged, Setting

MIB = 1024 * 1024


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    async with listening() as accepted:
        yield accepted


async def ask(channel: EngineChannel, payload: bytes = b"question", **metadata: str) -> bytes:
    return await channel.call("Search", payload, metadata=metadata, timeout=5)


async def test_head_is_that_of_grpc(peers: Peers) -> None:
    peers.on_request = lambda peer, number: peer.answer(number)
    channel = EngineChannel(peers.target)
    await ask(channel, dbname="shelf")
    assert peers.last.fields[1][:6] == (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/milvus.proto.milvus.MilvusService/Search"),
        (b":authority", peers.target.encode()),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    )
    await channel.close()


async def test_account_goes_with_every_call_unindexed_and_is_not_shown(
    peers: Peers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    peers.on_request = lambda peer, number: peer.answer(number)
    channel = EngineChannel(peers.target, metadata={"authorization": Secret("c2VydmljZTpzZWNyZXQ=")})
    for _ in range(2):
        await ask(channel, dbname="shelf", traceparent="00-1")
    for number in (1, 3):
        fields = {field[0]: field for field in peers.last.fields[number]}
        assert fields[b"authorization"] == (b"authorization", b"c2VydmljZTpzZWNyZXQ=")
        never = {name for name, field in fields.items() if isinstance(field, NeverIndexedHeader)}
        assert never == {b"authorization", b"grpc-timeout", b"traceparent"}
    await channel.close()
    with pytest.raises(EngineUnavailable) as raised:
        await ask(channel)
    assert "c2Vydm" not in f"{channel!r} {channel._constant!r} {raised.value!r} {caplog.text}"


async def test_calls_of_one_turn_are_written_at_once(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    peers.on_request = lambda peer, number: peer.answer(number)
    channel = EngineChannel(peers.target)
    await ask(channel)
    reads: list[int] = []
    receive = Peer.data_received

    def count(peer: Peer, data: bytes) -> None:
        reads.append(len(data))
        receive(peer, data)

    monkeypatch.setattr(Peer, "data_received", count)
    await asyncio.gather(*(ask(channel) for _ in range(20)))
    assert len(reads) <= 2
    await channel.close()


async def test_acknowledgements_are_sent_with_the_next_call(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    def pinged(peer: Peer, number: int) -> None:
        peer.session.ping(b"how long")
        peer.answer(number)

    monkeypatch.setattr("kiteward.net.http2.late_flush._LATEST", 60.0)
    peers.on_request = pinged
    channel = EngineChannel(peers.target)
    await ask(channel)
    acknowledged: list[int] = []
    take = Peer.take

    def count(peer: Peer, event: Event) -> None:
        if isinstance(event, PingAcknowledged):
            acknowledged.append(len(peer.requests))
        take(peer, event)

    monkeypatch.setattr(Peer, "take", count)
    for _ in range(3):
        await ask(channel)
    assert acknowledged == [1, 2, 3]  # before the request that came with it is taken
    await channel.close()


async def test_message_that_waits_for_its_window_goes_on_at_once(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiteward.net.http2.late_flush._LATEST", 60.0)
    peers.settings[Setting.INITIAL_WINDOW_SIZE] = 1_000
    payload = b"x" * 5_000
    channel = EngineChannel(peers.target)
    call = asyncio.create_task(ask(channel, payload))
    await until(lambda: bool(peers.all and peers.last.bodies))
    await until(lambda: len(peers.last.bodies[1]) == len(framed(payload)))
    peers.last.answer(1)
    assert await call == b"answer"
    await channel.close()


async def test_acknowledgement_waits_only_milliseconds_for_a_call(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledged = asyncio.Event()
    take = Peer.take

    def note(peer: Peer, event: Event) -> None:
        if isinstance(event, PingAcknowledged):
            acknowledged.set()
        take(peer, event)

    monkeypatch.setattr(Peer, "take", note)
    peers.on_request = lambda peer, number: peer.answer(number)
    channel = EngineChannel(peers.target)
    await ask(channel)
    peers.last.session.ping(b"how long")
    peers.last.flush()
    await asyncio.wait_for(acknowledged.wait(), 30)
    await channel.close()


async def test_busy_connection_gets_another_one_beside_it_and_no_more(peers: Peers) -> None:
    channel = EngineChannel(peers.target, settings=ClientSettings(connections=2, requests=2))
    calls = [asyncio.create_task(ask(channel)) for _ in range(2)]
    await until(lambda: bool(peers.all) and len(peers.last.requests) == 2)
    calls += [asyncio.create_task(ask(channel))]
    await until(lambda: len(peers.all) == 2)
    await until(lambda: channel.generation == 2)
    calls += [asyncio.create_task(ask(channel)) for _ in range(5)]
    await until(lambda: sum(len(peer.requests) for peer in peers.all) == 8)
    assert [len(peer.requests) for peer in peers.all] == [4, 4]
    for peer in peers.all:
        for number in peer.requests:
            peer.answer(number)
    assert await asyncio.gather(*calls) == [b"answer"] * 8
    peers.all[0].transport.abort()
    await asyncio.wait_for(peers.all[0].lost.wait(), 30)
    peers.on_request = lambda peer, number: peer.answer(number)
    assert channel.health().ready
    assert await ask(channel) == b"answer"
    await channel.close()


async def test_connection_whose_stream_numbers_end_is_replaced(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiteward.net.http2.client_connection._LAST_STREAM", 5)
    peers.on_request = lambda peer, number: peer.answer(number)
    channel = EngineChannel(peers.target)
    assert await asyncio.gather(*(ask(channel) for _ in range(10))) == [b"answer"] * 10
    assert [len(peer.requests) for peer in peers.all] == [3, 3, 3, 1]
    for peer in peers.all[:-1]:
        await asyncio.wait_for(peer.lost.wait(), 30)
    await channel.close()


async def test_pushed_response_is_a_violation(peers: Peers) -> None:
    promise = (2).to_bytes(4, "big") + b"\x82\x86\x84\x41\x01x"
    frame = len(promise).to_bytes(3, "big") + b"\x05\x04" + (1).to_bytes(4, "big") + promise
    peers.on_request = lambda peer, _: peer.transport.write(frame)
    channel = EngineChannel(peers.target)
    with pytest.raises(EngineUnavailable, match="it violates HTTP/2"):
        await ask(channel)
    await channel.close()


async def test_long_responses_are_continued_as_memory_allows(peers: Peers) -> None:
    def respond(peer: Peer, number: int) -> None:
        peer.session.send_response(number, RESPONSE)
        peer.session.send_data(number, framed(bytes(MIB), length=200 * MIB))

    peers.on_request = respond
    channel = EngineChannel(peers.target)
    calls = [asyncio.create_task(ask(channel)) for _ in range(3)]
    await until(lambda: channel._client is not None and channel._budget.held == 400 * MIB)

    def windows() -> list[bool]:
        return [peers.last.session.stream_remote_window_size(number) > 100 * MIB for number in (1, 3, 5)]

    await until(lambda: windows() == [True, True, False])
    calls[0].cancel()
    await until(lambda: peers.last.session.stream_remote_window_size(5) > 100 * MIB)
    assert channel._budget.held == 400 * MIB
    for call in calls[1:]:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert channel._budget.held == 0
    await channel.close()


async def test_long_request_waits_for_the_window_of_the_engine_in_pieces(peers: Peers) -> None:
    peers.settings[Setting.INITIAL_WINDOW_SIZE] = 65_535
    channel = EngineChannel(peers.target)
    peers.manual = True
    payload = bytes(range(256)) * 40_000
    call = asyncio.create_task(ask(channel, payload))
    await until(lambda: bool(peers.all) and bool(peers.last.bodies) and len(peers.last.bodies[1]) >= 65_535)
    connection = channel._client._links[0].current if channel._client else None
    assert connection is not None
    assert connection._session.queued_body_size(1) <= MIB
    peers.last.consume()
    await until(lambda: len(peers.last.bodies[1]) == len(payload) + 5)
    assert bytes(peers.last.bodies[1][5:]) == payload
    peers.last.answer(1)
    assert await call == b"answer"
    await channel.close()
