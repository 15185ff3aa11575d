"""Policy as code beside other changes: none waits for a file to be worked out, and none is lost."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.support.described import described
from tests.unit.iam.json_api.conftest import Own

from kiteward.domain.errors import AccessDenied, InvalidArgument, StoreUnreachable
from kiteward.store.draft import Draft

RULE = {"actions": ["Query"], "using": "owner == $current_principal"}
FILE: dict[str, Any] = {
    "version": 1,
    "roles": {"reader": {"grants": [{"privilege": "Query", "collection": "docs"}]}},
    "users": {"alice": {"roles": ["reader"]}, "bob": {}},
    "rowPolicies": [{"collection": "docs", "enforced": True, "policies": {"own": RULE}}],
}
"""Its row policy is checked in the middle, so that a test can hold it there."""


@pytest.fixture
async def made(own: Own) -> Own:
    """A gateway with two users and a collection, but not what the file says."""
    own.harness.engine.create("docs")
    own.harness.engine.answers["DescribeCollection"] = described(owner="VarChar")
    await own.harness.role("reader")
    await own.harness.user("alice")
    await own.harness.user("bob")
    return own


async def meanwhile(own: Own, act: Callable[[], Awaitable[Any]], *, by: str = "root", **users: Any) -> Any:
    """Apply the file, and make another change while it is worked out. Return the answer, or the error."""
    gate = own.harness.engine.hold("DescribeCollection")
    file = {**FILE, "users": {**FILE["users"], **users}}
    applying = asyncio.ensure_future(own("ApplyPolicy", by=by, policy=file, allowDeletions=True))
    await own.harness.engine.reached("DescribeCollection")
    await asyncio.wait_for(act(), timeout=30)
    assert not applying.done()
    gate.set()
    return (await asyncio.gather(applying, return_exceptions=True))[0]


async def drafts(own: Own) -> int:
    """Return how often a file was worked out: each time the collection is described once, and once more at the end."""
    return len(own.harness.engine.called("DescribeCollection")) // 2


async def test_a_plan_needs_no_turn_of_a_writer(made: Own) -> None:
    async with made.harness.store.transaction():
        planned = await asyncio.wait_for(made("PlanPolicy", policy=FILE), timeout=30)
    assert [each["name"] for each in planned["changes"]] == ["reader", "alice", "default.docs"]


async def test_a_user_is_disabled_while_a_file_is_worked_out_and_stays_so(made: Own) -> None:
    await meanwhile(made, lambda: made("DisableUser", userName="bob"))
    bob, alice = await made.harness.store.user("bob"), await made.harness.store.user("alice")
    assert bob is not None
    assert alice is not None
    assert (bob.enabled, alice.roles) == (False, ("reader",))


async def test_a_file_is_worked_out_again_for_what_was_changed_meanwhile(made: Own) -> None:
    done = await meanwhile(made, lambda: made.harness.user("mallory", "reader"))
    assert await made.harness.store.user("mallory") is None
    assert "mallory" in [each["name"] for each in done["changes"]]
    assert await drafts(made) == 2


async def test_a_file_is_not_worked_out_again_for_a_key_that_it_does_not_end(made: Own) -> None:
    await meanwhile(made, lambda: made("CreateApiKey", userName="alice", description="a program"))
    assert await drafts(made) == 1
    assert len(await made.harness.store.keys(owner="alice")) == 1


async def test_a_file_is_worked_out_again_for_a_key_that_ends_with_its_user(made: Own) -> None:
    await made.harness.user("mallory")
    done = await meanwhile(made, lambda: made("CreateApiKey", userName="mallory", description="a program"))
    (gone,) = [each for each in done["changes"] if each["name"] == "mallory"]
    assert [each["what"].split()[:2] for each in gone["differences"]] == [["API", "key"]]
    assert await made.harness.store.keys() == []


async def test_what_others_write_of_the_same_user_is_kept(made: Own) -> None:
    before = await made.harness.store.user("alice")
    assert before is not None

    async def rehash() -> None:
        async with made.harness.store.transaction() as transaction:
            await transaction.users.rehash("alice", "another hash", credential_id=before.credential_id)
            await transaction.commit()

    await meanwhile(made, rehash)
    after = await made.harness.store.user("alice")
    assert after is not None
    assert (after.password_hash, after.roles) == ("another hash", ("reader",))


async def test_a_row_policy_is_checked_again_where_its_collection_has_other_fields_by_now(made: Own) -> None:
    fields = itertools.chain([described(owner="VarChar")], itertools.repeat(described(other="VarChar")))
    made.harness.engine.acts["DescribeCollection"] = lambda _call: next(fields)
    with pytest.raises(InvalidArgument, match="owner"):
        await made("ApplyPolicy", policy=FILE, allowDeletions=True)
    assert not (await made("ExportPolicy"))["policy"]["rowPolicies"]


async def test_a_grant_is_on_the_collection_that_an_alias_stands_for_when_it_is_written(made: Own) -> None:
    made.harness.engine.create("other")
    await made.harness.succeed("CreateAlias", alias="current", collection_name="docs")
    gate = made.harness.engine.hold("DescribeCollection")
    roles = {"reader": {"grants": [{"privilege": "Query", "collection": "current"}]}}
    applying = asyncio.ensure_future(made("ApplyPolicy", policy={**FILE, "roles": roles}, allowDeletions=True))
    await made.harness.engine.reached("DescribeCollection")
    await made.harness.succeed("AlterAlias", alias="current", collection_name="other")
    gate.set()
    await applying
    assert [each.key.object_name for each in (await made.harness.store.policy()).grants] == ["other"]


async def test_who_is_no_administrator_any_longer_applies_nothing(made: Own) -> None:
    await made.harness.user("boss", "admin")
    harness = made.harness
    refused = await meanwhile(
        made, lambda: harness.succeed("OperateUserRole", username="boss", role_name="admin", type=1), by="boss", boss={}
    )
    assert isinstance(refused, AccessDenied)
    alice = await made.harness.store.user("alice")
    assert alice is not None
    assert alice.roles == ()


async def test_a_file_is_refused_if_others_change_what_it_depends_on_each_time(made: Own) -> None:
    store, names = made.harness.store, map(str, itertools.count())
    copied = store.draft

    @contextlib.asynccontextmanager
    async def copied_too_early() -> AsyncIterator[Draft]:
        async with copied() as draft:
            await made.harness.role(f"role{next(names)}")
            yield draft

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "draft", copied_too_early)
        with pytest.raises(StoreUnreachable, match="apply the file again later"):
            await made("ApplyPolicy", policy=FILE, allowDeletions=True)
    alice = await store.user("alice")
    assert alice is not None
    assert alice.roles == ()


async def test_of_several_that_are_applied_at_once_each_is(made: Own) -> None:
    files = [{"version": 1, "roles": {"reader": {"description": each}}} for each in "abcde"]
    done = await asyncio.gather(*(made("ApplyPolicy", policy=each, allowDeletions=True) for each in files))
    assert [len(each["changes"]) for each in done] == [1] * 5
