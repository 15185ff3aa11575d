"""The composition root: what a first start creates, what a later one leaves alone, and when it refuses."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import opened

from kiteward.api.console.settings import ConsoleSettings
from kiteward.api.rest.settings import RestSettings
from kiteward.authn.hashing import TESTING, PasswordHasher
from kiteward.authn.password_policy import POLICIES, PasswordPolicy
from kiteward.authz.model import BUILT_IN_ROLES
from kiteward.bootstrap.components import repeat
from kiteward.bootstrap.first_start import PUBLIC_SEEDS
from kiteward.bootstrap.server import Server
from kiteward.bootstrap.serving import ready, serve
from kiteward.bootstrap.start_checks import is_loopback
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError, DataDirectoryHeld, EngineUnavailable, StoreUnavailable
from kiteward.domain.identity import Secret
from kiteward.engine.embedded.supervisor import EmbeddedEngineSettings
from kiteward.gateway.operations.engine_rpcs import ENGINE_RPCS
from kiteward.store.sql import SqlStore

BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"

StartEngine = Callable[[EmbeddedEngineSettings], Awaitable[FakeEngine]]


def starting(engine: FakeEngine) -> StartEngine:
    async def start(_: EmbeddedEngineSettings) -> FakeEngine:
        return engine

    return start


async def start(settings: Settings, engine: FakeEngine | None = None) -> Server:
    return await Server.start(settings, hashing=TESTING, start_engine=starting(engine or FakeEngine()))


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)


# Where it listens


@pytest.mark.parametrize("host", ["127.0.0.1", "127.5.6.7", "::1", "localhost"])
def test_addresses_of_this_machine_alone_are_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.1.5", "10.0.0.1", "8.8.8.8", "fe80::1", "::ffff:10.0.0.1"]
)
def test_addresses_that_others_reach_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_name_is_loopback_only_if_all_its_addresses_are(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves_to(monkeypatch, "127.0.0.1", "::1")
    assert is_loopback("here")
    resolves_to(monkeypatch, "127.0.0.1", "10.0.0.1")
    assert not is_loopback("here")


def test_name_that_does_not_resolve_is_not_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise socket.gaierror("unknown")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert not is_loopback("nowhere.invalid")


@pytest.mark.parametrize("host", ["0.0.0.0", ""])
async def test_default_password_is_not_served_beyond_loopback(tmp_path: Path, host: str) -> None:
    engine = FakeEngine()
    with pytest.raises(ConfigurationError, match=r"root still has the default password.*update_password"):
        await start(Settings(host=host, port=0, data_dir=tmp_path), engine)
    assert engine.calls == []


async def test_another_password_is_served_anywhere(tmp_path: Path) -> None:
    server = await start(Settings(host="0.0.0.0", port=0, data_dir=tmp_path, default_root_password=Secret("Another-1")))
    assert server.port > 0
    await server.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
async def test_a_first_password_that_the_policy_refuses_is_refused_at_the_start_with_the_broken_rules(
    tmp_path: Path, host: str, policy: PasswordPolicy
) -> None:
    engine = FakeEngine()
    place = tmp_path / "data"
    settings = Settings(host=host, port=0, data_dir=place, default_root_password=Secret("abc"), passwords=policy)
    with pytest.raises(
        ConfigurationError, match=rf"invalid password length: invalid parameter\[3 out of range {policy.shortest}"
    ) as refused:
        await start(settings, engine)
    assert "abc" not in str(refused.value)
    assert engine.calls == []
    assert not place.exists()


async def test_a_refused_first_password_of_an_earlier_start_is_served_on_this_machine_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lenient = replace(POLICIES["legacy"], shortest=1)
    settings = Settings(port=0, data_dir=tmp_path, default_root_password=Secret("abc"), passwords=lenient)
    await (await start(settings)).stop()
    settings = replace(settings, passwords=POLICIES["standard"])
    await (await start(settings)).stop()
    assert "which the password policy standard rejects" in caplog.text
    with pytest.raises(ConfigurationError, match="root still has its first password"):
        await start(replace(settings, host="0.0.0.0"))


async def test_no_authentication_is_not_served_beyond_loopback(tmp_path: Path) -> None:
    settings = Settings(
        host="0.0.0.0", port=0, data_dir=tmp_path, default_root_password=Secret("Another-1"), authorization=False
    )
    with pytest.raises(ConfigurationError, match=r"authorizationEnabled is false.*loopback only"):
        await start(settings)


@pytest.mark.parametrize("authorization", [True, False])
async def test_no_authentication_on_loopback_authenticates_everybody_and_warns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, authorization: bool
) -> None:
    server = await start(Settings(port=0, data_dir=tmp_path, authorization=authorization))
    try:
        async with httpx.AsyncClient() as client:
            url = f"http://127.0.0.1:{server.port}/v2/vectordb/users/list"
            answer = await client.post(url, json={})
    finally:
        await server.stop()
    assert answer.status_code == (401 if authorization else 200)
    assert ("everybody on this machine may do everything" in caplog.text) is not authorization


async def test_default_password_put_back_is_noticed_at_the_next_start(tmp_path: Path) -> None:
    first = await start(Settings(port=0, data_dir=tmp_path))
    await first.stop()
    # The setting counts at the first start only: what counts is the password in the store.
    with pytest.raises(ConfigurationError):
        await start(Settings(host="0.0.0.0", port=0, data_dir=tmp_path, default_root_password=Secret("Another-1")))


# What a start creates


async def test_first_start_creates_root_and_the_built_in_roles_and_later_ones_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as harness:
        policy, users = await harness.state()
    assert {role.name for role in policy.roles} == set(BUILT_IN_ROLES)
    assert [(user.name, user.roles) for user in users] == [("root", ())]
    assert (policy.grants, policy.groups) == ((), ())
    async with opened(path, settings=Settings(default_root_password=Secret("Another-1"))) as harness:
        assert await harness.state() == (policy, users)


async def test_deleted_grants_and_changed_password_stay_so_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as harness:
        await harness.user("alice", "admin")
        before = await harness.state()
    async with opened(path) as harness:
        assert await harness.state() == before


async def test_seeds_of_public_are_granted_at_every_start_if_wanted_and_never_otherwise(tmp_path: Path) -> None:
    path, seeded = tmp_path / "store.db", Settings(seed_public=True)
    async with opened(path) as harness:
        assert await harness.grants("public") == []
    for _ in range(2):
        async with opened(path, settings=seeded) as harness:
            held = {grant.key for grant in (await harness.store.policy()).grants}
            assert held == set(PUBLIC_SEEDS)
            await harness.revoke("public", "IndexDetail", "*", "*")
    async with opened(path) as harness:
        assert len(await harness.grants("public")) == len(PUBLIC_SEEDS) - 1


# Starting and stopping


async def test_server_listens_and_root_gets_in(tmp_path: Path) -> None:
    server = await start(Settings(port=0, data_dir=tmp_path))
    with socket.create_connection((server.host, server.port), timeout=5):
        pass
    await server.stop()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((server.host, server.port), timeout=5)


async def test_server_is_prepared_for_passwords_of_unknown_users_before_it_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[PasswordHasher] = []
    prepare = PasswordHasher.prepare

    async def noted(hasher: PasswordHasher) -> None:
        await prepare(hasher)
        prepared.append(hasher)

    monkeypatch.setattr(PasswordHasher, "prepare", noted)
    server = await start(Settings(port=0, data_dir=tmp_path))
    await server.stop()
    assert len(prepared) == 1


async def test_stopping_closes_the_engine_and_frees_the_directory(tmp_path: Path) -> None:
    for _ in range(2):
        engine = FakeEngine()
        server = await start(Settings(port=0, data_dir=tmp_path), engine)
        await server.stop()
        assert engine.closed


async def test_second_server_on_the_same_directory_is_refused_and_disturbs_nothing(tmp_path: Path) -> None:
    server = await start(Settings(port=0, data_dir=tmp_path))
    with pytest.raises(DataDirectoryHeld):
        await start(Settings(port=0, data_dir=tmp_path))
    await server.stop()


async def test_start_that_fails_late_leaves_nothing_behind(tmp_path: Path) -> None:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    engine = FakeEngine()
    with pytest.raises(OSError, match="cannot listen on"):
        await start(Settings(port=taken.getsockname()[1], data_dir=tmp_path / "data"), engine)
    assert engine.closed
    assert not (tmp_path / "data").exists()
    taken.close()
    server = await start(Settings(port=0, data_dir=tmp_path / "data"))
    await server.stop()


async def test_server_does_not_start_without_its_engine(tmp_path: Path) -> None:
    async def fail(_: EmbeddedEngineSettings) -> FakeEngine:
        raise EngineUnavailable("the engine did not come up")

    with pytest.raises(EngineUnavailable):
        await Server.start(Settings(port=0, data_dir=tmp_path), hashing=TESTING, start_engine=fail)


async def test_engine_is_started_in_the_data_directory_as_configured(tmp_path: Path) -> None:
    asked: list[EmbeddedEngineSettings] = []

    async def remember(settings: EmbeddedEngineSettings) -> FakeEngine:
        asked.append(settings)
        return FakeEngine()

    settings = Settings(port=0, data_dir=tmp_path, sync_mode="close")
    server = await Server.start(settings, hashing=TESTING, start_engine=remember)
    await server.stop()
    assert asked[0].directory.is_relative_to(tmp_path)
    assert asked[0].sync_mode == "close"
    assert asked[0].rpcs == ENGINE_RPCS


# What is done again and again


async def test_repeated_work_goes_on_after_any_failure_which_is_reported_once_until_it_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outcomes: list[Exception | None] = [ValueError("odd"), StoreUnavailable("away"), None, RuntimeError("odd again")]
    done = asyncio.Event()

    async def work() -> None:
        if not outcomes:
            done.set()
            return
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    async with AsyncExitStack() as stack:
        repeat(stack, 0.0, "done it", work)
        async with asyncio.timeout(30):
            await done.wait()
    assert [record.getMessage() for record in caplog.records] == ["done it failed; retrying"] * 2


# What whoever starts it reads, and opens


@pytest.mark.parametrize(
    ("console", "given", "led"),
    [(True, BROWSER, (303, "/console/overview")), (True, "*/*", (404, "")), (False, BROWSER, (200, ""))],
)
async def test_browsers_are_redirected_to_the_console_and_others_are_answered_as_before(
    tmp_path: Path, console: bool, given: str, led: tuple[int, str]
) -> None:
    server = await start(Settings(port=0, data_dir=tmp_path, console=ConsoleSettings(enabled=console)))
    try:
        async with httpx.AsyncClient(headers={"Accept": given}) as client:
            answer = await client.get(f"http://127.0.0.1:{server.port}/")
            posted = await client.post(f"http://127.0.0.1:{server.port}/")
    finally:
        await server.stop()
    assert (answer.status_code, answer.headers.get("location", "")) == led
    assert console or "Its REST API is described at /docs" in answer.text
    assert (posted.status_code, posted.text) == (404, "404 page not found")


async def test_ready_line_names_console_documents_and_the_default_password_while_it_is_in_place(tmp_path: Path) -> None:
    def startup_lines(server: Server, settings: Settings) -> list[str]:
        first, *others = ready(server, settings).splitlines()
        assert first == f"Kiteward is ready on http://127.0.0.1:{server.port} (data in {tmp_path})"
        return [line.replace(f":{server.port}", "") for line in others]

    settings = Settings(port=0, data_dir=tmp_path)
    console, documents = "  console: http://127.0.0.1/console/", "  REST API documentation: http://127.0.0.1/docs"
    server = await start(settings)
    try:
        assert startup_lines(server, settings) == [
            console,
            documents,
            "  user root, default password Milvus: change it",
        ]
        without = replace(settings, console=ConsoleSettings(enabled=False))
        assert startup_lines(server, without) == [documents, "  user root, default password Milvus: change it"]
        assert startup_lines(server, replace(settings, rest=RestSettings(enabled=False))) == [
            "  user root, default password Milvus: change it"
        ]
    finally:
        await server.stop()
    store, hasher = await SqlStore.open(tmp_path / "store.db"), PasswordHasher(TESTING)
    async with store.transaction() as transaction:
        await transaction.users.set_password("root", await hasher.hash(Secret("Another-1")))
        await transaction.commit()
    await store.close()
    server = await start(settings)
    try:
        assert startup_lines(server, settings) == [console, documents]
    finally:
        await server.stop()


async def test_objects_of_the_start_are_spared_by_the_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = await start(Settings(port=0, data_dir=tmp_path))

    async def started(_: Settings) -> Server:
        return server

    monkeypatch.setattr(Server, "start", started)
    thresholds = gc.get_threshold()
    serving = asyncio.create_task(serve(Settings(port=0, data_dir=tmp_path)))
    try:
        while "ready" not in capsys.readouterr().out:
            await asyncio.sleep(0)
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[0] == 10_000  # audit events that wait are not walked through over and over
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
