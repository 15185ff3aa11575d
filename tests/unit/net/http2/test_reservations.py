"""Bytes that the server holds for a connection are reserved in the budget, and released afterwards."""

import hpack
import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, RstStreamFrame
from tests.support import http2_frames as frames
from tests.support.http2 import REQUEST as HEAD
from tests.support.http2 import Asked, Clock, Link, data, headers

from kiteward.net.budget import INCLUDED, REQUEST, Budget, ByteLimits
from kiteward.net.http2.limits import Http2Limits


def narrow(room: int) -> Budget:
    return Budget(ByteLimits(unauthenticated_address=room))


async def test_a_request_is_held_with_its_head_and_body_until_it_is_answered() -> None:
    budget = Budget()
    link = Link(budget=budget)
    before = budget.unauthenticated.held
    link.send(headers(1), data(1, bytes(5_000), end=True))
    assert budget.unauthenticated.held - before == REQUEST + link.asked[0].head.size + 5_000 - INCLUDED
    link.asked[0].answer()
    link.answers()
    assert budget.unauthenticated.held == before


def authenticated(budget: Budget | None = None) -> Link:
    """Return a connection on which a caller was authenticated, by a request that was answered."""
    link = Link(budget=budget)
    link.send(headers(1, end=True))
    link.asked[0].stream.admit(0)
    link.asked[0].answer()
    link.answers()
    link.asked.clear()
    return link


def long_head(size: int) -> list[tuple[str, str]]:
    """Return a head with a credential of so many characters."""
    return [*HEAD, ("authorization", "y" * size)]


def long_request(stream: int, size: int) -> bytes:
    """Return a request with a credential of so many characters, in as many frames as it takes."""
    block = frames.encoded(long_head(size))
    parts = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
    kinds = [frames.HEADERS, *(len(parts) - 1) * [frames.CONTINUATION]]
    ends = [*(len(parts) - 1) * [0], frames.END_HEADERS]
    return b"".join(
        frames.frame(kind, end | (frames.END_STREAM if kind == frames.HEADERS else 0), stream, part)
        for kind, end, part in zip(kinds, ends, parts, strict=True)
    )


async def test_only_one_head_of_a_connection_is_kept_however_long_it_may_be() -> None:
    budget = Budget()
    link = authenticated(budget)
    before = budget.unauthenticated.held
    for number in range(3, 43, 4):
        link.send(headers(number, [*HEAD, ("x", "y" * number)], end=True))
        link.send(long_request(number + 2, 30_000))
        link.asked[-2].answer()
        link.asked[-1].answer()
        link.answers()
    assert budget.unauthenticated.held == before
    assert budget.authenticated.held == 2 * link.asked[1].head.size > 60_000
    link.connection.connection_lost(None)
    assert budget.authenticated.held == 0


async def test_no_head_is_kept_of_a_connection_without_an_authenticated_caller_or_that_is_too_large() -> None:
    for link, size in ((Link(budget=Budget()), 100), (authenticated(Budget()), 40_800)):
        link.send(long_request(3, size))
        link.asked[0].head.kept = "what the application made of it"
        link.send(long_request(5, size))
        assert [asked.head.too_large for asked in link.asked] == 2 * [size > 40_000]
        assert link.asked[1].head.kept is None
        assert link.application.budget.authenticated.held == 0


async def test_a_head_for_which_there_is_no_room_is_served_and_not_kept() -> None:
    budget = Budget(ByteLimits(address=50_000))
    link = authenticated(budget)
    for number in (3, 5):
        link.send(long_request(number, 30_000))
    assert [asked.head.too_large for asked in link.asked] == [False, False]
    assert link.asked[0].head is not link.asked[1].head
    assert budget.authenticated.held == 0


@pytest.mark.parametrize("size", [10, 22_000, 39_000])
async def test_a_request_with_the_head_of_the_one_before_gets_what_was_kept_with_it(size: int) -> None:
    link = authenticated()
    link.send(long_request(3, size))
    link.asked[0].head.kept = "what the application made of it"
    link.send(long_request(5, size), long_request(7, size - 1), long_request(9, size))
    assert [asked.head.kept for asked in link.asked[1:]] == ["what the application made of it", None, None]


async def test_a_request_with_another_head_gets_while_it_begins_what_was_kept_of_the_one_before() -> None:
    link = authenticated()
    seen: list[object] = []

    def begin(asked: Asked) -> None:
        seen.append(asked.head.before)
        asked.head.kept = len(seen)

    link.application.at_once = begin
    link.send(headers(3, end=True), headers(5, [*HEAD, ("a", "b")], end=True), headers(7, end=True))
    assert seen == [None, 1, 2]
    assert [asked.head.before for asked in link.asked] == [None, None, None]


async def test_an_authenticated_caller_no_longer_counts_as_unauthenticated_with_the_body() -> None:
    budget = Budget()
    link = Link(budget=budget)
    link.send(headers(1), data(1, bytes(5_000)))
    before = budget.unauthenticated.held
    link.asked[0].stream.admit(100_000)
    assert budget.unauthenticated.held == before - (5_000 - INCLUDED)
    link.send(data(1, bytes(5_000)))
    assert budget.unauthenticated.held == before - (5_000 - INCLUDED)


async def test_requests_beyond_the_budget_are_refused_so_that_they_may_be_tried_again() -> None:
    link = Link(budget=narrow(3 * REQUEST))
    for number in (1, 3, 5):
        link.send(headers(number, end=True))
    assert link.codes(RstStreamFrame) == [(5, frames.REFUSED_STREAM)]
    assert len(link.asked) == 2
    link.asked[0].answer()
    link.answers()
    link.send(headers(7, end=True))
    assert len(link.asked) == 3


async def test_bodies_beyond_the_budget_are_refused() -> None:
    link = Link(budget=narrow(3 * REQUEST))
    link.send(headers(1), data(1, bytes(10_000)), headers(3), data(3, bytes(10_000)))
    assert link.codes(RstStreamFrame) == [(3, frames.ENHANCE_YOUR_CALM)]
    assert link.asked[1].gone == 1
    assert link.asked[0].gone == 0


async def test_heads_by_reference_count_with_the_bytes_that_they_stand_for() -> None:
    budget = Budget()
    link = Link(budget=budget)
    encoder = hpack.Encoder()
    fields = [*HEAD, ("x", "y" * 3_000)]
    for number in range(1, 21, 2):
        block = encoder.encode(fields)
        link.send(frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, number, block))
    assert len(block) < 100
    assert budget.unauthenticated.held >= 10 * (REQUEST + 3_000)


@pytest.mark.parametrize("held", [frames.frame(frames.HEADERS, 0, 1, bytes(15_000)), data(1, bytes(15_000))[:14_000]])
async def test_frames_and_heads_that_do_not_end_are_held_too(held: bytes) -> None:
    budget = narrow(14_500)
    first, second = Link(budget=budget), Link(budget=budget)
    first.send(held[:13_000])
    assert budget.unauthenticated.held >= 13_000
    second.send(held[:13_000])
    assert second.codes(GoAwayFrame) == [(0, frames.ENHANCE_YOUR_CALM)]
    first.connection.connection_lost(None)
    second.connection.connection_lost(None)
    assert budget.unauthenticated.held == 0


async def test_connections_of_one_address_share_what_it_may_hold() -> None:
    budget = narrow(3 * REQUEST)
    first, second = Link(budget=budget), Link(budget=budget)
    first.send(headers(1, end=True), headers(3, end=True))
    second.send(headers(1, end=True))
    assert second.codes(RstStreamFrame) == [(1, frames.REFUSED_STREAM)]
    first.connection.connection_lost(None)
    second.send(headers(3, end=True))
    assert len(second.asked) == 1


async def test_an_answer_that_the_client_does_not_take_is_held_until_it_is() -> None:
    budget = Budget()
    link = Link(budget=budget)
    link.send(headers(1, end=True))
    link.asked[0].answer(bytes(100_000))
    assert budget.authenticated.held == 100_000 - frames.DEFAULT_WINDOW
    link.send(frames.window_update(0, 100_000), frames.window_update(1, 100_000))
    assert sum(len(frame.data) for frame in link.answers() if isinstance(frame, DataFrame)) == 100_000
    assert budget.authenticated.held == 0


async def test_an_answer_for_which_there_is_no_room_to_wait_is_given_up() -> None:
    budget = Budget(ByteLimits(address=50_000))
    link = Link(budget=budget)
    link.send(headers(1, end=True), headers(3, end=True))
    link.asked[0].answer(bytes(100_000))
    link.asked[1].answer(bytes(100_000))
    assert link.codes(RstStreamFrame) == [(3, frames.ENHANCE_YOUR_CALM)]
    link.connection.connection_lost(None)
    assert budget.authenticated.held == 0


async def test_a_body_lasts_no_longer_than_allowed_however_steady_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    link = Link(Http2Limits(longest=100))
    link.send(headers(1))
    link.asked[0].stream.admit(10_000_000)
    for _ in range(10):
        link.send(data(1, bytes(16_000)))
        clock.forward(10, link)
    assert link.asked[0].gone == 0
    clock.forward(1, link)
    assert link.asked[0].gone == 1
