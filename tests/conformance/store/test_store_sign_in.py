"""What servers that share a store count of wrong passwords, for all of them together."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select, update
from tests.conformance.store.harness import OpenStore, Transact, adding

from kiteward.authn.shared_throttle import RULES
from kiteward.authn.throttle import FAILURES_TO_LOCK, FREE_FAILURES, LONGEST_WAIT, SOURCE_BURST
from kiteward.store import schema
from kiteward.store.base import Store
from kiteward.store.records import AttemptsHeld
from kiteward.store.sign_in_failures import digest_of
from kiteward.store.sql import SqlStore

HOME, ELSEWHERE = "10.0.0.1", "10.9.9.9"


async def begun(store: Store, user: str = "alice", source: str = HOME) -> AttemptsHeld:
    return await store.attempts.begin(user, source, RULES)


async def ended(store: Store, right: bool | None, user: str = "alice", source: str = HOME) -> int:
    return await store.attempts.end(user, source, RULES, right=right)


async def wrong(store: Store, number: int, user: str = "alice", source: str = HOME) -> None:
    """Present so many wrong passwords, one after another, without regard to waits."""
    for _ in range(number):
        assert (await begun(store, user, source)).begun
        await ended(store, False, user, source)


async def later(store: SqlStore, seconds: float) -> None:
    """Let time pass for what is counted: its clock is that of the database, which nobody sets."""
    failures = schema.sign_in_failures
    earlier = {each: each - seconds for each in (failures.c.changed_at, failures.c.wait_until)}
    async with store._writer.write_transaction() as writing:
        await writing.run(update(failures).values(earlier))
        await writing.commit()


async def rows(store: SqlStore) -> list[tuple[str, str]]:
    failures = schema.sign_in_failures.c
    (found,) = await store._reader.rows(select(failures.user_digest, failures.source))
    return [(digest, source) for digest, source in found]


async def test_after_the_free_failures_one_at_a_time_waits_and_each_wait_is_twice_the_last(store: SqlStore) -> None:
    await wrong(store, FREE_FAILURES)
    for wait in (1.0, 2.0, 4.0):
        held = await begun(store)
        assert (held.begun, wait - 0.9 < held.wait <= wait) == (False, True)
        await later(store, wait)
        assert (await begun(store)).begun
        again = await begun(store)
        assert (again.begun, again.wait) == (False, 0.0)
        await ended(store, False)
    for _ in range(12):
        await later(store, LONGEST_WAIT)
        await wrong(store, 1)
    assert LONGEST_WAIT - 1 < (await begun(store)).wait <= LONGEST_WAIT


async def test_attempts_in_progress_count_as_failures_on_all_servers(open_store: OpenStore) -> None:
    servers = [await open_store() for _ in range(3)]
    found = await asyncio.gather(*(begun(servers[number % 3]) for number in range(4 * FREE_FAILURES)))
    assert sum(each.begun for each in found) == FREE_FAILURES
    await ended(servers[1], None)
    assert [(await begun(server)).begun for server in servers] == [True, False, False]


async def test_right_password_ends_what_was_counted_of_its_user_at_its_source(store: SqlStore) -> None:
    await wrong(store, 3)
    await wrong(store, FREE_FAILURES, source=ELSEWHERE)
    assert (await begun(store)).begun
    assert await ended(store, True) == 0
    await wrong(store, FREE_FAILURES - 1)
    assert (await begun(store)).begun
    await later(store, -60.0)  # the wait is not over, however slow the machine
    assert not (await begun(store, source=ELSEWHERE)).begun
    assert await ended(store, False) == FREE_FAILURES


async def test_wrong_passwords_of_a_user_are_added_up_over_sources_and_servers(open_store: OpenStore) -> None:
    servers = [await open_store() for _ in range(2)]
    told = []
    for number in range(FAILURES_TO_LOCK + 1):
        source = f"10.1.{number}.1"
        await begun(servers[number % 2], source=source)
        told.append(await ended(servers[number % 2], False, source=source))
    assert told == list(range(1, FAILURES_TO_LOCK + 2))


async def test_source_with_many_wrong_passwords_of_any_users_waits_a_little(store: SqlStore) -> None:
    slow = replace(RULES, source_rate=0.001)
    for number in range(SOURCE_BURST + 1):
        assert (await store.attempts.begin(f"u{number}", HOME, slow)).begun
        await store.attempts.end(f"u{number}", HOME, slow, right=False)
    held = await store.attempts.begin("new", HOME, slow)
    assert (held.begun, held.wait) == (False, 0.0)
    assert held.source_failures > SOURCE_BURST - 10
    assert (await begun(store, "new", ELSEWHERE)).begun
    await later(store, 20 / 0.001)
    assert (await store.attempts.begin("new", HOME, slow)).begun


@pytest.mark.parametrize("user", ["alice", "nobody", "\ud800", "x" * 100_000, ""])
async def test_users_that_do_not_exist_are_counted_like_those_that_do(
    user: str, store: SqlStore, change: Transact
) -> None:
    await change(adding("alice"))
    await wrong(store, FREE_FAILURES, user)
    assert 0.0 < (await begun(store, user)).wait <= 1.0


async def test_change_that_forgives_forgets_the_failures_of_its_user_alone(store: SqlStore, change: Transact) -> None:
    await change(adding("alice"))
    for user in ("alice", "bob"):
        await wrong(store, FREE_FAILURES, user)
    await change(lambda t: t.users.describe("alice", "other"))
    assert not (await begun(store)).begun
    await change(lambda t: t.users.set_password("alice", "new"))
    assert not (await begun(store, "bob")).begun
    await wrong(store, FREE_FAILURES)
    await change(lambda t: t.users.lock("alice"))
    assert not (await begun(store)).begun
    await change(lambda t: t.users.unlock("alice"))
    await wrong(store, 1)
    assert await ended(store, False) == 2


async def test_failures_are_forgotten_after_a_day_and_attempts_that_nobody_ended_after_a_minute(
    store: SqlStore,
) -> None:
    for _ in range(FREE_FAILURES):
        assert (await begun(store)).begun
    assert not (await begun(store)).begun
    await later(store, RULES.lost_after + 1)
    await wrong(store, FREE_FAILURES)
    await later(store, RULES.forgotten_after + 1)
    await wrong(store, FREE_FAILURES - 1)
    assert await ended(store, False) == FREE_FAILURES


async def test_old_failures_are_removed_and_no_more_are_kept_than_the_capacity(store: SqlStore) -> None:
    await wrong(store, 1, "old")
    await later(store, RULES.forgotten_after + 1)
    await wrong(store, 1, "younger")
    await later(store, 10)
    await wrong(store, 1, "youngest")
    await store.attempts.expire(RULES)
    assert {digest for digest, _ in await rows(store)} == {digest_of("younger"), digest_of("youngest"), "*"}
    await store.attempts.expire(replace(RULES, capacity=3))
    assert {digest for digest, _ in await rows(store)} == {digest_of("youngest"), "*"}


async def test_counting_waits_for_no_transaction_and_advances_no_revision(
    store: SqlStore, request: pytest.FixtureRequest
) -> None:
    before = await store.revision()
    if "postgresql" in request.node.callspec.id:
        async with asyncio.timeout(30), store.transaction():
            await wrong(store, 2)
    await wrong(store, 2)
    assert await store.revision() == before


async def test_names_are_stored_as_digests(store: SqlStore) -> None:
    await wrong(store, 1, "a-password-in-the-wrong-field")
    assert "a-password-in-the-wrong-field" not in repr(await rows(store))
