"""Console sessions that servers share, and the secrets that wait to be shown in them."""

from dataclasses import replace

import pytest
from tests.conformance.store.harness import OpenStore, Transact

from kiteward.store.base import Store
from kiteward.store.identity_records import ClaimedRights
from kiteward.store.provider_records import ProviderLogout, ProviderSignIn
from kiteward.store.records import Change, LastUsed, SessionRecord, Subject, Use
from kiteward.store.transaction import Transaction

SESSION = SessionRecord("s1", "alice", "v", "c", "10.0.0.1:5", "Firefox, Linux", 100.0, 100.0)


async def alice_signed_in(transaction: Transaction) -> None:
    for name in ("alice", "bob"):
        await transaction.users.add(name, "hash")
    await transaction.sessions.add("d1", SESSION)
    await transaction.sessions.add("d2", replace(SESSION, session_id="s2", began_at=200.0, used_at=300.0))
    await transaction.sessions.add("d3", replace(SESSION, session_id="s3", user_name="bob"))


async def ids(store: Store, user: str = "alice") -> list[str]:
    return [session.session_id for session in await store.sessions_of(user)]


async def test_session_is_found_by_its_token_its_id_and_its_user_at_every_server(
    open_store: OpenStore, change: Transact
) -> None:
    await change(alice_signed_in)
    other = await open_store()
    assert await other.session("d1") == SESSION
    assert await other.session_named("s1") == SESSION
    assert await ids(other) == ["s2", "s1"]
    assert (await other.session_count(), await other.session("d"), await other.session_named("s")) == (3, None, None)
    assert (await other.session_named("\0"), list(await other.sessions_of("\ud800"))) == (None, [])


async def test_beginning_is_no_change_and_an_end_is_one_of_the_user(store: Store, change: Transact) -> None:
    await change(lambda t: t.users.add("carol", "hash"))
    assert (await change(lambda t: t.sessions.add("d", replace(SESSION, user_name="carol")))).changes == ()
    ended = await change(lambda t: t.sessions.end(["s1", "unknown"]))
    assert ended.changes == (Change(Subject.USER, "carol"),)
    assert (await change(lambda t: t.sessions.end(["s1"]))).changes == ()
    assert await store.session_count() == 0


@pytest.mark.parametrize("what", ["password", "disabled", "locked", "removed"])
async def test_change_that_ends_the_sessions_of_a_user_leaves_those_of_others(
    what: str, store: Store, change: Transact
) -> None:
    await change(alice_signed_in)
    await change(
        {
            "password": lambda t: t.users.set_password("alice", "new"),
            "disabled": lambda t: t.users.enable("alice", False),
            "locked": lambda t: t.users.lock("alice"),
            "removed": lambda t: t.users.remove("alice"),
        }[what]
    )
    assert (await ids(store), await ids(store, "bob")) == ([], ["s3"])


async def test_change_that_keeps_the_credential_keeps_the_sessions(store: Store, change: Transact) -> None:
    await change(alice_signed_in)
    await change(lambda t: t.users.describe("alice", "other"))
    assert await ids(store) == ["s2", "s1"]


async def test_last_use_of_a_session_is_kept_unless_it_is_earlier(store: Store, change: Transact) -> None:
    await change(alice_signed_in)
    before = await store.revision()
    await store.record_last_used(LastUsed(sessions={"s1": 250.0, "s2": 250.0, "gone": 1.0}))
    assert [(each.session_id, each.used_at) for each in await store.sessions_of("alice")] == [
        ("s2", 300.0),
        ("s1", 250.0),
    ]
    assert await store.revision() == before


async def test_sessions_that_are_over_are_removed(store: Store, change: Transact) -> None:
    await change(alice_signed_in)
    await change(lambda t: t.sessions.remove_over(used_before=250.0, began_before=0.0))
    assert (await ids(store), await ids(store, "bob")) == (["s2"], [])
    await change(lambda t: t.sessions.remove_over(used_before=0.0, began_before=200.5))
    assert await store.session_count() == 0


async def test_secret_is_taken_once_in_its_session_within_its_time(store: Store, change: Transact) -> None:
    await change(alice_signed_in)
    taken = []

    async def take(ticket: str, session: str, now: float) -> None:
        async def work(transaction: Transaction) -> None:
            taken.append(await transaction.sessions.take_secret(ticket, session, now=now))

        await change(work)

    await change(lambda t: t.sessions.put_secret("t1", "s1", "sealed", ends_at=160.0))
    await change(lambda t: t.sessions.put_secret("t2", "s1", "other", ends_at=160.0))
    waiting = (("t1", "s1", 159.0), ("t1", "s2", 120.0), ("t1", "s1", 160.0), ("t3", "s1", 120.0))
    assert [await store.secret_waits(*each, now=now) for *each, now in waiting] == [True, False, False, False]
    await take("t1", "s2", 120.0)
    await take("t1", "s1", 120.0)
    assert not await store.secret_waits("t1", "s1", now=120.0)
    await take("t1", "s1", 120.0)
    await take("t2", "s1", 160.0)
    assert taken == [None, "sealed", None, None]


async def test_secrets_beyond_the_newest_and_those_of_ended_sessions_are_removed(change: Transact) -> None:
    await change(alice_signed_in)
    left: list[str | None] = []

    async def put(transaction: Transaction) -> None:
        for number in range(5):
            await transaction.sessions.put_secret(f"t{number}", "s1", f"{number}", ends_at=160.0 + number)
        await transaction.sessions.put_secret("long", "s1", "apart", ends_at=700.0)
        await transaction.sessions.put_secret("u", "s2", "of another session", ends_at=170.0)
        await transaction.sessions.remove_secrets("s1", now=150.0, most=2, among=(150.0, 210.0))
        await transaction.sessions.end(["s2"])

    async def take(transaction: Transaction) -> None:
        for ticket, session in (("t2", "s1"), ("t3", "s1"), ("t4", "s1"), ("long", "s1"), ("u", "s2")):
            left.append(await transaction.sessions.take_secret(ticket, session, now=150.0))

    await change(put)
    await change(take)
    assert left == [None, "3", "4", "apart", None]


async def test_use_is_stored_until_the_latest_moment_and_removed_when_it_is_old(store: Store, change: Transact) -> None:
    search = Use("alice", "Search", "Search", "default", "docs")
    query = replace(search, privilege="Query", operation="Query")
    assert await store.uses_since() is None
    await change(lambda t: t.audit_uses.begin(50.0))
    await change(lambda t: t.audit_uses.begin(60.0))
    await change(lambda t: t.audit_uses.add([search, query], 200.0))
    assert (await change(lambda t: t.audit_uses.add([search], 100.0))).changes == ()
    await change(lambda t: t.audit_uses.add([query], 300.0))
    assert await store.uses_since() == 50.0
    assert set(await store.uses_after(199.0)) == {search, query}
    assert list(await store.uses_after(200.0)) == [query]
    await change(lambda t: t.audit_uses.remove_before(250.0))
    assert list(await store.uses_after(0.0)) == [query]


IDP = "https://idp.example"
RIGHTS = ClaimedRights(("searchers",), ("reader",), {"team": "x"})


def at_provider(
    subject: str = "ann", session: str = "", *, issued_at: float = 100.0, issuer: str = IDP
) -> ProviderSignIn:
    return ProviderSignIn(issuer, subject, session, issued_at, RIGHTS)


def notice(subject: str = "", session: str = "", *, issued_at: float = 150.0, issuer: str = IDP) -> ProviderLogout:
    return ProviderLogout(issuer, subject, session, issued_at)


async def signed_in_at_provider(transaction: Transaction) -> None:
    await alice_signed_in(transaction)
    for number, sign_in in enumerate(
        (
            at_provider("ann", "p1"),
            at_provider("ann", "p2"),
            at_provider("ann", issued_at=200.0),
            at_provider("ben", "p1", issuer="https://other.example"),
        )
    ):
        record = replace(SESSION, session_id=f"p{number}", sign_in=sign_in, began_at=float(number))
        await transaction.sessions.add(f"digest {number}", record)


async def test_sign_in_at_a_provider_is_kept_with_its_session(open_store: OpenStore, change: Transact) -> None:
    await change(signed_in_at_provider)
    other = await open_store()
    found = await other.session("digest 0")
    assert found is not None
    assert found.sign_in == at_provider("ann", "p1")
    own = await other.session("d1")
    assert own is not None
    assert own.sign_in is None


@pytest.mark.parametrize(
    ("logout", "ended"),
    [
        (notice(session="p1"), ["p0"]),
        (notice("ann", "p1"), ["p0"]),
        (notice("ann", "p1", issued_at=250.0), ["p0", "p2"]),
        (notice("ben", "p1"), []),
        (notice("ann"), ["p0", "p1"]),
        (notice("ann", issued_at=200.0), ["p0", "p1", "p2"]),
        (notice("ann", issued_at=99.0), []),
        (notice(session="p1", issuer="https://other.example"), ["p3"]),
        (notice("nobody", "p9"), []),
        (notice(), []),
    ],
)
async def test_notice_of_a_provider_ends_what_it_is_about_and_nothing_else(
    store: Store, change: Transact, logout: ProviderLogout, ended: list[str]
) -> None:
    await change(signed_in_at_provider)
    before = set(await ids(store))
    told: list[list[str]] = []

    async def work(transaction: Transaction) -> None:
        told.append(list(await transaction.sessions.end_by_provider(logout, now=1_000.0)))

    committed = await change(work)
    assert before - set(await ids(store)) == set(ended)
    assert told == [["alice"] if ended else []]
    assert committed.changes == ((Change(Subject.USER, "alice"),) if ended else ())


async def test_notice_is_kept_for_sign_ins_under_way(change: Transact) -> None:
    await change(alice_signed_in)
    found: list[bool] = []

    async def ask(sign_in: ProviderSignIn) -> bool:
        async def work(transaction: Transaction) -> None:
            found.append(await transaction.sessions.has_ended(sign_in))

        await change(work)
        return found[-1]

    async def note(transaction: Transaction) -> None:
        for logout in (notice("ann"), notice("ann"), notice(session="p1")):
            await transaction.sessions.end_by_provider(logout, now=1_000.0)

    await change(note)
    assert await ask(at_provider("ann"))
    assert await ask(at_provider("ben", "p1"))
    assert not await ask(at_provider("ann", issued_at=151.0))
    assert not await ask(at_provider("ben", "p2"))
    assert not await ask(at_provider("ann", issuer="https://other.example"))
    await change(lambda t: t.sessions.remove_logouts(noted_before=1_000.0))
    assert await ask(at_provider("ann"))
    await change(lambda t: t.sessions.remove_logouts(noted_before=1_000.5))
    assert not await ask(at_provider("ann"))
