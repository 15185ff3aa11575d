"""Our own operations: complete, closed to whom they are not meant for, and clear about wrong requests."""

import asyncio
import importlib
import pkgutil
import re
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, get_args, get_origin

import msgspec
import pytest
from tests.support.gateway import least_arguments, own_call, presented
from tests.unit.iam.json_api.conftest import Own

from kiteward.domain.errors import AccessDenied, AuthenticationError, CredentialMissing, InvalidArgument
from kiteward.domain.identity import Secret
from kiteward.gateway.call import Call
from kiteward.gateway.large_requests import LONG
from kiteward.gateway.operations import OPERATIONS
from kiteward.iam import json_api
from kiteward.iam.json_api import ADMIN_OPERATIONS, CONTENTS, rows_of
from kiteward.iam.json_api.accounts import NewAccount
from kiteward.iam.json_api.base import AdminOperation, size_of_arguments
from kiteward.milvus import messages

FOR_EVERYBODY = {
    "DescribeLimits",
    "WhoAmI",
    "DescribeUserAccount",
    "EndOldPassword",
    "CreateApiKey",
    "ListApiKeys",
    "DescribeApiKey",
    "AlterApiKey",
    "RotateApiKey",
    "DisableApiKey",
    "EnableApiKey",
    "RevokeApiKey",
    "ChangeApiKeys",
    "ExplainAccess",
    "DescribeUserAccess",
    "BeginSession",
    "DescribeSignIn",
    "FinishSignIn",
    "ListFactors",
    "StartApp",
    "ConfirmApp",
    "StartPasskey",
    "AddPasskey",
    "RemoveFactor",
    "RenewRecoveryCodes",
    "ListSessions",
    "EndSession",
    "EndSessions",
    # Only the logout token of an identity provider is accepted.
    "EndSessionsByProvider",
    "DescribePasswordPolicy",
    # What it says of each collection, privileges on that decide.
    "ListCollectionSizes",
    # Their services require a privilege.
    "MakeRowPolicy",
    "ChangeRowPolicy",
    "RemoveRowPolicy",
    "DescribeRowPolicies",
    "PreviewRows",
    "EnableRowPolicies",
    "DisableRowPolicies",
    "DescribeTags",
    "SetTags",
    "DeleteTags",
    "ListTaggedUsers",
}

FOR_CLUSTER_ADMINS = {"MakePrivilegeGroup", "ChangePrivilegeGroup"}
"""Those that need a privilege which `ClusterAdmin` contains."""


def test_every_row_is_in_the_table_once_and_no_rpc_has_its_name() -> None:
    rows = [row for topic in CONTENTS for row in rows_of(topic).values()]
    assert len(ADMIN_OPERATIONS) == len(rows) == len({row.path for row in rows})
    assert not set(ADMIN_OPERATIONS) & (set(OPERATIONS) | set(messages.METHODS))


def test_the_contents_name_every_operation_that_a_module_declares_with_its_path() -> None:
    declared = {}
    for found in pkgutil.iter_modules(json_api.__path__):
        module = importlib.import_module(f"{json_api.__name__}.{found.name}")
        rows = getattr(module, "ADMIN_OPERATIONS", ())
        assert len({row.name for row in rows}) == len(rows)
        if rows:
            declared[found.name] = {row.name: row.path for row in rows}
    assert declared == CONTENTS


def test_what_is_not_for_administrators_alone_was_decided() -> None:
    assert {
        name for name, row in ADMIN_OPERATIONS.items() if not (row.administrators or row.privilege)
    } == FOR_EVERYBODY


@pytest.mark.parametrize("row", ADMIN_OPERATIONS.values(), ids=lambda row: row.name)
def test_a_row_is_well_formed(row: AdminOperation) -> None:
    assert re.fullmatch(r"[a-z_]+/[a-z_]+", row.path) or not row.rest
    assert row.summary.endswith(".")
    assert (row.outcome.__doc__, row.arguments.__doc__) != (None, None)


@pytest.mark.parametrize("name", ADMIN_OPERATIONS)
async def test_no_unauthenticated_caller_calls_any_of_them(own: Own, name: str) -> None:
    with pytest.raises(AuthenticationError):
        await own.harness.gateway.handle(Call(name, least_arguments(name), CredentialMissing("missing")))


_REFUSED = (
    "permission deny to alice: an administrator is needed|Privilege(ProvisionUsers|ExchangeToken): permission deny"
)


@pytest.mark.parametrize("name", sorted(set(ADMIN_OPERATIONS) - FOR_EVERYBODY - FOR_CLUSTER_ADMINS))
async def test_users_with_every_privilege_but_the_role_admin_call_none_of_those_for_administrators(
    own: Own, name: str
) -> None:
    await own.harness.role(
        "almost", *((group, "*", "*") for group in ("ClusterAdmin", "DatabaseAdmin", "CollectionAdmin"))
    )
    await own.harness.user("alice", "almost")
    before = await own.harness.state()
    with pytest.raises(AccessDenied, match=_REFUSED):
        await own.harness.gateway.handle(Call(name, least_arguments(name), presented("alice")))
    assert await own.harness.state() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"userName": 1}, r"Expected `str`, got `int` - at `\$.userName`"),
        ({}, "missing required field `userName`"),
        ({"userName": ""}, "`userName` is empty"),
        ({"userName": "a", "newPassword": 5}, "expected text"),
        ({"userName": "a", "keepoldfor": 60}, "unknown field `keepoldfor`"),
    ],
)
async def test_a_wrong_request_is_reported_by_its_field_and_changes_nothing(
    own: Own, arguments: dict[str, Any], told: str
) -> None:
    before = await own.harness.state()
    with pytest.raises(InvalidArgument, match=f"users/reset_password: .*{told}"):
        await own.harness.gateway.handle(own_call("ResetPassword", **arguments))
    assert await own.harness.state() == before


async def test_a_caller_who_loses_the_role_while_waiting_for_its_turn_is_refused(own: Own) -> None:
    await own.harness.user("boss", "admin")
    async with own.harness.store.transaction() as transaction:
        task = asyncio.ensure_future(own("EnableUser", by="boss", userName="root"))
        writer = own.harness.store._writer
        async with asyncio.timeout(30):
            while not writer._lock._waiters:  # until it waits for its turn
                await asyncio.sleep(0)
        await transaction.roles.unbind("boss", "admin")
        await transaction.commit()
    with pytest.raises(AccessDenied):
        await task


def test_every_value_that_arguments_can_hold_counts_for_their_size() -> None:
    for row in ADMIN_OPERATIONS.values():
        least = size_of_arguments(least_arguments(row.name), LONG)
        for field in msgspec.structs.fields(row.arguments):
            for given in _given(field.type):
                filled = msgspec.structs.replace(least_arguments(row.name), **{field.name: given})
                assert size_of_arguments(filled, LONG) >= least + 1_000, f"{row.name}.{field.encode_name}"


def _given(kind: Any) -> Iterator[Any]:
    """Yield values of a type that hold a thousand characters; none for types of a fixed size."""
    if get_origin(kind) is Annotated:
        yield from _given(get_args(kind)[0])
    elif kind in (str, Any):
        yield "x" * 1_101
    elif kind is Secret:
        yield Secret("x" * 1_101)
    elif get_origin(kind) is list:
        yield from ([each] for each in _given(get_args(kind)[0]))
    elif get_origin(kind) is dict:
        yield from ({each: "x"} for each in _given(get_args(kind)[0]))
        yield from ({"x": each} for each in _given(get_args(kind)[1]))
    elif get_args(kind):
        yield from (each for member in get_args(kind) for each in _given(member))
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            named = {each.name: "x" for each in msgspec.structs.fields(kind) if each.required}
            yield from (kind(**{**named, field.name: each}) for each in _given(field.type))
    else:
        fixed = kind in (int, float, bool, datetime, type(None), msgspec.UnsetType) or issubclass(kind, Enum)
        assert fixed, f"{kind} is of no size that is counted"


def test_counting_ends_where_a_request_is_long() -> None:
    listed = NewAccount(user_name="ann", roles=["x" * LONG] * 1_000)
    assert LONG < size_of_arguments(listed, LONG) < 3 * LONG
