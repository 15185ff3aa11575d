"""Follows a trail from line to line, for those who pass its lines on; each reads at its own pace and keeps its place.

What is read is on disk, and was acknowledged by the writer.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kiteward.audit.files import Trail, first_number, look_at
from kiteward.audit.hash_chain import decode


class Cursor(NamedTuple):
    """A place in a trail.

    Attributes:
        trail: the random name of the trail.
        seq: the number of the last line that was read.
        file: the file that holds it; empty if it has to be looked for.
        offset: where the next line begins in that file, in bytes.
    """

    trail: str
    seq: int
    file: str = ""
    offset: int = 0


class Batch(NamedTuple):
    """Lines that follow a place.

    Attributes:
        lines: the lines without their newlines, oldest first.
        after: the place after them.
        missing: how many lines between the place and the last of these are not in the files any more.
        waiting: how many lines there are after them, about.
    """

    lines: tuple[bytes, ...]
    after: Cursor
    missing: int
    waiting: int


def beginning(directory: Path) -> Cursor | None:
    """Return the place before the first line of a trail; None where there is no trail yet.

    Raises:
        OSError: the trail cannot be read.
    """
    head = look_at(directory).head if directory.is_dir() else None
    return None if head is None or not head.trail else Cursor(head.trail, head.first - 1)


def read_on(directory: Path, place: Cursor, *, most: int, size: int) -> Batch | None:
    """Return the lines after a place; None if the directory has another trail now, or none.

    Args:
        directory: where the trail is; a writer may append to it meanwhile.
        place: as `beginning` or an earlier batch returned it.
        most: how many lines at most.
        size: bytes after which no further line is added.

    Raises:
        OSError: the trail cannot be read.
    """
    trail = look_at(directory)
    if trail.head is None or trail.head.trail != place.trail:
        return None
    lines: list[bytes] = []
    missing = 0
    for raw, after in _lines(trail, place):
        missing += after.seq - place.seq - 1
        place = after
        lines.append(raw)
        size -= len(raw)
        if len(lines) == most or size <= 0:
            break
    return Batch(tuple(lines), place, missing, max(trail.head.seq - place.seq, 0))


def _lines(trail: Trail, place: Cursor) -> Iterator[tuple[bytes, Cursor]]:
    """Yield each line after a place, up to the head, and the place after it. What is not a line is passed over."""
    seq = place.seq
    for path, end in _files(trail, place):
        with path.open("rb") as file:
            offset = file.seek(place.offset if path.name == place.file else 0)
            while offset < end and (raw := file.readline(end - offset)):
                offset += len(raw)
                raw = raw.removesuffix(b"\n")
                line = decode(raw)
                if line is not None and line.seq > seq:
                    seq = line.seq
                    yield raw, Cursor(place.trail, seq, path.name, offset)


def _files(trail: Trail, place: Cursor) -> list[tuple[Path, int]]:
    """Return the files that hold what follows a place, each with the bytes of it that the head covers."""
    head = trail.head
    if head is None:
        return []
    ends = [(path, min(end, head.size) if path.name == head.file else end) for path, end in trail.files]
    ends = [(path, end) for path, end in ends if path.name <= head.file]
    if place.file:
        return [(path, end) for path, end in ends if path.name >= place.file]
    begin = 0
    for index, (path, _) in enumerate(ends):
        first = first_number(path)
        if first is not None and first <= place.seq + 1:
            begin = index
    return ends[begin:]
