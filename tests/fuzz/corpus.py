"""Requests that were carried out: mutations of them get further than newly drawn requests."""

from typing import Final

from tests.access.equivalence.random_values import Draw
from tests.fuzz.requests import Answer, Sent, carried_out, parsed

_KEPT: Final = 24
_TAKEN: Final = 0.4


class Corpus:
    """Keeps the last few payloads for each path."""

    def __init__(self) -> None:
        self._payloads: dict[str, list[bytes]] = {}
        self._added = 0

    def add(self, sent: Sent, answer: Answer) -> None:
        """Keep a request that was carried out."""
        if not carried_out(sent, answer) or (sent.rest and not isinstance(parsed(sent.payload), dict)):
            return
        kept = self._payloads.setdefault(sent.path, [])
        self._added += 1
        if len(kept) < _KEPT:
            kept.append(sent.payload)
        else:
            kept[self._added % _KEPT] = sent.payload

    def draw(self, draw: Draw, path: str) -> bytes | None:
        """Return a payload that was carried out there, or None to draw a new one."""
        kept = self._payloads.get(path)
        return draw.of(kept) if kept and draw.chance(_TAKEN) else None
