"""Every operation, called by every kind of principal, is allowed, denied or absent as the expectations say."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from tests.access.expectations import CUSTOM_GROUP, EXPECTED, PRINCIPALS, Holder
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, opened, v1

from kiteward.domain.errors import AccessDenied, DatabaseNotFound, OperationRefused, RequestRefused
from kiteward.gateway.operations import OPERATIONS, Executor
from kiteward.milvus import messages

_FURTHER: Final[dict[str, dict[str, Any]]] = {
    "CreateAlias": {"alias": "new_alias"},
    "CreatePartition": {"partition_name": "new_name"},
    "CreateNamespace": {"namespace_name": "new_name"},
    "CreateSnapshot": {"name": "new_name"},
    "AddCollectionField": {"schema": b"\x12\x08new_name"},
    "AddCollectionStructField": {"struct_array_field_schema": {"name": "new_name"}},
    "RenameCollection": {"newName": "new_name"},
    "RestoreSnapshot": {"target_collection_name": "new_name"},
    "GetCompactionState": {"compactionID": 7},
    "GetCompactionStateWithPlans": {"compactionID": 7},
    "GetImportState": {"task": 7},
    "DescribePrewarmTask": {"taskID": "7"},
    "GetRestoreSnapshotState": {"job_id": 7},
    "GetRefreshExternalCollectionProgress": {"job_id": 7},
    "UpdateCredential": {"username": "somebody"},
    "SelectUser": {"user": {"name": "somebody"}},
    "SelectRole": {"role": {"name": "of_somebody"}},
    "SelectGrant": {"entity": {"role": {"name": "of_somebody"}}},
}
"""What requests need besides a database and a collection: names of new things and of others, and ids."""


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[GatewayHarness]:
    """A gateway before an engine that has c1 and c2 in db1, and keeps them whatever is called."""
    engine = FakeEngine()
    engine.create("c1", "c2", database="db1")
    engine.answers = {name: messages.success(name) for name, row in OPERATIONS.items() if row.executor is Executor.DDL}
    async with opened(tmp_path / "store.db", engine) as harness:
        yield harness


def _request(operation: str, collection: str, further: dict[str, Any]) -> bytes:
    """Return a request that names db1 and a collection wherever it names any."""
    request = messages.METHODS[operation].request(**(further or _FURTHER.get(operation, {})))
    for field in request.DESCRIPTOR.fields:
        if field.name in ("db_name", "dbName"):
            setattr(request, field.name, "db1")
        elif field.name in ("collection_name", "collectionName", "collection_names", "oldName", "alias"):
            if field.is_repeated:
                getattr(request, field.name).append(collection)
            elif not getattr(request, field.name):
                setattr(request, field.name, collection)
    return bytes(request.SerializeToString())


async def verdict(harness: GatewayHarness, operation: str, by: Any, collection: str, **further: Any) -> str:
    """Return `+` for allowed, `-` for denied, `x` for what does not exist for the caller, `U` for not offered."""
    try:
        answer = await harness.call(operation, by=by, database="db1", payload=_request(operation, collection, further))
    except AccessDenied:
        return "-"
    except OperationRefused:
        return "U"
    except DatabaseNotFound:
        return "x"
    except RequestRefused:
        return "+"  # a handler looked at it, and found it wanting
    hidden = operation == "HasCollection" and not answer.value
    return "x" if hidden or (operation == "DescribeCollection" and answer.status.code == 100) else "+"


_MARKS: Final = {("+", "+"): "+", ("-", "-"): "-", ("+", "-"): "1", ("+", "x"): "v", ("x", "x"): "x", ("U", "U"): "U"}


async def _move_in(harness: GatewayHarness, holder: Holder) -> None:
    """Create a user with what it holds."""
    if holder.name == "root":
        return
    role = holder.role or f"of_{holder.name}"
    if not holder.role:
        await harness.role(role)
    await harness.user(holder.name, role)
    if holder.v1:
        await harness.succeed("OperatePrivilege", **v1(role, *holder.v1))
    if holder.v2:
        await harness.grant(role, *holder.v2)


def test_every_operation_is_expected_once_for_every_principal() -> None:
    assert set(EXPECTED) == set(messages.METHODS)
    assert {len(marks) for marks in EXPECTED.values()} == {len(PRINCIPALS)}


async def test_every_principal_may_what_the_expectations_say(harness: GatewayHarness) -> None:
    await harness.group(CUSTOM_GROUP[0], *CUSTOM_GROUP[1])
    for holder in (*PRINCIPALS, Holder("somebody")):
        await _move_in(harness, holder)
    policy, users = await harness.state()
    wrong = []
    for number, holder in enumerate(PRINCIPALS):
        for operation, marks in EXPECTED.items():
            verdicts = [await verdict(harness, operation, holder.name, name) for name in ("c1", "c2")]
            mark = _MARKS.get((verdicts[0], verdicts[1]), f"{verdicts}")
            if mark != marks[number]:
                wrong.append(f"{holder.name} {operation}: expected {marks[number]}, found {mark}")
    assert not wrong, "\n".join(wrong)
    after = replace((await harness.state())[0], revision=policy.revision)  # beginning a change of the engine counts
    assert (after, (await harness.state())[1]) == (policy, users), "a request meant to change nothing changed something"


@pytest.mark.parametrize(
    ("database", "collection", "query", "describe", "listed"),
    [
        ("db1", "c1", "1", "v", ["c1"]),
        ("db1", "*", "+", "+", ["c1", "c2"]),
        # What `public` holds on every database allows and shows, but fills no list.
        ("*", "*", "+", "+", []),
    ],
)
async def test_what_public_holds_is_everybodys(
    harness: GatewayHarness, database: str, collection: str, query: str, describe: str, listed: list[str]
) -> None:
    await harness.user("nobody")
    await harness.grant("public", "Query", database, collection)
    found = []
    for operation in ("Query", "DescribeCollection"):
        verdicts = [await verdict(harness, operation, "nobody", name) for name in ("c1", "c2")]
        found.append(_MARKS[verdicts[0], verdicts[1]])
    assert found == [query, describe]
    assert await verdict(harness, "Search", "nobody", "c1") == "-"
    shown = await harness.succeed("ShowCollections", by="nobody", db_name="db1")
    assert list(shown.collection_names) == listed
    databases = await harness.succeed("ListDatabases", by="nobody")
    assert list(databases.db_names) == (["db1"] if listed else [])


@pytest.mark.parametrize("privilege", ["All", "Admin", "*", "CreateOwnership"])
async def test_grant_on_a_named_collection_of_every_database_gives_nothing_of_the_cluster(
    harness: GatewayHarness, privilege: str
) -> None:
    await _move_in(harness, Holder("narrow", v2=(privilege, "*", "c1")))
    cluster = [operation for operation, marks in EXPECTED.items() if marks.startswith("++-----") and marks[10] == "+"]
    assert len(cluster) > 40
    verdicts = {operation: await verdict(harness, operation, "narrow", "c1") for operation in cluster}
    assert set(verdicts.values()) == {"-"}, verdicts


@pytest.mark.parametrize(
    ("holder", "named"),
    [
        # Privileges on the database as a whole show no collection, whether or not another one is named along.
        (Holder("database_admin", v2=("DatabaseAdmin", "db1", "*")), ""),
        (Holder("reader", v2=("CollectionReadOnly", "db1", "c1")), "c1"),
        (Holder("old_reader", v1=("ReadOnly", "Collection", "c1", "db1")), "c1"),
    ],
)
async def test_nothing_less_than_a_privilege_on_every_collection_describes_one_by_id(
    harness: GatewayHarness, holder: Holder, named: str
) -> None:
    await _move_in(harness, holder)
    answer = await harness.call(
        "DescribeCollection", by=holder.name, db_name="db1", collection_name=named, collectionID=2
    )
    assert answer.status.code == messages.COLLECTION_NOT_FOUND
    names = [named] if named else []
    with pytest.raises(AccessDenied):
        await harness.call(
            "BatchDescribeCollection", by=holder.name, db_name="db1", collection_name=names, collectionID=[2]
        )
    with pytest.raises(AccessDenied):
        await harness.call("DescribeIndex", by=holder.name, db_name="db1", collection_name="*")
    assert not [call for call in harness.engine.calls if call.method in ("BatchDescribeCollection", "DescribeIndex")]
    assert not harness.engine.called("DescribeCollection")
