"""What the doctor reports about settings and of a data directory."""

import asyncio
import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.postgresql import PASSWORD, USER, Cluster

from kiteward.authn.hashing import TESTING, PasswordHasher
from kiteward.authz.model import Role
from kiteward.authz.row_policies import PolicyType, RowAction, RowPolicy
from kiteward.bootstrap import store_review
from kiteward.bootstrap.review import Review
from kiteward.cli.main import main
from kiteward.config.keys import KEYS
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import ROOT, Secret
from kiteward.engine.confinement import Confinement, available
from kiteward.engine.upstream import RemoteEngineSettings
from kiteward.store.data_directory import UNFINISHED
from kiteward.store.factor_records import FactorRecord
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.records import NO_PASSWORD
from kiteward.store.sql import SqlStore


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KITEWARD_ROOT_PASSWORD", "Canary-Canary-1")


def diagnosis(capsys: pytest.CaptureFixture[str], text: str = "", *arguments: str) -> tuple[int, str]:
    Path("milvus.yaml").write_text(text, "utf-8")
    status = main(["doctor", "--config", "milvus.yaml", *arguments])
    shown = capsys.readouterr().out
    assert "Canary" not in shown
    return status, shown


async def store_with(password: str) -> None:
    store, hasher = await SqlStore.open("data/store.db"), PasswordHasher(TESTING)
    try:
        async with store.transaction() as transaction:
            await transaction.users.add(ROOT, await hasher.hash(Secret(password)))
            await transaction.commit()
    finally:
        hasher.close()
        await store.close()


def test_safe_start_is_well_and_every_setting_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = diagnosis(capsys, "proxy: {maxUserNum: 7}", "--port", "5")
    assert status == 0
    for key in KEYS:
        assert f"{key.name} = " in shown
    assert "common.security.defaultRootPassword = set  (KITEWARD_ROOT_PASSWORD)" in shown
    assert "proxy.maxUserNum = 7  (milvus.yaml: proxy.maxUserNum)" in shown
    assert "proxy.port = 5  (command line)" in shown


def test_settings_and_findings_are_json_where_that_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = diagnosis(capsys, "kiteward: {passwordPolicy: legacy}", "--json", "--port", "5")
    found = json.loads(shown)
    settings = {each["key"]: (each["value"], each["origin"]) for each in found["settings"]}
    assert (status, settings.keys() >= {key.name for key in KEYS}) == (1, True)
    assert settings["proxy.port"] == ("5", "command line")
    assert settings["kiteward.passwordPolicy"] == ("legacy", "milvus.yaml: kiteward.passwordPolicy")
    kinds = [each["kind"] for each in found["findings"]]
    assert kinds == sorted(kinds, key=["note", "fault", "unsafe"].index)
    (unsafe,) = (each["text"] for each in found["findings"] if each["kind"] == "unsafe")
    assert unsafe.startswith("kiteward.passwordPolicy is legacy")
    status, shown = diagnosis(capsys, "kiteward: {host: [", "--json")
    (fault,) = json.loads(shown)["findings"]
    assert (status, fault["kind"]) == (1, "configuration error")


def test_what_confines_the_engine_is_reported_and_what_does_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"note: confinement of the engine's process: {available()}" in diagnosis(capsys)[1]
    hook = ("an audit hook of Python",)
    monkeypatch.setattr("kiteward.cli.doctor.available", lambda: Confinement(hook, hook))
    status, shown = diagnosis(capsys)
    assert status == 0
    assert "native code of the engine can access the network" in shown
    assert "native code of the engine can access files outside its directories" in shown


def test_remote_engine_is_reviewed_instead_of_the_embedded_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reviewed: list[RemoteEngineSettings] = []

    async def review(settings: RemoteEngineSettings) -> Review:
        reviewed.append(settings)
        return Review(("it is Milvus",), ("it lacks Insert",), ("it accepts everybody",))

    monkeypatch.setattr("kiteward.bootstrap.engine_review.review_engine", review)
    monkeypatch.setenv("KITEWARD_ENGINE_PASSWORD", "Canary-Canary-2")
    Path("data/engine/collections").mkdir(parents=True)
    status, shown = diagnosis(
        capsys, "kiteward: {engine: {user: kiteward, syncMode: none}}", "--engine", "grpc://milvus"
    )
    assert status == 1
    assert [str(settings.address) for settings in reviewed] == ["grpc://milvus:19530"]
    for line in (
        "kiteward.engine.address = grpc://milvus  (command line)",
        "kiteward.engine.password = set  (KITEWARD_ENGINE_PASSWORD)",
        "note: it is Milvus",
        "fault: it lacks Insert",
        "unsafe: it accepts everybody",
        "note: data/engine holds data of the embedded engine, which are not served with a remote one",
    ):
        assert line in shown.splitlines()
    assert "syncMode is none" not in shown
    assert "confinement" not in shown


def test_fault_alone_is_a_status_of_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def review(_settings: RemoteEngineSettings) -> Review:
        raise ConfigurationError("kiteward.engine.tls.ca cannot be used")

    monkeypatch.setattr("kiteward.bootstrap.engine_review.review_engine", review)
    status, shown = diagnosis(capsys, "", "--engine", "grpcs://milvus")
    assert status == 1
    assert "fault: kiteward.engine.tls.ca cannot be used" in shown
    assert shown.splitlines()[-1] == "1 fault"
    monkeypatch.delenv("KITEWARD_ROOT_PASSWORD")
    _, shown = diagnosis(capsys, "", "--engine", "grpcs://milvus")
    assert shown.splitlines()[-1] == "1 fault, 1 unsafe"


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("common: {security: {authorizationEnabled: false}}", "authorizationEnabled is false"),
        ("kiteward: {host: 0.0.0.0}", "without TLS"),
        ("kiteward: {metrics: {host: 0.0.0.0}}", "kiteward.metrics.host"),
        ("kiteward: {engine: {syncMode: none}}", "syncMode is none"),
        ("common: {security: {enablePublicPrivilege: true}}", "enablePublicPrivilege is true"),
        ("kiteward: {passwordPolicy: legacy}", "passwordPolicy is legacy"),
        ("kiteward: {rest: {corsOrigins: '*'}}", "corsOrigins has *"),
        ("kiteward: {allowedHosts: '*'}", "allowedHosts has *"),
        ("kiteward: {console: {localSignIn: nobody}}", "nobody can sign in to the console"),
    ],
)
def test_each_unsafe_setting_is_found(capsys: pytest.CaptureFixture[str], text: str, finding: str) -> None:
    status, shown = diagnosis(capsys, text)
    assert status == 1
    assert finding in shown
    assert shown.endswith("1 unsafe\n")


@pytest.mark.parametrize("text", ["kiteward: {host: 0.0.0.0}", "kiteward: {metrics: {host: 0.0.0.0}}"])
def test_server_that_others_reach_by_no_name_is_reported(capsys: pytest.CaptureFixture[str], text: str) -> None:
    note = "note: kiteward.allowedHosts is empty"
    assert note in diagnosis(capsys, text)[1]
    assert note not in diagnosis(capsys, text.replace("{h", "{allowedHosts: kiteward.example, h", 1))[1]
    assert note not in diagnosis(capsys)[1]


def test_values_are_shown_as_they_are_written_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    _, shown = diagnosis(capsys, "kiteward: {allowedHosts: [a.example, b.example], audit: {enabled: true}}")
    assert "kiteward.allowedHosts = a.example, b.example  (" in shown
    assert "kiteward.audit.enabled = true  (" in shown
    assert "kiteward.metrics.port = 9091  (default)" in shown
    assert not re.search(r"= (True|False|None|\[|-1)", shown)


def test_damaged_store_is_distinguished_from_one_that_others_own(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data").mkdir(mode=0o700)
    store = Path("data/store.db")
    store.write_bytes(b"this is no database " * 500)
    status, shown = diagnosis(capsys)
    assert (status, f"opened at `{store}`: the file is damaged, restore a backup" in shown) == (1, True)
    assert "run as its owner" not in shown


def test_store_of_a_newer_version_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data").mkdir(mode=0o700)
    asyncio.run(store_with("Another-1"))
    with contextlib.closing(sqlite3.connect("data/store.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from_tomorrow'")
    status, shown = diagnosis(capsys)
    assert (status, "written by a newer version of Kiteward" in shown) == (1, True)
    assert "run as its owner" not in shown


def test_files_that_cannot_be_read_are_distinguished_from_a_damaged_store(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("data").mkdir(mode=0o700)
    asyncio.run(store_with("Another-1"))

    def denied(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("shutil.copyfile", denied)
    assert "run as its owner" in diagnosis(capsys)[1]


def test_configuration_error_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = diagnosis(capsys, "kiteward: {hots: x}")
    assert status == 1
    assert "unknown key kiteward.hots" in shown


def test_default_password_of_the_first_start_is_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KITEWARD_ROOT_PASSWORD")
    status, shown = diagnosis(capsys)
    assert status == 1
    assert "at the first start" in shown
    assert not Path("data").exists()


def test_a_data_directory_that_is_not_there_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = diagnosis(capsys, "", "--data-dir", "mistyped")
    assert status == 0
    assert "note: there is no data directory mistyped: the first start creates it" in shown


def test_a_restore_that_was_interrupted_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data").mkdir()
    (Path("data") / UNFINISHED).mkdir()
    status, shown = diagnosis(capsys)
    assert status == 1
    assert "fault: a restore into `data` is running or was interrupted: wait for it, or empty the directory" in shown
    assert "root will have the default password" not in shown


def test_default_password_in_the_store_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data").mkdir(mode=0o700)
    asyncio.run(store_with("Milvus"))
    assert "root still has the default password" in diagnosis(capsys)[1]


async def administrators(second_factor_of: str) -> None:
    store = await SqlStore.open("data/store.db")
    async with store.transaction() as transaction:
        await transaction.roles.put(Role("admin"))
        for name in ("boss", "chief", "former", "reader"):
            await transaction.users.add(name, "no hash")
            if name != "reader":
                await transaction.roles.bind(name, "admin")
        await transaction.users.enable("former", False)
        await transaction.users.add("idp_boss", NO_PASSWORD)
        await transaction.roles.bind("idp_boss", "admin")
        await transaction.factors.add(FactorRecord("f", second_factor_of, "passkey", "", 1.0, confirmed_at=1.0))
        await transaction.commit()
    await store.close()


def test_administrators_without_the_second_factor_that_they_must_have_are_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("data").mkdir(mode=0o700)
    asyncio.run(store_with("Another-Password-1"))
    asyncio.run(administrators(second_factor_of="chief"))
    for rule, found in (("off", []), ("administrators", ["boss", "root"]), ("everyone", ["boss", "root"])):
        shown = diagnosis(capsys, f"kiteward: {{console: {{secondFactor: {rule}}}}}")[1]
        assert re.findall(r"unsafe: (\w+) is an administrator without a second factor", shown) == found


def test_a_first_password_that_the_policy_refuses_is_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KITEWARD_ROOT_PASSWORD", "abc")
    status, shown = diagnosis(capsys)
    assert status == 1
    assert "the password policy standard rejects the first password of root" in shown
    Path("data").mkdir(mode=0o700)
    asyncio.run(store_with("abc"))
    assert "root still has its first password, which the password policy standard rejects" in diagnosis(capsys)[1]


def test_store_with_another_password_is_well_and_its_directory_must_be_private(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("data").mkdir(mode=0o700)
    asyncio.run(store_with("Another-1"))
    assert diagnosis(capsys)[0] == 0
    Path("data").chmod(0o755)
    status, shown = diagnosis(capsys)
    assert status == 1
    assert "is open to other users" in shown


async def store_with_row_policies() -> None:
    await store_with("A-safe-password-1")
    store = await SqlStore.open("data/store.db")
    try:
        async with store.transaction() as transaction:
            for name, enabled, expression in (("on", True, "a == ("), ("off", False, "a == 1")):
                policy = RowPolicy(
                    "p", PolicyType.PERMISSIVE, actions=frozenset({RowAction.QUERY}), using_expr=expression
                )
                await transaction.row_policies.put("default", name, policy)
                await transaction.row_policies.protect("default", name, enabled=enabled, force=False)
            await transaction.commit()
    finally:
        await store.close()


@pytest.mark.parametrize("shared", [False, True])
def test_row_policies_that_do_not_protect_as_they_seem_to_are_noted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    Path("data").mkdir(mode=0o700)
    asyncio.run(store_with_row_policies())

    async def review(_: RemoteEngineSettings) -> Review:
        return Review()

    monkeypatch.setattr("kiteward.bootstrap.engine_review.review_engine", review)
    monkeypatch.setenv("KITEWARD_ENGINE_PASSWORD", "Canary-Canary-2")
    text = "kiteward: {engine: {address: 'grpc://127.0.0.1:1', user: kiteward}}" if shared else ""
    _, shown = diagnosis(capsys, text)
    assert "note: the row policy p of default.on allows nothing: " in shown
    assert "note: the row policies of default.off are not enforced: set its property rls.enabled to true" in shown
    assert ("note: the row policies of default.on hold only for what is sent through Kiteward" in shown) is shared


@pytest.fixture
def database(cluster: Cluster) -> Iterator[PostgresqlSettings]:
    with cluster.database() as settings:
        yield settings


def stored_in(settings: PostgresqlSettings, cluster: Cluster, parameters: str = "", password: str = PASSWORD) -> str:
    """Return the configuration of a store in a database of the tests."""
    return json.dumps(
        {"kiteward": {"store": {"url": cluster.url(settings.database, parameters), "password": password}}}
    )


async def fill(settings: PostgresqlSettings, password: str) -> None:
    store, hasher = await SqlStore.open(settings), PasswordHasher(TESTING)
    try:
        async with store.transaction() as transaction:
            await transaction.roles.put(Role("admin"))
            await transaction.users.add(ROOT, await hasher.hash(Secret(password)))
            await transaction.row_policies.protect("default", "docs", enabled=False, force=False)
            policy = RowPolicy("own", PolicyType.PERMISSIVE, actions=frozenset({RowAction.QUERY}), using_expr="id == 1")
            await transaction.row_policies.put("default", "docs", policy)
            await transaction.commit()
    finally:
        hasher.close()
        await store.close()


def test_empty_database_is_reported_and_left_empty(
    capsys: pytest.CaptureFixture[str], cluster: Cluster, database: PostgresqlSettings
) -> None:
    _, shown = diagnosis(capsys, stored_in(database, cluster))
    assert "note: the store is in PostgreSQL 15" in shown
    assert "note: the tables of the store do not exist yet" in shown
    assert "unsafe: fsync is off in the database" in shown
    assert "kiteward.store.password = set" in shown
    assert PASSWORD not in shown
    assert cluster.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=database.database) == "0"


def test_content_of_a_database_is_reviewed_as_that_of_a_file(
    capsys: pytest.CaptureFixture[str], cluster: Cluster, database: PostgresqlSettings
) -> None:
    asyncio.run(fill(database, "Milvus"))
    status, shown = diagnosis(capsys, stored_in(database, cluster))
    assert status == 1
    assert "unsafe: root still has the default password" in shown
    assert "note: the row policies of default.docs are not enforced" in shown
    assert "the first start" not in shown


def test_older_tables_of_a_database_are_noted_and_stay_so(
    capsys: pytest.CaptureFixture[str], cluster: Cluster, database: PostgresqlSettings
) -> None:
    asyncio.run(fill(database, "Another-1"))
    cluster.sql("UPDATE alembic_version SET version_num = '0006'", database=database.database)
    _, shown = diagnosis(capsys, stored_in(database, cluster))
    assert "note: the tables of the store are of an older version: the next start changes them" in shown
    assert cluster.sql("SELECT version_num FROM alembic_version", database=database.database) == "0006"


def test_database_that_cannot_be_used_is_a_fault(
    capsys: pytest.CaptureFixture[str], cluster: Cluster, database: PostgresqlSettings
) -> None:
    status, shown = diagnosis(capsys, stored_in(database, cluster, password="hunter2"))
    assert status == 1
    assert (
        f"fault: the store could not be reached at `{database}`: the database rejects the user or the password" in shown
    )
    assert "1 fault" in shown
    assert "hunter2" not in shown


def test_user_of_a_database_who_may_do_everything_is_unsafe(
    capsys: pytest.CaptureFixture[str], cluster: Cluster, database: PostgresqlSettings
) -> None:
    cluster.sql(f"ALTER ROLE {USER} SUPERUSER")
    try:
        _, shown = diagnosis(capsys, stored_in(database, cluster))
    finally:
        cluster.sql(f"ALTER ROLE {USER} NOSUPERUSER")
    assert "unsafe: the user of the store is a superuser of the database" in shown


@pytest.mark.parametrize(("mode", "finding"), [("disable", "unencrypted"), ("require", "any server may pretend")])
def test_address_on_another_machine_without_verification_is_unsafe(mode: str, finding: str) -> None:
    settings = PostgresqlSettings.parse(f"postgresql://kiteward@db/store?sslmode={mode}")
    (said,) = store_review.unsafe_connection(settings)
    assert finding in said
    assert not list(store_review.unsafe_connection(PostgresqlSettings.parse("postgresql://kiteward@db/store")))
