"""Verifies a trail: finds any changed, missing or reordered line."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kiteward.audit.events import Event
from kiteward.audit.files import Head, look_at
from kiteward.audit.hash_chain import BEGINNING, chain_of, decode

_TOLD: Final = {
    Event.LINES_MISSING.code: "the writer found lines missing before this one",
    Event.HEAD_MISSING.code: "the writer found no head before this line: lines before it may be missing",
}


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a verification.

    Attributes:
        lines: how many lines were read.
        first: the number of the first that is kept.
        last: the number of the last; 0 when there is none.
        chain: the chain of the last line; kept elsewhere, it proves later that nothing up to here was changed.
        findings: each defect in one sentence; empty when the trail is intact.
    """

    lines: int
    first: int
    last: int
    chain: str
    findings: tuple[str, ...]


class _Chain:
    """Follows the chain line by line."""

    def __init__(self, head: Head | None) -> None:
        self.expected = head.first if head is not None else None
        self.chain = head.before if head is not None else BEGINNING
        self.lines = 0
        self.last = 0
        self.first = 0
        self.chains: dict[int, str] = {}

    def take(self, raw: bytes, where: str, anchor: int | None) -> Iterator[str]:
        """Check the next line, and yield its defects."""
        line = decode(raw)
        self.lines += 1
        if line is None:
            yield f"{where}: this is not a line of an audit trail; it was changed or truncated"
            return
        if self.expected is not None and line.seq != self.expected:
            yield self._out_of_order(line.seq, where)
        elif self.chain and chain_of(line.body, self.chain) != line.chain:
            yield f"{where}: line {line.seq} was changed, or one before it"
        if line.code in _TOLD:
            yield f"{where}: {_TOLD[line.code]}"
        self.first = self.first or line.seq
        self.last, self.chain, self.expected = line.seq, line.chain, line.seq + 1
        if line.seq == anchor:
            self.chains[line.seq] = line.chain

    def _out_of_order(self, seq: int, where: str) -> str:
        expected = self.expected or 0
        if seq > expected:
            return f"{where}: lines {expected} to {seq - 1} are missing before line {seq}"
        return f"{where}: found line {seq} where line {expected} was expected; lines were moved or repeated"


def verify(directory: Path, *, anchor: tuple[int, str] | None = None) -> Verified:
    """Verify the trail of a directory; a server may be writing to it.

    Args:
        directory: where its files are.
        anchor: the number and chain of a line, as an earlier verification returned them.

    Raises:
        OSError: it cannot be read.
    """
    trail = look_at(directory)
    chain = _Chain(trail.head)
    findings = [] if trail.head is not None else ["there is no head: lines may be missing at the end"]
    for path, size in trail.files:
        for number, raw in _raw_lines(path, size):
            findings += chain.take(raw, f"{path.name}:{number}", anchor[0] if anchor else None)
    if trail.head is not None and chain.last < trail.head.seq:
        missing = f"{max(chain.last + 1, trail.head.first)} to {trail.head.seq}"
        findings.append(f"lines {missing} are missing at the end")
    if anchor is not None:
        found = chain.chains.get(anchor[0])
        if found is None:
            findings.append(f"line {anchor[0]}, given for comparison, is missing")
        elif found != anchor[1]:
            findings.append(f"line {anchor[0]} was changed: its hash differs from the given one")
    return Verified(chain.lines, chain.first, chain.last, chain.chain, tuple(findings))


def _raw_lines(path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines within the first `size` bytes of a file; what a writer appends meanwhile is not read."""
    read = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if read >= size:
                return
            yield number, raw[: size - read].removesuffix(b"\n")
            read += len(raw)
