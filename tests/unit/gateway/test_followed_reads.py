"""Who follows the audit trail is recorded once a minute, and nobody reads it without a line that says so."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, opened, own_call

from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.reader import AuditReader
from kiteward.domain.errors import AccessDenied
from kiteward.gateway.followed_reads import WINDOW, FollowedReads


def read(after: int | None, *, outcome: Outcome = Outcome.SUCCEEDED, **other: Any) -> AuditEvent:
    filters = other.pop("filters", {})
    details = filters if after is None else {**filters, "after": after}
    known = {"principal": "root", "credential": "password:1", "address": "127.0.0.1:4000", "operation": "SearchAudit"}
    return AuditEvent(Event.ADMINISTRATIVE_READ, 0.0, outcome, **{**known, "details": details, **other})


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reads(clock: Clock) -> FollowedReads:
    return FollowedReads(clock)


def test_reads_that_continue_are_recorded_once_a_minute(reads: FollowedReads, clock: Clock) -> None:
    assert not reads.continued_by(read(7), "after")
    assert reads.continued_by(read(7), "after")
    assert reads.continued_by(read(9, address="127.0.0.1:4001"), "after")
    clock.now += WINDOW
    assert not reads.continued_by(read(9), "after")
    assert reads.continued_by(read(9), "after")


@pytest.mark.parametrize(
    "other",
    [
        read(6),
        read(None),
        read(8, principal="alice"),
        read(8, credential="password:2"),
        read(8, actor="service"),
        read(8, address="10.0.0.1:4000"),
        read(8, client="another"),
        read(8, transport="rest"),
        read(8, roles=("admin",)),
        read(8, filters={"userName": "bob"}),
        read(8, outcome=Outcome.REFUSED),
        read(8, outcome=Outcome.FAILED),
    ],
    ids=str,
)
def test_any_other_read_is_recorded(reads: FollowedReads, other: AuditEvent) -> None:
    reads.continued_by(read(7), "after")
    assert not reads.continued_by(other, "after")


def test_the_earliest_place_is_that_of_a_recorded_read(reads: FollowedReads) -> None:
    reads.continued_by(read(7), "after")
    assert not reads.continued_by(read(3), "after")
    assert reads.continued_by(read(4), "after")


def test_few_readers_are_remembered(reads: FollowedReads) -> None:
    for number in range(1_001):
        assert not reads.continued_by(read(7, principal=f"user{number}"), "after")
    assert reads.continued_by(read(7, principal="user1000"), "after")
    assert not reads.continued_by(read(7, principal="user0"), "after")


@pytest.fixture
async def audited(store_path: Path, tmp_path: Path) -> AsyncIterator[GatewayHarness]:
    """Alice is no administrator; there is a trail, and nothing is recorded yet."""
    async with opened(store_path, FakeEngine()) as harness:
        harness.configure(trail=AuditReader(tmp_path / "audit"))
        await harness.user("alice")
        harness.trail.events.clear()
        yield harness


async def test_following_the_trail_adds_one_line_to_it(audited: GatewayHarness) -> None:
    for after in (5, 5, 6, 8):
        await audited.gateway.handle(own_call("SearchAudit", "root", after=after))
    (event,) = audited.trail.events
    assert (event.principal, event.operation, event.details) == ("root", "SearchAudit", {"after": 5})


async def test_every_search_and_every_refused_read_is_recorded(audited: GatewayHarness) -> None:
    for _ in range(2):
        await audited.gateway.handle(own_call("SearchAudit", "root"))
        with pytest.raises(AccessDenied):
            await audited.gateway.handle(own_call("SearchAudit", "alice", after=5))
    assert [event.principal for event in audited.trail.events] == ["root", "alice"] * 2
