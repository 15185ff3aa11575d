"""How long the files of a trail are kept, measured in the elapsed time of the trail.

A clock that jumps ahead makes every file look old. Elapsed time advances only as far as both the clock and the uptime
of the machine have advanced since the last batch, so that it never exceeds the time that has passed.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

DAY: Final = 24 * 3600.0
"""Seconds."""

BEGUN: Final = "begun"
"""The file that says when each file of the trail was begun."""

_FILE_MODE: Final = 0o600


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The elapsed time of a trail.

    Attributes:
        seconds: elapsed since the trail was begun, or since its head was lost.
        clock: the last reading of the clock, in seconds since the epoch.
        uptime: the last reading of the monotonic clock, in seconds; it restarts when the machine starts.
    """

    seconds: float = 0.0
    clock: float = 0.0
    uptime: float = 0.0

    def on(self, clock: float, uptime: float) -> "Seen":
        """Return the elapsed time at a later moment; the first moment adds none.

        Args:
            clock: seconds since the epoch.
            uptime: seconds since some moment not before the machine started, by the same clock in every process.
        """
        # After a start of the machine, at least its uptime has passed.
        by_uptime = uptime - self.uptime if uptime >= self.uptime else uptime
        passed = min(by_uptime, max(clock - self.clock, 0.0)) if self.clock else 0.0
        return Seen(seconds=self.seconds + passed, clock=clock, uptime=uptime)


class Retention:
    """Determines which files of a trail are old enough to be removed."""

    def __init__(self, directory: Path, keep_days: int, sync: Callable[[Path], None]) -> None:
        """Take the directory of the trail and the retention time.

        Args:
            directory: where the trail is.
            keep_days: days of elapsed time that each line is kept; 0 keeps all.
            sync: makes a rename in a directory durable.
        """
        self._directory = directory
        self._keep = keep_days * DAY
        self._sync = sync

    def begun(self, names: Sequence[str], seconds: float) -> dict[str, float]:
        """Return when each file was begun, in seconds of elapsed time, and save what was not known before.

        A file without a known beginning counts as begun now, so that it is kept longer. After the head was lost this
        is so for every file, because elapsed time starts again at 0.

        Args:
            names: all files, oldest first.
            seconds: the current elapsed time.

        Raises:
            OSError: it could not be written.
        """
        known = self._read()
        begun = {name: min(known.get(name, seconds), seconds) for name in names}
        if begun != known:
            self._write(begun)
        return begun

    def expired(self, begun: Mapping[str, float], seconds: float) -> list[str]:
        """Return the files whose lines have all expired: the file after them was begun at least `keep_days` ago.

        Args:
            begun: when each file was begun, oldest first.
            seconds: the current elapsed time.
        """
        if not self._keep:
            return []
        follow = itertools.islice(begun.values(), 1, None)
        old = itertools.takewhile(lambda pair: seconds - pair[1] >= self._keep, zip(begun, follow, strict=False))
        return [name for name, _ in old]

    def _read(self) -> dict[str, float]:
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode((self._directory / BEGUN).read_bytes(), type=dict[str, float])
        return {}

    def _write(self, begun: Mapping[str, float]) -> None:
        path = self._directory / BEGUN
        fresh = path.with_name(f"{BEGUN}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(begun))
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
        self._sync(self._directory)
