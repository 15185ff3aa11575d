from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from tests.support import fake_upstream, pgbouncer, postgresql
from tests.support.postgresql import Cluster

from kiteward.domain.errors import CommitUnknown, StoreUnavailable, StoreUnreachable
from kiteward.domain.identity import Secret
from kiteward.store.driver_errors import ConnectionRefused
from kiteward.store.postgresql import session as sessions
from kiteward.store.postgresql.session import LOCKS, PRESENCE, Limits, connect, prove_sessions
from kiteward.store.postgresql.settings import PostgresqlSettings, PostgresqlTls
from kiteward.store.sql import SqlStore

LIMITS = Limits.of(5.0)


@pytest.fixture
def settings(cluster: Cluster) -> Iterator[PostgresqlSettings]:
    with cluster.database() as settings:
        yield settings


async def refused(settings: PostgresqlSettings) -> str:
    """Return the sentence with which a store cannot be opened."""
    with pytest.raises(StoreUnavailable) as refusal:
        await SqlStore.open(settings)
    start = f"the store could not be opened at `{settings}`: "
    assert str(refusal.value).startswith(start)
    assert not isinstance(refusal.value, CommitUnknown)
    return str(refusal.value).removeprefix(start)


async def refused_for_now(settings: PostgresqlSettings) -> str:
    with pytest.raises(StoreUnreachable) as refusal:
        await SqlStore.open(settings)
    return str(refusal.value).partition("`: ")[2]


async def test_session_is_set_up_against_the_defaults_of_its_role(
    cluster: Cluster, settings: PostgresqlSettings
) -> None:
    for name, value in (
        ("statement_timeout", "99s"),
        ("synchronous_commit", "off"),
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_read_only", "on"),
        ("idle_in_transaction_session_timeout", "0"),
    ):
        cluster.sql(f"ALTER DATABASE {settings.database} SET {name} = '{value}'")
    session = await connect(settings, LIMITS)
    shown = {
        name: await session.fetchval(f"SHOW {name}")
        for name in (
            "application_name",
            "statement_timeout",
            "lock_timeout",
            "idle_in_transaction_session_timeout",
            "default_transaction_isolation",
            "default_transaction_read_only",
            "synchronous_commit",
        )
    }
    await session.close()
    assert shown == {
        "application_name": "kiteward",
        "statement_timeout": "5s",
        "lock_timeout": "4s",
        "idle_in_transaction_session_timeout": "3s",
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "off",
        "synchronous_commit": "on",
    }


async def test_stronger_synchronous_commit_is_kept(cluster: Cluster, settings: PostgresqlSettings) -> None:
    cluster.sql(f"ALTER DATABASE {settings.database} SET synchronous_commit = 'remote_apply'")
    session = await connect(settings, LIMITS)
    assert await session.fetchval("SHOW synchronous_commit") == "remote_apply"
    await session.close()


async def test_reading_session_cannot_write(settings: PostgresqlSettings) -> None:
    session = await connect(settings, LIMITS, read_only=True)
    with pytest.raises(Exception, match="read-only transaction"):
        await session.execute("CREATE TABLE mine (id int)")
    await session.close()


async def test_wrong_password_is_told(settings: PostgresqlSettings) -> None:
    said = await refused(replace(settings, password=Secret("hunter2")))
    assert said == "the database rejects the user or the password"


async def test_password_of_the_environment_is_not_used(
    settings: PostgresqlSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", postgresql.PASSWORD)
    assert "rejects" in await refused(replace(settings, password=Secret("")))


async def test_database_that_does_not_exist_is_told(settings: PostgresqlSettings) -> None:
    assert await refused(replace(settings, database="absent")) == "there is no such database: create it"


async def test_server_that_is_not_there_is_told_and_may_come(settings: PostgresqlSettings) -> None:
    absent = replace(settings, hosts=(("127.0.0.1", postgresql.free_port()),))
    assert await refused_for_now(absent) == "the database cannot be reached"


async def test_host_that_is_not_there_is_passed_over(settings: PostgresqlSettings) -> None:
    absent = ("127.0.0.1", postgresql.free_port())
    await (await SqlStore.open(replace(settings, hosts=(absent, *settings.hosts)))).close()


async def test_host_that_does_not_answer_is_passed_over(settings: PostgresqlSettings) -> None:
    """A machine that is off or cut off answers nothing, also no refusal."""
    async with fake_upstream.listening(fake_upstream.silence) as silent:
        hosts = ((silent.host, silent.port), *settings.hosts)
        session = await connect(replace(settings, hosts=hosts, timeout=10.0), LIMITS)
        assert await session.fetchval("SELECT 1") == 1
        session.terminate()


async def test_of_several_refusals_the_one_is_told_that_waiting_does_not_help(settings: PostgresqlSettings) -> None:
    hosts = (("127.0.0.1", postgresql.free_port()), *settings.hosts)
    assert await refused(replace(settings, hosts=hosts, password=Secret("wrong"))) == (
        "the database rejects the user or the password"
    )


async def test_unix_socket_is_used(cluster: Cluster, settings: PostgresqlSettings) -> None:
    place = ((str(cluster.directory), cluster.port),)
    await (await SqlStore.open(replace(settings, hosts=place))).close()


async def test_server_without_a_free_connection_is_told_and_may_have_one(
    cluster: Cluster, settings: PostgresqlSettings
) -> None:
    cluster.sql(f"ALTER DATABASE {settings.database} CONNECTION LIMIT 0")
    assert "raise max_connections" in await refused_for_now(settings)


async def test_user_who_may_not_create_tables_is_told(cluster: Cluster) -> None:
    with cluster.database(options="TEMPLATE template0") as settings:
        cluster.sql(f"ALTER DATABASE {settings.database} OWNER TO {postgresql.SUPERUSER}")
        assert await refused(settings) == "the user may not do this in the database: let it own the database"


async def test_tables_of_others_are_left_alone(cluster: Cluster, settings: PostgresqlSettings) -> None:
    cluster.sql("CREATE TABLE users (id int); INSERT INTO users VALUES (7)", database=settings.database)
    assert "give Kiteward a database of its own" in await refused(settings)
    assert cluster.sql("SELECT id FROM users", database=settings.database) == "7"
    assert cluster.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=settings.database) == "1"


async def test_older_server_is_refused(settings: PostgresqlSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "OLDEST", 99)
    assert "older than PostgreSQL 13" in await refused(settings)


async def test_database_of_another_encoding_is_refused(cluster: Cluster) -> None:
    with cluster.database(options="TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'") as settings:
        assert "the encoding of the database is not UTF8" in await refused(settings)


async def test_store_opens_through_a_pooler_in_session_mode(cluster: Cluster, settings: PostgresqlSettings) -> None:
    with pgbouncer.running(cluster, "session") as port:
        store = await SqlStore.open(replace(settings, hosts=(("127.0.0.1", port),)))
        async with store.transaction() as transaction:
            await transaction.users.add("alice", "hash")
            await transaction.commit()
        assert await store.user_names() == ["alice"]
        await store.close()


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_pooler_in_another_mode_is_refused(
    cluster: Cluster, settings: PostgresqlSettings, mode: pgbouncer.PoolMode
) -> None:
    with pgbouncer.running(cluster, mode) as port:
        assert "let PgBouncer pool in session mode" in await refused(replace(settings, hosts=(("127.0.0.1", port),)))
    assert cluster.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=settings.database) == "0"


async def test_notification_that_is_not_heard_proves_a_pooler(
    cluster: Cluster, settings: PostgresqlSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a busy pooler in transaction mode: two connections happen to have sessions of their own for once."""
    add_listener = sessions.Session.add_listener

    async def lose(self: sessions.Session, channel: str, _callback: object) -> None:
        await add_listener(self, channel, lambda *_: None)

    monkeypatch.setattr(sessions.Session, "add_listener", lose)
    with pytest.raises(ConnectionRefused, match="session mode"):
        await prove_sessions(replace(settings, timeout=0.5))


async def test_database_that_is_being_moved_refuses_others(cluster: Cluster, settings: PostgresqlSettings) -> None:
    mover = await connect(settings, LIMITS, alone=True)
    assert "has the database to itself" in await refused_for_now(settings)
    mover.terminate()
    cluster.sql(f"SELECT pg_advisory_lock({LOCKS}, {PRESENCE})", database=settings.database)  # once it is gone
    await (await SqlStore.open(settings)).close()


async def test_database_in_use_is_not_taken(settings: PostgresqlSettings) -> None:
    user = await connect(settings, LIMITS, read_only=True)
    with pytest.raises(ConnectionRefused, match="stop them first"):
        await connect(settings, LIMITS, alone=True)
    await user.close()


def with_certificate(authority: trustme.CA, *names: str) -> dict[str, str]:
    """Return the settings of a server with TLS, and the files that they name as texts by name."""
    issued = authority.issue_cert(*names)
    return {
        "server.pem": b"".join(each.bytes() for each in issued.cert_chain_pems).decode(),
        "server.key": issued.private_key_pem.bytes().decode(),
    }


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secured(authority: trustme.CA) -> Iterator[Cluster]:
    """A server that accepts no connection without TLS."""

    def prepare(data: Path) -> None:
        owner = data.stat()
        for name, text in with_certificate(authority, "localhost").items():
            (data / name).write_text(text, encoding="utf-8")
            (data / name).chmod(0o600)
            postgresql.give(data / name, owner)
        (data / "pg_hba.conf").write_text(
            f"local all {postgresql.SUPERUSER} trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n", encoding="utf-8"
        )

    with postgresql.running(prepare, ssl="on", ssl_cert_file="server.pem", ssl_key_file="server.key") as cluster:
        yield cluster


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


def at(host: str, settings: PostgresqlSettings, tls: PostgresqlTls) -> PostgresqlSettings:
    return replace(settings, hosts=((host, settings.hosts[0][1]),), tls=tls)


async def test_connection_with_tls_verifies_the_server(secured: Cluster, ca: Path) -> None:
    with secured.database() as settings:
        await (await SqlStore.open(at("localhost", settings, PostgresqlTls("verify-full", ca)))).close()
        await (await SqlStore.open(at("127.0.0.1", settings, PostgresqlTls("verify-ca", ca)))).close()
        await (await SqlStore.open(at("127.0.0.1", settings, PostgresqlTls("require")))).close()


async def test_certificate_for_another_name_is_refused(secured: Cluster, ca: Path) -> None:
    with secured.database() as settings:
        said = await refused(at("127.0.0.1", settings, PostgresqlTls("verify-full", ca)))
    assert said.startswith("the certificate of the database is not accepted (IP address mismatch")


async def test_certificate_of_another_authority_is_refused(secured: Cluster) -> None:
    with secured.database() as settings:
        said = await refused(at("localhost", settings, PostgresqlTls("verify-full")))
    assert said.startswith("the certificate of the database is not accepted (")


async def test_server_that_demands_tls_says_so(secured: Cluster) -> None:
    with secured.database() as settings:
        assert "what pg_hba.conf says of it and of TLS" in await refused(settings)


async def test_server_without_tls_is_refused_where_tls_is_demanded(settings: PostgresqlSettings) -> None:
    said = await refused(replace(settings, tls=PostgresqlTls("require")))
    assert said.startswith("the database offers no TLS")


async def test_standby_is_refused_for_now() -> None:
    with postgresql.running() as primary, primary.database() as settings:
        signal = primary.directory / "data" / "standby.signal"
        with primary.stopped():
            signal.touch()
            postgresql.give(signal, signal.parent.stat())
        assert "is read-only, as a standby is" in await refused_for_now(settings)
        with primary.stopped():
            signal.unlink()
