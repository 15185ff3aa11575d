import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Executable, event, text
from tests.support import pgbouncer
from tests.support.postgresql import Cluster

from kiteward.authz.model import Grant, GrantKey, Role
from kiteward.authz.privileges import ObjectType
from kiteward.domain.errors import CommitUnknown, StoreUnavailable, StoreUnreachable
from kiteward.store import queries
from kiteward.store.connections import Rows
from kiteward.store.intent_records import Intent, IntentKind
from kiteward.store.postgresql.session import LOCKS, WRITER, Session
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.sql import SqlStore

TIMEOUT = 2.0


@pytest.fixture
def settings(cluster: Cluster, migrated: str) -> Iterator[PostgresqlSettings]:
    with cluster.database(options=migrated, timeout=TIMEOUT) as settings:
        yield settings


@pytest.fixture
async def store(settings: PostgresqlSettings) -> AsyncIterator[SqlStore]:
    store = await SqlStore.open(settings)
    yield store
    await store.close()


async def add(store: SqlStore, name: str) -> None:
    async with store.transaction() as transaction:
        await transaction.users.add(name, "hash")
        await transaction.commit()


async def eventually(condition: str, cluster: Cluster) -> None:
    """Wait until a condition in SQL holds on the server."""
    async with asyncio.timeout(20):
        while cluster.sql(f"SELECT {condition}") != "t":
            await asyncio.sleep(0.02)


def statements_of(store: SqlStore) -> list[str]:
    """Return the list to which every statement of a store is added."""
    seen: list[str] = []
    engines = store._reader._engines
    for engine in (engines.reading, engines.snapshot, engines.writing):
        event.listen(engine.sync_engine, "before_cursor_execute", lambda *each: seen.append(each[2]))
    return seen


async def test_writers_of_two_processes_run_one_after_another(store: SqlStore, settings: PostgresqlSettings) -> None:
    """Each reads how many there are and adds the next one: two that read the same would add the same."""
    other = await SqlStore.open(settings)

    async def count_up(which: SqlStore) -> None:
        for _ in range(20):
            async with which.transaction() as transaction:
                await transaction.users.add(f"user{await transaction.users.count():03}", "hash")
                await transaction.commit()

    await asyncio.gather(*(count_up(which) for which in (store, other) for _ in range(2)))
    assert await store.user_names() == [f"user{number:03}" for number in range(80)]
    assert await store.revision() == 80
    await other.close()


async def test_first_statement_of_a_transaction_takes_the_lock_of_writers(store: SqlStore) -> None:
    seen = statements_of(store)
    await add(store, "alice")
    assert seen[0] == f"SELECT pg_advisory_xact_lock({LOCKS}, {WRITER})"


async def test_writer_that_waits_for_too_long_is_told_who_it_waited_for(
    store: SqlStore, settings: PostgresqlSettings
) -> None:
    other = await SqlStore.open(replace(settings, timeout=60.0))
    async with other.transaction():
        with pytest.raises(StoreUnreachable, match="another server holds the lock of writers for too long"):
            await add(store, "alice")
    await add(store, "bob")
    assert await store.user_names() == ["bob"]
    await other.close()


async def test_writer_that_pauses_loses_its_turn_and_changes_nothing(
    store: SqlStore, settings: PostgresqlSettings
) -> None:
    """As a process that is stopped while it writes: others wait no longer than they can."""
    other = await SqlStore.open(settings)
    async with store.transaction() as transaction:
        await transaction.users.add("paused", "hash")
        await add(other, "next")
        with pytest.raises(StoreUnavailable):
            await transaction.commit()
    assert await store.user_names() == ["next"]
    await add(store, "again")
    await other.close()


async def test_statement_that_failed_leaves_nothing_to_commit(store: SqlStore) -> None:
    await add(store, "alice")
    async with store.transaction() as transaction:
        await transaction.users.add("bob", "hash")
        with pytest.raises(StoreUnavailable, match="could not be written"):
            await transaction.users.add("alice", "hash")
        with pytest.raises(StoreUnavailable, match="a statement of the transaction failed"):
            await transaction.commit()
    assert await store.user_names() == ["alice"]


async def test_values_of_a_statement_are_in_no_error_and_no_log(
    settings: PostgresqlSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("sqlalchemy.engine").setLevel(logging.NOTSET)
    store = await SqlStore.open(settings)
    await add(store, "alice")
    with pytest.raises(StoreUnavailable) as failure:
        async with store.transaction() as transaction:
            await transaction.users.add("alice", "$argon2id$topsecret")
    causes: list[str] = []
    error: BaseException | None = failure.value
    while error is not None:
        causes.append(f"{error!r} {error}")
        error = error.__cause__
    assert causes[-1] == "DriverError('UniqueViolationError (23505)') UniqueViolationError (23505)"
    assert "topsecret" not in " ".join([*causes, caplog.text])
    assert "alice" not in " ".join(causes)
    await store.close()


async def test_text_that_the_database_cannot_hold_is_refused_with_a_reason(store: SqlStore) -> None:
    with pytest.raises(StoreUnavailable, match="a text holds a character that the database cannot store"):
        await add(store, "a\0b")
    assert await store.user("a\0b") is None


async def test_several_statements_of_a_read_see_one_state(store: SqlStore, settings: PostgresqlSettings) -> None:
    other = await SqlStore.open(settings)
    engine = store._reader._engines.snapshot
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM users"))).scalar_one() == 0
        await add(other, "alice")
        assert (await connection.execute(text("SELECT count(*) FROM users"))).scalar_one() == 0
    assert await store.user_names() == ["alice"]
    await other.close()


async def test_server_that_does_not_answer_is_waited_for_until_the_timeout_and_recovers(
    store: SqlStore, cluster: Cluster
) -> None:
    await add(store, "alice")
    await asyncio.gather(*(store.user("alice") for _ in range(8)))
    with cluster.halted():
        begun = time.monotonic()
        results = await asyncio.gather(
            *(store.user("alice") for _ in range(6)), store.policy(), add(store, "bob"), return_exceptions=True
        )
        assert time.monotonic() - begun < 6 * TIMEOUT
    assert {type(each) for each in results} == {StoreUnreachable}
    assert {str(each) for each in results} <= {
        "the store could not be read: the database did not respond in time",
        "the store could not be written: the database did not respond in time",
    }
    await add(store, "carol")
    assert set(await store.user_names()) >= {"alice", "carol"}


async def test_commit_without_an_answer_is_told_as_unknown(store: SqlStore, cluster: Cluster) -> None:
    await add(store, "alice")
    async with store.transaction() as transaction:
        await transaction.users.add("bob", "hash")
        with cluster.halted(), pytest.raises(CommitUnknown, match="look before you repeat it"):
            await transaction._write_transaction.commit()
    await add(store, "carol")  # it waits for the one before it, whatever became of it
    names = await store.user_names()
    assert names in (["alice", "carol"], ["alice", "bob", "carol"])


async def test_commit_whose_connection_ends_is_told_as_unknown(store: SqlStore, cluster: Cluster) -> None:
    async with store.transaction() as transaction:
        await transaction.users.add("bob", "hash")
        with cluster.stopped(), pytest.raises(CommitUnknown):
            await transaction._write_transaction.commit()
    await add(store, "carol")
    assert await store.user_names() == ["carol"]


async def test_restarted_server_is_used_again_at_once(store: SqlStore, cluster: Cluster) -> None:
    await add(store, "alice")
    await asyncio.gather(*(store.user("alice") for _ in range(8)))
    with cluster.stopped():
        with pytest.raises(StoreUnreachable):  # a connection that was in the pool broke
            await store.user("alice")
        with pytest.raises(StoreUnreachable, match="cannot be reached"):
            await store.user("alice")
        with pytest.raises(StoreUnreachable, match="cannot be reached"):
            await add(store, "bob")
    assert all(await asyncio.gather(*(store.user("alice") for _ in range(8))))
    await add(store, "carol")


async def test_first_read_and_first_change_after_a_restart_succeed(store: SqlStore, cluster: Cluster) -> None:
    """Nothing runs here between the restart and the read, so that nobody has noticed that the connections ended."""
    await add(store, "alice")
    await asyncio.gather(*(store.user("alice") for _ in range(8)))
    with cluster.stopped():
        pass
    assert await store.user("alice") is not None
    with cluster.stopped():
        pass
    await add(store, "bob")
    assert (await store.policy()).revision == 2


async def test_read_of_several_statements_is_repeated_where_its_connection_ends(store: SqlStore) -> None:
    await add(store, "alice")
    reads = []

    def end_once(rows: list[Rows]) -> list[Executable]:
        reads.append(rows)
        return [text("SELECT pg_terminate_backend(pg_backend_pid())")] if len(reads) == 1 else []

    (names, _) = await store._reader.rows(queries.USER_NAMES, queries.REVISION, following=end_once)
    assert [name for (name,) in names] == ["alice"]
    assert len(reads) == 2


async def test_commit_that_did_not_wait_for_its_standby_is_told_as_unknown(
    settings: PostgresqlSettings, cluster: Cluster
) -> None:
    """An administrator cancels the wait: the server answers COMMIT and warns that no standby has it."""
    patient = await SqlStore.open(replace(settings, timeout=30.0))
    await add(patient, "alice")
    cluster.sql("ALTER SYSTEM SET synchronous_standby_names = 'absent'")
    cluster.sql("SELECT pg_reload_conf()")
    try:
        adding = asyncio.create_task(add(patient, "bob"))
        await eventually("EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')", cluster)
        cluster.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        with pytest.raises(CommitUnknown):
            await adding
    finally:
        cluster.sql("ALTER SYSTEM RESET synchronous_standby_names")
        cluster.sql("SELECT pg_reload_conf()")
    await add(patient, "carol")
    await patient.close()


async def test_warning_before_a_commit_does_not_make_it_unknown(store: SqlStore) -> None:
    async with store.transaction() as transaction:
        await transaction.users.add("alice", "hash")
        warn = text("DO $$ BEGIN RAISE WARNING 'of something else'; END $$")
        await transaction._write_transaction.run(warn)
        await transaction.commit()
    assert await store.user_names() == ["alice"]


async def test_cancelled_commit_is_carried_out(store: SqlStore) -> None:
    async def change() -> None:
        async with store.transaction() as transaction:
            await transaction.users.add("alice", "hash")
            committing = asyncio.current_task()
            assert committing is not None
            asyncio.get_running_loop().call_soon(committing.cancel)
            await transaction.commit()

    task = asyncio.create_task(change())
    await asyncio.wait((task,))
    assert task.cancelled()
    assert await store.user_names() in ([], ["alice"])
    await add(store, "bob")


async def test_cancellation_costs_no_connection_and_leaves_none_in_a_transaction(
    store: SqlStore, cluster: Cluster, settings: PostgresqlSettings
) -> None:
    await add(store, "first")
    await store.policy()
    opened: list[Session] = []
    for engine in (store._writer._engines.writing, store._reader._engines.reading):
        event.listen(engine.sync_engine, "connect", lambda connection, _: opened.append(connection))

    async def work() -> None:
        async with store.transaction() as transaction:
            await transaction.users.add("alice", "hash")
            await store.policy()

    for steps in range(60):
        task = asyncio.create_task(work())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
    assert len(opened) == 0
    idle = f"datname = '{settings.database}' AND state LIKE 'idle in transaction%'"
    await eventually(f"NOT EXISTS (SELECT FROM pg_stat_activity WHERE {idle})", cluster)


async def test_sign_in_and_policy_take_the_same_number_of_statements_however_much_there_is(store: SqlStore) -> None:
    async def grow(first: int, last: int) -> None:
        async with store.transaction() as transaction:
            await transaction.users.add(f"user{first}", "hash")
            for number in range(first, last):
                await transaction.roles.put(Role(f"role{number}"))
                await transaction.roles.bind(f"user{first}", f"role{number}")
                key = GrantKey(ObjectType.COLLECTION, "default", f"docs{number}", "Query")
                await transaction.grants.add([Grant(f"role{number}", key, "root")])
            await transaction.user_tags.put(f"user{first}", {f"tag{number}": "x" for number in range(first, last)})
            await transaction.commit()

    seen = statements_of(store)
    counted: list[tuple[int, int]] = []
    for first, last in ((0, 1), (1, 40)):
        await grow(first, last)
        seen.clear()
        user = await store.user(f"user{first}")
        assert user is not None
        assert len(user.roles) == last - first
        signing_in = len(seen)
        await store.policy()
        counted.append((signing_in, len(seen) - signing_in))
    assert counted == [(1, 5), (1, 5)]


async def test_numbers_of_intents_may_have_gaps(store: SqlStore) -> None:
    """PostgreSQL skips numbers after a crash and after what was rolled back."""
    numbers = []
    for committed in (True, False, True):
        async with store.transaction() as transaction:
            numbers.append(await transaction.intents.add(Intent(IntentKind.DROP_COLLECTION, "default", "docs")))
            if committed:
                await transaction.commit()
    async with store.transaction() as transaction:
        assert [each.intent_id for each in await transaction.intents.all()] == [numbers[0], numbers[2]]
    assert numbers[2] > numbers[1]


async def test_pooler_that_loses_its_server_is_told_as_a_broken_connection(
    cluster: Cluster, settings: PostgresqlSettings
) -> None:
    with pgbouncer.running(cluster, "session") as port:
        store = await SqlStore.open(replace(settings, hosts=(("127.0.0.1", port),)))
        await add(store, "alice")
        ours = f"FROM pg_stat_activity WHERE datname = '{settings.database}'"
        cluster.sql(f"SELECT pg_terminate_backend(pid) {ours}")
        await eventually(f"NOT EXISTS (SELECT {ours})", cluster)
        for _ in range(2):  # it may notice only when it is used
            try:
                await add(store, "bob")
                break
            except StoreUnavailable as error:
                assert not isinstance(error, CommitUnknown)
        assert await store.user_names() == ["alice", "bob"]
        await store.close()
