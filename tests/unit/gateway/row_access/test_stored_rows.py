"""Stored rows are read by filters that no engine and no parser refuses for their length."""

from typing import Any

import pytest
from tests.support.engine import FakeEngine

from kiteward.filters import MAX_LENGTH, Dialect, Membership, parse
from kiteward.gateway.row_access.fields import CollectionFields, DataType, Field
from kiteward.gateway.row_access.stored_rows import Key, StoredRows
from kiteward.milvus import messages

ROWS = 10_000


def fields(data_type: int) -> CollectionFields:
    key = Field("id", 100, data_type)
    return CollectionFields(key=key, generates_keys=False, by_name={"id": key}, dynamic=False, reserved=frozenset())


@pytest.mark.parametrize(
    ("keys", "data_type"),
    [
        ([f"{number:064}" for number in range(ROWS)], DataType.VarChar),
        (['"\\' * 30 + str(number) for number in range(ROWS)], DataType.VarChar),
        (["\n" * 65_535, '"' * 65_535], DataType.VarChar),
        (list(range(-(2**63), -(2**63) + ROWS)), DataType.Int64),
    ],
    ids=["of 64 characters", "all escaped", "of the greatest length", "integers"],
)
async def test_filters_over_many_keys_are_short_enough_and_name_each_key_once(keys: list[Key], data_type: int) -> None:
    engine = FakeEngine()
    engine.create("docs")
    engine.answers["Query"] = messages.QueryResults(status=messages.Status()).SerializeToString()
    stored = StoredRows(engine, Dialect.EMBEDDED, "default", "docs")
    assert await stored.under(keys, (), fields=fields(data_type)) == {}
    texts = [str(asked.request.expr) for asked in engine.called("Query")]
    assert max(map(len, texts)) <= MAX_LENGTH
    assert [key for text in texts for key in listed(text)] == keys


def listed(text: str) -> list[Any]:
    tree = parse(text.removesuffix(" and true"), Dialect.EMBEDDED)
    assert isinstance(tree, Membership)
    return [item.value for item in tree.values.items]  # type: ignore[union-attr]  # it is a list
