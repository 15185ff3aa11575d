"""What is left to do on a new server, for its administrators."""

from enum import StrEnum

from kiteward.authn.hashing import PasswordHasher
from kiteward.domain.errors import StoreError
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, ROOT, Secret
from kiteward.store.base import Store


class FirstStep(StrEnum):
    """A step that every new server needs."""

    PASSWORD = "rootPassword"  # noqa: S105  the name of a step
    USER = "user"


class FirstSteps:
    """Which steps are left. Once none is, nobody looks again."""

    def __init__(self) -> None:
        self._verified: tuple[str, bool] | None = None
        self._all_taken = False

    async def left(self, store: Store, hasher: PasswordHasher) -> tuple[FirstStep, ...]:
        """Return the steps that are left, in their order; none while the store cannot be read.

        Args:
            store: the users.
            hasher: compares the password of `root` with the default one, once for each hash.
        """
        if self._all_taken:
            return ()
        try:
            return await self._found(store, hasher)
        except StoreError:
            return ()

    async def _found(self, store: Store, hasher: PasswordHasher) -> tuple[FirstStep, ...]:
        others = [user for user in await store.users(limit=2) if user.name != ROOT]
        left = [FirstStep.PASSWORD] if await self._has_default_password(store, hasher) else []
        left += [] if others else [FirstStep.USER]
        self._all_taken = not left
        return tuple(left)

    async def _has_default_password(self, store: Store, hasher: PasswordHasher) -> bool:
        root = await store.user(ROOT)
        if root is None or not root.enabled:
            return False
        if self._verified is None or self._verified[0] != root.password_hash:
            default = await hasher.verify(root.password_hash, Secret(DEFAULT_ROOT_PASSWORD))
            self._verified = (root.password_hash, default)
        return self._verified[1]
