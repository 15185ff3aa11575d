"""What requests to a collection with row policies are refused, filtered or answered with zeros, and for whom."""

from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness
from tests.unit.gateway.row_access.protected import ALICE, forwarded, move_in, policy, protect

from kiteward.audit.events import Event, Outcome
from kiteward.authz.row_policies import RowAction
from kiteward.domain.errors import AccessDenied, InUse
from kiteward.gateway.operations import OPERATIONS, RowUse
from kiteward.milvus import messages

WHOLE = sorted(name for name, row in OPERATIONS.items() if row.rows is RowUse.WHOLE)
COUNTS = sorted(name for name, row in OPERATIONS.items() if row.rows is RowUse.COUNTS)


@pytest.fixture
async def docs(harness: GatewayHarness, engine: FakeEngine) -> None:
    await move_in(harness, engine)


def about(operation: str, collection: str) -> dict[str, Any]:
    """Return the fields of a request that names a collection wherever it can."""
    row, given = OPERATIONS[operation], {}
    for path in (*row.collections, *row.new_collections, *row.creates):
        value: Any = collection if path in row.collections else "new"
        repeated = messages.method_of(operation).request.DESCRIPTOR.fields_by_name[path].is_repeated
        given[path] = [value] if repeated else value
    return given


async def outcome(harness: GatewayHarness, operation: str, by: str, collection: str) -> str:
    try:
        await harness.call(operation, by=by, **about(operation, collection))
    except AccessDenied as error:
        return str(error)
    return "allowed"


@pytest.mark.usefixtures("docs")
@pytest.mark.parametrize("operation", WHOLE)
async def test_only_who_bypasses_the_policies_makes_requests_about_all_rows(
    harness: GatewayHarness, engine: FakeEngine, operation: str
) -> None:
    await harness.grant("members", "ClusterAdmin", "*")
    named = bool(OPERATIONS[operation].collections)
    engine.calls.clear()
    refused = await outcome(harness, operation, "alice", "docs")
    assert refused.startswith(f"{operation} is about all rows")
    assert refused.endswith("it needs the privilege SkipRLS")
    assert not engine.called(operation)
    assert await outcome(harness, operation, "alice", "open") == ("allowed" if named else refused)
    for by in ("carol", "root"):
        assert await outcome(harness, operation, by, "docs") == "allowed"
    await protect(harness, policy(), force=True)
    for by in ("carol", "root"):
        assert (await outcome(harness, operation, by, "docs")).endswith("`rls.force` makes them apply to everybody")
    await protect(harness, policy(), enabled=False)
    assert await outcome(harness, operation, "alice", "docs") == "allowed"


@pytest.mark.usefixtures("docs")
async def test_a_request_without_a_name_may_be_about_any_collection(harness: GatewayHarness) -> None:
    await harness.grant("members", "CollectionAdmin", "*")
    with pytest.raises(AccessDenied, match="about all rows"):
        await harness.call("GetCompactionStateWithPlans", by="alice", compactionID=7)
    await harness.call("GetCompactionStateWithPlans", by="root", compactionID=7)
    await harness.call("GetCompactionStateWithPlans", by="carol", compactionID=7)


@pytest.mark.usefixtures("docs")
@pytest.mark.parametrize("operation", COUNTS)
async def test_counts_of_rows_are_zero_for_those_who_see_some_rows_only(
    harness: GatewayHarness, engine: FakeEngine, operation: str
) -> None:
    response: Any = messages.method_of(operation).response()
    described = hasattr(response, "index_descriptions")
    counted = response.index_descriptions.add(index_name="i", field_name="v", state=3) if described else response
    for name in ("indexed_rows", "total_rows", "pending_index_rows"):
        if name in counted.DESCRIPTOR.fields_by_name:
            setattr(counted, name, 7)
    for name in ("index_state_fail_reason", "fail_reason"):
        if name in counted.DESCRIPTOR.fields_by_name:
            setattr(counted, name, "row 7 is not valid")
    engine.answers[operation] = response.SerializeToString()
    assert await harness.call(operation, by="carol", collection_name="docs") == response
    told = await harness.call(operation, by="alice", collection_name="docs")
    assert "7" not in str(told)
    if described:
        (kept,) = told.index_descriptions
        assert (kept.index_name, kept.field_name, kept.state) == ("i", "v", 3)


@pytest.mark.usefixtures("docs")
@pytest.mark.parametrize("force", [False, True], ids=["enforced", "forced"])
async def test_a_protected_collection_is_renamed_by_those_who_manage_its_policies(
    harness: GatewayHarness, engine: FakeEngine, *, force: bool
) -> None:
    await protect(harness, policy(), force=force)
    await harness.role("movers", ("RenameCollection", "*", "*"), ("CollectionAdmin", "default", "mine"))
    await harness.grant("movers", "SkipRLS", "default", "mine")
    await harness.user("eve", "movers")
    with pytest.raises(AccessDenied, match="PrivilegeManageRLS: permission deny to eve"):
        await harness.call("RenameCollection", by="eve", oldName="docs", newName="mine")
    assert not engine.called("RenameCollection")
    assert harness.policy_cache.current().protected("default", "mine") is None
    await harness.call("RenameCollection", by="eve", oldName="open", newName="mine")
    await harness.grant("movers", "ManageRLS", "default", "docs")
    await harness.call("RenameCollection", by="eve", oldName="docs", newName="papers")
    assert harness.policy_cache.current().protected("default", "papers") is not None


@pytest.mark.usefixtures("docs")
async def test_a_collection_whose_policies_are_not_enforced_is_renamed_as_before(harness: GatewayHarness) -> None:
    await protect(harness, policy(), enabled=False)
    await harness.role("movers", ("RenameCollection", "*", "*"))
    await harness.user("eve", "movers")
    await harness.call("RenameCollection", by="eve", oldName="docs", newName="papers")


CHANGED: list[tuple[str, dict[str, Any]]] = [
    ("AlterCollectionField", {"field_name": "owner"}),
    ("AlterCollectionSchema", {"action": {"drop_request": {"field_name": "owner"}}}),
    ("AlterCollectionSchema", {"action": {"drop_request": {"field_id": 101}}}),
    ("AlterCollectionSchema", {"action": {"add_request": {"func_schema": [{"output_field_names": ["owner"]}]}}}),
    ("AddCollectionFunction", {"functionSchema": {"output_field_names": ["owner"]}}),
    ("AlterCollectionFunction", {"functionSchema": {"output_field_names": ["owner"]}}),
]
UNTOUCHED: list[tuple[str, dict[str, Any]]] = [
    ("AlterCollectionField", {"field_name": "other"}),
    ("AlterCollectionSchema", {"action": {"drop_request": {"field_name": "other"}}}),
    ("AlterCollectionSchema", {"action": {"drop_request": {"function_name": "owner"}}}),
    ("AddCollectionFunction", {"functionSchema": {"input_field_names": ["owner"], "output_field_names": ["v"]}}),
    ("DropCollectionFunction", {"function_name": "owner"}),
]


@pytest.mark.usefixtures("docs")
@pytest.mark.parametrize("enabled", [True, False], ids=["enforced", "not enforced"])
@pytest.mark.parametrize(("operation", "fields"), CHANGED)
async def test_nobody_changes_a_field_that_a_policy_reads(
    harness: GatewayHarness, engine: FakeEngine, operation: str, fields: dict[str, Any], *, enabled: bool
) -> None:
    await protect(harness, policy(), enabled=enabled)
    with pytest.raises(InUse, match="row policies of docs read"):
        await harness.call(operation, by="root", collection_name="docs", **fields)
    assert not engine.called(operation)
    await protect(harness, enabled=enabled)
    await harness.call(operation, by="root", collection_name="docs", **fields)


@pytest.mark.usefixtures("docs")
@pytest.mark.parametrize(("operation", "fields"), UNTOUCHED)
async def test_other_fields_are_changed_as_before(
    harness: GatewayHarness, operation: str, fields: dict[str, Any]
) -> None:
    await harness.call(operation, by="root", collection_name="docs", **fields)


def test_every_definition_is_tried() -> None:
    tried = {operation for operation, _ in (*CHANGED, *UNTOUCHED)}
    assert tried == {name for name, row in OPERATIONS.items() if row.rows is RowUse.DEFINITION}


@pytest.mark.usefixtures("docs")
async def test_a_read_is_as_before_for_those_who_bypass_and_on_other_collections(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    payload = messages.QueryRequest(collection_name="docs", expr="a ++ (").SerializeToString()
    for by in ("carol", "root"):
        await harness.call("Query", by=by, payload=payload)
        assert engine.called("Query")[-1].payload == payload
    await harness.call("Query", by="alice", collection_name="open", expr="a ++ (")
    assert forwarded(engine, "Query").expr == "a ++ ("
    await protect(harness, policy(), enabled=False)
    await harness.call("Query", by="alice", payload=payload)
    assert engine.called("Query")[-1].payload == payload
    await protect(harness, policy(), force=True)
    await harness.call("Query", by="root", collection_name="docs")
    assert forwarded(engine, "Query").expr == 'owner == "root"'


@pytest.mark.usefixtures("docs")
async def test_an_alias_is_filtered_as_its_collection(harness: GatewayHarness, engine: FakeEngine) -> None:
    await harness.succeed("CreateAlias", alias="other_name", collection_name="docs")
    await harness.call("Query", by="alice", collection_name="other_name")
    assert (forwarded(engine, "Query").collection_name, forwarded(engine, "Query").expr) == ("docs", ALICE)


@pytest.mark.usefixtures("docs")
async def test_policies_apply_by_action(harness: GatewayHarness, engine: FakeEngine) -> None:
    await protect(
        harness,
        policy("queries", actions=frozenset({RowAction.QUERY})),
        policy("searches", "kind == 1", actions=frozenset({RowAction.SEARCH})),
    )
    await harness.call("Query", by="alice", collection_name="docs")
    assert forwarded(engine, "Query").expr == ALICE
    await harness.call("Search", by="alice", collection_name="docs")
    assert forwarded(engine, "Search").dsl == "kind == 1"
    await harness.call("HybridSearch", by="alice", collection_name="docs", requests=[{"nq": 1}])
    assert [each.dsl for each in forwarded(engine, "HybridSearch").requests] == ["kind == 1"]


@pytest.mark.usefixtures("docs")
async def test_the_trail_says_by_which_policies_a_read_was_answered(harness: GatewayHarness) -> None:
    await protect(harness, policy("own"), policy("kinds", "kind == 1"), policy("later", roles=("skippers",)))
    await harness.call("Query", by="alice", collection_name="docs")
    await harness.call("Query", by="carol", collection_name="docs")
    await harness.call("Query", by="alice", collection_name="open")
    answered = [each for each in harness.trail.events if each.operation == "Query"]
    assert {each.event for each in answered} == {Event.DATA_READ}
    assert [each.details.get("result") for each in answered] == [{"row_policies": ["kinds", "own"]}, None, None]


@pytest.mark.usefixtures("docs")
async def test_the_trail_says_why_a_request_was_refused(harness: GatewayHarness) -> None:
    with pytest.raises(AccessDenied):
        await harness.call("Query", by="alice", collection_name="docs", output_fields=["sum(n)"])
    with pytest.raises(AccessDenied):
        await harness.call("GetCollectionStatistics", by="alice", collection_name="docs")
    read, statistics = harness.trail.events[-2:]
    assert {(each.event, each.outcome, each.decision) for each in (read, statistics)} == {
        (Event.REFUSAL, Outcome.REFUSED, "refused")
    }
    assert read.reason.startswith("row policies: the output field `sum(n)` is not accepted")
    assert statistics.reason.startswith("row policies: GetCollectionStatistics is about all rows")
