"""Consistency levels by name."""

from typing import Final, TypeAlias

from kiteward.api.rest.status import INVALID_PARAMETER, RestFailure
from kiteward.milvus.messages import common_pb2

_Level: TypeAlias = common_pb2.ConsistencyLevel

LEVELS: Final = {
    "Strong": _Level.Strong,
    "Session": _Level.Session,
    "Bounded": _Level.Bounded,
    "Eventually": _Level.Eventually,
    "Customized": _Level.Customized,
}


def consistency_level(name: str) -> _Level.ValueType | None:
    """Return a level by its name, or None where no name is given.

    Raises:
        RestFailure: there is no such level.
    """
    if not name:
        return None
    if name not in LEVELS:
        raise RestFailure(
            INVALID_PARAMETER,
            f"consistencyLevel can only be [{', '.join(LEVELS)}], default: Bounded: invalid parameter",
        )
    return LEVELS[name]
