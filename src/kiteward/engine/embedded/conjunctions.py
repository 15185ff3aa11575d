"""Evaluates `a and b` so that `b` never sees the rows that `a` leaves out, and means what it means alone.

Milvus Lite evaluates a whole filter for all rows at once, by one of three evaluators that differ in corner cases. What
follows an `and` could then change the first part, and rows that the first part leaves out could change the second: with
an error that repeats a value (`n == 1.0`, when another row's `n` is beyond 2^53), or another choice of evaluator
(`k not in ["1"]` over a dynamic key). A row policy is the first part of a filter, so that either would report something
about rows that the policy hides (decision 0044).
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

import milvus_lite.search.filter
import pyarrow as pa
import pyarrow.compute as pc
from milvus_lite.search.filter.ast import (
    And,
    ArithOp,
    BoolLit,
    CmpOp,
    Expr,
    FieldRef,
    FloatLit,
    InOp,
    IntervalLit,
    IntLit,
    IsNullOp,
    LikeOp,
    ListLit,
    MetaAccess,
    Not,
    Or,
    StringLit,
    TimestampLit,
)
from milvus_lite.search.filter.eval import evaluate
from milvus_lite.search.filter.semantic import CompiledExpr

_DYNAMIC: Final = "$meta"

_IN_COLUMNS: Final = (
    *(And, Or, Not, CmpOp, ArithOp, InOp, LikeOp, IsNullOp),
    *(FieldRef, MetaAccess, BoolLit, FloatLit, IntervalLit, IntLit, ListLit, StringLit, TimestampLit),
)
"""The nodes that Milvus Lite evaluates for whole columns. A part with any other is evaluated as the whole would be."""


def evaluate_in_order(compiled: CompiledExpr, data: Any) -> pa.BooleanArray:
    """Return which rows a filter selects. Each part of a conjunction is evaluated for the rows of those before it.

    Args:
        compiled: the filter.
        data: a table or a record batch.
    """
    if not isinstance(compiled.ast, And):
        return evaluate(compiled, data)
    table = data if isinstance(data, pa.Table) else pa.Table.from_batches([data])
    read = {*compiled.fields} if compiled.backend == "arrow" else {*compiled.fields, _DYNAMIC}
    # A table without columns has no rows either.
    kept = table.select([name for name in table.column_names if name in read] or table.column_names[:1])
    masks: list[pa.BooleanArray] = []
    for part in _parts(compiled.ast):
        if masks and masks[-1].true_count < len(masks[-1]):
            kept = kept.filter(masks[-1])
        masks.append(evaluate(_compiled(compiled, part), kept))
        if not masks[-1].true_count:
            break
    # Each mask is about the rows that the one before it has kept.
    selected = masks.pop()
    for mask in reversed(masks):
        selected = pc.replace_with_mask(mask, mask, selected)
    return selected


def adopt() -> None:
    """Make Milvus Lite evaluate filters by `evaluate_in_order`."""
    milvus_lite.search.filter.evaluate = evaluate_in_order


def _parts(conjunction: And) -> Iterator[Expr]:
    """Yield what a conjunction joins, in order; one inside it is taken apart too."""
    waiting: list[Expr] = [conjunction]
    while waiting:
        part = waiting.pop()
        if isinstance(part, And):
            waiting.extend(reversed(part.operands))
        else:
            yield part


def _compiled(whole: CompiledExpr, part: Expr) -> CompiledExpr:
    """Return a part of a filter with the evaluator that Milvus Lite would choose for it alone."""
    kinds = {type(node) for node in _nodes(part)}
    if not kinds.issubset(_IN_COLUMNS):
        return replace(whole, ast=part)
    return replace(whole, ast=part, backend="hybrid" if MetaAccess in kinds else "arrow")


def _nodes(part: Expr) -> Iterator[Any]:
    """Yield a node and all nodes below it, except the literals of a list, of which there may be very many."""
    waiting: list[Any] = [part]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            waiting.extend(node)
        elif is_dataclass(node):
            yield node
            if not isinstance(node, ListLit):
                waiting.extend(getattr(node, each.name) for each in fields(node))
