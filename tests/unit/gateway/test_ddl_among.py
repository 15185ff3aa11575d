"""Changes of the catalog beside other servers: announced before and after, one at a time, finished once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.shared_engine import SharedEngine
from tests.unit.gateway.shared import SharedGateway, shared_gateway

from kiteward.domain.errors import EngineUnavailable, LeaseOver
from kiteward.gateway import ddl
from kiteward.gateway.catalog_news import CatalogNews
from kiteward.gateway.replicas.catalog_turn import OwnTurn
from kiteward.store.intent_records import Intent, IntentKind
from kiteward.store.transaction import Transaction


class Turn(OwnTurn):
    """The turn among servers, which others may hold.

    Attributes:
        free: cleared while another server has it.
        lost: whether it was lost after it was taken.
        taken: how often it was taken.
    """

    shared = True

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.free.set()
        self.lost = False
        self.taken = 0

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        await self.free.wait()
        self.taken += 1
        yield

    def confirm(self) -> None:
        if self.lost:
            raise LeaseOver("lost")

    async def confirm_in(self, transaction: Transaction) -> None:  # noqa: ARG002  as the class has it
        self.confirm()


class Observer:
    """Notes the news of the catalog."""

    def __init__(self) -> None:
        self.news: list[CatalogNews] = []

    def note(self, news: CatalogNews) -> None:
        self.news.append(news)

    def awaited(self) -> int | None:
        return None

    def told(self) -> list[tuple[list[tuple[str, str]], list[IntentKind]]]:
        """Return the names and the kinds of open intents of all news since the last call."""
        found, self.news = self.news, []
        return [(sorted(each.names or ()), [intent.kind for intent in each.intents]) for each in found]


class Beside:
    """A gateway beside other servers."""

    def __init__(self, gateway: SharedGateway) -> None:
        self.harness, self.engine = gateway.harness, gateway.engine
        self.gateway = gateway
        self.turn = Turn()
        self.observer = Observer()
        self.harness.ddl._among = self.turn
        self.harness.policy_cache.observe_catalog(self.observer)
        self.observer.told()

    async def begun_elsewhere(self, intent: Intent) -> None:
        """Store an intent as another server does."""
        async with self.harness.store.transaction() as transaction:
            await transaction.intents.add(intent)
            await transaction.commit()
        await self.harness.policy_cache.follow_others()


@pytest.fixture
async def beside(store_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Beside]:
    """`reader` may query `docs`; `secret` has row policies."""
    monkeypatch.setattr(ddl, "_PAUSE", 0.01)
    monkeypatch.setattr(ddl, "_OTHERS", 0.01)
    engine = SharedEngine()
    engine.create("docs", "secret")
    async with shared_gateway(store_path, engine) as gateway:
        await gateway.harness.role("reading", ("Query", "default", "docs"))
        yield Beside(gateway)
        await gateway.harness.ddl.close()


DOCS = ("default", "docs")


async def granted(beside: Beside) -> list[str]:
    return sorted({name for _, _, name, _ in await beside.harness.grants("reading")})


async def test_drop_is_announced_before_the_engine_is_asked_and_when_it_is_over(beside: Beside) -> None:
    go = beside.engine.hold("DropCollection")
    change = asyncio.create_task(beside.harness.succeed("DropCollection", collection_name="docs"))
    await beside.engine.reached("DropCollection")
    assert beside.observer.told() == [([DOCS], [IntentKind.DROP_COLLECTION])]
    go.set()
    await change
    assert beside.observer.told() == [([DOCS], [])]


@pytest.mark.parametrize(
    ("method", "fields", "names"),
    [
        ("CreateCollection", {"collection_name": "new"}, [("default", "new")]),
        (
            "AlterCollection",
            {"collection_name": "docs", "properties": [{"key": "collection.ttl.seconds", "value": "9"}]},
            [DOCS],
        ),
        (
            "AlterCollection",
            {"collection_name": "docs", "properties": [{"key": "rls.enabled", "value": "true"}]},
            [DOCS],
        ),
    ],
)
async def test_change_that_nothing_follows_keeps_writes_away_too(
    beside: Beside, method: str, fields: dict[str, object], names: list[tuple[str, str]]
) -> None:
    await beside.harness.succeed(method, **fields)
    told = beside.observer.told()
    assert told[0][0] == told[-1][0] == names
    assert {tuple(kinds) for _, kinds in told[:-1]} <= {
        (IntentKind.CHANGE_COLLECTION,),
        (IntentKind.CREATE_COLLECTION,),
    }
    assert told[-1][1] == []


async def test_alias_and_database_are_announced_when_they_are_changed(beside: Beside) -> None:
    await beside.harness.succeed("CreateAlias", collection_name="docs", alias="latest")
    assert beside.observer.told() == [([DOCS, ("default", "latest")], [])]
    await beside.harness.succeed("CreateDatabase", db_name="sales")
    assert beside.observer.told() == [([("sales", "")], [])]
    await beside.harness.succeed("DropDatabase", db_name="sales")
    assert beside.observer.told() == [([("sales", "")], [IntentKind.DROP_DATABASE]), ([("sales", "")], [])]


async def test_alias_whose_change_was_not_answered_is_announced_too(beside: Beside) -> None:
    beside.engine.failures_after["CreateAlias"] = EngineUnavailable("lost")
    with pytest.raises(EngineUnavailable):
        await beside.harness.call("CreateAlias", collection_name="docs", alias="latest")
    assert beside.observer.told() == [([DOCS, ("default", "latest")], [])]


async def test_change_waits_for_its_turn_and_is_judged_when_it_has_it(beside: Beside) -> None:
    beside.turn.free.clear()
    change = asyncio.create_task(beside.harness.status("DropCollection", collection_name="docs"))
    await asyncio.sleep(0.05)
    assert beside.engine.called("DropCollection") == []
    beside.engine.around.drop("docs")
    beside.turn.free.set()
    await change
    assert beside.observer.told() == []


async def test_engine_is_not_asked_by_a_server_that_has_lost_its_turn(beside: Beside) -> None:
    beside.turn.lost = True
    for method, fields in (
        ("DropCollection", {"collection_name": "docs"}),
        ("CreateAlias", {"collection_name": "docs", "alias": "latest"}),
    ):
        with pytest.raises(LeaseOver):
            await beside.harness.call(method, **fields)
        assert beside.engine.called(method) == []
    assert beside.observer.told() == []


async def test_what_a_dead_server_has_begun_is_finished(beside: Beside) -> None:
    number = beside.engine.id_of("docs")
    await beside.begun_elsewhere(Intent(IntentKind.DROP_COLLECTION, *DOCS, object_id=number))
    beside.engine.around.drop("docs")
    beside.harness.ddl.finish_later()
    async with asyncio.timeout(10):
        while beside.harness.policy_cache.intents:
            await asyncio.sleep(0.01)
    assert await granted(beside) == []
    assert len(beside.gateway.events("FollowObject")) == 1


async def test_what_a_dead_server_has_begun_is_finished_before_the_next_change(beside: Beside) -> None:
    number = beside.engine.id_of("docs")
    await beside.begun_elsewhere(Intent(IntentKind.RENAME_COLLECTION, *DOCS, "default", "archive", object_id=number))
    beside.engine.around.rename("docs", "archive")
    await beside.harness.succeed("CreateAlias", collection_name="archive", alias="latest")
    assert await granted(beside) == ["archive"]


async def test_nothing_is_finished_while_another_server_has_the_turn(beside: Beside) -> None:
    beside.turn.free.clear()
    await beside.begun_elsewhere(Intent(IntentKind.DROP_COLLECTION, *DOCS, object_id=beside.engine.id_of("docs")))
    beside.engine.around.drop("docs")
    beside.harness.ddl.finish_later()
    await asyncio.sleep(0.1)
    assert await granted(beside) == ["docs"]
    assert len(beside.harness.policy_cache.intents) == 1


async def test_what_another_server_has_finished_meanwhile_is_not_followed_again(beside: Beside) -> None:
    go = beside.engine.hold("DropCollection")
    change = asyncio.create_task(beside.harness.call("DropCollection", collection_name="docs"))
    await beside.engine.reached("DropCollection")
    async with beside.harness.store.transaction() as transaction:
        (intent,) = await transaction.intents.all()
        await transaction.intents.remove(intent)
        await transaction.commit()
    go.set()
    await change
    assert await granted(beside) == ["docs"]
    assert beside.gateway.events("FollowObject") == []
