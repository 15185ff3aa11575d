"""What is read and written here, held against the parser and the evaluators that the embedded engine uses."""

import os
from collections import Counter
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pytest
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema
from milvus_lite.search.filter import FilterError, compile_expr
from milvus_lite.search.filter.eval import arrow_backend, evaluate, evaluate_python, python_backend
from tests.unit.filters.random_filters import RandomFilters

from kiteward.domain.errors import FilterSyntaxError
from kiteward.engine.embedded import filters as engine
from kiteward.filters import Dialect, Expression, conjoin, parse, write

FILTERS: Final = int(os.environ.get("TESTS_FILTERS", "800"))
"""How many filters of each seed are tried."""

POLICIES: Final = (
    "n == 1",
    "s == 'a' or s == 'b'",
    "s in ['a', 'ab', ') or (', '\\\\'] and (b == true or n in [0, 1, 2])",
    "array_contains(a, 1)",
    "array_contains_any(a, [1, -2]) or n == 2",
    "n == 1 or n == 2 or (s == '\"' and n in [])",
)

SCHEMA: Final = CollectionSchema(
    fields=[
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("n", DataType.INT64, nullable=True),
        FieldSchema("m", DataType.INT64),
        FieldSchema("x", DataType.DOUBLE, nullable=True),
        FieldSchema("s", DataType.VARCHAR, max_length=99, nullable=True),
        FieldSchema("t", DataType.VARCHAR, max_length=99),
        FieldSchema("b", DataType.BOOL, nullable=True),
        FieldSchema("a", DataType.ARRAY, element_type=DataType.INT64, max_capacity=9, nullable=True),
        FieldSchema("j", DataType.JSON, nullable=True),
    ],
    enable_dynamic_field=True,
)

_NUMBERS: Final = (0, 1, 2, -1, -3, 7, None, 2)
_STRINGS: Final = ("", "a", "b", "ab", "a%", "\\", ") or (", None, '"', "a and b", "中", "é\n")
_JSON: Final = (
    '{"k": 1}',
    '{"k": {"l": 2}, "a": [1, "a"], "it\'s": true}',
    '{"k": null, "a": []}',
    '{"k": "a", "it\'s": 1.5}',
    "{}",
    None,
)
_ARRAYS: Final[tuple[list[int] | None, ...]] = ([], [1], [1, -2], [0, 2], None)


@pytest.fixture
def remainders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute `%`, as the engine does."""
    monkeypatch.setitem(python_backend._ARITH_OPS, "%", engine._remainder)
    monkeypatch.setitem(arrow_backend._ARITH_KERNELS, "%", engine._arrow_remainder)


def _table() -> pa.Table:
    """Return rows with every combination that the fields' values run into."""
    rows = range(120)
    return pa.table(
        {
            "id": pa.array(rows, pa.int64()),
            "n": pa.array([_NUMBERS[i % 8] for i in rows], pa.int64()),
            "m": pa.array([_NUMBERS[i % 5] for i in rows], pa.int64()),
            "x": pa.array([None if i % 7 == 0 else i / 4 for i in rows], pa.float64()),
            "s": pa.array([_STRINGS[i % 12] for i in rows], pa.string()),
            "t": pa.array([_STRINGS[i % 7] for i in rows], pa.string()),
            "b": pa.array([(True, False, None)[i % 3] for i in rows], pa.bool_()),
            "a": pa.array([_ARRAYS[i % 5] for i in rows], pa.list_(pa.int64())),
            "j": pa.array([_JSON[i % 6] for i in rows], pa.string()),
            "$meta": pa.array([('{"d": 1}', '{"d": "a"}', "{}", None)[i % 4] for i in rows], pa.string()),
        }
    )


def _engine_tree(text: str) -> Any:
    """Return the tree that the engine has of a filter, without positions; None for one that it refuses."""
    try:
        return _shape(engine.parse(text))
    except FilterError:
        return None


def _shape(node: Any) -> Any:
    if isinstance(node, tuple):
        return tuple(_shape(each) for each in node)
    if is_dataclass(node):
        parts = (_shape(getattr(node, part.name)) for part in fields(node) if part.name != "pos")
        return (type(node).__name__, *parts)
    return node


def _read(text: str) -> Expression | None:
    try:
        return parse(text, Dialect.EMBEDDED)
    except FilterSyntaxError:
        return None


@pytest.mark.parametrize("seed", range(8))
def test_what_is_read_here_the_engine_reads_with_the_same_meaning_before_and_after_writing(seed: int) -> None:
    made = RandomFilters(seed)
    seen: Counter[str] = Counter()
    for turn in range(FILTERS):
        text = made.filter() if turn % 2 else made.spoilt()
        tree, theirs = _read(text), _engine_tree(text)
        if tree is None:
            seen["refused by both" if theirs is None else "refused here"] += 1
            continue
        assert theirs is not None, text
        assert _engine_tree(write(tree, Dialect.EMBEDDED)) == theirs, text
        seen["read"] += 1
    assert seen["read"] > FILTERS / 3, "the filters are hardly ever valid"
    assert seen["refused by both"] > FILTERS / 6, "the filters are hardly ever spoilt"
    assert seen["refused here"] < FILTERS / 25, "what the engine reads is refused too often"


@pytest.mark.usefixtures("remainders")
@pytest.mark.parametrize("seed", range(100, 104))
def test_policy_and_filter_find_the_rows_that_both_find(seed: int) -> None:
    made, table = RandomFilters(seed), _table()
    policies = [parse(text, Dialect.POLICY) for text in POLICIES]
    found = 0
    for turn in range(FILTERS // 8):
        text = made.filter(2) if turn % 2 else made.spoilt()
        tree = _read(text)
        if tree is None:
            continue
        policy = policies[turn % len(policies)]
        joined = _selected(write(conjoin(policy, tree), Dialect.EMBEDDED), table, python=True)
        alone = _selected(text, table, python=True)
        if alone is None:
            continue
        allowed = _selected(write(policy, Dialect.EMBEDDED), table, python=True)
        assert allowed is not None
        assert joined == alone & allowed, text
        found += bool(joined)
        by_engine = _selected(write(conjoin(policy, tree), Dialect.EMBEDDED), table, python=False)
        assert by_engine is None or by_engine <= allowed, text
    assert found > FILTERS / 80, "hardly any filter finds a row"


def _selected(text: str, table: pa.Table, *, python: bool) -> frozenset[int] | None:
    """Return the rows that the engine finds; None if it refuses the filter or fails.

    Args:
        text: the filter.
        table: the rows.
        python: whether the one of its evaluators is used that always means the same; otherwise the engine chooses.
    """
    try:
        compiled = compile_expr(engine.parse(text), SCHEMA, source=text)
        mask = evaluate_python(replace(compiled, backend="python"), table) if python else evaluate(compiled, table)
    except (FilterError, pa.ArrowException, TypeError, OverflowError):
        return None
    return frozenset(at for at, chosen in enumerate(mask.to_pylist()) if chosen)
