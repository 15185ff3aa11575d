"""The operation table: one row for each RPC, with all that is known of it.

- `row.py`: what a row holds; `declare.py`: how rows are declared.
- `collections.py`, `databases.py`, `data.py`, `cluster.py`, `identity.py`: the rows by subject.
- `closed.py`: RPCs that are not offered, each with the reason.

Sources: contract 4.2 for annotated requests, contract 4.3 and decision 0008 for the others. An RPC that is not in the
table is unknown and refused; a test holds the table complete against the descriptors.

A row names *every* field that selects an object of access control. Names of collections are judged after aliases are
resolved; a request that selects by an id needs the privilege on `*`, because an id cannot be judged.

No other module keeps a table of RPCs; a test looks for one.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from kiteward.gateway.operations import closed, cluster, collections, data, databases, identity
from kiteward.gateway.operations.row import Executor, Operation
from kiteward.milvus import messages

__all__ = ["OPERATIONS", "Executor", "Operation", "missing_operations"]


def _table(rows: Iterable[Operation]) -> Mapping[str, Operation]:
    table: dict[str, Operation] = {}
    for row in rows:
        if row.name in table:
            raise ValueError(f"operation `{row.name}` is in the table twice")
        table[row.name] = row
    return MappingProxyType(table)


OPERATIONS: Final[Mapping[str, Operation]] = _table(
    (*collections.ROWS, *databases.ROWS, *data.ROWS, *cluster.ROWS, *identity.ROWS, *closed.ROWS)
)
"""Every operation by RPC name."""


def missing_operations(table: Iterable[str] = OPERATIONS) -> frozenset[str]:
    """Return the RPCs of the protocol that the table lacks; a test demands none."""
    return frozenset(messages.METHODS) - frozenset(table)
