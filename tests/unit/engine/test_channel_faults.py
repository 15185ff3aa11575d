"""What an engine can do wrong, and what its channel makes of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.support.http2_peer import RESPONSE, Peer, Peers, framed, listening, saying
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
from kiteward.domain.identity import Secret
from kiteward.engine.channel import EngineChannel
from kiteward.milvus.limits import MAX_MESSAGE_BYTES
from kiteward.net.http2 import ClientLimits, ClientSettings
from kiteward.net.http2.session import Setting

QUICK = ClientSettings(
    connect_timeout=10,
    first_pause=0.05,
    longest_pause=0.2,
    limits=ClientLimits(silence=0.1, answer_to_ping=0.1),
)


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    async with listening() as accepted:
        yield accepted


@pytest.fixture
async def channel(peers: Peers) -> AsyncIterator[EngineChannel]:
    opened = EngineChannel(peers.target, settings=QUICK)
    yield opened
    await opened.close()


async def ask(channel: EngineChannel, payload: bytes = b"question", *, timeout: float | None = 5) -> bytes:
    return await channel.call("Search", payload, metadata={}, timeout=timeout)


async def asking(channel: EngineChannel, peers: Peers, *, timeout: float | None = 5) -> "asyncio.Task[bytes]":
    """Begin a call, and return once the engine has it."""
    before = sum(len(peer.requests) for peer in peers.all)
    task = asyncio.create_task(ask(channel, timeout=timeout))
    await until(lambda: sum(len(peer.requests) for peer in peers.all) > before)
    return task


async def failure(channel: EngineChannel, *, timeout: float | None = 5) -> EngineError:
    with pytest.raises(EngineError) as raised:
        await ask(channel, timeout=timeout)
    return raised.value


# Responses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not one whole message"),
        (b"\0\0", "not one whole message"),
        (framed(b"half", length=8), "not one whole message"),
        (framed(b"one") + framed(b"two"), "more than one message"),
        (framed(b"x", flag=1), "compressed message, which it was not asked for"),
        (framed(b"x", flag=7), "malformed message"),
        (framed(b"x", length=MAX_MESSAGE_BYTES + 1), "too large"),
        (framed(b"x", length=2**32 - 1), "too large"),
    ],
)
async def test_response_that_is_not_one_message_is_rejected(
    channel: EngineChannel, peers: Peers, body: bytes, said: str
) -> None:
    def respond(peer: Peer, number: int) -> None:
        peer.session.send_response(number, RESPONSE)
        peer.session.send_data(number, body)
        peer.session.send_trailers(number, [(b"grpc-status", b"0")])

    peers.on_request = respond
    error = await failure(channel)
    assert type(error) is EngineRejected
    assert said in str(error)
    peers.on_request = lambda peer, number: peer.answer(number)
    assert await ask(channel) == b"answer"
    assert len(peers.all) == 1


@pytest.mark.parametrize("cut", range(1, 12))
async def test_message_arrives_whole_however_it_is_cut(channel: EngineChannel, peers: Peers, cut: int) -> None:
    body = framed(b"answer")

    def respond(peer: Peer, number: int) -> None:
        peer.session.send_response(number, RESPONSE)
        for part in (body[:cut], body[cut:]):
            peer.session.send_data(number, part)
            peer.flush()
        peer.session.send_trailers(number, [(b"grpc-status", b"0")])

    peers.on_request = respond
    assert await ask(channel) == b"answer"


async def test_empty_message_is_an_answer(channel: EngineChannel, peers: Peers) -> None:
    peers.on_request = lambda peer, number: peer.answer(number, b"")
    assert await ask(channel) == b""


async def test_body_of_a_server_that_is_not_grpc_is_not_read_to_its_end(channel: EngineChannel, peers: Peers) -> None:
    def respond(peer: Peer, number: int) -> None:
        peer.session.send_response(number, [(b":status", b"200"), (b"content-type", b"text/html")])
        peer.session.send_data(number, b"<html>")

    peers.on_request = respond
    assert "does not speak gRPC" in str(await failure(channel))
    await until(lambda: bool(peers.last.resets))


async def test_answer_without_trailers_is_rejected(channel: EngineChannel, peers: Peers) -> None:
    def respond(peer: Peer, number: int) -> None:
        peer.session.send_response(number, RESPONSE)
        peer.session.send_data(number, framed(b"answer"), end_stream=True)

    peers.on_request = respond
    error = await failure(channel)
    assert type(error) is EngineRejected
    assert "without a status" in str(error)


async def test_status_that_is_no_number_is_an_error(channel: EngineChannel, peers: Peers) -> None:
    peers.on_request = lambda peer, number: peer.answer(number, status=b"fine")
    assert type(await failure(channel)) is EngineRejected


async def test_status_in_a_response_of_fields_alone_counts(channel: EngineChannel, peers: Peers) -> None:
    peers.on_request = lambda peer, number: peer.session.send_response(
        number, [*RESPONSE, (b"grpc-status", b"12")], end_stream=True
    )
    assert type(await failure(channel)) is EngineLacksOperation


@pytest.mark.parametrize(
    ("status", "content", "expected", "said"),
    [
        (b"404", b"text/html", EngineLacksOperation, "does not implement `Search`"),
        (b"503", b"text/plain", EngineUnavailable, "it answers with HTTP status 503"),
        (b"502", b"text/plain", EngineUnavailable, "it answers with HTTP status 502"),
        (b"200", b"text/html", EngineRejected, "does not speak gRPC"),
        (b"500", b"text/html", EngineRejected, "does not speak gRPC: it answers with HTTP status 500"),
        (b"401", b"text/html", EngineAccountRejected, "does not accept the service account"),
    ],
)
async def test_server_that_is_not_grpc_is_described_by_its_http_status(
    channel: EngineChannel, peers: Peers, status: bytes, content: bytes, expected: type[EngineError], said: str
) -> None:
    def respond(peer: Peer, number: int) -> None:
        peer.session.send_response(number, [(b":status", status), (b"content-type", content)])
        peer.session.send_data(number, b"<html>" * 10, end_stream=True)

    peers.on_request = respond
    error = await failure(channel)
    assert type(error) is expected
    assert said in str(error)


@pytest.mark.parametrize(
    ("code", "expected", "said"),
    [
        (0x02, EngineRejected, "failed to execute"),
        (0x07, EngineUnavailable, "did not execute it"),
        (0x08, EngineUnavailable, "cannot be reached"),
        (0x0B, EngineRejected, "resources"),
        (0x0C, EngineAccessDenied, "does not allow `Search` to the service account"),
        (0xFF, EngineRejected, "failed to execute"),
    ],
)
async def test_reset_stream_is_the_error_that_grpc_makes_of_it(
    channel: EngineChannel, peers: Peers, code: int, expected: type[EngineError], said: str
) -> None:
    peers.on_request = lambda peer, number: peer.session.reset_stream(number, code)
    error = await failure(channel)
    assert type(error) is expected
    assert said in str(error)


async def test_response_before_the_end_of_a_long_request_stops_it(channel: EngineChannel, peers: Peers) -> None:
    peers.settings[Setting.INITIAL_WINDOW_SIZE] = 1024
    peers.on_request = lambda peer, number: peer.session.send_response(
        number, [*RESPONSE, (b"grpc-status", b"8")], end_stream=True
    )
    with pytest.raises(EngineRejected, match="larger"):
        await ask(channel, bytes(8 * 1024 * 1024))
    await until(lambda: bool(peers.last.resets))
    peers.on_request = lambda peer, number: peer.answer(number)
    assert await ask(channel) == b"answer"


# Deadlines and cancellation -------------------------------------------------------------------------------------------


async def test_answer_that_stalls_ends_at_the_deadline(channel: EngineChannel, peers: Peers) -> None:
    def respond(peer: Peer, number: int) -> None:
        peer.session.send_response(number, RESPONSE)
        peer.session.send_data(number, framed(b"half", length=100))

    peers.on_request = respond
    began = time.monotonic()
    assert type(await failure(channel, timeout=0.2)) is EngineDeadlineExceeded
    assert time.monotonic() - began >= 0.2
    await until(lambda: bool(peers.last.resets))
    assert list(peers.last.resets.values()) == [0x08]


async def test_call_without_a_timeout_ends_too(peers: Peers) -> None:
    channel = EngineChannel(peers.target, settings=QUICK, longest_call=0.2)
    assert type(await failure(channel, timeout=None)) is EngineDeadlineExceeded
    assert peers.last.requests[1][b"grpc-timeout"] == b"201m"
    await channel.close()


@pytest.mark.parametrize(("seconds", "sent"), [(1.5, b"1501m"), (99_999.0, b"99999001m"), (200_000.0, b"200000S")])
async def test_timeout_is_sent_in_at_most_eight_digits(
    channel: EngineChannel, peers: Peers, seconds: float, sent: bytes
) -> None:
    peers.on_request = lambda peer, number: peer.answer(number)
    await ask(channel, timeout=seconds)
    assert peers.last.requests[1][b"grpc-timeout"] == sent


async def test_deadline_that_has_passed_sends_nothing(channel: EngineChannel, peers: Peers) -> None:
    assert type(await failure(channel, timeout=0)) is EngineDeadlineExceeded
    assert not peers.all


async def test_reset_at_the_deadline_is_the_deadline(channel: EngineChannel, peers: Peers) -> None:
    calling = await asking(channel, peers, timeout=0.1)
    time.sleep(0.2)  # noqa: ASYNC251 - the loop sees the reset before its own timer
    peers.last.session.reset_stream(1, 0x08)
    peers.last.flush()
    with pytest.raises(EngineDeadlineExceeded):
        await calling


async def test_cancelled_calls_leave_nothing_behind(channel: EngineChannel, peers: Peers) -> None:
    calls = [asyncio.create_task(ask(channel)) for _ in range(50)]
    await until(lambda: bool(peers.all) and len(peers.last.requests) == 50)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await until(lambda: len(peers.last.resets) == 50)
    assert channel._client is not None
    connection = channel._client._links[0].current
    assert connection is not None
    assert connection.load == 0
    assert not channel._in_flight


async def test_call_cancelled_before_it_was_sent_is_not_sent(channel: EngineChannel, peers: Peers) -> None:
    peers.settings[Setting.MAX_CONCURRENT_STREAMS] = 1
    first = await asking(channel, peers)
    waiting = asyncio.create_task(ask(channel))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    connection = channel._client._links[0].current if channel._client else None
    assert connection is not None
    assert connection.load == 1
    peers.on_request = lambda peer, number: peer.answer(number)
    peers.last.answer(1)
    await first
    await ask(channel)
    assert list(peers.last.requests) == [1, 3]


async def test_answers_cut_short_in_the_middle_of_a_frame_do_not_use_up_the_connection(peers: Peers) -> None:
    channel = EngineChannel(peers.target, settings=ClientSettings(limits=ClientLimits(connection_window=128 * 1024)))
    for _ in range(20):
        calling = await asking(channel, peers)
        peer = peers.last
        number = max(peer.requests)
        peer.session.send_response(number, RESPONSE)
        peer.session.send_data(number, framed(bytes(15_000)))
        sent = peer.session.data_to_send()
        peer.transport.write(sent[:-1000])
        await asyncio.sleep(0.01)  # nothing tells that a part of a frame has come
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        peer.transport.write(sent[-1000:])
    peers.on_request = lambda peer, number: peer.answer(number, bytes(60_000))
    assert len(await ask(channel)) == 60_000
    assert channel.generation > 1
    await channel.close()


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"no%20such%20k%C3%B6rper", "no such k\u00f6rper"),
        (b"bad%0D%0Aok: all is well%1B[2J%C2%9B%E2%80%AE", "bad  ok: all is well [2J  "),
        (b"invalid token c2VydmljZTpIdW50ZXIyOkh1bnRlcjI=", "the engine failed to execute `Search`"),
        (b"invalid password Hunter2:Hunter2 of service", "the engine failed to execute `Search`"),
    ],
)
async def test_text_of_an_engine_is_one_line_without_what_it_was_authenticated_by(
    peers: Peers, sent: bytes, shown: str
) -> None:
    def respond(peer: Peer, number: int) -> None:
        peer.session.send_response(number, RESPONSE)
        peer.session.send_trailers(number, [(b"grpc-status", b"2"), (b"grpc-message", sent)])

    peers.on_request = respond
    account = {"authorization": Secret("c2VydmljZTpIdW50ZXIyOkh1bnRlcjI=")}
    channel = EngineChannel(peers.target, metadata=account, settings=QUICK)
    assert str(await failure(channel)) == shown
    await channel.close()


@pytest.mark.parametrize(
    "status", [b"00", b"17", b"99", b"-1", b"\xb2", b"9" * 5000, b""], ids=lambda status: status[:5]
)
async def test_status_that_grpc_does_not_have_is_an_unknown_error_of_its_call_alone(
    channel: EngineChannel, peers: Peers, status: bytes
) -> None:
    other = await asking(channel, peers)

    def respond(peer: Peer, number: int) -> None:
        peer.session.send_response(number, RESPONSE)
        peer.session.send_trailers(number, [(b"grpc-status", status), (b"grpc-message", b"text")])

    peers.on_request = respond
    error = await failure(channel)
    assert type(error) is EngineRejected
    assert (error.grpc_code, str(error)) == (2, "text")
    peers.last.answer(1)
    assert await other == b"answer"


async def test_long_response_that_is_reset_where_it_begins_leaves_other_calls_alone(
    channel: EngineChannel, peers: Peers
) -> None:
    other = await asking(channel, peers)

    def respond(peer: Peer, number: int) -> None:
        peer.session.send_response(number, RESPONSE)
        peer.session.send_data(number, framed(b"begins", length=8 * 1024 * 1024))
        begun = peer.session.data_to_send()
        peer.session.reset_stream(number, 2)
        peer.transport.write(begun + peer.session.data_to_send())

    peers.on_request = respond
    assert type(await failure(channel)) is EngineRejected
    peers.last.answer(1)
    assert await other == b"answer"
    assert len(peers.all) == 1


async def test_request_is_given_up_that_was_answered_before_the_peer_took_it(
    channel: EngineChannel, peers: Peers
) -> None:
    peers.settings = {Setting.INITIAL_WINDOW_SIZE: 0}

    def respond(peer: Peer, number: int) -> None:
        peer.session.send_response(number, (*RESPONSE, (b"grpc-status", b"8")), end_stream=True)

    peers.on_request = respond
    with pytest.raises(EngineRejected):
        await ask(channel, bytes(60_000))
    await until(lambda: bool(peers.last.resets))
    assert peers.last.resets == {1: 8}


async def test_malformed_response_in_the_middle_of_an_upload_ends_its_call(
    channel: EngineChannel, peers: Peers
) -> None:
    malformed = b"\x88\x00\x01A\x01b"  # :status 200, and a name in upper case

    def respond(peer: Peer, number: int) -> None:
        frame = len(malformed).to_bytes(3, "big") + b"\x01\x04" + number.to_bytes(4, "big")
        peer.transport.write(frame + malformed)

    peers.on_request = respond
    with pytest.raises(EngineRejected):
        await ask(channel, bytes(8 * 1024 * 1024))
    peers.on_request = lambda peer, number: peer.answer(number)
    assert await ask(channel) == b"answer"


# The end of connections -----------------------------------------------------------------------------------------------


async def test_calls_above_the_last_stream_of_goaway_were_not_executed_and_others_end(
    channel: EngineChannel, peers: Peers
) -> None:
    calls = [await asking(channel, peers) for _ in range(3)]
    first = peers.last
    first.session.send_goaway(0, last_stream_id=3)
    first.flush()
    with pytest.raises(EngineUnavailable, match="did not execute it"):
        await calls[2]
    following = await asking(channel, peers)
    assert len(peers.all) == 2
    for number in (1, 3):
        first.answer(number)
    assert [await calls[0], await calls[1]] == [b"answer", b"answer"]
    peers.last.answer(1)
    assert await following == b"answer"
    assert channel.generation == 2
    await asyncio.wait_for(first.lost.wait(), 30)


async def test_call_whose_deadline_passes_before_there_is_a_connection_is_never_sent(
    channel: EngineChannel, peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Peer, "flush", lambda _: None)  # so that the connection does not become ready
    assert type(await failure(channel, timeout=0.1)) is EngineDeadlineExceeded
    monkeypatch.undo()
    peer = peers.last
    peer.flush()
    peers.on_request = lambda peer, number: peer.answer(number)
    assert await ask(channel, b"following") == b"answer"
    assert [bytes(body) for body in peer.bodies.values()] == [framed(b"following")]


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example", ".example"])
async def test_host_that_no_resolver_takes_is_said_at_once(host: str) -> None:
    channel = EngineChannel(f"{host}:19530", settings=QUICK)
    assert "it has a host name that cannot be resolved" in str(await failure(channel))
    await channel.close()


async def test_call_that_was_sent_is_not_sent_again(channel: EngineChannel, peers: Peers) -> None:
    calling = await asking(channel, peers)
    peers.last.transport.abort()
    with pytest.raises(EngineUnavailable, match="it closed the connection"):
        await calling
    await until(lambda: len(peers.all) == 2)
    following = await asking(channel, peers)
    assert len(peers.last.requests) == 1
    peers.last.answer(1)
    await following


async def test_call_that_waits_for_a_stream_goes_to_the_next_connection(peers: Peers) -> None:
    peers.settings[Setting.MAX_CONCURRENT_STREAMS] = 1
    channel = EngineChannel(peers.target, settings=QUICK)
    first = await asking(channel, peers)
    waiting = asyncio.create_task(ask(channel))
    await asyncio.sleep(0)
    assert len(peers.last.requests) == 1
    peers.all[0].session.send_goaway(0, last_stream_id=1)
    peers.all[0].flush()
    await until(lambda: len(peers.all) == 2 and bool(peers.last.requests))
    peers.last.answer(1)
    assert await waiting == b"answer"
    peers.all[0].answer(1)
    assert await first == b"answer"
    await channel.close()


async def test_no_more_calls_at_once_than_the_engine_accepts(channel: EngineChannel, peers: Peers) -> None:
    peers.settings[Setting.MAX_CONCURRENT_STREAMS] = 2
    calls = [asyncio.create_task(ask(channel)) for _ in range(5)]
    for done in range(5):
        await until(lambda: bool(peers.all) and len(peers.last.requests) == min(5, done + 2))  # noqa: B023
        peers.last.answer(2 * done + 1)
        assert await calls[done] == b"answer"


async def test_silent_engine_is_asked_and_then_given_up(channel: EngineChannel, peers: Peers) -> None:
    calling = await asking(channel, peers, timeout=None)
    await until(lambda: peers.last.pings >= 2)
    assert not calling.done()
    peers.last.mute = True
    with pytest.raises(EngineUnavailable, match="gives no sign of life"):
        await asyncio.wait_for(calling, 30)


async def test_idle_connection_gets_no_pings(channel: EngineChannel, peers: Peers) -> None:
    peers.on_request = lambda peer, number: peer.answer(number)
    await ask(channel)
    await asyncio.sleep(0.5)
    assert peers.last.pings == 0


async def test_too_many_pings_make_the_next_connection_more_patient(channel: EngineChannel, peers: Peers) -> None:
    calling = await asking(channel, peers)
    peers.last.session.send_goaway(0x0B, last_stream_id=1, debug_data=b"too_many_pings")
    peers.last.answer(1)
    await calling
    assert channel._client is not None
    assert channel._client._links[0]._limits.silence == 0.2


async def test_violation_of_the_protocol_ends_calls_with_a_sentence(channel: EngineChannel, peers: Peers) -> None:
    calling = await asking(channel, peers)
    peers.last.transport.write(b"\0\0\1\0\0\0\0\0\0x")  # DATA on stream 0
    with pytest.raises(EngineUnavailable, match="it violates HTTP/2"):
        await calling


async def test_oversized_fields_end_the_connection(channel: EngineChannel, peers: Peers) -> None:
    calling = await asking(channel, peers)
    fields = [(b"x-%d" % number, b"y" * 4000) for number in range(15)]
    peers.last.session.send_response(1, [*RESPONSE, *fields, *fields])
    peers.last.flush()
    with pytest.raises(EngineUnavailable, match="it violates HTTP/2"):
        await calling


async def test_answers_in_the_last_bytes_of_a_connection_count(channel: EngineChannel, peers: Peers) -> None:
    calling = await asking(channel, peers)
    peer = peers.last
    peer.session.send_response(1, RESPONSE)
    peer.session.send_data(1, framed(b"answer"))
    peer.session.send_trailers(1, [(b"grpc-status", b"0")])
    peer.session.send_goaway(0, last_stream_id=1)
    peer.transport.write(peer.session.data_to_send() + b"\0\0\1\0\0\0\0\0\0x")
    assert await calling == b"answer"


# Connecting -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "speaks HTTP/1, not HTTP/2"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "requires TLS"),
        (b"", "closed the connection at once: perhaps it requires TLS"),
        (b"220 mail.example ESMTP ready; and more of it\r\n", "does not speak HTTP/2"),
    ],
)
async def test_server_of_another_protocol_is_named_by_what_it_does(first: bytes, said: str) -> None:
    async with saying(first) as port:
        channel = EngineChannel(f"127.0.0.1:{port}", settings=QUICK)
        error = await failure(channel)
        assert type(error) is EngineUnavailable
        assert str(error) == f"the engine cannot be reached: it {said}"
        assert channel.health().reason == f"127.0.0.1:{port} {said}"
        await channel.close()


async def test_server_that_says_nothing_is_given_up() -> None:
    async with saying(b"\0") as port:
        channel = EngineChannel(f"127.0.0.1:{port}", settings=replace(QUICK, connect_timeout=0.5))
        with pytest.raises(EngineUnavailable, match="accepts connections and does not answer on them"):
            await ask(channel)
        await channel.close()


async def test_deadline_ends_a_call_that_waits_for_a_connection() -> None:
    async with saying(b"\0") as port:
        channel = EngineChannel(f"127.0.0.1:{port}", settings=QUICK)
        assert type(await failure(channel, timeout=0.1)) is EngineDeadlineExceeded
        await channel.close()


async def test_unknown_host_is_named_by_the_health_and_not_to_callers() -> None:
    channel = EngineChannel("nowhere.invalid:19530", settings=QUICK)
    error = await failure(channel)
    assert str(error) == "the engine cannot be reached: it has a host name that cannot be resolved"
    assert channel.health().reason == "nowhere.invalid:19530 has a host name that cannot be resolved"
    await channel.close()


async def test_calls_fail_at_once_between_attempts(unused_tcp_port: int) -> None:
    pausing = replace(QUICK, first_pause=600.0, longest_pause=600.0)
    channel = EngineChannel(f"127.0.0.1:{unused_tcp_port}", settings=pausing)
    for _ in range(2):
        assert str(await failure(channel)) == "the engine cannot be reached: it refuses connections"
    assert not channel.health().ready
    await channel.close()


async def test_calls_succeed_when_the_engine_is_there(unused_tcp_port: int) -> None:
    channel = EngineChannel(f"127.0.0.1:{unused_tcp_port}", settings=QUICK)
    assert "refuses connections" in str(await failure(channel))
    async with listening(port=unused_tcp_port) as peers:
        peers.on_request = lambda peer, number: peer.answer(number)
        await until(lambda: channel.health().ready)  # without any call
        assert await ask(channel) == b"answer"
        await channel.close()


async def test_attempts_become_rarer(unused_tcp_port: int, caplog: pytest.LogCaptureFixture) -> None:
    channel = EngineChannel(f"127.0.0.1:{unused_tcp_port}", settings=QUICK)
    await failure(channel)
    assert channel._client is not None
    link = channel._client._links[0]
    await until(lambda: link._pause == QUICK.longest_pause)
    assert [record.message for record in caplog.records if record.name == "kiteward.net"] == [
        f"127.0.0.1:{unused_tcp_port} refuses connections; connecting again"
    ]
    await channel.close()


async def test_channel_closed_while_it_connects_leaves_nothing_behind() -> None:
    async with saying(b"\0") as port:
        channel = EngineChannel(f"127.0.0.1:{port}", settings=QUICK)
        calling = asyncio.create_task(ask(channel))
        await asyncio.sleep(0.05)
        await channel.close()
        with pytest.raises(EngineUnavailable, match="it was disconnected"):
            await calling
        assert len(asyncio.all_tasks()) <= 2
