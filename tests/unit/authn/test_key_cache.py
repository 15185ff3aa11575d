"""Cached keys: forgotten with everything that they depend on, and leaving nothing behind."""

from kiteward.authn.key_cache import CachedKey, KeyCache, StoredKey
from kiteward.domain.identity import Principal
from kiteward.store.exchange_records import Exchange
from kiteward.store.records import KeyRecord, UserRecord


def user(name: str) -> UserRecord:
    return UserRecord(name, "hash", "id", "", 0.0, 0.0, ())


def stored(key_id: str, *, actor: str = "", made_by: str = "") -> StoredKey:
    """Return a key of alice, made with another key of bob or got by a service in an exchange."""
    exchange = Exchange(actor) if actor else None
    lineage = [KeyRecord(key_id, "alice", "digest", "", 0.0, "alice", exchange=exchange)]
    lineage += [KeyRecord(made_by, "bob", "digest", "", 0.0, "bob")] if made_by else []
    names = {"alice", *([actor] if actor else []), *(["bob"] if made_by else [])}
    return StoredKey(lineage, {name: user(name) for name in names})


def remembered(cache: KeyCache, key: StoredKey) -> None:
    cache.remember(CachedKey.of(key.lineage, Principal("alice"), closed=False), key)


def held(cache: KeyCache) -> list[object]:
    """Return everything that a cache holds."""
    return [value for value in vars(cache).values() if value]


def test_a_key_is_forgotten_with_each_user_and_key_that_it_depends_on() -> None:
    for users, keys in ((["alice"], []), (["svc"], []), (["bob"], []), ([], ["k"]), ([], ["parent"])):
        cache = KeyCache()
        remembered(cache, stored("k", actor="svc", made_by="parent"))
        remembered(cache, stored("other"))
        cache.forget(users, keys)
        assert cache.get("k") is None
        assert (cache.get("other") is None) == (users == ["alice"])


def test_a_key_that_is_forgotten_leaves_nothing_behind() -> None:
    """Keys of exchanges come and go all the time, while their users stay unchanged."""
    cache = KeyCache()
    for number in range(3):
        remembered(cache, stored(f"k{number}", actor="svc", made_by="parent"))
        remembered(cache, stored(f"k{number}", actor="svc", made_by="parent"))
        cache.forget([], [f"k{number}"])
        assert held(cache) == []
    remembered(cache, stored("k", actor="svc"))
    cache.clear()
    assert held(cache) == []


def test_a_key_of_an_exchange_has_of_the_tags_those_that_it_kept_while_they_are_the_same() -> None:
    kept = {"team": "sales", "region": "eu", "gone": "x"}
    record = KeyRecord("k", "alice", "digest", "", 0.0, "svc", roles=(), exchange=Exchange("svc", kept_tags=kept))
    owner = Principal("alice", tags={"team": "sales", "region": "us", "new": "y"})
    assert CachedKey.of([record], owner, closed=False).principal.tags == {"team": "sales"}
