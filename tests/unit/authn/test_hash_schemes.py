"""Which kinds of hashes are stored is known before any password is looked at, and costs no reading of all users."""

import asyncio
from collections.abc import Collection
from typing import cast

import pytest

from kiteward.authn.hash_schemes import StoredSchemes
from kiteward.domain.errors import StoreUnavailable
from kiteward.store.base import Store
from kiteward.store.records import HashSchemes


class Hashes:
    """The part of a store that is asked for kinds."""

    def __init__(self) -> None:
        self.of: dict[str, HashSchemes] = {}
        self.asked: list[list[str] | None] = []
        self.broken = False

    async def hash_schemes(self, names: Collection[str] | None) -> HashSchemes:
        """Return the kinds of these users."""
        self.asked.append(None if names is None else list(names))
        await asyncio.sleep(0)
        if self.broken:
            raise StoreUnavailable("the store cannot be read")
        chosen = [self.of[name] for name in (self.of if names is None else names) if name in self.of]
        prefixes = frozenset[str]().union(*(each.prefixes for each in chosen))
        return HashSchemes(prefixes, max((each.former_until or 0 for each in chosen), default=0) or None)


@pytest.fixture
def hashes() -> Hashes:
    made = Hashes()
    made.of["alice"] = HashSchemes(frozenset({"own"}), None)
    return made


@pytest.fixture
def kinds(hashes: Hashes) -> StoredSchemes:
    return StoredSchemes(cast("Store", hashes))


async def test_all_users_are_read_once_and_then_only_those_that_changed(kinds: StoredSchemes, hashes: Hashes) -> None:
    assert await kinds.current() == await kinds.current() == HashSchemes(frozenset({"own"}), None)
    hashes.of["bob"] = HashSchemes(frozenset({"brought"}), 9.0)
    kinds.changed(["bob", "carol"])
    assert await kinds.current() == await kinds.current() == HashSchemes(frozenset({"own", "brought"}), 9.0)
    assert hashes.asked == [None, ["bob", "carol"]]


async def test_a_kind_that_was_seen_stays(kinds: StoredSchemes, hashes: Hashes) -> None:
    hashes.of["bob"] = HashSchemes(frozenset({"brought"}), 9.0)
    await kinds.current()
    hashes.of["bob"] = HashSchemes(frozenset({"own"}), 7.0)
    kinds.changed(["bob"])
    assert await kinds.current() == HashSchemes(frozenset({"own", "brought"}), 9.0)


async def test_callers_at_once_wait_for_the_same_reading(kinds: StoredSchemes, hashes: Hashes) -> None:
    found = await asyncio.gather(*(kinds.current() for _ in range(5)))
    assert set(found) == {HashSchemes(frozenset({"own"}), None)}
    assert hashes.asked == [None]


async def test_what_could_not_be_read_is_read_again(kinds: StoredSchemes, hashes: Hashes) -> None:
    await kinds.current()
    hashes.broken = True
    kinds.changed(["bob"])
    with pytest.raises(StoreUnavailable):
        await kinds.current()
    hashes.broken = False
    hashes.of["bob"] = HashSchemes(frozenset({"brought"}), None)
    assert await kinds.current() == HashSchemes(frozenset({"own", "brought"}), None)


@pytest.mark.parametrize("many", [True, False])
async def test_all_users_are_read_again_where_many_changed_or_nobody_knows_who(
    kinds: StoredSchemes, hashes: Hashes, many: bool
) -> None:
    await kinds.current()
    hashes.of["bob"] = HashSchemes(frozenset({"brought"}), None)
    if many:
        kinds.changed(f"user{number}" for number in range(2000))
    else:
        kinds.changed_all()
    assert await kinds.current() == HashSchemes(frozenset({"own", "brought"}), None)
    assert hashes.asked == [None, None]
