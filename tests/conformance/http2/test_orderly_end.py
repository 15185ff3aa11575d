"""What was sent before a connection ended reaches the client, though the client sends frames meanwhile.

A system that closes a socket with input unread, or gets more input for it, resets the connection, and drops what it has
not sent yet: the end of an answer, which the client then never reads.
"""

import asyncio
import contextlib

from tests.support import http2_frames as frames
from tests.support.http2_abuse import KITE, PATIENCE, WIDE, WIDE_TOGETHER, Client, Served, headers, ping, serving, until

from kiteward.net.http2.limits import Http2Limits

ANSWER = KITE[: 1024 * 1024]
"""More than the client's system takes before the client reads."""


def ended(served: Served) -> bool:
    """Return whether the server has written all and ended its connections."""
    return all(each._closed and not each._transport.get_write_buffer_size() for each in served.connections())


async def test_an_answer_is_read_whole_though_the_client_goes_on_sending_while_the_server_stops() -> None:
    async with serving(Http2Limits(goaway_grace=60)) as served:
        served.application.answer = ANSWER
        async with Client.connected(served, greeting=WIDE + WIDE_TOGETHER, slow=True) as client:
            await client.in_step()
            for connection in served.connections():
                connection.shut_down()
            notice = await client.wait_for(frames.PING)
            client.send(headers(1), frames.frame(frames.PING, frames.ACK, 0, notice.payload))
            await until(lambda: served.requests and ended(served))
            client.send(ping())
            assert await client.answer(1) == ANSWER
            assert await client.until_closed() == []
        await until(served.nothing_left)


async def test_a_silent_client_does_not_keep_a_connection_that_has_ended() -> None:
    async with serving(Http2Limits(linger=0.05, check_interval=0.01)) as served, Client.connected(served) as silent:
        silent.send(frames.goaway(0, frames.NO_ERROR))
        await until(served.nothing_left)
        assert not silent.closed


async def test_a_client_that_pings_on_does_not_keep_a_server_that_stops() -> None:
    limits = Http2Limits(linger=0.05, check_interval=0.01, close_timeout=600)
    async with serving(limits) as served, Client.connected(served) as heedless:
        await heedless.in_step()
        stopping = asyncio.create_task(served.server.stop(600))
        async with asyncio.timeout(PATIENCE):
            while not stopping.done():
                with contextlib.suppress(ConnectionError):
                    heedless.send(ping())
                await asyncio.sleep(0.005)
        assert served.nothing_left()


async def test_a_client_that_was_silent_before_it_has_read_its_answer_reads_it_whole() -> None:
    async with serving(Http2Limits(linger=0.0, check_interval=0.01)) as served:
        served.application.answer = ANSWER
        async with Client.connected(served, greeting=WIDE + WIDE_TOGETHER, slow=True) as client:
            await client.in_step()
            client.send(headers(1), frames.goaway(0, frames.NO_ERROR))
            await until(lambda: served.requests and ended(served))
            (connection,) = served.connections()
            for _ in range(3):
                connection.check(connection.loop.time())
            await asyncio.sleep(0)
            assert not served.nothing_left()
            client.send(ping())
            assert await client.answer(1) == ANSWER
        await until(served.nothing_left)


async def test_a_client_that_does_not_end_loses_its_connection_after_a_while() -> None:
    async with serving(Http2Limits(close_timeout=0.2, linger=60)) as served, Client.connected(served) as endless:
        endless.send(frames.goaway(0, frames.NO_ERROR))
        await endless.trickle(ping())
        await until(served.nothing_left)
