"""How moments are written: in RFC 3339, in UTC, with `Z`."""

from datetime import UTC, datetime


def written(moment: datetime, *, timespec: str = "auto") -> str:
    """Return a moment as text, such as `2026-11-27T10:00:00Z`.

    Args:
        moment: the moment, in any time zone.
        timespec: how precise the text is, as the method isoformat of a datetime has it.

    Raises:
        ValueError: it has no time zone, so that it is no moment.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=timespec) + "Z"
