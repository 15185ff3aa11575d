"""Consistency levels by name."""

from typing import Final

from kiteward.api.rest.status import INVALID_PARAMETER, RestFailure

BOUNDED: Final = 2
LEVELS: Final = {"Strong": 0, "Session": 1, "Bounded": BOUNDED, "Eventually": 3, "Customized": 4}


def consistency_level(name: str) -> int | None:
    """Return the number of a level, or None where no name is given.

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
