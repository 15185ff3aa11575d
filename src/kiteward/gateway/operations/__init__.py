"""The operation table: one row for each RPC, with all of its rules.

- `row.py`: what a row holds; `declare.py`: how rows are declared.
- `collections.py`, `databases.py`, `data.py`, `cluster.py`, `identity.py`: the rows by subject.
- `closed.py`: RPCs that are not offered, each with the reason.
- `engine_rpcs.py`: the RPCs that an engine executes.
- `message_fields.py`: what happens to the fields of the messages inside requests; `field_use.py`: the class of every
  field, by the rows and that table.

Sources: contract 4.2 for annotated requests, contract 4.3 and decision 0008 for the others. An RPC that is not in the
table is refused; a test checks that the table is complete against the descriptors.

A row names *every* field that selects an object of access control. Aliases are resolved before a decision about names
of collections. A request that selects by an id that is not known here needs the privilege on `*`.

No other module has a table of RPCs; a test checks that.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from kiteward.domain.deferred import Deferred
from kiteward.gateway.operations.row import Executor, Operation, RowUse
from kiteward.milvus import messages

__all__ = ["OPERATIONS", "Executor", "Operation", "RowUse", "missing_operations"]


def _table() -> Mapping[str, Operation]:
    # What the rows name, and the types that read requests, take longer to make than most commands of the command line,
    # which call operations of our own only.
    from kiteward.gateway.operations import closed, cluster, collections, data, databases, identity  # noqa: PLC0415
    from kiteward.gateway.operations.field_use import with_readers  # noqa: PLC0415

    subjects = (collections, databases, data, cluster, identity, closed)
    table: dict[str, Operation] = {}
    for row in with_readers(row for subject in subjects for row in subject.ROWS):
        if row.name in table:
            raise ValueError(f"operation `{row.name}` is in the table twice")
        table[row.name] = row
    return MappingProxyType(table)


OPERATIONS: Final[Mapping[str, Operation]] = Deferred(_table)
"""Every operation by RPC name."""


def missing_operations(table: Iterable[str] = OPERATIONS) -> frozenset[str]:
    """Return the RPCs of the protocol that the table lacks; a test requires that there are none."""
    return frozenset(messages.METHODS) - frozenset(table)
