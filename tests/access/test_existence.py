"""Nobody learns from an answer, or from the work behind it, whether something exists that they may not see.

Every operation is sent twice by callers with few rights, in each field that selects something: once with a name that
exists and is hidden from them, once with one that does not. Answers and calls of the engine must be the same.
"""

import copy
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.engine import Database, FakeEngine
from tests.support.gateway import GatewayHarness, opened, own_call, presented
from tests.unit.iam.json_api.conftest import Own

from kiteward.authz.privileges import PRIVILEGES, Level
from kiteward.domain.errors import KitewardError
from kiteward.gateway.call import Call
from kiteward.gateway.operations import OPERATIONS, Executor, Operation
from kiteward.iam.json_api.base import encoded
from kiteward.milvus import messages

_COLLECTIONS: Final = ("vault", "skylight")
"""A hidden collection, and a hidden alias of it."""

_HIDDEN: Final = {
    "collection": _COLLECTIONS,
    "database": ("cellar",),
    "role": ("keepers",),
    "user": ("keeper",),
    "group": ("keys_of_the_vault",),
}
_ABSENT: Final = "nothing"
_OWN: Final = {"collection": "own", "database": "", "role": "members", "user": "member", "group": ""}


@dataclass(frozen=True, slots=True)
class Case:
    """One field of one operation, with what kind of thing it selects."""

    operation: str
    field: str
    kind: str


def _fields(row: Operation) -> Iterator[tuple[str, str]]:
    """Yield the fields of a request that name something, with the kind of it."""
    databases = (row.database, row.creates_database, row.target_database, *row.database_must_match)
    yield from ((path, "database") for path in dict.fromkeys(databases) if path)
    collections = (*row.collections, *row.new_collections, *row.aliases, *row.must_match, *row.creates)
    yield from ((path, "collection") for path in dict.fromkeys(collections))
    yield from ((path, "user") for path in (row.user,) if path)
    yield from ((path, "role") for path in (row.own_role,) if path)
    yield from _MORE.get(row.name, ())


_MORE: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "SelectGrant": (("entity.db_name", "database"), ("entity.object_name", "collection")),
    "OperatePrivilege": (
        ("entity.db_name", "database"),
        ("entity.object_name", "collection"),
        ("entity.role.name", "role"),
        ("entity.grantor.privilege.name", "group"),
    ),
    "OperatePrivilegeV2": (("db_name", "database"), ("collection_name", "collection"), ("role.name", "role")),
    "OperateUserRole": (("username", "user"), ("role_name", "role")),
    "CreateRole": (("entity.name", "role"),),
    "AlterRole": (("role_name", "role"),),
    "DropRole": (("role_name", "role"),),
    "CreateCredential": (("username", "user"),),
    "DeleteCredential": (("username", "user"),),
    "CreatePrivilegeGroup": (("group_name", "group"),),
    "DropPrivilegeGroup": (("group_name", "group"),),
    "OperatePrivilegeGroup": (("group_name", "group"),),
}
"""Fields of administrative requests, which the operation table has no need to read."""

CASES: Final = [
    Case(row.name, path, kind)
    for row in OPERATIONS.values()
    if row.executor is not Executor.NOBODY
    for path, kind in _fields(row)
]


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[GatewayHarness]:
    """A gateway whose `member` holds everything there is on the collection `own`, and `guest` holds nothing."""
    engine = FakeEngine()
    engine.databases["default"] = Database(["own", "vault"], {"skylight": "vault", "mine": "own"})
    engine.databases["cellar"] = Database(["own"])
    async with opened(tmp_path / "store.db", engine) as harness:
        below_cluster = [each for each in PRIVILEGES.values() if each.level is not Level.CLUSTER]
        await harness.role("members", *((each.name, "default", "own") for each in below_cluster))
        await harness.role("keepers", ("CollectionAdmin", "default", "vault"), ("DatabaseAdmin", "cellar", "*"))
        await harness.group("keys_of_the_vault", "Query")
        await harness.user("member", "members")
        await harness.user("keeper", "keepers")
        await harness.user("guest")
        yield harness


def _request(case: Case, name: str, *, alone: bool) -> bytes:
    """Return a request that names `name` in the field, and what is the member's own in all others, or nothing there."""
    request = messages.METHODS[case.operation].request()
    if case.operation in ("SelectGrant", "OperatePrivilege"):
        _put(request, "entity.object.name", "Collection")
        _put(request, "entity.object_name", "own")
        _put(request, "entity.role.name", "members")
    for path, kind in dict.fromkeys(_fields(OPERATIONS[case.operation])):
        if _OWN[kind] and not alone:
            _put(request, path, _OWN[kind])
    _put(request, case.field, name)
    return bytes(request.SerializeToString())


def _put(message: Any, path: str, value: str) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        message = getattr(message, parent)
        message = message if hasattr(message, "DESCRIPTOR") else message[0] if message else message.add()
    if message.DESCRIPTOR.fields_by_name[last].is_repeated:
        del getattr(message, last)[:]
        getattr(message, last).append(value)
    else:
        setattr(message, last, value)


async def _seen(harness: GatewayHarness, operation: str, by: str, payload: bytes, name: str) -> tuple[str, list[str]]:
    """Return what a caller is answered, with `NAME` for the name, and what the engine was asked for."""
    state = copy.deepcopy(harness.engine.databases)
    harness.catalog.forget(["default"])
    await harness.catalog.refresh()
    harness.engine.calls.clear()
    try:
        method = messages.METHODS.get(operation)
        if method is None:
            told = encoded(await harness.gateway.handle(own_call(operation, by, **json.loads(payload)))).decode()
        else:
            answer = await harness.gateway.handle(Call(operation, payload, presented(by)))
            told = str(method.response.FromString(answer))
    except KitewardError as error:
        told = f"{type(error).__name__}: {error}"
    harness.engine.databases = state
    return told.replace(name, "NAME"), [call.method for call in harness.engine.calls]


@pytest.mark.parametrize("by", ["guest", "member"])
async def test_hidden_things_are_answered_for_as_absent_ones_by_every_operation(
    harness: GatewayHarness, by: str
) -> None:
    before = await harness.state()
    told_apart = []
    for case, alone in itertools.product(CASES, (False, True)):
        absent = await _seen(harness, case.operation, by, _request(case, _ABSENT, alone=alone), _ABSENT)
        for name in _HIDDEN[case.kind]:
            hidden = await _seen(harness, case.operation, by, _request(case, name, alone=alone), name)
            if hidden != absent:
                told_apart.append(f"{case}: {name} {hidden}, absent {absent}")
    assert not told_apart, "\n".join(told_apart)
    assert await harness.state() == before
    assert len(CASES) > 150


@pytest.mark.parametrize("by", ["guest", "member"])
@pytest.mark.parametrize(
    ("operation", "kind", "arguments"),
    [
        ("ExplainAccess", "collection", '{"privilege": "Search", "collectionName": "NAME"}'),
        ("ExplainAccess", "collection", '{"operation": "DescribeCollection", "collectionName": "NAME"}'),
        ("ExplainAccess", "collection", '{"operation": "DropAlias", "collectionName": "NAME"}'),
        ("ExplainAccess", "database", '{"operation": "Search", "collectionName": "own", "dbName": "NAME"}'),
        ("ExplainAccess", "database", '{"operation": "DescribeDatabase", "dbName": "NAME"}'),
        ("ExplainAccess", "user", '{"privilege": "Search", "userName": "NAME"}'),
        ("ExplainAccess", "user", '{"privilege": "SelectUser", "collectionName": "NAME"}'),
        ("ExplainAccess", "group", '{"privilege": "NAME", "collectionName": "own"}'),
        ("DescribeUserAccess", "user", '{"userName": "NAME"}'),
        ("CreateApiKey", "role", '{"roles": ["NAME"]}'),
        ("CreateApiKey", "user", '{"userName": "NAME"}'),
        ("ListApiKeys", "user", '{"userName": "NAME"}'),
    ],
)
async def test_hidden_things_are_answered_for_as_absent_ones_by_our_own_operations(
    harness: GatewayHarness, by: str, operation: str, kind: str, arguments: str
) -> None:
    absent = await _seen(harness, operation, by, arguments.replace("NAME", _ABSENT).encode(), _ABSENT)
    for name in _HIDDEN[kind]:
        assert await _seen(harness, operation, by, arguments.replace("NAME", name).encode(), name) == absent


async def test_api_key_of_somebody_else_is_answered_for_as_an_absent_one(harness: GatewayHarness) -> None:
    made = await Own(harness)("CreateApiKey", userName="keeper")
    operations = "DescribeApiKey AlterApiKey RotateApiKey RevokeApiKey EnableApiKey DisableApiKey"
    for operation in operations.split():
        found = []
        for key in (made["keyId"], _ABSENT):
            payload = b'{"keyId": "%s"}' % key.encode()
            found.append(await _seen(harness, operation, "guest", payload, key))
        assert found[0] == found[1]
    found = [
        await _seen(harness, "ExplainAccess", "guest", b'{"privilege": "Query", "keyId": "%s"}' % key.encode(), key)
        for key in (made["keyId"], _ABSENT)
    ]
    assert found[0] == found[1]


async def test_grants_of_a_delegate_say_nothing_of_databases_that_it_is_not_shown(harness: GatewayHarness) -> None:
    await harness.role("granters", ("ManageOwnership", "*", "*"))
    await harness.role("audience")
    await harness.user("delegate", "granters")
    listed_everywhere = await _seen(harness, "OperatePrivilegeV2", "delegate", _grant(_ABSENT), _ABSENT)
    assert "DatabaseNotFound" in listed_everywhere[0]
    # Granted on `default` alone, the privilege counts for the whole cluster and shows no other database.
    await harness.succeed("DropRole", role_name="granters", force_drop=True)
    await harness.role("granters", ("ManageOwnership", "default", "*"))
    await harness.succeed("OperateUserRole", username="delegate", role_name="granters")
    hidden = await _seen(harness, "OperatePrivilegeV2", "delegate", _grant("cellar"), "cellar")
    assert hidden == await _seen(harness, "OperatePrivilegeV2", "delegate", _grant(_ABSENT), _ABSENT)


def _grant(database: str) -> bytes:
    return bytes(
        messages.OperatePrivilegeV2Request(
            role=messages.RoleEntity(name="audience"),
            grantor=messages.GrantorEntity(privilege=messages.PrivilegeEntity(name="Query")),
            db_name=database,
            collection_name="papers",
        ).SerializeToString()
    )


async def test_analyzer_without_a_collection_runs_where_the_caller_may_know_a_database_to_be(
    harness: GatewayHarness,
) -> None:
    await harness.succeed("RunAnalyzer", by="guest")
    await harness.succeed("RunAnalyzer", by="member", db_name="default")
    assert len(harness.engine.called("RunAnalyzer")) == 2


async def test_alias_may_be_created_under_a_name_that_the_caller_may_name_so(harness: GatewayHarness) -> None:
    await harness.grant("members", "CreateAlias", "default", "newest")
    await harness.succeed("CreateAlias", by="member", collection_name="own", alias="newest")
    assert harness.engine.databases["default"].aliases["newest"] == "own"
