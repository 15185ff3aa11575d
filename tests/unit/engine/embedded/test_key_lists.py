"""Lists of primary keys are read as Milvus Lite reads them, and everything else is left to it."""

from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from milvus_lite.adapter.grpc.servicer import MilvusServicer

from kiteward.engine.embedded.collection import ServedCollection
from kiteward.engine.embedded.key_lists import keys_in
from kiteward.engine.embedded.servicer import EngineServicer
from kiteward.filters import Dialect, Field, ListOf, Literal, Membership, write

COLLECTION = SimpleNamespace(_pk_name="id", pk_field="id")


@pytest.mark.parametrize(
    ("expr", "keys"),
    [
        ("id in [1]", [1]),
        (" id in [ 3, 1,1,\t020 ] ", [3, 1, 1, 20]),
        ("id in [-9223372036854775808, -1, 9223372036854775807]", [-(2**63), -1, 2**63 - 1]),
        ('id in ["a", ""]', ["a", ""]),
        ('id in ["a,]", "\'"]', ["a,]", "'"]),
    ],
)
def test_keys_are_read_in_order(expr: str, keys: list[int | str] | None) -> None:
    assert keys_in(expr, "id") == keys


@pytest.mark.parametrize(
    "expr",
    [
        "",
        "id in []",
        "id in [1] and a == 2",
        "id not in [1]",
        "id IN [1]",
        "(id in [1])",
        "other in [1]",
        "id in [1,]",
        "id in [1 , 2]",
        "id in [1.5]",
        "id in [9223372036854775808]",
        "id in [-9223372036854775809]",
        "id in [- 1]",
        "id in [--1]",
        'id in ["a\\"b"]',
        'id in ["a", 1]',
        "id in ['a']",
        'id in ["a"',
        'id in ["a" "b"]',
    ],
)
def test_other_filters_are_left_to_milvus_lite(expr: str) -> None:
    assert keys_in(expr, "id") is None


@given(st.one_of(st.lists(st.integers(0, 2**63 - 1), min_size=1), st.lists(st.text(), min_size=1)))
def test_what_is_read_is_what_milvus_lite_reads(keys: list[int | str]) -> None:
    expr = write(Membership(Field("id"), ListOf(tuple(Literal(key) for key in keys))), Dialect.EMBEDDED)
    theirs = MilvusServicer._extract_pks_from_expr(expr, COLLECTION)
    found = EngineServicer._extract_pks_from_expr(expr, cast("ServedCollection", COLLECTION))
    assert (theirs, found) == (keys, list(dict.fromkeys(keys)))


@pytest.mark.parametrize("expr", ["id in [2, 1, 1, 3, 2]", "id in [2, 1, 1, 3 , 2]"])
def test_a_key_that_is_given_twice_is_looked_up_once(expr: str) -> None:
    assert EngineServicer._extract_pks_from_expr(expr, cast("ServedCollection", COLLECTION)) == [2, 1, 3]


@given(st.text(alphabet="id n[]\",1\\' \t\n-."))
def test_no_text_is_read_otherwise_than_milvus_lite_reads_it(expr: str) -> None:
    found = keys_in(f"id in [{expr}]", "id")
    if found is not None and "-" not in expr:
        assert MilvusServicer._extract_pks_from_expr(f"id in [{expr}]", COLLECTION) == found


def test_a_long_list_that_is_wrong_at_its_end_is_left_in_no_time() -> None:
    assert keys_in("id in [" + "1, " * 200_000 + "x]", "id") is None
