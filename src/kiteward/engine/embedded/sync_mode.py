"""When the embedded engine syncs what it writes to disk."""

from typing import Final, Literal

SyncMode = Literal["batch", "close", "none"]
"""`batch` syncs each write to disk before it is acknowledged; `close` leaves that to the operating system and survives
the death of processes but not of the machine; `none` is for tests.
"""

SYNC_MODES: Final[tuple[SyncMode, ...]] = ("batch", "close", "none")
