"""Console sessions that began at an identity provider, at two servers that share a store."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kiteward.authn.sessions import LOGOUTS_KEPT, MemorySessions, Sessions
from kiteward.authn.sign_in import SignIn
from kiteward.authn.stored_sessions import StoredSessions
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import KeyRejected, SessionEnded
from kiteward.domain.identity import Secret
from kiteward.store.identity_records import ClaimedRights
from kiteward.store.provider_records import ProviderLogout, ProviderSignIn
from kiteward.store.records import Subject
from kiteward.store.sql import SqlStore
from kiteward.store.transaction import Transaction

IDP = "https://idp.example"


class Clock:
    now = 10_000.0

    def __call__(self) -> float:
        return self.now


class Servers:
    """Sessions of two servers, or of one in memory; each change is applied by both before it is acknowledged."""

    def __init__(self, clock: Clock, store: SqlStore | None) -> None:
        self._store = store
        self.all: list[Sessions] = (
            [MemorySessions(clock=clock)]
            if store is None
            else [StoredSessions(store, clock=clock), StoredSessions(store, clock=clock)]
        )
        self.current_id = "c"
        for each in self.all:
            each.change_by(self._change)

    @contextlib.asynccontextmanager
    async def _change(self) -> AsyncIterator[Transaction]:
        assert self._store is not None
        async with self._store.transaction() as transaction:
            yield transaction
            committed = await transaction.commit()
        names = [change.name for change in committed.changes if change.subject is Subject.USER]
        for each in self.all:
            each.forget(names)

    async def begin(self, session: str = "p1", *, issued_at: float = 100.0) -> Secret:
        provider = ProviderSignIn(IDP, "ann", session, issued_at, ClaimedRights())
        return await self.all[0].begin(SignIn("ann", self.current_id, self.current_id, "", "", provider))

    async def logout(self, subject: str = "", session: str = "", *, issued_at: float = 150.0) -> list[str]:
        return list(await self.all[-1].end_by_provider(ProviderLogout(IDP, subject, session, issued_at)))

    async def held(self, token: Secret) -> bool:
        found = []
        for each in self.all:
            try:
                await each.find(token)
            except SessionEnded:
                found.append(False)
            else:
                found.append(True)
        assert len(set(found)) == 1
        return found[0]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["stored", "memory"])
async def servers(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Servers]:
    if request.param == "memory":
        yield Servers(clock, None)
        return
    store = await SqlStore.open(tmp_path / "store.db")
    async with store.transaction() as transaction:
        await transaction.users.add("ann", "!")
        await transaction.commit()
    made = Servers(clock, store)
    ann = await store.user("ann")
    assert ann is not None
    made.current_id = ann.credential_id
    yield made
    await store.close()


async def test_notice_has_ended_the_session_at_every_server_when_it_is_acknowledged(servers: Servers) -> None:
    first, second = await servers.begin("p1"), await servers.begin("p2")
    assert await servers.held(first)
    assert await servers.logout(session="p1") == ["ann"]
    assert [await servers.held(first), await servers.held(second)] == [False, True]
    assert await servers.logout("ann") == ["ann"]
    assert not await servers.held(second)
    assert await servers.logout("ann") == []


async def test_sign_in_that_was_under_way_begins_no_session(servers: Servers, clock: Clock) -> None:
    await servers.logout("ann", "p1")
    with pytest.raises(KeyRejected) as caught:
        await servers.begin("p1")
    assert caught.value.code == ErrorCode.SIGN_IN_ENDED_THERE
    assert await servers.held(await servers.begin("p2"))
    clock.now += LOGOUTS_KEPT + 1
    await servers.logout("ann", "another")
    assert await servers.held(await servers.begin("p1"))


async def test_later_sign_in_of_the_same_user_begins_one(servers: Servers) -> None:
    await servers.logout("ann", issued_at=150.0)
    with pytest.raises(KeyRejected):
        await servers.begin("", issued_at=150.0)
    assert await servers.held(await servers.begin("", issued_at=151.0))
