"""Grants as a service."""

import pytest
from tests.support.gateway import GatewayHarness
from tests.unit.iam.conftest import FakeCaller

from kiteward.authz.model import Grant, GrantKey
from kiteward.authz.privileges import ObjectType
from kiteward.domain.errors import InvalidArgument, InvalidGrant, LimitReached, RoleNotFound
from kiteward.iam import grants
from kiteward.iam.grants import PrivilegeScope

QUERY = PrivilegeScope("Query", "default", "docs")
INSERT = PrivilegeScope("Insert", "default", "docs")


@pytest.mark.parametrize(
    ("scope", "kind"),
    [
        (QUERY, ObjectType.COLLECTION),
        (PrivilegeScope("CollectionReadOnly", "default", "docs"), ObjectType.GLOBAL),
        (PrivilegeScope("UpdateUser", "default", "*"), ObjectType.USER),
        (PrivilegeScope("*", "default", "docs"), ObjectType.GLOBAL),
        (PrivilegeScope("*", "default", "docs", ObjectType.COLLECTION), ObjectType.COLLECTION),
    ],
)
def test_grant_is_stored_under_the_type_that_is_named_or_fits(scope: PrivilegeScope, kind: ObjectType) -> None:
    assert scope.key == GrantKey(kind, scope.database, scope.name, scope.privilege)


async def test_given_grant_is_listed_and_a_revoked_one_is_not(harness: GatewayHarness, caller: FakeCaller) -> None:
    await harness.role("reader")
    await grants.give_grant(harness.services, caller, role="reader", scope=QUERY)
    assert [grant.key for grant in await listed(harness, caller)] == [QUERY.key]
    assert caller.recorded["changed"] is True
    await grants.revoke_grant(harness.services, caller, role="reader", scope=QUERY)
    assert not await listed(harness, caller)
    await grants.revoke_grant(harness.services, caller, role="reader", scope=QUERY)
    assert caller.recorded["changed"] is False


async def listed(harness: GatewayHarness, caller: FakeCaller) -> list[Grant]:
    return list(await grants.list_grants(harness.services, caller, "reader", database="*", named=None))


async def test_several_grants_are_changed_in_one_step_or_not_at_all(
    harness: GatewayHarness, caller: FakeCaller
) -> None:
    await harness.role("reader", ("Query", "default", "docs"))
    await harness.user("alice", "reader")
    dry = await grants.change_grants(harness.services, caller, "reader", grant=[INSERT, QUERY], revoke=[], dry_run=True)
    assert (dry.granted, dry.revoked, tuple(dry.users)) == ([INSERT.key], [], ("alice",))
    assert [grant.key for grant in await listed(harness, caller)] == [QUERY.key]
    unknown = PrivilegeScope("Fly", "default", "docs")
    with pytest.raises(InvalidGrant):
        await grants.change_grants(
            harness.services, caller, "reader", grant=[INSERT, unknown], revoke=[QUERY], dry_run=False
        )
    assert [grant.key for grant in await listed(harness, caller)] == [QUERY.key]
    done = await grants.change_grants(harness.services, caller, "reader", grant=[INSERT], revoke=[QUERY], dry_run=False)
    assert (done.granted, done.revoked) == ([INSERT.key], [QUERY.key])
    assert [grant.key for grant in await listed(harness, caller)] == [INSERT.key]


async def test_change_that_contradicts_itself_or_is_too_large_is_refused(
    harness: GatewayHarness, caller: FakeCaller
) -> None:
    await harness.role("reader")
    with pytest.raises(InvalidArgument):
        await grants.change_grants(harness.services, caller, "reader", grant=[QUERY], revoke=[QUERY], dry_run=False)
    many = [QUERY] * (grants.MOST_CHANGED + 1)
    with pytest.raises(LimitReached):
        await grants.change_grants(harness.services, caller, "reader", grant=many, revoke=[], dry_run=False)


async def test_grants_of_a_missing_role_are_neither_listed_nor_changed(
    harness: GatewayHarness, caller: FakeCaller
) -> None:
    with pytest.raises(RoleNotFound):
        await grants.list_grants(harness.services, caller, "gone", database="*", named=None)
    with pytest.raises(RoleNotFound):
        await grants.give_grant(harness.services, caller, role="gone", scope=QUERY)
