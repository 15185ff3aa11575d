"""A caller of services: an administrator whose changes are followed by the policy in force."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from tests.support.gateway import GatewayHarness

from kiteward.authz.policy import Condition, Decision, PolicySnapshot
from kiteward.domain.identity import Principal
from kiteward.store.transaction import Transaction


class FakeCaller:
    """Calls services without a gateway.

    Attributes:
        recorded: what services added to the audit trail.
        decided: what services decided, with the names that were given.
    """

    def __init__(self, harness: GatewayHarness, principal: Principal) -> None:
        self._harness = harness
        self.principal = principal
        self.recorded: dict[str, Any] = {}
        self.decided: list[tuple[Condition, str]] = []
        self.tentative = False

    @property
    def snapshot(self) -> PolicySnapshot:
        return self._harness.policy_cache.current()

    @property
    def change(self) -> Callable[[], AbstractAsyncContextManager[Transaction]]:
        return self._harness.policy_cache.change

    @property
    def record(self) -> Callable[..., None]:
        return self.recorded.update

    def enforce(self, condition: Condition, decision: Decision, *, given: str) -> None:
        self.decided.append((condition, given))
        decision.require_allowed()


@pytest.fixture
def caller(harness: GatewayHarness) -> FakeCaller:
    return FakeCaller(harness, Principal("root", unrestricted=True))
