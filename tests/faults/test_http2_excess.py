"""Clients that ask for more than HTTP/2 or we allow, or hang up in the middle, harm nobody but themselves."""

import contextlib
import time

import pytest
from tests.support import http2_frames as frames
from tests.support.http2_abuse import CLOSED, QUICK, Client, data, headers, serving, until

from kiteward.net.http2.limits import Http2Limits

# More than allowed


async def test_requests_beyond_the_limit_are_refused_and_those_within_are_served() -> None:
    async with serving(Http2Limits(streams=4)) as served, Client.connected(served) as eager:
        for number in range(1, 15, 2):
            eager.send(headers(number, last=False))
        refused = [await eager.wait_for(frames.RST_STREAM) for _ in range(3)]
        assert [(frame.stream, frame.code) for frame in refused] == [
            (number, frames.REFUSED_STREAM) for number in (9, 11, 13)
        ]
        for number in (1, 3, 5, 7):
            eager.send(data(number, b"kite", last=True))
            assert await eager.answer(number) == b"ok"
        assert await eager.served(15) == b"ok"
        assert len(served.requests) == 5


async def test_refused_requests_count_as_control_frames() -> None:
    limits = Http2Limits(streams=1, control_frames=50, control_frame_rate=1)
    async with serving(limits) as served, Client.connected(served) as eager:
        for number in range(1, 401, 2):
            eager.send(headers(number, last=False))
        assert (await eager.end()).code == frames.ENHANCE_YOUR_CALM
        assert len(served.requests) == 1


async def test_bodies_of_unauthenticated_callers_hold_no_more_than_allowed() -> None:
    limits = Http2Limits(stall=20)
    async with serving(limits) as served, Client.connected(served) as stranger:
        for number in range(1, 61, 2):
            stranger.send(headers(number, "/held", last=False), data(number, bytes(12_000)))
        assert (await stranger.end()).code == frames.FLOW_CONTROL_ERROR
        assert sum(len(request.body) for request in served.requests) <= limits.unauthenticated
        assert all(request.gone for request in served.requests)


async def test_whole_bodies_of_unauthenticated_callers_hold_no_more_than_allowed() -> None:
    limits = Http2Limits(stall=20)
    async with serving(limits) as served, Client.connected(served) as stranger:
        for number in range(1, 101, 2):
            stranger.send(headers(number, "/held", last=False), data(number, bytes(12_000), last=True))
        with contextlib.suppress(AssertionError):  # closed, for all we mind
            await stranger.in_step()
        assert sum(len(request.body) for request in served.requests) <= limits.unauthenticated


async def test_one_stream_takes_no_more_than_its_window_before_it_is_accepted() -> None:
    async with serving(QUICK) as served, Client.connected(served) as stranger:
        stranger.send(headers(1, "/held", last=False), *[data(1, bytes(16_000))] * 5)
        assert (await stranger.end()).code == frames.FLOW_CONTROL_ERROR
        assert len(served.requests[0].body) <= frames.DEFAULT_WINDOW
        assert served.requests[0].gone


async def test_what_unauthenticated_callers_held_comes_back_when_their_requests_end() -> None:
    limits = Http2Limits(control_frames=10_000)
    async with serving(limits) as served, Client.connected(served) as stranger:
        for number in range(1, 401, 2):
            stranger.send(headers(number, "/held", last=False), data(number, bytes(12_000)))
            stranger.send(frames.reset(number, frames.CANCEL))
            await stranger.in_step()
        assert len(served.requests) == 200
        assert all(request.gone for request in served.requests)


async def test_an_authenticated_caller_may_send_as_much_as_was_said() -> None:
    async with serving(Http2Limits()) as served, Client.connected(served) as known:
        known.send(headers(1, "/known", last=False))
        await known.wait_for(frames.WINDOW_UPDATE, 1)
        for _ in range(200):
            known.send(data(1, bytes(16_000)))
            await known.in_step()
        known.send(data(1, b"", last=True))
        assert await known.answer(1) == b"ok"
        assert len(served.requests[0].body) == 3_200_000


# Absurd numbers


@pytest.mark.parametrize(
    ("absurd", "code"),
    [
        (frames.settings({frames.INITIAL_WINDOW_SIZE: 2**31}), frames.FLOW_CONTROL_ERROR),
        (frames.settings({frames.MAX_FRAME_SIZE: 2**14 - 1}), frames.PROTOCOL_ERROR),
        (frames.settings({frames.MAX_FRAME_SIZE: 2**24}), frames.PROTOCOL_ERROR),
        (frames.settings({frames.ENABLE_PUSH: 2}), frames.PROTOCOL_ERROR),
        (frames.frame(frames.SETTINGS, 0, 0, bytes(7)), frames.FRAME_SIZE_ERROR),
        (frames.frame(frames.SETTINGS, frames.ACK, 0, bytes(6)), frames.FRAME_SIZE_ERROR),
        (frames.frame(frames.SETTINGS, 0, 1, b""), frames.PROTOCOL_ERROR),
        (frames.window_update(0, frames.LARGEST_WINDOW), frames.FLOW_CONTROL_ERROR),
        (frames.window_update(0, 0), frames.PROTOCOL_ERROR),
        (frames.window_update(99, 1), frames.PROTOCOL_ERROR),
        (frames.window_update(1, 0), frames.PROTOCOL_ERROR),
        (frames.window_update(1, frames.LARGEST_WINDOW), frames.FLOW_CONTROL_ERROR),
        (frames.head(16_385, frames.DATA, 0, 1), frames.FRAME_SIZE_ERROR),
        (frames.head(frames.LARGEST_FRAME, 0xEE, 0, 0), frames.FRAME_SIZE_ERROR),
    ],
)
async def test_absurd_numbers_end_the_connection(absurd: bytes, code: int) -> None:
    async with serving(QUICK) as served, Client.connected(served) as client:
        client.send(headers(1, "/held"), absurd)
        assert (await client.end()).code == code
        await until(lambda: served.requests[0].gone)


async def test_a_window_that_overflows_by_a_new_setting_ends_the_connection() -> None:
    async with serving(QUICK) as served, Client.connected(served) as client:
        client.send(headers(1, "/held"), frames.window_update(1, 2**31 - 1 - frames.DEFAULT_WINDOW))
        client.send(frames.settings({frames.INITIAL_WINDOW_SIZE: frames.DEFAULT_WINDOW + 1}))
        assert (await client.end()).code == frames.FLOW_CONTROL_ERROR
        await until(served.nothing_left)


async def test_settings_that_nobody_knows_and_tables_without_end_change_nothing() -> None:
    greeting = frames.settings(
        {
            frames.HEADER_TABLE_SIZE: 2**32 - 1,
            frames.MAX_CONCURRENT_STREAMS: 0,
            frames.MAX_HEADER_LIST_SIZE: 0,
            0xFFFF: 7,
        }
    )
    async with serving(QUICK) as served, Client.connected(served, greeting=greeting) as client:
        assert await client.served(1) == b"ok"


async def test_a_window_that_is_owed_is_paid_before_anything_is_sent() -> None:
    async with serving(QUICK) as served, Client.connected(served, greeting=CLOSED) as client:
        served.application.answer = bytes(1_000)
        client.send(headers(1), frames.window_update(1, 400))
        assert len((await client.wait_for(frames.DATA, 1)).payload) == 400
        client.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 100}))
        assert len((await client.wait_for(frames.DATA, 1)).payload) == 100
        client.send(CLOSED, frames.window_update(1, 100), frames.window_update(1, 50))
        assert len((await client.wait_for(frames.DATA, 1)).payload) == 50


async def test_a_frame_full_of_settings_ends_the_connection() -> None:
    """Each of them would move the windows of all streams."""
    absurd = frames.frame(frames.SETTINGS, 0, 0, frames.SETTING.pack(frames.INITIAL_WINDOW_SIZE, 1_000) * 2_700)
    async with serving(Http2Limits(stall=20)) as served, Client.connected(served) as client:
        client.send(headers(1, "/held", last=False), absurd)
        assert (await client.end()).code == frames.ENHANCE_YOUR_CALM
        await until(lambda: served.requests[0].gone)


async def test_small_windows_take_no_more_time_when_many_answers_wait() -> None:
    async def seconds(waiting: int) -> float:
        limits = Http2Limits(stall=20, control_frames=10_000)
        async with serving(limits) as served, Client.connected(served, greeting=CLOSED) as client:
            client.send(*(headers(number) for number in range(1, 2 * waiting, 2)))
            await client.in_step()
            before = time.process_time()
            client.send(frames.window_update(0, 1) * 2_000)
            await client.in_step()
            assert len(served.requests) == waiting
            return time.process_time() - before

    few = min([await seconds(1) for _ in range(3)])
    many = min([await seconds(1_000) for _ in range(3)])
    assert many < 10 * few


# Hanging up


async def test_a_client_that_hangs_up_leaves_nothing_behind() -> None:
    async with serving(QUICK) as served:
        async with Client.connected(served) as client:
            client.send(headers(1, "/held"), headers(3, "/held", last=False), data(3, b"half"))
            await client.in_step()
            await client.break_off()
        await until(served.nothing_left)
        assert len(served.requests) == 2
        assert all(request.gone for request in served.requests)


async def test_a_client_that_says_nothing_more_leaves_nothing_behind() -> None:
    async with serving(QUICK) as served, Client.connected(served) as client:
        client.send(headers(1, "/held"))
        await client.in_step()
        await client.half_close()
        await until(served.nothing_left)
        assert served.requests[0].gone


async def test_a_client_that_says_it_goes_is_let_go_once_it_is_answered() -> None:
    async with serving(QUICK) as served, Client.connected(served) as client:
        client.send(headers(1, last=False))
        client.send(frames.goaway(0, frames.NO_ERROR), data(1, b"", last=True))
        assert await client.answer(1) == b"ok"
        await client.until_closed()
        await until(served.nothing_left)


async def test_a_hundred_clients_that_hang_up_at_once_leave_nothing_behind() -> None:
    async with serving(QUICK) as served:
        for _ in range(100):
            async with Client.connected(served) as client:
                client.send(headers(1, "/held", last=False), data(1, b"half"))
                await client.break_off()
        await until(served.nothing_left)
        assert all(request.gone for request in served.requests)
        async with Client.connected(served) as other:
            assert await other.served(1) == b"ok"


async def test_a_request_without_the_body_that_it_announced_is_refused_alone() -> None:
    async with serving(QUICK) as served, Client.connected(served) as client:
        client.send(headers(1, "/", ("content-length", "5")))
        assert (await client.wait_for(frames.RST_STREAM, 1)).code == frames.PROTOCOL_ERROR
        assert await client.served(3) == b"ok"
        await until(lambda: len(served.requests) == 1)


async def test_an_application_that_breaks_at_a_request_breaks_no_other() -> None:
    async with serving(QUICK) as served, Client.connected(served) as unlucky:
        await unlucky.in_step()
        unlucky.send(headers(1, "/broken"), headers(3))
        assert (await unlucky.wait_for(frames.RST_STREAM, 1)).code == frames.INTERNAL_ERROR
        assert await unlucky.answer(3) == b"ok"
