"""The servers that share the store, in SQL."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, Select, select, true

from kiteward.store import schema
from kiteward.store.records import ReplicaRecord
from kiteward.store.statements import timeline

_replicas = schema.replicas.c
_COLUMNS: Final = (
    _replicas.replica_id,
    _replicas.name,
    _replicas.lease,
    _replicas.embedded,
    _replicas.started_at,
    _replicas.renewals,
    _replicas.applied_revision,
    _replicas.drained_revision,
    _replicas.version,
)

REGISTERED: Final[Select[*tuple[Any, ...]]] = select(*_COLUMNS).order_by(_replicas.name, _replicas.replica_id)

REVISION_AND_REGISTERED: Final[Select[*tuple[Any, ...]]] = (
    select(schema.revision.c.value, schema.revision.c.timeline, timeline(), *_COLUMNS)
    .select_from(schema.revision.outerjoin(schema.replicas, true()))
    .where(schema.revision.c.id == schema.REVISION_ROW)
)
"""One row for each server, with the revision in front, its timeline and the present one; one row without a server where
there is none."""


@dataclass(frozen=True, slots=True)
class Present:
    """What a transaction finds in the store.

    Attributes:
        revision: of the last change.
        made_in: the timeline in which that was made; empty where it is not known.
        timeline: the present one; empty where the database has none.
        replicas: the servers that are registered.
    """

    revision: int
    made_in: str
    timeline: str
    replicas: tuple[ReplicaRecord, ...]

    @property
    def failed_over(self) -> bool:
        """Whether revisions may have been lost of which others know."""
        return bool(self.made_in) and self.made_in != self.timeline


def records(rows: Iterable[Row[*tuple[Any, ...]]]) -> tuple[ReplicaRecord, ...]:
    """Return what the rows of `REGISTERED` mean."""
    return tuple(ReplicaRecord(*row) for row in rows)


def present(rows: Iterable[Row[*tuple[Any, ...]]]) -> Present:
    """Return what the rows of `REVISION_AND_REGISTERED` mean."""
    found = [tuple(row) for row in rows]
    revision, made_in, now = found[0][:3]
    return Present(revision, made_in, now, tuple(ReplicaRecord(*each[3:]) for each in found if each[3] is not None))
