"""Rows that are written are allowed by the policies, and so are the stored rows that they replace."""

from typing import Any

import pytest
from tests.unit.gateway.row_access.collections import Type, column, keys, owners, payload, readers
from tests.unit.gateway.row_access.protected_collection import ANN, BOTH, CollectionEngine, policy, rules

from kiteward.authz.row_policies import RowAction
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import AccessDenied, CollectionNotFound, EngineUnavailable, InvalidArgument
from kiteward.filters import Dialect
from kiteward.gateway.row_access.stored_rows import StoredRows
from kiteward.gateway.row_access.write_checks import WriteCheck
from kiteward.milvus.row_columns import read_write

EMBEDDED, MILVUS = Dialect.EMBEDDED, Dialect.MILVUS


async def write(
    engine: CollectionEngine,
    rpc: str,
    rows: int,
    *columns: Any,
    by: Any = None,
    dialect: Dialect = EMBEDDED,
    **facts: Any,
) -> None:
    """Check a write of ann's."""
    stored = StoredRows(engine, dialect, "default", "docs")
    check = WriteCheck(by or rules(), ANN, stored)
    request = read_write(rpc, payload(rows, *columns, rpc=rpc, **facts))
    await (check.insert(request) if rpc == "Insert" else check.upsert(request))


async def denied(engine: CollectionEngine, rpc: str, rows: int, *columns: Any, **facts: Any) -> AccessDenied:
    """Return why the policies deny a write."""
    with pytest.raises(AccessDenied) as refused:
        await write(engine, rpc, rows, *columns, **facts)
    return refused.value


async def wrong(engine: CollectionEngine, rpc: str, rows: int, *columns: Any, **facts: Any) -> str:
    """Return why a write is wrong."""
    with pytest.raises(InvalidArgument) as refused:
        await write(engine, rpc, rows, *columns, **facts)
    return str(refused.value)


# Insert


async def test_new_rows_that_the_policy_allows_are_inserted() -> None:
    await write(CollectionEngine(), "Insert", 2, keys(1, 2), owners("ann", "ann"))


async def test_one_row_that_violates_the_policy_refuses_all_and_is_named() -> None:
    error = await denied(CollectionEngine(), "Insert", 3, keys(1, 2, 3), owners("ann", "bob", "ann"))
    assert str(error) == "row 1 violates `check_expr` of the row policy own of the collection docs"
    assert error.code is ErrorCode.ROW_VIOLATES_POLICY
    assert error.details[0].parameters == {"row": 1, "policies": "own", "collection": "docs"}


async def test_a_restrictive_policy_that_is_violated_is_named_alone() -> None:
    by = rules(policy(), policy("state == 'draft'", name="drafts", kind="RESTRICTIVE"))
    states = column("state", Type.VarChar, ["final"])
    error = await denied(CollectionEngine(), "Insert", 1, keys(1), owners("ann"), states, by=by)
    assert "of the row policy drafts of" in str(error)


async def test_a_row_that_no_permissive_policy_allows_names_each() -> None:
    by = rules(policy(), policy("array_contains(readers, $current_principal)", name="shared"))
    error = await denied(CollectionEngine(), "Insert", 1, keys(1), owners("bob"), readers(["cleo"]), by=by)
    assert "each of the row policies own, shared of" in str(error)
    await write(CollectionEngine(), "Insert", 1, keys(1), owners("bob"), readers(["cleo", "ann"]), by=by)


@pytest.mark.parametrize("rpc", ["Insert", "Upsert"])
async def test_without_a_policy_for_it_nothing_is_written(rpc: str) -> None:
    by = rules(policy(actions=[RowAction.QUERY]))
    error = await denied(CollectionEngine(), rpc, 1, keys(1), owners("ann"), by=by)
    assert error.code is ErrorCode.ROW_POLICY_ABSENT
    assert str(error) == f"no row policy of the collection docs lets ann write rows by {rpc}"


@pytest.mark.parametrize("rpc", ["Insert", "Upsert"])
async def test_a_missing_tag_allows_nothing(rpc: str) -> None:
    by = rules(policy("owner == $current_principal_tags['nobody']"))
    assert "own" in str(await denied(CollectionEngine(), rpc, 1, keys(1), owners("ann"), by=by))


async def test_an_insert_over_a_row_that_one_may_not_upsert_is_refused() -> None:
    engine = CollectionEngine({"id": 2, "owner": "bob"})
    error = await denied(engine, "Insert", 2, keys(1, 2), owners("ann", "ann"))
    assert error.code is ErrorCode.ROW_NOT_REPLACEABLE
    assert "row 1" in str(error)
    assert "bob" not in str(error)


async def test_an_insert_over_ones_own_row_is_one_that_replaces_it() -> None:
    await write(CollectionEngine({"id": 1}), "Insert", 1, keys(1), owners("ann"))


async def test_an_insert_over_a_row_takes_a_policy_for_upsert() -> None:
    by = rules(policy(actions=[RowAction.INSERT]))
    await write(CollectionEngine(), "Insert", 1, keys(1), owners("ann"), by=by)
    error = await denied(CollectionEngine({"id": 1}), "Insert", 1, keys(1), owners("ann"), by=by)
    assert error.code is ErrorCode.ROW_NOT_REPLACEABLE


async def test_a_row_that_replaces_another_satisfies_the_policy_for_upserts_too() -> None:
    upserts = policy("owner == 'ann'", "state == 'final'", name="upserts", actions=[RowAction.UPSERT])
    by = rules(policy(actions=[RowAction.INSERT]), upserts)
    states = column("state", Type.VarChar, ["draft", "draft"])
    error = await denied(CollectionEngine({"id": 2}), "Insert", 2, keys(1, 2), owners("ann", "ann"), states, by=by)
    assert "row 1 violates `check_expr` of the row policy upserts" in str(error)


async def test_where_an_engine_keeps_both_rows_an_insert_over_a_row_is_refused() -> None:
    text = await wrong(CollectionEngine({"id": 1}), "Insert", 1, keys(1), owners("ann"), dialect=MILVUS)
    assert "upsert the row" in text


async def test_a_field_that_is_left_out_has_its_default() -> None:
    by = rules(policy("state == 'draft'"))
    await write(CollectionEngine(), "Insert", 1, keys(1), owners("ann"), by=by)
    error = await denied(CollectionEngine(), "Insert", 1, keys(1), column("state", Type.VarChar, ["final"]), by=by)
    assert "row 0" in str(error)


async def test_a_field_that_is_left_out_and_has_no_default_is_refused() -> None:
    assert "`owner` is missing" in await wrong(CollectionEngine(), "Insert", 1, keys(1))


async def test_a_field_of_a_policy_that_the_collection_lacks_is_refused() -> None:
    assert "`nothing` is missing" in await wrong(
        CollectionEngine(), "Insert", 1, keys(1), by=rules(policy("nothing == 'x'"))
    )


@pytest.mark.parametrize("rpc", ["Insert", "Upsert"])
async def test_rows_without_keys_are_refused(rpc: str) -> None:
    assert "`id` is missing" in await wrong(CollectionEngine(), rpc, 1, owners("ann"))


@pytest.mark.parametrize("rpc", ["Insert", "Upsert"])
async def test_a_key_that_is_given_twice_is_refused(rpc: str) -> None:
    text = await wrong(CollectionEngine(), rpc, 3, keys(1, 2, 1), owners("ann", "ann", "ann"))
    assert "rows 0 and 2 have the same primary key" in text


async def test_a_default_of_the_key_is_not_used() -> None:
    engine = CollectionEngine()
    engine.described.schema.fields[0].default_value.long_data = 7
    assert "`id` is missing" in await wrong(engine, "Insert", 1, owners("ann"))


async def test_where_the_engine_makes_the_keys_no_stored_row_is_read() -> None:
    engine = CollectionEngine(auto=True)
    await write(engine, "Insert", 1, owners("ann"))
    assert not engine.called("Query")


async def test_where_the_engine_makes_the_keys_none_is_accepted() -> None:
    assert "leave it out" in await wrong(CollectionEngine(auto=True), "Insert", 1, keys(1), owners("ann"))


# Upsert


async def test_a_new_row_and_ones_own_are_upserted() -> None:
    await write(CollectionEngine({"id": 1}), "Upsert", 2, keys(1, 2), owners("ann", "ann"))


async def test_an_upsert_of_a_foreign_row_is_refused() -> None:
    engine = CollectionEngine({"id": 1, "owner": "bob"})
    error = await denied(engine, "Upsert", 1, keys(1), owners("ann"))
    assert error.code is ErrorCode.ROW_NOT_REPLACEABLE
    assert "bob" not in str(error)


async def test_an_upsert_that_gives_a_row_away_is_refused() -> None:
    error = await denied(CollectionEngine({"id": 1}), "Upsert", 1, keys(1), owners("bob"))
    assert error.code is ErrorCode.ROW_VIOLATES_POLICY


async def test_an_upsert_that_gives_a_row_away_is_allowed_where_the_policy_allows_it() -> None:
    by = rules(policy(check="owner in ['ann', 'bob']"))
    await write(CollectionEngine({"id": 1}), "Upsert", 1, keys(1), owners("bob"), by=by)


async def test_an_upsert_that_is_not_partial_gives_what_the_policies_read() -> None:
    by = rules(policy("state == 'draft'"))
    text = await wrong(CollectionEngine({"id": 1}), "Upsert", 1, keys(1), by=by)
    assert "`state` is missing" in text


async def test_a_partial_update_is_checked_with_what_is_stored() -> None:
    by = rules(policy(check="owner == 'ann' and state == 'draft'"))
    engine = CollectionEngine({"id": 1}, {"id": 2, "state": "final"})
    await write(engine, "Upsert", 1, keys(1), by=by, partial_update=True)
    error = await denied(engine, "Upsert", 2, keys(1, 2), by=by, partial_update=True)
    assert "row 1 violates" in str(error)


async def test_a_partial_update_that_changes_what_a_policy_reads_is_checked_with_it() -> None:
    engine = CollectionEngine({"id": 1})
    error = await denied(engine, "Upsert", 1, keys(1), owners("bob"), partial_update=True)
    assert error.code is ErrorCode.ROW_VIOLATES_POLICY


async def test_a_partial_update_of_a_foreign_row_is_refused() -> None:
    engine = CollectionEngine({"id": 1, "owner": "bob"})
    error = await denied(engine, "Upsert", 1, keys(1), column("level", Type.Int8, [1]), partial_update=True)
    assert error.code is ErrorCode.ROW_NOT_REPLACEABLE


async def test_a_new_row_of_a_partial_update_has_the_defaults() -> None:
    by = rules(policy("state == 'draft'"))
    await write(CollectionEngine(), "Upsert", 1, keys(1), by=by, partial_update=True)
    assert "row 0 is new" in await wrong(CollectionEngine(), "Upsert", 1, keys(1), partial_update=True)


async def test_a_stored_null_allows_nothing() -> None:
    engine = CollectionEngine({"id": 1, "owner": None})
    error = await denied(engine, "Upsert", 1, keys(1), owners("ann"))
    assert error.code is ErrorCode.ROW_NOT_REPLACEABLE


@pytest.mark.parametrize("name", ["owner", "id"])
async def test_an_operation_on_a_field_that_is_checked_is_refused(name: str) -> None:
    operation = [{"field_name": name, "op": "ARRAY_APPEND"}]
    text = await wrong(
        CollectionEngine({"id": 1}), "Upsert", 1, keys(1), owners("ann"), field_ops=operation, partial_update=True
    )
    assert f"`{name}` cannot be checked" in text


async def test_operations_on_other_fields_are_accepted() -> None:
    operations = [{"field_name": "readers", "op": "ARRAY_APPEND"}, {"field_name": "owner", "op": "REPLACE"}]
    await write(
        CollectionEngine({"id": 1}), "Upsert", 1, keys(1), owners("ann"), field_ops=operations, partial_update=True
    )


async def test_where_the_engine_makes_the_keys_an_upsert_replaces_what_is_there_only() -> None:
    engine = CollectionEngine({"id": 1}, {"id": 2, "owner": "bob"}, auto=True)
    await write(engine, "Upsert", 1, keys(1), owners("ann"))
    hidden = await denied(engine, "Upsert", 1, keys(2), owners("ann"))
    missing = await denied(engine, "Upsert", 1, keys(3), owners("ann"))
    assert str(hidden) == str(missing)


async def test_where_the_engine_makes_the_keys_an_upsert_without_keys_is_of_new_rows() -> None:
    engine = CollectionEngine(auto=True)
    await write(engine, "Upsert", 1, owners("ann"))
    await denied(engine, "Upsert", 1, owners("bob"))


# What is stored


async def test_an_answer_without_columns_is_one_without_rows() -> None:
    engine = CollectionEngine({"id": 1})
    engine.answers_empty = False
    await write(engine, "Upsert", 1, keys(2), owners("ann"))


async def test_many_rows_are_read_in_parts() -> None:
    engine = CollectionEngine({"id": 12_400, "owner": "bob"})
    given = keys(*range(12_500)), owners(*["ann"] * 12_500)
    error = await denied(engine, "Upsert", 12_500, *given)
    assert "row 12400" in str(error)
    assert len(engine.called("Query")) == 2


async def test_ten_thousand_rows_are_checked_to_the_last() -> None:
    engine = CollectionEngine()
    names = ["ann"] * 9_999 + ["bob"]
    error = await denied(engine, "Insert", 10_000, keys(*range(10_000)), owners(*names))
    assert "row 9999" in str(error)


async def test_only_the_key_and_what_policies_read_is_read() -> None:
    engine = CollectionEngine({"id": 1})
    await write(engine, "Upsert", 1, keys(1), owners("ann"))
    (asked,) = engine.called("Query")
    assert b"vector" not in asked
    assert b"readers" not in asked


async def test_keys_of_many_characters_are_read_in_parts() -> None:
    engine = CollectionEngine()
    engine.described.schema.fields[0].data_type = Type.VarChar
    long = [f"{number:05}" * 2_000 for number in range(100)]
    given = column("id", Type.VarChar, long), owners(*["ann"] * 100)
    await write(engine, "Insert", 100, *given, by=rules(policy(actions=BOTH)))
    assert max(len(call) for call in engine.called("Query")) < 400_000


async def test_a_key_that_is_stored_twice_is_refused() -> None:
    engine = CollectionEngine({"id": 1})
    engine.copies = 2
    text = await wrong(engine, "Upsert", 1, keys(1), owners("ann"), dialect=MILVUS)
    assert "more than one row" in text


async def test_a_collection_that_is_not_loaded_is_said_to_be() -> None:
    engine = CollectionEngine()
    engine.status["Query"] = 101
    assert "load the collection" in await wrong(engine, "Upsert", 1, keys(1), owners("ann"))


@pytest.mark.parametrize(
    ("rpc", "code", "error"),
    [
        ("Query", 1, EngineUnavailable),
        ("DescribeCollection", 1, EngineUnavailable),
        ("DescribeCollection", 100, CollectionNotFound),
    ],
)
async def test_an_engine_that_fails_refuses_the_write(rpc: str, code: int, error: type[Exception]) -> None:
    engine = CollectionEngine()
    engine.status[rpc] = code
    with pytest.raises(error):
        await write(engine, "Upsert", 1, keys(1), owners("ann"))


async def test_the_fields_are_read_for_each_write() -> None:
    engine = CollectionEngine()
    await write(engine, "Insert", 1, keys(1), owners("ann"))
    engine.described.schema.fields[1].name = "owners"
    assert "no such field" in await wrong(engine, "Insert", 1, keys(1), owners("ann"))
