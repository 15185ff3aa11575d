"""The lines of an audit trail, and events put together from several lines."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kiteward.audit.files import files_of


def lines(directory: Path) -> list[dict[str, Any]]:
    """Return every line of a trail, oldest first."""
    return [json.loads(line) for path in files_of(directory) for line in path.read_text().splitlines()]


def whole_details(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the details of an event from its lines: lists go on from part to part."""
    found: dict[str, Any] = {}
    for part in parts:
        _add(found, part.get("details", {}))
    return found


def _add(found: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and name in found:
            _add(found[name], value)
        elif isinstance(value, list) and name in found:
            found[name] += value
        else:
            found[name] = value
