"""Clients that do harm with the rules of HTTP/2 are bounded in time, number and memory, and others are served."""

import asyncio
import contextlib

import pytest
from tests.support import http2_frames as frames
from tests.support.http2_abuse import (
    CLOSED,
    EMPTY_SETTINGS,
    KITE,
    MOST_NOISE,
    QUICK,
    UNHURRIED,
    WAITING,
    WIDE,
    WIDE_TOGETHER,
    Client,
    data,
    headers,
    ping,
    serving,
    until,
)
from tests.support.http2_frames import encoded
from tests.support.memory import measured

from kiteward.net.budget import Budget, ByteLimits
from kiteward.net.http2.limits import Http2Limits

# Floods


async def test_rapid_resets_end_the_connection_while_others_are_served() -> None:
    async with serving(QUICK) as served, Client.connected(served) as rapid, Client.connected(served) as other:
        for number in range(1, 2_001, 2):
            rapid.send(headers(number, "/held"), frames.reset(number, frames.CANCEL))
        assert await other.served(1) == b"ok"
        end = await rapid.end()
        assert end.code == frames.ENHANCE_YOUR_CALM
        held = [request for request in served.requests if request.head.path == b"/held"]
        assert QUICK.control_frames <= len(held) <= MOST_NOISE
        assert all(request.gone for request in held)
        assert await other.served(3) == b"ok"


@pytest.mark.parametrize(
    "noise",
    [
        ping(),
        EMPTY_SETTINGS,
        data(1, b""),
        frames.frame(frames.DATA, frames.PADDED, 1, b"\3\0\0\0"),
        frames.frame(frames.PRIORITY, 0, 3, bytes(5)),
        frames.frame(0xEE, 0, 0, b""),
    ],
    ids=["ping", "settings", "empty data", "padding", "priority", "unknown"],
)
async def test_frames_that_ask_for_nothing_end_the_connection_when_they_are_too_many(noise: bytes) -> None:
    async with serving(QUICK) as served, Client.connected(served) as loud, Client.connected(served) as other:
        loud.send(headers(1, "/held", last=False), headers(3, "/held"))
        await loud.in_step()
        loud.send(noise * 300)
        assert (await loud.end()).code == frames.ENHANCE_YOUR_CALM
        assert await other.served(1) == b"ok"
        await until(lambda: all(request.gone for request in served.requests[:2]))


async def test_some_control_frames_are_accepted_for_ever_from_those_who_send_requests_too() -> None:
    async with serving(QUICK) as served, Client.connected(served) as client:
        for number in range(1, 601, 2):
            client.send(ping(), EMPTY_SETTINGS)
            assert await client.served(number) == b"ok"


LENGTH_65_000 = b"\xe9\xfa\x03"
"""What is more than 127 of the length of a literal of 65,000 bytes (RFC 7541, 5.1)."""


@pytest.mark.parametrize(
    ("piece", "last", "code"),
    [(b"a", 0, frames.ENHANCE_YOUR_CALM), (b"a" * 16_384, 1, frames.NO_ERROR)],
    ids=["small", "large"],
)
async def test_a_field_section_without_end_ends_the_connection(piece: bytes, last: int, code: int) -> None:
    async with serving(Http2Limits(linger=10.0)) as served, Client.connected(served) as endless:
        with measured() as taken:
            endless.send(frames.frame(frames.HEADERS, 0, 1, b"\x00\x04name\x7f" + LENGTH_65_000))
            endless.send(frames.frame(frames.CONTINUATION, 0, 1, piece) * (200_000 // len(piece)))
            *_, end = came = await endless.until_closed()
        assert end.kind == frames.GOAWAY
        assert (int.from_bytes(end.payload[:4], "big"), end.code) == (last, code)
        # A head that is too long, but not in too many pieces, is answered, so that it is not repeated (decision 0068).
        assert [(frame.stream, frame.flags) for frame in came if frame.kind == frames.HEADERS] == last * [
            (1, frames.END_HEADERS | frames.END_STREAM)
        ]
        assert taken.bytes < 5_000_000
        assert served.requests == []
        await until(served.nothing_left)
        assert served.budget.unauthenticated.held == 0


async def test_a_field_section_in_pieces_of_nothing_ends_the_connection() -> None:
    async with serving(QUICK) as served, Client.connected(served) as endless:
        endless.send(frames.frame(frames.HEADERS, 0, 1, b""), frames.frame(frames.CONTINUATION, 0, 1, b"") * 9)
        assert (await endless.end()).code == frames.ENHANCE_YOUR_CALM


async def test_whoever_breaks_a_rule_learns_which_whatever_is_still_on_its_way() -> None:
    async with serving(Http2Limits(linger=60.0)) as served, Client.connected(served) as heedless:
        await heedless.in_step()
        heedless.send(frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, b"\0\0\0\2"))
        for _ in range(50):
            heedless.send(data(1, bytes(16_384)))
            await asyncio.sleep(0.002)
        assert (await heedless.end()).code == frames.PROTOCOL_ERROR
        await until(served.nothing_left)


# Waiting


async def test_a_client_that_never_sends_settings_is_closed() -> None:
    async with serving(QUICK) as served, Client.connected(served, greeting=b"") as silent:
        await silent.until_closed()
        await until(served.nothing_left)


async def test_a_client_that_trickles_its_settings_is_closed() -> None:
    async with serving(QUICK) as served, Client.connected(served, greeting=b"\0\0\x06\4\0\0") as slow:
        await slow.trickle(b"", every=0.05)
        await until(served.nothing_left)


async def test_a_client_that_begins_with_anything_else_than_settings_is_notified() -> None:
    async with serving(QUICK) as served, Client.connected(served, greeting=ping()) as rude:
        assert (await rude.end()).code == frames.PROTOCOL_ERROR


async def test_a_frame_that_trickles_closes_the_connection() -> None:
    async with serving(QUICK) as served, Client.connected(served) as slow:
        slow.send(headers(1, "/held", last=False), frames.head(16_384, frames.DATA, 0, 1))
        await slow.trickle(b"a")
        await until(served.nothing_left)
        assert served.requests[0].gone


async def test_a_field_section_that_never_ends_closes_the_connection() -> None:
    async with serving(QUICK) as served, Client.connected(served) as slow:
        slow.send(frames.frame(frames.HEADERS, 0, 1, b""))
        await slow.until_closed()
        await until(served.nothing_left)


async def test_a_body_that_never_ends_ends_its_request_alone() -> None:
    async with serving(QUICK) as served, Client.connected(served) as slow:
        slow.send(headers(1, "/held", last=False), data(1, b"never"))
        assert (await slow.wait_for(frames.RST_STREAM, 1)).code == frames.CANCEL
        assert served.requests[0].gone
        slow.send(data(1, b"too late"))
        assert await slow.served(3) == b"ok"


async def test_a_body_that_trickles_ends_its_request() -> None:
    async with serving(QUICK) as served, Client.connected(served) as slow:
        slow.send(headers(1, "/held", last=False))
        ended = asyncio.ensure_future(slow.wait_for(frames.RST_STREAM, 1))
        async with asyncio.timeout(30):
            while not ended.done():
                slow.send(data(1, b"a"))
                await asyncio.sleep(0.02)
        assert ended.result().code == frames.CANCEL


async def test_a_body_that_comes_steadily_is_waited_for() -> None:
    async with serving(QUICK) as served, Client.connected(served) as steady:
        steady.send(headers(1, last=False))
        for _ in range(25):
            steady.send(data(1, b"a" * 64))
            await asyncio.sleep(0.04)
        steady.send(data(1, b"", last=True))
        assert await steady.answer(1) == b"ok"
        assert len(served.requests[0].body) == 1_600


async def test_a_silent_client_that_answers_when_asked_is_kept_and_another_is_not() -> None:
    limits = Http2Limits(idle=0.1, ping_timeout=0.3, check_interval=0.05)
    async with serving(limits) as served, Client.connected(served) as polite, Client.connected(served) as deaf:
        closed = asyncio.ensure_future(deaf.until_closed())
        while not closed.done():
            asked = await polite.wait_for(frames.PING)
            polite.send(frames.frame(frames.PING, frames.ACK, 0, asked.payload))
        assert await polite.served(1) == b"ok"
        assert len(served.connections()) == 1


async def test_half_a_frame_after_a_long_silence_is_waited_for() -> None:
    async with serving(UNHURRIED) as served, Client.connected(served) as client:
        await client.in_step()
        await asyncio.sleep(UNHURRIED.stall + 0.5)
        whole = headers(1)
        client.send(whole[:5])
        await asyncio.sleep(0.2)
        client.send(whole[5:])
        assert await client.answer(1) == b"ok"


# Not reading


async def test_an_answer_that_is_not_taken_waits_in_bounded_room_and_is_given_up() -> None:
    async with serving(QUICK) as served, Client.connected(served, greeting=WIDE + WIDE_TOGETHER, slow=True) as slow:
        served.application.answer = KITE
        slow.send(headers(1))
        await until(lambda: served.requests)
        (connection,) = served.connections()
        most = 0
        async with asyncio.timeout(30):
            while not served.nothing_left():
                most = max(most, connection._transport.get_write_buffer_size())
                await asyncio.sleep(0.01)
        assert 0 < most <= WAITING + 2 * frames.FRAME_LIMIT
        assert served.requests[0].gone


async def test_an_answer_waits_in_bounded_room_whatever_frames_the_client_takes() -> None:
    greeting = frames.settings(
        {frames.INITIAL_WINDOW_SIZE: frames.LARGEST_WINDOW, frames.MAX_FRAME_SIZE: frames.LARGEST_FRAME}
    )
    async with serving(QUICK) as served, Client.connected(served, greeting=greeting + WIDE_TOGETHER, slow=True) as slow:
        served.application.answer = KITE
        slow.send(headers(1))
        await until(lambda: served.requests)
        (connection,) = served.connections()
        assert connection._transport.get_write_buffer_size() <= 2 * WAITING


async def test_a_client_that_reads_nothing_is_not_read_either() -> None:
    async with serving(QUICK) as served, Client.connected(served, greeting=WIDE + WIDE_TOGETHER, slow=True) as slow:
        served.application.answer = KITE
        slow.send(headers(1))
        await until(lambda: served.requests)
        for number in range(3, 2_001, 2):
            slow.send(headers(number))
        await until(served.nothing_left)
        assert len(served.requests) == 1


async def test_a_slow_but_steady_reader_gets_its_whole_answer() -> None:
    loop = asyncio.get_running_loop()
    async with serving(UNHURRIED) as served, Client.connected(served, greeting=WIDE + WIDE_TOGETHER, slow=True) as slow:
        served.application.answer = KITE
        begun = loop.time()
        slow.send(headers(1))
        body = bytearray()
        while len(body) < len(KITE):
            frame = await slow.wait_for(frames.DATA, 1)
            body += frame.payload
            await asyncio.sleep(0.01)
        assert body == KITE
        assert loop.time() - begun > UNHURRIED.stall


async def test_an_answer_that_no_window_is_given_for_is_given_up() -> None:
    async with serving(QUICK) as served, Client.connected(served, greeting=CLOSED) as closed:
        closed.send(headers(1))
        assert (await closed.wait_for(frames.RST_STREAM, 1)).code == frames.CANCEL
        await until(lambda: served.requests[0].gone)


async def test_an_answer_that_is_taken_byte_by_byte_is_given_up() -> None:
    async with serving(QUICK) as served, Client.connected(served, greeting=CLOSED) as slow:
        served.application.answer = KITE
        slow.send(headers(1))
        await until(lambda: served.requests)
        async with asyncio.timeout(30):
            while not served.requests[0].gone:
                slow.send(frames.window_update(1, 1))
                await asyncio.sleep(0.05)


async def test_an_answer_that_is_stuck_is_given_up_whatever_moves_beside_it() -> None:
    async with serving(QUICK) as served, Client.connected(served, greeting=CLOSED) as sly:
        sly.send(headers(1))
        stuck = served.requests
        await until(lambda: stuck)
        async with asyncio.timeout(30):
            number = 3
            while not stuck[0].gone:
                sly.send(headers(number), frames.window_update(number, 1_000))
                number += 2
                await asyncio.sleep(0.05)


# Field sections


def bomb(references: int) -> bytes:
    """Return the head of a request that names a large entry of the table again and again."""
    length = 3_900 - 127
    entry = b"\x40\x01x\x7f" + bytes((length & 0x7F | 0x80, length >> 7)) + b"a" * 3_900
    request = encoded(((":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "kiteward")))
    return frames.frame(
        frames.HEADERS, frames.END_STREAM | frames.END_HEADERS, 1, request + entry + b"\xbe" * references
    )


async def test_a_large_entry_named_thousands_of_times_ends_the_connection_and_takes_no_room() -> None:
    async with serving(QUICK) as served, Client.connected(served) as bomber:
        with measured() as taken:
            bomber.send(bomb(10_000))
            await bomber.until_closed()
        assert not served.requests
        assert taken.bytes < 1_000_000


LONG = 39_000
"""Bytes of a field that leaves little room for others in a head."""


def long_request(number: int, path: str) -> bytes:
    """Return a request with a head that is nearly as long as allowed, and another one for each number."""
    fields = ((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "a"), ("n", str(number)))
    block = encoded((*fields, ("x", "a" * LONG)))
    first, second, third = (block[at : at + 16_000] for at in range(0, len(block), 16_000))
    return (
        frames.frame(frames.HEADERS, frames.END_STREAM, number, first)
        + frames.frame(frames.CONTINUATION, 0, number, second)
        + frames.frame(frames.CONTINUATION, frames.END_HEADERS, number, third)
    )


@pytest.mark.parametrize(("path", "kept"), [("/", 0), ("/known", 2)], ids=["unauthenticated", "authenticated"])
async def test_heads_that_are_kept_take_no_more_than_authenticated_callers_may_hold(path: str, kept: int) -> None:
    most = 5 * LONG  # room for two heads, each of which counts twice
    budget = Budget(ByteLimits(address=most))
    async with serving(QUICK, budget) as served, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client.connected(served)) for _ in range(16)]
        for client in clients:
            await client.in_step()
        with measured() as taken:
            for number in range(1, 9, 2):
                for client in clients:
                    client.send(long_request(number, path))
                    assert await client.answer(number) == b"ok"
            assert not any(request.head.too_large for request in served.requests)
            served.requests.clear()
        assert kept * 2 * LONG <= budget.authenticated.held <= kept * most
        assert budget.unauthenticated.held == 0
        assert taken.left < most < len(clients) * LONG
        for client in clients:
            await client.break_off()
        await until(served.nothing_left)
        assert budget.authenticated.held == 0
