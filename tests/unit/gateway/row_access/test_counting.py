"""Rows are counted and found by the query that a user would send, under a rule."""

from typing import Any

import pytest
from tests.support.described import described
from tests.support.engine import FakeEngine

from kiteward.authz.row_policies import BoundRule
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import CollectionNotFound, EngineResponseUnreadable, InvalidArgument
from kiteward.filters import Constant, Dialect, parse
from kiteward.gateway.row_access.counting import RowCounter
from kiteward.milvus import messages

OWN = BoundRule(parse('owner == "alice"', Dialect.EMBEDDED), ("own",))
EVERY = BoundRule(Constant(True), ())
NONE = BoundRule(Constant(False), ())


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    engine.create("docs")
    engine.answers["DescribeCollection"] = described(owner="VarChar")
    return engine


def results(name: str, **data: Any) -> bytes:
    """Return the response to a query with one column."""
    fields: Any = [{"field_name": name, "scalars": {key: {"data": values} for key, values in data.items()}}]
    return messages.QueryResults(status=messages.Status(), fields_data=fields).SerializeToString()


def asked(engine: FakeEngine) -> Any:
    return engine.called("Query")[-1].request


@pytest.mark.parametrize(
    ("rule", "dialect", "written"),
    [
        (OWN, Dialect.EMBEDDED, 'owner == "alice"'),
        (EVERY, Dialect.MILVUS, ""),
        (NONE, Dialect.MILVUS, "id in []"),
    ],
)
async def test_rows_are_counted_by_the_filter_of_the_rule(
    engine: FakeEngine, rule: BoundRule, dialect: Dialect, written: str
) -> None:
    engine.answers["Query"] = results("count(*)", long_data=[7])
    assert await RowCounter(engine, dialect).count("default", "docs", rule) == 7
    request = asked(engine)
    assert (request.expr, list(request.output_fields), request.collection_name) == (written, ["count(*)"], "docs")
    assert request.consistency_level == messages.common_pb2.ConsistencyLevel.Strong
    assert engine.called("Query")[-1].metadata == {"dbname": "default"}


async def test_keys_are_found_among_the_rows_that_the_rule_allows(engine: FakeEngine) -> None:
    engine.answers["Query"] = results("id", long_data=[7, 8])
    counter = RowCounter(engine, Dialect.EMBEDDED)
    assert await counter.keys("default", "docs", OWN, ["007", "7", "9"]) == {"007", "7"}
    assert asked(engine).expr == 'owner == "alice" and id in [7, 9]'


@pytest.mark.parametrize("key", ["x", "", "1.5", str(1 << 63)])
async def test_a_key_that_is_no_integer_is_refused_where_the_primary_key_is_one(engine: FakeEngine, key: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await RowCounter(engine, Dialect.EMBEDDED).keys("default", "docs", OWN, [key])
    assert (refused.value.code, refused.value.field) == (ErrorCode.PRIMARY_KEY_NOT_INTEGER, "primaryKeys")
    assert not engine.called("Query")


@pytest.mark.parametrize(("status", "error"), [(101, InvalidArgument), (100, CollectionNotFound)])
async def test_what_cannot_be_counted_is_said(engine: FakeEngine, status: int, error: type[Exception]) -> None:
    engine.answers["Query"] = messages.QueryResults(status=messages.Status(code=status)).SerializeToString()
    with pytest.raises(error):
        await RowCounter(engine, Dialect.EMBEDDED).count("default", "docs", OWN)


async def test_an_answer_without_a_number_is_no_count(engine: FakeEngine) -> None:
    engine.answers["Query"] = messages.QueryResults(status=messages.Status()).SerializeToString()
    with pytest.raises(EngineResponseUnreadable):
        await RowCounter(engine, Dialect.EMBEDDED).count("default", "docs", OWN)
