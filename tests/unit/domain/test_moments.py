"""How moments are written: one form, which one function makes."""

import ast
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

import kiteward
from kiteward.domain.moments import written

SOURCE = Path(kiteward.__file__).parent


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC), "2026-01-02T03:04:05.600000Z"),
        (datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2))), "2026-01-01T22:00:00Z"),
        (datetime(2026, 1, 2, tzinfo=timezone(timedelta(0), "GMT")), "2026-01-02T00:00:00Z"),
    ],
)
def test_a_moment_is_written_in_utc_with_z(moment: datetime, expected: str) -> None:
    assert written(moment) == expected
    assert datetime.fromisoformat(expected) == moment


def test_a_moment_is_as_precise_as_asked() -> None:
    assert written(datetime(2026, 1, 2, tzinfo=UTC), timespec="milliseconds") == "2026-01-02T00:00:00.000Z"


def test_a_time_without_a_zone_is_no_moment() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        written(datetime(2026, 1, 2))  # noqa: DTZ001  that is what is refused


def test_nothing_else_writes_moments_in_a_form_of_its_own() -> None:
    found = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "isoformat"
    }
    assert found == {"domain/moments.py"}
