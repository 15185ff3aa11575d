"""A caller of services: an administrator whose changes are followed by the policy in force."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from tests.support.gateway import House

from kiteward.authz.policy import PolicySnapshot
from kiteward.domain.identity import Principal
from kiteward.store.transaction import Transaction


class FakeCaller:
    """Calls services without a gateway.

    Attributes:
        recorded: what services added to the audit trail.
    """

    def __init__(self, house: House, principal: Principal) -> None:
        self._house = house
        self.principal = principal
        self.recorded: dict[str, Any] = {}

    @property
    def snapshot(self) -> PolicySnapshot:
        return self._house.policy_cache.current()

    @property
    def change(self) -> Callable[[], AbstractAsyncContextManager[Transaction]]:
        return self._house.policy_cache.change

    @property
    def record(self) -> Callable[..., None]:
        return self.recorded.update


@pytest.fixture
def caller(house: House) -> FakeCaller:
    return FakeCaller(house, Principal("root", unrestricted=True))
