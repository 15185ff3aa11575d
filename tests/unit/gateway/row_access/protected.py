"""A gateway whose collection `docs` has row policies, and users who are subject to them."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness

from kiteward.authz.row_policies import PolicyType, RowAction, RowPolicy
from kiteward.milvus import messages

OWN: Final = "owner == $current_principal"
ALICE: Final = 'owner == "alice"'
"""What the policy comes to for alice."""

EVERY_ACTION: Final = frozenset(RowAction)


def policy(name: str = "own", using: str = OWN, **others: Any) -> RowPolicy:
    """Return a policy for every action."""
    fields = {"actions": EVERY_ACTION, "using_expr": using, "check_expr": using, **others}
    return RowPolicy(name, others.pop("policy_type", PolicyType.PERMISSIVE), **fields)


async def protect(
    harness: GatewayHarness,
    *policies: RowPolicy,
    collection: str = "docs",
    enabled: bool = True,
    force: bool = False,
) -> None:
    """Give a collection row policies, in place of those it had."""
    async with harness.policy_cache.change() as transaction:
        await transaction.row_policies.drop("default", collection)
        await transaction.row_policies.protect("default", collection, enabled=enabled, force=force)
        for each in policies:
            await transaction.row_policies.put("default", collection, each)


async def move_in(harness: GatewayHarness, engine: FakeEngine) -> None:
    """Create the collections `docs` and `open`, and users with every privilege on collections, alice and bob.

    The user carol holds SkipRLS on `docs` as well.
    """
    engine.create("docs", "open")
    schema: Any = {"fields": [{"name": "id", "is_primary_key": True}, {"name": "owner"}]}
    engine.answers["DescribeCollection"] = messages.DescribeCollectionResponse(schema=schema).SerializeToString()
    await harness.role("members", ("CollectionAdmin", "default", "*"), ("DatabaseAdmin", "default", "*"))
    await harness.role("skippers", ("SkipRLS", "default", "docs"))
    for name, roles in {"alice": ["members"], "bob": ["members"], "carol": ["members", "skippers"]}.items():
        await harness.user(name, *roles)
    await protect(harness, policy())


async def queued(harness: GatewayHarness, *tasks: "asyncio.Future[Any]") -> None:
    """Wait until all these requests wait for the lock of a collection."""
    lines = harness.gateway._writes._locks._lines
    async with asyncio.timeout(10):
        while sum(len(line.waiting) for line in lines.values()) < len(tasks):
            assert not any(task.done() for task in tasks), tasks
            await asyncio.sleep(0)


def forwarded(engine: FakeEngine, method: str) -> Any:
    """Return the request that reached the engine last."""
    return engine.called(method)[-1].request


def pairs(**values: str) -> Sequence[messages.KeyValuePair]:
    """Return key-value parameters."""
    return [messages.KeyValuePair(key=key, value=value) for key, value in values.items()]
