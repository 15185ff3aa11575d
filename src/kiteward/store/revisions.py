"""The revisions of the tables that this program knows. Reading them needs neither Alembic nor a database."""

import re
from pathlib import Path
from typing import Final

from kiteward import __version__
from kiteward.domain.errors import StoreUnavailable

_FILES: Final = Path(__file__).parent / "migrations" / "versions"
_NAME: Final = re.compile(r"(\d{4})_\w+\.py")


def known() -> tuple[str, ...]:
    """Return the names of all revisions, oldest first."""
    return tuple(sorted(found[1] for path in _FILES.iterdir() if (found := _NAME.fullmatch(path.name))))


def require_known(present: str | None) -> None:
    """Check that a store is not newer than this program.

    Args:
        present: the revision of its tables; None or empty for a store without tables.

    Raises:
        StoreUnavailable: it is newer; the message says what can be done.
    """
    every = known()
    if present and present not in every:
        raise StoreUnavailable(
            f"the store was written by a newer version of Kiteward: its tables are at revision {present}, and this "
            f"program, Kiteward {__version__}, knows revisions up to {every[-1]}; run the version that wrote it or a "
            "newer one, or restore a backup that was made before the upgrade"
        )
