"""The servers that share the store, in SQL."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Row, Select, select, true

from kiteward.store import schema
from kiteward.store.records import ReplicaRecord

_replicas = schema.replicas.c
_COLUMNS: Final = (
    _replicas.replica_id,
    _replicas.name,
    _replicas.lease,
    _replicas.embedded,
    _replicas.started_at,
    _replicas.renewals,
    _replicas.applied_revision,
    _replicas.version,
)

REGISTERED: Final[Select[*tuple[Any, ...]]] = select(*_COLUMNS).order_by(_replicas.name, _replicas.replica_id)

REVISION_AND_REGISTERED: Final[Select[*tuple[Any, ...]]] = (
    select(schema.revision.c.value, *_COLUMNS)
    .select_from(schema.revision.outerjoin(schema.replicas, true()))
    .where(schema.revision.c.id == schema.REVISION_ROW)
)
"""One row for each server, with the revision in front; one row without a server where there is none."""


def records(rows: Iterable[Row[*tuple[Any, ...]]]) -> tuple[ReplicaRecord, ...]:
    """Return what the rows of `REGISTERED` mean."""
    return tuple(ReplicaRecord(*row) for row in rows)


def revision_and_records(rows: Iterable[Row[*tuple[Any, ...]]]) -> tuple[int, tuple[ReplicaRecord, ...]]:
    """Return what the rows of `REVISION_AND_REGISTERED` mean."""
    found = [tuple(row) for row in rows]
    return int(found[0][0]), tuple(ReplicaRecord(*each[1:]) for each in found if each[1] is not None)
