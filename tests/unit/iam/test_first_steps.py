"""What is left to do on a new server: looked for until it is done, and never in the way."""

from typing import Any, cast

from kiteward.authn.hashing import PasswordHasher
from kiteward.domain.errors import StoreUnavailable
from kiteward.domain.identity import Secret
from kiteward.iam.first_steps import FirstStep, FirstSteps
from kiteward.store.base import Store


class User:
    def __init__(self, name: str, password_hash: str = "", *, enabled: bool = True) -> None:
        self.name = name
        self.password_hash = password_hash
        self.enabled = enabled


class Users:
    """Stands for a store with users; counts how often it is read."""

    def __init__(self, *users: User) -> None:
        self.held = list(users)
        self.reads = 0
        self.broken = False

    async def users(self, *, limit: int) -> list[User]:
        self.reads += 1
        if self.broken:
            raise StoreUnavailable("the store could not be read")
        return self.held[:limit]

    async def user(self, name: str) -> User | None:
        return next((user for user in self.held if user.name == name), None)


class Hasher:
    """Stands for the hasher; counts how often it compares."""

    def __init__(self) -> None:
        self.compared = 0

    async def verify(self, stored: str, password: Secret) -> bool:
        self.compared += 1
        return stored == f"hash of {password.reveal()}"


async def left(steps: FirstSteps, store: Users, hasher: Hasher) -> tuple[FirstStep, ...]:
    return await steps.left(cast("Store", store), cast("PasswordHasher", cast("Any", hasher)))


async def test_both_steps_are_left_on_a_new_server_and_the_password_is_compared_once() -> None:
    steps, store, hasher = FirstSteps(), Users(User("root", "hash of Milvus")), Hasher()
    for _ in range(3):
        assert await left(steps, store, hasher) == (FirstStep.PASSWORD, FirstStep.USER)
    assert hasher.compared == 1


async def test_once_every_step_is_taken_nobody_looks_again() -> None:
    steps, store, hasher = FirstSteps(), Users(User("alice"), User("root", "hash of another")), Hasher()
    assert [await left(steps, store, hasher) for _ in range(3)] == [(), (), ()]
    assert store.reads == 1


async def test_a_disabled_root_has_no_password_to_change() -> None:
    store = Users(User("root", "hash of Milvus", enabled=False))
    assert await left(FirstSteps(), store, Hasher()) == (FirstStep.USER,)


async def test_a_store_that_cannot_be_read_names_no_step_and_is_asked_again() -> None:
    steps, store, hasher = FirstSteps(), Users(User("root", "hash of Milvus")), Hasher()
    store.broken = True
    assert await left(steps, store, hasher) == ()
    store.broken = False
    assert await left(steps, store, hasher) == (FirstStep.PASSWORD, FirstStep.USER)
