"""The audit line of a deletion says what went with it."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.described import described
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, opened
from tests.support.scim import SETTINGS, serving
from tests.support.scim import group as scim_group
from tests.support.scim import user as scim_user
from tests.unit.iam.json_api.conftest import Own, signed_in
from tests.unit.iam.json_api.test_second_factors import enrolled, next_code, session_of

from kiteward.audit.events import MOST_VALUES, AuditEvent, Outcome
from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.operations.row import Executor
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.recorded_states import MOST_RECORDED
from kiteward.iam.row_policy_forms import LONGEST_EXPRESSION

_DELETES: Final = re.compile("Delete|Drop|Remove|Revoke|Reset|Unbind|TakeBack|Rotate|ChangeUsers|ChangeApiKeys")

_NOTHING_ELSE: Final = {
    "DropCollectionFunction": "a definition in the engine",
    "DropPartition": "no grant is on a partition",
    "DropNamespace": "nobody has rights on one",
    "DropIndex": "a definition in the engine",
    "DropSnapshot": "nobody has rights on one",
    "DropAlias": "grants are on the collection",
    "DropResourceGroup": "nobody has rights on one",
    "RemoveFileResource": "nobody has rights on one",
    "Delete": "rows, which the request names",
    "ResetPassword": "the password, and keys of exchanges, which last an hour at most",
    "RevokeGroupRole": "the request names what ends",
    "UnbindIdentity": "the result names the subject that signs in no more",
}
"""Operations of which nothing else ends that was granted to somebody."""

GRANT: Final = {"privilege": "Query", "objectType": "Collection", "dbName": "default"}
POLICY: Final = {
    "policy": "own",
    "type": "PERMISSIVE",
    "actions": ["Query"],
    "roles": ["ops"],
    "using_expr": "owner == $current_principal",
    "check_expr": "",
    "description": "",
}


class Deleting:
    """A server with something of everything.

    Attributes:
        own: calls our own operations.
        harness: the gateway.
        key_id: an API key of alice, that is restricted to the role `ops`.
        made: a key that alice's key has made.
    """

    def __init__(self, own: Own) -> None:
        self.own = own
        self.harness = own.harness
        self.key_id = self.made = ""

    async def set_up(self) -> "Deleting":
        await self.harness.role("ops", ("Query", "default", "docs"))
        await self.harness.user("alice", "ops")
        await self.harness.group("readers", "Query", "Search")
        key = await self.own("CreateApiKey", userName="alice", roles=["ops"], networks=["10.0.0.0/8"], description="ci")
        made = await self.own("CreateApiKey", by=key["key"], userName="alice")
        self.key_id, self.made = key["keyId"], made["keyId"]
        await self.own("SetTags", userName="alice", tags={"team": "red"})
        await self.own("SetLimits", userName="alice", concurrentRequests=2)
        await self.own("SetLimits", roleName="ops", requestsPerSecond=5.0, burst=5)
        await self.own(
            "MakeRowPolicy",
            collectionName="docs",
            policyName="own",
            actions=["Query"],
            usingExpr=POLICY["using_expr"],
            roles=["ops"],
        )
        await self.own("EnableRowPolicies", collectionName="docs")
        await self.own("GrantGroupRole", issuer="scim", group="staff", roleName="ops")
        return self

    def of_alice(self) -> Mapping[str, Any]:
        return {
            "enabled": True,
            "roles": ["ops"],
            "keyIds": sorted((self.key_id, self.made)),
            "tags": {"team": "red"},
            "limits": {"concurrentRequests": 2},
        }

    def of_key(self) -> Mapping[str, Any]:
        told = {"description": "ci", "enabled": True, "networks": ["10.0.0.0/8"]}
        return {**told, "keyIds": [self.made], "roles": ["ops"]}

    def of_ops(self) -> Mapping[str, Any]:
        return {
            "users": ["alice"],
            "keyIds": sorted((self.key_id, self.made)),
            "grants": [{**GRANT, "objectName": "docs"}],
            "groupRoles": [{"issuer": "scim", "group": "staff", "pattern": False}],
            "limits": {"requestsPerSecond": 5.0, "burst": 5},
            "policies": [{"database": "default", "collection": "docs", **POLICY}],
        }

    def ends(self, operation: str) -> Sequence[AuditEvent]:
        """Return the last lines of an operation."""
        return [
            event
            for event in self.harness.trail.events
            if event.operation == operation and event.outcome is Outcome.SUCCEEDED
        ]


@pytest.fixture
async def deleting(store_path: Path) -> AsyncIterator[Deleting]:
    engine = FakeEngine()
    engine.create("docs")
    engine.answers["DescribeCollection"] = described(owner="VarChar")
    async with opened(store_path, engine) as harness:
        harness.configure(scim=SETTINGS)
        yield await Deleting(Own(harness)).set_up()


Case = Callable[[Deleting], Awaitable[Mapping[str, Any] | Sequence[Mapping[str, Any]]]]


def rpc(operation: str, before: Callable[[Deleting], Any], **fields: Any) -> Case:
    """Return a case that sends an RPC, and what its line has to say then."""

    async def send(deleting: Deleting) -> Any:
        await deleting.harness.succeed(operation, **fields)
        return before(deleting)

    return send


def own(operation: str, before: Callable[[Deleting], Any], **arguments: Any) -> Case:
    """Return a case that calls an operation of our own; a function returns an argument."""

    async def send(deleting: Deleting) -> Any:
        given = {name: value(deleting) if callable(value) else value for name, value in arguments.items()}
        await deleting.own(operation, **given)
        return before(deleting)

    return send


async def scim_user_deleted(deleting: Deleting) -> Mapping[str, Any]:
    await deleting.own("HandOverToScim", userName="alice", scimUserName="alice@corp")
    async with serving(deleting.harness) as scim:
        (found,) = await scim.found("/Users", 'userName eq "alice@corp"')
        await scim.ask("POST", "/Groups", scim_group("staff", found))
        await scim.send("DELETE", f"/Users/{found}")
    return {**deleting.of_alice(), "groupRoles": ["ops"], "scimUserName": "alice@corp"}


async def scim_group_deleted(deleting: Deleting) -> Mapping[str, Any]:
    async with serving(deleting.harness) as scim:
        made = await scim.ask("POST", "/Users", scim_user("bob@corp"))
        group = await scim.ask("POST", "/Groups", scim_group("staff", made["id"]))
        await scim.send("DELETE", f"/Groups/{group['id']}")
    return {"members": ["scim_bob_corp"]}


async def taken_back(deleting: Deleting) -> Mapping[str, Any]:
    await deleting.own("HandOverToScim", userName="alice", scimUserName="alice@corp")
    await deleting.own("TakeBackFromScim", userName="alice")
    return {"scimUserName": "alice@corp"}


async def factors_reset(deleting: Deleting) -> Mapping[str, Any]:
    _, made = await enrolled(deleting.own, await signed_in(deleting.own, "alice"))
    await deleting.own("ResetFactors", userName="alice")
    return {"factors": [{"factorId": made["factorId"], "kind": "totp", "label": "my phone"}]}


async def factor_removed(deleting: Deleting) -> Mapping[str, Any]:
    app, made = await enrolled(deleting.own, await signed_in(deleting.own, "alice"))
    code = next_code(deleting.own, app)
    await deleting.own("RemoveFactor", by=session_of(made), factorId=made["factorId"], password="Password-1", code=code)
    return {"factors": [{"factorId": made["factorId"], "kind": "totp", "label": "my phone"}]}


CASES: Final[Mapping[str, Case]] = {
    "DeleteCredential": rpc("DeleteCredential", Deleting.of_alice, username="alice"),
    "DeleteUserAccount": own("DeleteUserAccount", Deleting.of_alice, userName="alice"),
    "ChangeUsers": own(
        "ChangeUsers",
        lambda it: [{"userName": "alice", **it.of_alice()}],
        change="delete",
        userNames=["alice"],
    ),
    "DeleteScimUser": scim_user_deleted,
    "DeleteScimGroup": scim_group_deleted,
    "TakeBackFromScim": taken_back,
    "DropRole": rpc("DropRole", Deleting.of_ops, role_name="ops", force_drop=True),
    "DeleteRole": own("DeleteRole", Deleting.of_ops, roleName="ops", force=True),
    "DropPrivilegeGroup": rpc(
        "DropPrivilegeGroup", lambda _: {"privileges": ["Query", "Search"]}, group_name="readers"
    ),
    "RevokeApiKey": own("RevokeApiKey", Deleting.of_key, keyId=lambda it: it.key_id),
    "ChangeApiKeys": own(
        "ChangeApiKeys",
        lambda it: [{"keyId": it.key_id, **it.of_key()}],
        change="revoke",
        keyIds=lambda it: [it.key_id],
    ),
    "RotateApiKey": own("RotateApiKey", lambda it: {"keyIds": [it.made]}, keyId=lambda it: it.key_id),
    "DropRowPolicy": rpc("DropRowPolicy", lambda _: POLICY, collection_name="docs", policy_name="own"),
    "RemoveRowPolicy": own("RemoveRowPolicy", lambda _: POLICY, collectionName="docs", policyName="own"),
    "DeleteUserTags": rpc("DeleteUserTags", lambda _: {"team": "red"}, user_name="alice", tag_keys=["team"]),
    "DeleteTags": own("DeleteTags", lambda _: {"team": "red"}, userName="alice", keys=["team"]),
    "DeleteLimits": own("DeleteLimits", lambda _: {"concurrentRequests": 2}, userName="alice"),
    "ResetFactors": factors_reset,
    "RemoveFactor": factor_removed,
}


@pytest.mark.parametrize("operation", CASES)
async def test_line_of_a_deletion_says_what_there_was(deleting: Deleting, operation: str) -> None:
    before = await CASES[operation](deleting)
    assert deleting.ends(operation)[-1].details["result"]["before"] == before


@pytest.mark.parametrize(
    ("operation", "fields"), [("DropCollection", {"collection_name": "docs"}), ("DropDatabase", {"db_name": "shop"})]
)
async def test_what_was_on_a_dropped_object_is_said_by_the_line_that_follows(
    deleting: Deleting, operation: str, fields: Mapping[str, Any]
) -> None:
    await deleting.harness.succeed("CreateDatabase", db_name="shop")
    await deleting.harness.grant("ops", "Search", "shop", "*")
    await deleting.harness.succeed(operation, **fields)
    told = deleting.ends("FollowObject")[-1].details["before"]
    if operation == "DropCollection":
        policies = [{"database": "default", "collection": "docs", **POLICY}]
        assert told == {
            "grants": [{**GRANT, "objectName": "docs", "role": "ops"}],
            "policies": policies,
            "enforced": ["docs"],
        }
    else:
        assert told == {
            "grants": [{**GRANT, "privilege": "Search", "dbName": "shop", "objectName": "*", "role": "ops"}]
        }


def test_every_operation_that_deletes_is_among_these() -> None:
    rows = {name: row.executor for name, row in OPERATIONS.items() if row.changes}
    names = {name for name, executor in rows.items() if executor is not Executor.NOBODY}
    names |= {name for name, row in ADMIN_OPERATIONS.items() if row.changes}
    deleting = {name for name in names if _DELETES.search(name)}
    assert deleting == {*CASES, *_NOTHING_ELSE, "DropCollection", "DropDatabase"}


async def test_role_of_many_users_makes_no_long_line(harness: GatewayHarness) -> None:
    await harness.role("ops")
    async with harness.policy_cache.change() as transaction:
        for number in range(MOST_RECORDED + 44):
            await transaction.users.add(f"user{number:04}", "hash")
            await transaction.roles.bind(f"user{number:04}", "ops")
    await harness.succeed("DropRole", role_name="ops")
    users = harness.trail.events[-1].details["result"]["before"]["users"]
    assert (len(users), users[0], users[-1]) == (MOST_RECORDED + 1, "user0000", "… (300 in all)")


async def test_where_there_was_nothing_the_line_has_no_empty_state(deleting: Deleting) -> None:
    own, harness = deleting.own, deleting.harness
    await harness.role("bare")
    await harness.succeed("DropRole", role_name="bare")
    await own("RotateApiKey", keyId=deleting.made)
    await own("SetTags", userName="root", tags={"team": "red"})
    await own("SetLimits", userName="root", concurrentRequests=2)
    for operation in ("DropRole", "RotateApiKey", "SetTags", "SetLimits"):
        assert "before" not in deleting.ends(operation)[-1].details["result"]
    await harness.role("bare")
    exported = (await own("ExportPolicy"))["policy"]
    del exported["roles"]["bare"]
    await own("ApplyPolicy", policy=exported, allowDeletions=True)
    assert "before" not in deleting.ends("DropRole")[-1].details["result"]


def long_policy(number: int, size: int) -> dict[str, Any]:
    """Return the arguments of a policy whose expressions have so many bytes."""
    expression = f"owner == '{'x' * (size - 11)}'"
    return {
        "collectionName": "docs",
        "policyName": f"p{number:03}",
        "actions": ["Upsert"],
        "usingExpr": expression,
        "checkExpr": expression,
        "roles": ["ops"],
        "description": "y" * 1_000,
    }


@pytest.mark.parametrize("what", ["role", "collection", "database"])
async def test_expressions_of_lost_row_policies_are_recorded_whole_until_they_are_too_many(
    deleting: Deleting, what: str
) -> None:
    made = [long_policy(number, LONGEST_EXPRESSION) for number in range(10)]
    if what == "database":
        await deleting.harness.succeed("CreateDatabase", db_name="shop")
        deleting.harness.engine.create("docs", database="shop")
        deleting.harness.catalog.forget(["shop"])
    for each in made:
        await deleting.own("MakeRowPolicy", **each, **({"dbName": "shop"} if what == "database" else {}))
    if what == "role":
        await deleting.own("DeleteRole", roleName="ops", force=True)
        told = deleting.ends("DeleteRole")[-1].details["result"]["before"]["policies"]
    else:
        if what == "database":
            deleting.harness.engine.databases["shop"].collections.clear()
            await deleting.harness.succeed("DropDatabase", db_name="shop")
        else:
            await deleting.harness.succeed("DropCollection", collection_name="docs")
        told = deleting.ends("FollowObject")[-1].details["before"]["policies"]
    told = {each["policy"]: each for each in told}
    for each in made[:7]:
        found = told[each["policyName"]]
        assert (found["using_expr"], found["check_expr"]) == (each["usingExpr"], each["checkExpr"])
        assert found["description"] == each["description"]
    last = told["p009"]["using_expr"]
    assert (len(last), last.endswith("… (16384 characters)")) == (256 + len("… (16384 characters)"), True)


async def test_grants_on_a_dropped_collection_are_recorded_up_to_the_bound_of_a_list(deleting: Deleting) -> None:
    for number in range(MOST_VALUES + 2):
        await deleting.harness.role(f"role{number}", ("Search", "default", "docs"))
    await deleting.harness.succeed("DropCollection", collection_name="docs")
    assert len(deleting.ends("FollowObject")[-1].details["before"]["grants"]) == MOST_VALUES + 3


async def test_each_deletion_of_a_policy_file_says_it_too(deleting: Deleting) -> None:
    exported = (await deleting.own("ExportPolicy"))["policy"]
    del exported["users"]["alice"]
    await deleting.own("ApplyPolicy", policy=exported, allowDeletions=True)
    assert deleting.ends("DeleteUserAccount")[-1].details["result"]["before"] == deleting.of_alice()
