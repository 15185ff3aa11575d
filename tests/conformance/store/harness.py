"""What the tests of every store share: names of the fixtures' types, a clock to set, and a user that must be there."""

from collections.abc import Awaitable, Callable, Coroutine

from kiteward.store.base import Store
from kiteward.store.records import Committed, PolicyChanges, UserRecord
from kiteward.store.transaction import Transaction

Work = Callable[[Transaction], Awaitable[object]]
Transact = Callable[[Work], Coroutine[None, None, Committed]]
OpenStore = Callable[[], Awaitable[Store]]


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def existing(store: Store, name: str) -> UserRecord:
    """Return a user that must be there."""
    user = await store.user(name)
    assert user is not None
    return user


async def changed_since(store: Store, revision: int) -> PolicyChanges:
    """Return what has changed since a revision that the feed must reach."""
    changes = await store.changes_since(revision)
    assert changes is not None
    return changes


def adding(name: str) -> Work:
    """Return the work of adding a user of this name."""
    return lambda transaction: transaction.users.add(name, f"hash of {name}")
