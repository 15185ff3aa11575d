"""Verifies chains of lines: finds any changed, missing or reordered line."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kiteward.audit.events import Event
from kiteward.audit.files import look_at
from kiteward.audit.hash_chain import BEGINNING, chain_of, decode

_LINES: Final = 1_000
"""Lines between two reports of progress."""

_TOLD: Final = {
    Event.LINES_MISSING.code: "the writer found lines missing before this one",
    Event.HEAD_MISSING.code: "the writer found no head before this line: lines before it may be missing",
}

_REPLICA: Final = re.compile(rb',"outcome":"[a-z]*","replica":"([^"]*)"')
"""Where a line names its replica; a value that contains this text has its quotation marks escaped."""

Anchor = tuple[int, str]
"""Number and chain of a line, as an earlier verification returned them."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a verification.

    Attributes:
        lines: how many lines were read.
        first: the number of the first that is kept.
        last: the number of the last; 0 when there is none.
        chain: the chain of the last line; kept elsewhere, it proves later that nothing up to here was changed.
        findings: each defect in one sentence; empty when the chain is intact.
        noted: for each anchor, how the chain differs from it in one sentence; empty where it does not.
        replicas: the names of the replicas that the lines name, sorted.
    """

    lines: int
    first: int
    last: int
    chain: str
    findings: tuple[str, ...]
    noted: tuple[str, ...] = ()
    replicas: tuple[str, ...] = ()


class ChainVerification:
    """Follows a chain line by line."""

    def __init__(self, first: int | None, before: str, anchors: Sequence[Anchor] = ()) -> None:
        """Begin before the first line.

        Args:
            first: its number; None if it is not known.
            before: the chain of the line before it; empty if it is not known.
            anchors: lines to compare.
        """
        self._kept_from = first or 0
        self._expected = first
        self._chain = before
        self._anchors = anchors
        self._wanted = {seq for seq, _ in anchors}
        self._chains: dict[int, str] = {}
        self._replicas: set[str] = set()
        self._lines = self._last = self._first = 0
        self._findings: list[str] = []

    def take(self, where: str, raw: bytes) -> None:
        """Check the next line.

        Args:
            where: names its place in findings.
            raw: the line, without a newline.
        """
        self._findings += self._checked(raw, where)

    def ended(self, last: int | None) -> Verified:
        """Return the result after the last line.

        Args:
            last: the number that the last line should have; None if it is not known.
        """
        findings = self._findings
        if last is None:
            findings = ["there is no head: lines may be missing at the end", *findings]
        elif self._last < last:
            missing = f"{max(self._last + 1, self._kept_from)} to {last}"
            findings = [*findings, f"lines {missing} are missing at the end"]
        noted = tuple(map(self._compared, self._anchors))
        return Verified(
            self._lines, self._first, self._last, self._chain, tuple(findings), noted, tuple(sorted(self._replicas))
        )

    def _checked(self, raw: bytes, where: str) -> Iterator[str]:
        line = decode(raw)
        self._lines += 1
        if line is None:
            yield f"{where}: this is not a line of an audit trail; it was changed or truncated"
            return
        if self._expected is not None and line.seq != self._expected:
            yield self._out_of_order(line.seq, where)
        elif self._chain and chain_of(line.body, self._chain) != line.chain:
            yield f"{where}: line {line.seq} was changed, or one before it"
        if line.code in _TOLD:
            yield f"{where}: {_TOLD[line.code]}"
        self._first = self._first or line.seq
        self._last, self._chain, self._expected = line.seq, line.chain, line.seq + 1
        if line.seq in self._wanted:
            self._chains[line.seq] = line.chain
        named = _REPLICA.search(line.body)
        if named is not None:
            self._replicas.add(named[1].decode("ascii", "replace"))

    def _out_of_order(self, seq: int, where: str) -> str:
        expected = self._expected or 0
        if seq > expected:
            return f"{where}: lines {expected} to {seq - 1} are missing before line {seq}"
        return f"{where}: found line {seq} where line {expected} was expected; lines were moved or repeated"

    def _compared(self, anchor: Anchor) -> str:
        seq, chain = anchor
        found = self._chains.get(seq)
        if found is None:
            return f"line {seq}, given for comparison, is missing"
        return "" if found == chain else f"line {seq} was changed: its hash differs from the given one"


def verify(
    directory: Path,
    *,
    anchors: Sequence[Anchor] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Verified:
    """Verify the trail of a directory; a server may be writing to it.

    Args:
        directory: where its files are.
        anchors: lines to compare.
        progress: takes how many bytes are read, and how many there are; None for nothing.

    Raises:
        OSError: it cannot be read.
    """
    trail = look_at(directory)
    head = trail.head
    verification = (
        ChainVerification(None, BEGINNING, anchors)
        if head is None
        else ChainVerification(head.first, head.before, anchors)
    )
    total, done = sum(size for _, size in trail.files), 0
    for path, size in trail.files:
        for number, raw in _raw_lines(path, size):
            verification.take(f"{path.name}:{number}", raw)
            done += len(raw) + 1
            if progress is not None and number % _LINES == 0:
                progress(done, total)
    return verification.ended(None if head is None else head.seq)


def unmatched(results: Iterable[Verified], anchors: Sequence[Anchor]) -> list[str]:
    """Return a sentence for each anchor that none of several chains matches; of a single chain, what differs."""
    columns = list(zip(*(result.noted for result in results), strict=True))
    found = []
    for (seq, _), sentences in zip(anchors, columns, strict=True):
        if all(sentences):
            one = len(sentences) == 1
            found.append(sentences[0] if one else f"none of these chains has line {seq} with the hash that was given")
    return found


def _raw_lines(path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines within the first `size` bytes of a file; what a writer appends meanwhile is not read."""
    read = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if read >= size:
                return
            yield number, raw[: size - read].removesuffix(b"\n")
            read += len(raw)
