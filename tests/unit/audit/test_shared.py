"""What replicas share: committed changes with their transactions, everything else once, and all of it in one chain."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.gateway import quick_directory
from tests.support.postgresql import Cluster

from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.files import ChainedFiles
from kiteward.audit.reader import AuditQuery, Entry
from kiteward.audit.shared import SharedEvents, SharedTrail, StoreExport
from kiteward.domain.errors import StoreUnavailable
from kiteward.store.audit_events import LineRange
from kiteward.store.audit_uses import AuditUses
from kiteward.store.records import Use
from kiteward.store.sql import SqlStore
from kiteward.store.transaction import Transaction

NOW = 1_795_780_800.0
DAY = 86_400.0


def change(
    name: str, outcome: Outcome = Outcome.SUCCEEDED, event: Event = Event.USER_CHANGE, **more: Any
) -> AuditEvent:
    return AuditEvent(event, NOW, outcome, name, "root", operation="DisableUser", **more)


class Replica:
    """A replica with a trail of its own."""

    def __init__(self, store: SqlStore, directory: Path, name: str, *, keep_days: int = 0) -> None:
        self.store = store
        self.directory = directory / name
        self.uptime = 0.0
        self.now = NOW
        self.files = ChainedFiles(self.directory, keep_days=0, replica=name, clock=lambda: NOW)
        self.events = SharedEvents(name, uptime=lambda: self.uptime)
        self.noted: list[tuple[Event, int]] = []
        self.keep_days = keep_days
        self.export = self.restarted()

    def restarted(self) -> StoreExport:
        def note(event: Event, lines: int) -> None:
            self.noted.append((event, lines))

        return StoreExport(
            self.store, self.directory, self.events, keep_days=self.keep_days, note=note, clock=lambda: self.now
        )

    async def commit(self, event: AuditEvent) -> int:
        async with self.store.transaction() as transaction:
            number = await self.events.append(transaction, event)
            await transaction.commit()
        return number


@pytest.fixture
async def directory() -> AsyncIterator[Path]:
    with quick_directory() as path:
        yield path


@pytest.fixture
async def store(directory: Path) -> AsyncIterator[SqlStore]:
    opened = await SqlStore.open(directory / "store.db")
    yield opened
    await opened.close()


async def stored(store: SqlStore) -> list[Entry]:
    return [entry async for entry in SharedTrail(store).every(AuditQuery())]


def names(entries: Iterable[Entry]) -> list[str]:
    return [entry["request_id"] for entry in entries if "request_id" in entry]


async def findings(store: SqlStore) -> tuple[str, ...]:
    return (await SharedTrail(store).verify()).findings


# With the transaction of the change


async def test_event_is_stored_with_its_change_or_not_at_all(store: SqlStore, directory: Path) -> None:
    replica = Replica(store, directory, "a")
    async with store.transaction() as transaction:
        await transaction.users.add("alice", "hash")
        await replica.events.append(transaction, change("undone", Outcome.COMMITTED))
    assert (await stored(store), await store.user("alice")) == ([], None)
    async with store.transaction() as transaction:
        await transaction.users.add("alice", "hash")
        number = await replica.events.append(transaction, change("done", Outcome.COMMITTED))
        await transaction.commit()
    (entry,) = await stored(store)
    assert (entry["seq"], entry["request_id"], entry["outcome"], entry["replica"]) == (number, "done", "committed", "a")
    assert await findings(store) == ()


async def test_long_change_is_stored_in_full(store: SqlStore, directory: Path) -> None:
    replica = Replica(store, directory, "a")
    roles = [f"role{number:05}" for number in range(5000)]
    number = await replica.commit(change("long", Outcome.COMMITTED, details={"roles": roles}))
    entries = await stored(store)
    assert len(entries) == number > 1
    assert [role for entry in entries for role in entry["details"]["roles"]] == roles
    assert await findings(store) == ()


# From the trails


async def test_every_line_that_is_shared_is_stored_once_whatever_is_restarted(store: SqlStore, directory: Path) -> None:
    first, second = Replica(store, directory, "a"), Replica(store, directory, "b")
    first.files.append([change("a1"), change("a1", Outcome.RECEIVED), change("read", event=Event.DATA_READ)])
    second.files.append([change("b1", Outcome.REFUSED, Event.REFUSAL), change("b2", event=Event.ADMINISTRATIVE_READ)])
    for replica in (first, second, first):
        await replica.export.run()
    first.files.append([change("a2")])
    await first.restarted().run()
    await first.export.run()
    await first.restarted().run()
    entries = await stored(store)
    assert names(entries) == ["a1", "b1", "a2"]
    assert [(entry["replica"], entry["line"]) for entry in entries] == [("a", 1), ("b", 1), ("a", 4)]
    assert await findings(store) == ()


async def test_batch_that_cannot_be_stored_is_stored_later_and_once(
    store: SqlStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = Replica(store, directory, "a")
    replica.files.append([change("a1"), change("a2")])

    def down() -> None:
        raise StoreUnavailable("no")

    with monkeypatch.context() as broken:
        broken.setattr(store, "transaction", down)
        with pytest.raises(StoreUnavailable):
            await replica.export.run()
    assert await stored(store) == []
    await replica.export.run()
    assert names(await stored(store)) == ["a1", "a2"]


async def test_commit_whose_outcome_is_not_known_stores_nothing_twice(
    store: SqlStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = Replica(store, directory, "a")
    replica.files.append([change("a1")])
    transaction = store.transaction

    @contextlib.asynccontextmanager
    async def lost_answer() -> AsyncIterator[Any]:
        async with transaction() as opened:
            yield opened
        raise StoreUnavailable("it is not known whether the change was made")

    with monkeypatch.context() as broken:
        broken.setattr(store, "transaction", lost_answer)
        with pytest.raises(StoreUnavailable):
            await replica.export.run()
    await replica.export.run()
    assert names(await stored(store)) == ["a1"]


async def test_lines_that_expired_before_they_were_stored_are_counted(store: SqlStore, directory: Path) -> None:
    replica = Replica(store, directory, "a")
    replica.files.append([change("a1")])
    await replica.export.run()
    day = [1]
    files = ChainedFiles(
        replica.directory, keep_days=1, clock=lambda: NOW + day[0] * DAY, uptime=lambda: 10**9 + day[0] * DAY
    )
    for each in range(1, 6):
        day[0] = each
        files.append([change(f"day{each}")])
    files.close()
    await replica.export.run()
    assert replica.noted[0][0] is Event.EXPORT_LOST
    kept = [entry for entry in await stored(store) if entry.get("request_id", "").startswith("day")]
    assert replica.noted[0][1] + len(kept) >= 5 > len(kept) > 0


# Reading


async def test_search_pages_through_lines_newest_first_and_filters(store: SqlStore, directory: Path) -> None:
    first, second = Replica(store, directory, "a"), Replica(store, directory, "b")
    for number in range(25):
        replica = (first, second)[number % 2]
        await replica.commit(change(f"r{number}", Outcome.COMMITTED, details={"userName": f"user_{number}%"}))
    trail = SharedTrail(store)
    found: list[str] = []
    before: int | None = None
    while True:
        page = await trail.search(AuditQuery(before=before), limit=10)
        found += names(page.entries)
        before = page.before
        if before is None:
            break
    assert found == [f"r{number}" for number in reversed(range(25))]
    assert len((await trail.search(AuditQuery(replica="b"), limit=100)).entries) == 12
    every = (await trail.search(AuditQuery(), limit=100)).entries
    middle = every[len(every) // 2]["seq"]
    newer = await trail.search(AuditQuery(after=middle), limit=3)
    assert [entry["seq"] for entry in newer.entries] == [middle + 3, middle + 2, middle + 1]
    assert (newer.before, newer.after) == (middle + 1, middle + 3)
    last = await trail.search(AuditQuery(after=every[0]["seq"] - 1), limit=3)
    assert ([entry["seq"] for entry in last.entries], last.after) == ([every[0]["seq"]], None)
    assert names((await trail.search(AuditQuery(user="user_7%"), limit=100)).entries) == ["r7"]
    assert (await trail.search(AuditQuery(until=NOW), limit=100)).entries == ()
    assert len((await trail.search(AuditQuery(since=NOW), limit=100)).entries) == 25


# Retention


async def test_lines_expire_by_time_that_has_passed_for_certain(store: SqlStore, directory: Path) -> None:
    replica = Replica(store, directory, "a", keep_days=30)
    await replica.commit(change("old"))
    replica.uptime = 10 * DAY
    await replica.commit(change("younger"))
    later = Replica(store, directory, "b", keep_days=30)
    later.uptime = 10**9
    await later.commit(change("by another"))
    await later.export.run()
    assert names(await stored(store)) == ["old", "younger", "by another"]
    later.uptime += 25 * DAY
    await later.restarted().run()
    assert names(await stored(store)) == ["younger", "by another"]
    assert later.noted == [(Event.STORED_EXPIRED, 1)]
    assert await findings(store) == ()
    assert (await store.audit_head()).first == 2


# Verifying


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        (
            "UPDATE audit_events SET line = replace(line, 'Disable', 'Enable') WHERE seq = 2",
            "line 2 was changed",
        ),
        ("DELETE FROM audit_events WHERE seq = 2", "lines 2 to 2 are missing"),
        ("DELETE FROM audit_events WHERE seq = 1", "lines 1 to 1 are missing"),
        ("DELETE FROM audit_events WHERE seq = 3", "lines 3 to 3 are missing at the end"),
    ],
)
async def test_tampering_with_the_store_is_found(
    store: SqlStore, directory: Path, statement: str, finding: str
) -> None:
    replica = Replica(store, directory, "a")
    for name in ("one", "two", "three"):
        await replica.commit(change(name, Outcome.COMMITTED))
    assert await findings(store) == ()
    with contextlib.closing(sqlite3.connect(directory / "store.db")) as connection, connection:
        connection.execute(statement)
    assert finding in "; ".join(await findings(store))


async def test_change_that_a_trail_has_and_the_store_lost_is_found(store: SqlStore, directory: Path) -> None:
    replica = Replica(store, directory, "a")
    one, two = await replica.commit(change("one")), await replica.commit(change("two"))
    replica.files.append([change("one", stored=one), change("two", stored=two)])
    trail = SharedTrail(store)
    assert await trail.differences(replica.directory) == []
    replica.files.append([change("three", stored=two), change("four", stored=99)])
    assert await trail.differences(replica.directory) == [
        "the store has no event 2 like line 3",
        "the store has no event 99 like line 4",
    ]


async def test_lines_are_read_by_their_numbers(store: SqlStore, directory: Path) -> None:
    replica = Replica(store, directory, "a")
    for name in ("one", "two", "three"):
        await replica.commit(change(name))
    assert len(await store.audit_lines(LineRange(2, 3))) == 2
    assert len(await store.audit_lines(LineRange(1, 3, ('"request_id":"two"',)))) == 1


def search(user: str, at: float = NOW, **more: Any) -> AuditEvent:
    fields = {"operation": "Search", "database": "default", "resources": ("docs",), "privilege": "Search", **more}
    return AuditEvent(Event.DATA_READ, at, Outcome.SUCCEEDED, principal=user, **{"decision": "allowed", **fields})


async def used_since(store: SqlStore, seconds: float) -> set[str]:
    found, _ = await SharedTrail(store).uses(datetime.fromtimestamp(seconds, UTC))
    return {f"{use.user} {use.privilege} {use.database}/{use.collection}" for use in found}


async def test_what_was_used_at_any_replica_is_known_at_all_of_them(store: SqlStore, directory: Path) -> None:
    one, two = Replica(store, directory, "one"), Replica(store, directory, "two")
    one.files.append([search("alice"), search("mallory", decision="refused"), change("c")])
    two.files.append([search("bob", resources=("docs", "notes")), search("carol", privilege="", decision="")])
    for each in (one, two):
        await each.export.run()
    assert await used_since(store, NOW - 1) == {
        "alice Search default/docs",
        "bob Search default/docs",
        "bob Search default/notes",
    }
    assert names(await stored(store)) == ["c"]


async def test_use_counts_until_the_end_of_its_hour_and_is_written_once_in_it(
    store: SqlStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[int, float]] = []
    add = AuditUses.add

    async def noted(self: AuditUses, used: Collection[Use], until: float) -> None:
        written.append((len(used), until))
        await add(self, used, until)

    monkeypatch.setattr(AuditUses, "add", noted)
    one = Replica(store, directory, "one")
    hour = NOW - NOW % 3600
    for at in (hour + 1, hour + 3599, hour + 3600):
        one.files.append([search("alice", at)])
        await one.export.run()
    assert written == [(1, hour + 3600), (1, hour + 7200)]
    assert await used_since(store, hour + 7199) == {"alice Search default/docs"}
    assert await used_since(store, hour + 7200) == set()


async def test_uses_are_known_from_the_start_of_the_first_replica_on(store: SqlStore, directory: Path) -> None:
    assert (await SharedTrail(store).uses(datetime.fromtimestamp(0, UTC)))[1] is None
    one, two = Replica(store, directory, "one"), Replica(store, directory, "two")
    two.now = NOW + 99
    await one.export.run()
    await two.export.run()
    begun = datetime.fromtimestamp(NOW, UTC)
    assert (await SharedTrail(store).uses(datetime.fromtimestamp(0, UTC)))[1] == begun
    later = datetime.fromtimestamp(NOW + 5, UTC)
    assert (await SharedTrail(store).uses(later))[1] == later


async def test_uses_that_were_read_before_a_failure_are_stored_by_the_next_run(
    store: SqlStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(_transaction: Transaction) -> None:
        raise StoreUnavailable("no")

    one = Replica(store, directory, "one")
    await one.export.run()
    one.files.append([search("alice")])
    with monkeypatch.context() as failing:
        failing.setattr(Transaction, "commit", refused)
        with pytest.raises(StoreUnavailable):
            await one.export.run()
    await one.export.run()
    assert await used_since(store, NOW - 1) == {"alice Search default/docs"}


async def test_name_that_no_database_can_hold_does_not_stop_what_follows(
    cluster: Cluster, migrated: str, directory: Path
) -> None:
    with cluster.database(options=migrated) as location:
        store = await SqlStore.open(location)
        one = Replica(store, directory, "one")
        unknown = search("alice")._replace(resources=("a\0b", "docs"))
        one.files.append([unknown, search("alice")._replace(database="a\0b"), change("after")])
        await one.export.run()
        assert names(await stored(store)) == ["after"]
        assert await used_since(store, NOW - 1) == {"alice Search default/docs"}
        await store.close()


@pytest.mark.parametrize(("written", "now", "left"), [(7200.0, 2 * DAY, 0), (7200.0, 0.0, 1), (0.0, 2 * DAY, 1)])
async def test_uses_older_than_removed_lines_are_removed_unless_a_clock_was_wrong(
    store: SqlStore, directory: Path, written: float, now: float, left: int
) -> None:
    one = Replica(store, directory, "one", keep_days=1)
    one.files.append([search("alice"), change("old")._replace(time=NOW + written)])
    await one.export.run()
    one.uptime += 2 * DAY
    one.now = NOW + now
    one.files.append([change("new")])
    await one.export.run()
    assert names(await stored(store)) == ["new"]
    assert len(await used_since(store, NOW - 1)) == left
    known_since = (await SharedTrail(store).uses(datetime.fromtimestamp(0, UTC)))[1]
    assert known_since == datetime.fromtimestamp(NOW + (0.0 if left else written), UTC)
