"""API keys of token exchanges: what is kept of them, and everything that ends them."""

import pytest
from tests.conformance.store.harness import Clock, Transact, Work, changed_since

from kiteward.authz.model import Role
from kiteward.store.base import Store
from kiteward.store.exchange_records import Exchange, IssuedToken
from kiteward.store.records import Change, KeyRecord, Subject
from kiteward.store.transaction import Transaction

ISSUER = "https://idp.example"
BY_KEY = Exchange("svc", actor_key="ks", kept_tags={"team": "sales"})
BY_TOKENS = Exchange("svc", None, IssuedToken(ISSUER, 900.0), IssuedToken(ISSUER, 950.0))


def key(key_id: str, owner: str = "alice", **parts: object) -> KeyRecord:
    return KeyRecord(key_id, owner, "dd" * 32, "", 0.0, owner, **parts)  # type: ignore[arg-type]


async def exchanged(transaction: Transaction) -> None:
    """`svc` has the key `ks`, made with `ka` of the user `maker`, and alice `ku`; of exchanges are `x1` to `x3`."""
    for name in ("svc", "alice", "maker", "bob"):
        await transaction.users.add(name, "hash")
    await transaction.roles.put(Role("viewer"))
    await transaction.keys.add(key("ka", "maker"))
    await transaction.keys.add(key("ks", "svc", made_by_key="ka"))
    await transaction.keys.add(key("ku"))
    for key_id, exchange in (("x1", BY_KEY), ("x2", Exchange("svc"))):
        parts = key(key_id, expires_at=1900.0, roles=("viewer",), made_by_key="ku", exchange=exchange)
        await transaction.keys.add(parts)
    await transaction.keys.add(key("x3", expires_at=1100.0, roles=(), exchange=BY_TOKENS))
    await transaction.keys.add(key("other", "bob", expires_at=1900.0, exchange=Exchange("alice")))


async def exchanges(store: Store) -> list[str]:
    return [each.key_id for each in await store.keys() if each.exchange is not None]


async def test_what_is_known_of_an_exchange_is_read_with_its_key(store: Store, change: Transact) -> None:
    await change(exchanged)
    assert [(each.key_id, each.exchange) for each in await store.lineage("x1")] == [("x1", BY_KEY), ("ku", None)]
    (alone,) = await store.lineage("x3")
    assert alone.exchange == BY_TOKENS
    assert alone.exchange is not None
    assert alone.exchange.kept_tags == {}
    assert {each.key_id for each in await store.keys(owner="alice")} == {"ku", "x1", "x2", "x3"}


@pytest.mark.parametrize(
    ("work", "left"),
    [
        (lambda t: t.users.enable("svc", False), {"other"}),
        (lambda t: t.users.lock("svc"), {"other"}),
        (lambda t: t.users.set_password("svc", "hash"), {"other"}),
        (lambda t: t.users.set_password("svc", "hash", former_until=5000.0), {"other"}),
        (lambda t: t.users.end_previous_secret("svc"), {"other"}),
        (lambda t: t.users.remove("svc"), {"other"}),
        (lambda t: t.users.enable("alice", False), set()),
        (lambda t: t.users.remove("alice"), set()),
        (lambda t: t.users.enable("maker", False), {"x2", "x3", "other"}),
        (lambda t: t.users.remove("maker"), {"x2", "x3", "other"}),
        (lambda t: t.users.enable("bob", False), {"x1", "x2", "x3"}),
        (lambda t: t.keys.remove("ks"), {"x2", "x3", "other"}),
        (lambda t: t.keys.remove("ka"), {"x2", "x3", "other"}),
        (lambda t: t.keys.enable("ks", False), {"x2", "x3", "other"}),
        (lambda t: t.keys.enable("ka", False), {"x2", "x3", "other"}),
        (lambda t: t.keys.enable("ks", True), {"x1", "x2", "x3", "other"}),
        (lambda t: t.keys.rotate("ks", "ee"), {"x2", "x3", "other"}),
        (lambda t: t.keys.rotate("ka", "ee"), {"x2", "x3", "other"}),
        (lambda t: t.keys.remove("ku"), {"x3", "other"}),
        (lambda t: t.keys.enable("ku", False), {"x3", "other"}),
        (lambda t: t.keys.rotate("ku", "ee"), {"x3", "other"}),
        (lambda t: t.keys.remove("x1"), {"x2", "x3", "other"}),
        (lambda t: t.keys.end_exchanges_by_tokens(ISSUER), {"x1", "x2", "other"}),
        (lambda t: t.keys.end_exchanges_by_tokens(ISSUER, user_name="alice"), {"x1", "x2", "other"}),
        (lambda t: t.keys.end_exchanges_by_tokens(ISSUER, user_name="svc"), {"x1", "x2", "other"}),
        (lambda t: t.keys.end_exchanges_by_tokens(ISSUER, user_name="bob"), {"x1", "x2", "x3", "other"}),
        (lambda t: t.keys.end_exchanges_by_tokens("https://other.example"), {"x1", "x2", "x3", "other"}),
        (lambda t: t.keys.end_exchanges_by_tokens(ISSUER, issued_before=950.0), {"x1", "x2", "other"}),
        (lambda t: t.keys.end_exchanges_by_tokens(ISSUER, issued_before=900.0), {"x1", "x2", "x3", "other"}),
        (
            lambda t: t.keys.end_exchanges_by_tokens(ISSUER, user_name="alice", issued_before=950.0),
            {"x1", "x2", "x3", "other"},
        ),
    ],
)
async def test_a_key_of_an_exchange_ends_with_what_it_came_of(
    store: Store, change: Transact, work: Work, left: set[str]
) -> None:
    before = (await change(exchanged)).revision
    await change(work)
    assert set(await exchanges(store)) == left
    named = {each.name for each in (await changed_since(store, before)).changes if each.subject is Subject.KEY}
    assert {"x1", "x2", "x3", "other"} - left <= named, "caches must forget what is gone"


async def test_a_key_of_an_exchange_ends_with_the_former_secret_of_the_key_that_the_service_used(
    store: Store, change: Transact
) -> None:
    await change(exchanged)
    committed = await change(lambda t: t.keys.rotate("ks", "ee", former_until=1500.0))
    ends = {each.key_id: each.expires_at for each in await store.keys() if each.exchange is not None}
    assert ends == {"x1": 1500.0, "x2": 1900.0, "x3": 1100.0, "other": 1900.0}
    assert Change(Subject.KEY, "x1") in committed.changes


async def test_keys_of_exchanges_that_have_expired_are_removed_and_not_counted(
    store: Store, change: Transact, clock: Clock
) -> None:
    await change(exchanged)
    counted: list[int] = []

    async def count(transaction: Transaction) -> None:
        counted.append(await transaction.keys.count_exchanged("svc"))

    await change(count)
    clock.now = 1100.0
    await change(count)
    committed = await change(lambda t: t.keys.remove_expired_exchanges())
    await change(count)
    assert counted == [3, 2, 2]
    assert set(await exchanges(store)) == {"x1", "x2", "other"}
    assert committed.changes == (Change(Subject.KEY, "x3"),)


async def test_expired_keys_that_were_created_stay_and_alone_count_for_their_owner(
    store: Store, change: Transact, clock: Clock
) -> None:
    await change(exchanged)
    await change(lambda t: t.keys.add(key("old", expires_at=1000.5)))
    clock.now = 2000.0
    counted: list[int] = []

    async def work(transaction: Transaction) -> None:
        await transaction.keys.remove_expired_exchanges()
        counted.append(await transaction.keys.count("alice"))

    await change(work)
    assert [each.key_id for each in await store.keys()] == ["ka", "ks", "ku", "old"]
    assert counted == [2]


async def test_a_service_is_not_removed_while_a_key_names_it(store: Store, change: Transact) -> None:
    """The row of an exchange must never go before its key, which would then be an ordinary key of its owner."""
    await change(exchanged)
    await change(lambda t: t.users.remove("svc"))
    assert [each.key_id for each in await store.keys(owner="alice")] == ["ku"]
