"""What a backup holds: writes it to a directory, and checks it there."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from kiteward.audit.verify import verify
from kiteward.bootstrap.backup.archive import AUDIT, ENGINE, STORE, ArchiveReader, Entry, Head
from kiteward.store.database_file import defects_of, revision_of

_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_TRAIL_LOCK: Final = "lock"
_MANIFEST: Final = "manifest.json"
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong with a backup whose bytes are those that were backed up, in sentences.

    Attributes:
        data: defects of the store and of the engine's data, because of which it cannot be restored.
        trail: defects of the audit trail, which it had before.
    """

    data: tuple[str, ...]
    trail: tuple[str, ...]


class _Partition(msgspec.Struct, frozen=True):
    data_files: tuple[str, ...] = ()
    delta_files: tuple[str, ...] = ()


class _Manifest(msgspec.Struct, frozen=True):
    """What Milvus Lite's manifest of a collection says about files."""

    partitions: dict[str, _Partition]


def is_checked(entry: Entry) -> bool:
    """Return whether the content of a file is checked, and not only its digest."""
    return not entry.path.startswith(f"{ENGINE}/") or PurePosixPath(entry.path).name == _MANIFEST


def extract(
    reader: ArchiveReader,
    directory: Path,
    *,
    progress: Callable[[str, int, int], None],
    only: Callable[[Entry], bool] = lambda _: True,
) -> None:
    """Write files of a backup below a new directory, synced; all of the backup is read and proven.

    Args:
        reader: the backup.
        directory: an empty directory that nobody else may enter.
        progress: called with the bytes that were read, and how many there are.
        only: which files are written.

    Raises:
        BackupInvalid: it is damaged.
        OSError: a file cannot be written.
    """
    read, total = 0, reader.head.size
    for entry, pieces in reader.files():
        with _written(directory, entry.path) if only(entry) else nullcontext() as descriptor:
            for piece in pieces:
                if descriptor is not None:
                    _write(descriptor, piece)
                read += len(piece)
                progress("bytes read", read, total)
    for path in reader.head.empty:
        _make_directories(directory, PurePosixPath(path))


@contextmanager
def _written(root: Path, name: str) -> Iterator[int]:
    """Give the descriptor of a new file below a directory, which is synced and closed afterwards."""
    path = root / name
    _make_directories(root, PurePosixPath(name).parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
    try:
        yield descriptor
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checked(directory: Path, head: Head) -> Findings:
    """Return what is wrong with the files of a backup that were written below a directory."""
    store = directory / STORE
    data = defects_of(store)
    if not data and revision_of(store) != head.revision:
        data.append("the store is of another revision than the backup says")
    if head.rows:
        data += _missing_files(directory, head)
    trail = directory / AUDIT
    if not trail.is_dir():
        return Findings(tuple(data), ())
    (trail / _TRAIL_LOCK).touch(_FILE_MODE)
    return Findings(tuple(data), tuple(f"audit trail: {each}" for each in verify(trail).findings[:_SHOWN]))


def _missing_files(directory: Path, head: Head) -> list[str]:
    """Return a sentence for each collection whose data files are not all there."""
    known = {each.path for each in head.files}
    found = []
    manifests = [path for path in known if path.startswith(f"{ENGINE}/") and PurePosixPath(path).name == _MANIFEST]
    for path in sorted(manifests):
        collection = PurePosixPath(path).parent
        try:
            manifest = msgspec.json.decode((directory / path).read_bytes(), type=_Manifest)
        except msgspec.DecodeError:
            found.append(f"the manifest of `{collection}` cannot be read")
            continue
        named = (
            str(collection / "partitions" / name / file)
            for name, partition in manifest.partitions.items()
            for file in (*partition.data_files, *partition.delta_files)
        )
        missing = [each for each in named if each not in known]
        if missing:
            found.append(f"`{collection}` lacks {len(missing)} data files, the first of which is `{missing[0]}`")
    return found


def _make_directories(root: Path, path: PurePosixPath) -> None:
    for each in (*reversed(path.parents), path):
        (root / each).mkdir(_DIRECTORY_MODE, exist_ok=True)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
