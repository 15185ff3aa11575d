"""Filters of users and policies in a real Milvus 2.3.5: what is written from trees means what was read."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import pytest
from pymilvus import DataType, MilvusClient, MilvusException
from tests.support.server import ROOT_TOKEN
from tests.support.upstream import Upstream
from tests.unit.filters.random_filters import RandomFilters

from kiteward.domain.errors import FilterSyntaxError
from kiteward.filters import Comparison, Dialect, Expression, Field, Literal, conjoin, parse, write

NAME: Final = "filters_in_milvus"
STRINGS: Final = (
    *("", "a", "ab", "a%", "\\", "\\\\", '"', "'", "it's", '\\"', ") or (", '") or (s != "', "a and b", "{x}"),
    *(
        "\n",
        "\r\n",
        "\t",
        "\0",
        "\x1f",
        "\u00a0",
        "\u2028",
        "\ufeff",
        "é",
        "e\u0301",
        "中",
        "中\\",
        "😀",
        "\\u0041",
        "A",
    ),
)
"""A row for each: what user names and tags may hold."""


@pytest.fixture(scope="module")
def client(milvus: Upstream) -> Iterator[MilvusClient]:
    """The administrator's client, with a collection of fifty-eight rows."""
    with closing(MilvusClient(uri=milvus.uri, token=ROOT_TOKEN, dedicated=True)) as found:
        schema = found.create_schema(auto_id=False, enable_dynamic_field=True)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
        for number in ("n", "m"):
            schema.add_field(number, DataType.INT64)
        schema.add_field("x", DataType.DOUBLE)
        for string in ("s", "t"):
            schema.add_field(string, DataType.VARCHAR, max_length=99)
        schema.add_field("b", DataType.BOOL)
        schema.add_field("a", DataType.ARRAY, element_type=DataType.INT64, max_capacity=9)
        schema.add_field("j", DataType.JSON)
        indexes = found.prepare_index_params()
        indexes.add_index("v", index_type="FLAT", metric_type="L2")
        found.create_collection(NAME, schema=schema, index_params=indexes, consistency_level="Strong")
        found.insert(NAME, [_row(at) for at in range(2 * len(STRINGS))])
        yield found
        found.drop_collection(NAME)


def _row(at: int) -> dict[str, Any]:
    documents: tuple[dict[str, Any], ...] = (
        {"k": 1},
        {"k": {"l": 2}, "a": [1, "a"], "it's": True},
        {"a": []},
        {"k": "a", "it's": 1.5},
        {},
    )
    return {
        "id": at,
        "v": [0.0, 1.0],
        "n": (0, 1, 2, -1, -3, 7)[at % 6],
        "m": (0, 1, 2, -1)[at % 4],
        "x": at / 4,
        "s": STRINGS[at % len(STRINGS)],
        "t": STRINGS[at % 7],
        "b": at % 3 == 0,
        "a": ([], [1], [1, -2], [0, 2])[at % 4],
        "j": documents[at % 5],
        **({"d": 1}, {"d": "a"}, {})[at % 3],
    }


def found(client: MilvusClient, text: str) -> frozenset[int] | None:
    """Return the keys of the rows that a filter finds; None for one that Milvus refuses."""
    try:
        rows = client.query(NAME, filter=text, output_fields=["id"], limit=100)
    except MilvusException:
        return None
    return frozenset(row["id"] for row in rows)


def _read(text: str) -> Expression | None:
    try:
        return parse(text, Dialect.MILVUS)
    except FilterSyntaxError:
        return None


@pytest.mark.parametrize("value", STRINGS, ids=ascii)
def test_string_of_a_policy_arrives_as_it_is(client: MilvusClient, value: str) -> None:
    text = write(Comparison("==", Field("s"), Literal(value)), Dialect.MILVUS)
    at = STRINGS.index(value)
    assert found(client, text) == frozenset({at, at + len(STRINGS)})


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.heavy) for seed in (1, 2))])
def test_filters_find_the_same_rows_before_and_after_writing_and_with_a_policy(client: MilvusClient, seed: int) -> None:
    made = RandomFilters(seed, strict=True)
    policy = parse("n in [0, 1, 2] or array_contains(a, -2) or s == ') or ('", Dialect.POLICY)
    allowed = found(client, write(policy, Dialect.MILVUS))
    assert allowed is not None
    same = 0
    for turn in range(60):
        text = made.filter(2) if turn % 3 else made.spoilt()
        tree = _read(text)
        if tree is None:
            continue
        alone = found(client, text)
        assert found(client, write(tree, Dialect.MILVUS)) == alone, text
        if alone is not None:
            assert found(client, write(conjoin(policy, tree), Dialect.MILVUS)) == alone & allowed, text
            same += 1
    assert same > 10, "Milvus refuses nearly all"


@pytest.mark.parametrize(
    "text",
    [
        *("not n > 1", "! n == 1", "not n in [1]", "n not  in [1]", "1 < (n) < 3", 'j ["k"] == 1', "b", "true"),
        *('exists j["k"] and n == 1', "1 == 1", "-n == 1", "n == 1 And m == 1", "array_contains_any(a, [])"),
    ],
)
def test_what_milvus_refuses_or_reads_otherwise_is_refused_here(client: MilvusClient, text: str) -> None:
    assert found(client, text) is None
    assert _read(text) is None
