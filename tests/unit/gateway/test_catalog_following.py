"""What a server does when another one changes the catalog: it forgets names, and keeps its writes apart."""

import asyncio
from collections.abc import Callable, Iterable

import pytest
from tests.support.engine import FakeEngine

from kiteward.gateway.catalog import Catalog
from kiteward.gateway.catalog_following import CatalogFollower
from kiteward.gateway.catalog_news import CatalogNews, Name, Unobserved
from kiteward.gateway.row_access.locks import CollectionLocks
from kiteward.store.intent_records import Intent, IntentKind

DOCS = ("default", "docs")
OURS = 1
"""The id of the intent that this server has begun."""


class Recorded(Catalog):
    """A catalog that notes what it is told to forget."""

    def __init__(self) -> None:
        super().__init__(FakeEngine())
        self.forgotten: list[object] = []

    def forget(self, databases: Iterable[str], names: Iterable[str] = ()) -> None:
        self.forgotten.append((list(databases), sorted(names)))

    def forget_ids(self, database: str, collection: str | None) -> None:
        self.forgotten.append((database, collection))

    def forget_everything(self) -> None:
        self.forgotten.append("everything")


class Server:
    """What follows the catalog, and what it works on."""

    def __init__(self) -> None:
        self.catalog = Recorded()
        self.locks = CollectionLocks()
        self.finishing = 0
        self.drained = 0
        self.follower = CatalogFollower(
            self.catalog,
            self.locks,
            ours=lambda intent: intent.intent_id == OURS,
            finish=self._finish,
            drained=self._drained,
        )

    def _finish(self) -> None:
        self.finishing += 1

    def _drained(self) -> None:
        self.drained += 1

    def note(self, *intents: Intent, revision: int = 5, protected: Iterable[Name] = ()) -> None:
        names = frozenset(name for intent in intents for name in intent.names)
        self.follower.note(CatalogNews(revision, names, intents, frozenset(protected)))


def intent(number: int, name: str = "docs", target: str = "") -> Intent:
    kind = IntentKind.RENAME_COLLECTION if target else IntentKind.DROP_COLLECTION
    return Intent(kind, "default", name, "default" if target else "", target, intent_id=number)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
def server() -> Server:
    return Server()


async def test_names_are_forgotten_with_their_ids(server: Server) -> None:
    names = frozenset([("default", "latest"), ("default", "docs"), ("sales", "")])
    server.follower.note(CatalogNews(5, names, ()))
    assert server.catalog.forgotten == [
        (["default"], ["docs", "latest"]),
        ("default", "docs"),
        ("default", "latest"),
        (["sales"], []),
        ("sales", None),
    ]
    assert server.follower.awaited() is None


async def test_everything_is_forgotten_where_it_is_not_known_what_has_changed(server: Server) -> None:
    server.follower.note(CatalogNews(5, None, ()))
    assert server.catalog.forgotten == ["everything"]


async def test_nothing_is_written_here_to_what_another_server_changes_and_reads_beside_it_are_repeated(
    server: Server,
) -> None:
    with server.locks.reading({DOCS}) as read:
        server.note(intent(2, target="archive"))
        assert server.follower.awaited() == 5
        await until(lambda: server.follower.awaited() is None)
        assert read.overtaken
    writes = [asyncio.create_task(server.locks.acquire(("default", name), alone=False)) for name in ("docs", "archive")]
    await asyncio.sleep(0.01)
    assert not any(write.done() for write in writes)
    assert server.finishing == 1
    server.note(revision=6)
    await asyncio.gather(*writes)


async def test_writes_that_have_begun_are_awaited(server: Server) -> None:
    await server.locks.acquire(DOCS, alone=False)
    server.note(intent(2))
    await asyncio.sleep(0.01)
    assert (server.follower.awaited(), server.drained) == (5, 0)
    server.locks.release(DOCS, alone=False)
    await until(lambda: server.drained == 1)
    assert server.follower.awaited() is None


async def test_change_that_is_over_before_writes_have_ended_is_awaited_no_more(server: Server) -> None:
    await server.locks.acquire(DOCS, alone=False)
    server.note(intent(2))
    await asyncio.sleep(0)
    server.note(revision=6)
    await until(lambda: server.follower.awaited() is None)
    server.locks.release(DOCS, alone=False)
    assert len(server.locks) == 0


async def test_changes_of_this_server_and_whole_databases_are_not_kept_apart_here(server: Server) -> None:
    server.note(intent(OURS), Intent(IntentKind.DROP_DATABASE, "sales", intent_id=OURS))
    assert (server.follower.awaited(), server.finishing) == (None, 0)
    server.note(Intent(IntentKind.DROP_DATABASE, "sales", intent_id=2))
    assert (server.follower.awaited(), server.finishing) == (None, 1)


async def test_writes_that_were_authorized_without_row_policies_are_awaited(server: Server) -> None:
    await server.locks.acquire(DOCS, alone=False)
    server.note(protected=[DOCS], revision=9)
    await asyncio.sleep(0.01)
    assert server.follower.awaited() == 9
    server.locks.release(DOCS, alone=False)
    await until(lambda: server.follower.awaited() is None)
    assert not await server.locks.acquire(DOCS, alone=False)  # it is free again


async def test_protection_that_is_part_of_a_change_is_not_awaited_on_its_own(server: Server) -> None:
    server.note(intent(2))
    await until(lambda: server.follower.awaited() is None)
    server.note(intent(2), protected=[DOCS], revision=6)
    assert server.follower.awaited() is None
    await server.follower.close()


async def test_close_gives_locks_back(server: Server) -> None:
    server.note(intent(2))
    await until(lambda: server.follower.awaited() is None)
    await server.follower.close()
    assert len(server.locks) == 0


def test_server_alone_awaits_nothing() -> None:
    unobserved = Unobserved()
    unobserved.note(CatalogNews(1, None, ()))
    assert unobserved.awaited() is None
