"""The file of a backup: a tar whose first member says what it holds, and whose last member proves it.

Members have numbers for names, and the head gives the paths. So no header of tar is extended, and a reader takes only
plain members, in the order and with the sizes that the head announces.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final, Protocol

import msgspec

from kiteward.domain.errors import ConfigurationError

FORMAT: Final = 1
"""The version of the format; a reader refuses any other."""

STORE: Final = "store.db"
FACTOR_KEY: Final = "factors.key"
AUDIT: Final = "audit"
ENGINE: Final = "engine"

BLOCK: Final = tarfile.BLOCKSIZE
HEAD: Final = "backup.json"
_DIGESTS: Final = "digests.json"
_END: Final = bytes(2 * BLOCK)
_MODE: Final = 0o600
_PIECE: Final = 1024 * 1024
_LARGEST_HEAD: Final = 256 * 1024 * 1024
_LONGEST_PATH: Final = 4096
_LONGEST_NAME: Final = 255


class BackupInvalid(ConfigurationError):
    """A file is no backup, is damaged, or cannot be read with the key that was given."""


class BackupDamaged(BackupInvalid):
    """A backup is not as it was made."""

    def __init__(self, how: str) -> None:
        """Say how it is damaged, and what would be right."""
        super().__init__(f"it is damaged: {how}; use another backup")


class Input(Protocol):
    """What a backup is read from."""

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, or fewer at the end."""
        ...


class Output(Protocol):
    """What a backup is written to."""

    def write(self, data: bytes, /) -> object:
        """Write all of the bytes."""
        ...


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the data directory.

    Attributes:
        path: where it is, below the data directory.
        size: its bytes.
    """

    path: str
    size: int


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backup holds.

    Attributes:
        format: the version of the format.
        made: the moment that it shows, in UTC, as RFC 3339 writes it.
        version: the version of Kiteward that has made it.
        revision: the revision of the tables of the store.
        rows: whether the data of the embedded engine are in it.
        files: the files, in their order.
        empty: paths of directories that hold nothing.
    """

    format: int
    made: str
    version: str
    revision: str
    rows: bool
    files: tuple[Entry, ...]
    empty: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(each.size for each in self.files)


class ArchiveWriter:
    """Writes the members of a backup in the order of its head."""

    def __init__(self, output: Output, head: Head) -> None:
        """Write the head."""
        self._output = output
        self._head = head
        self._digests: list[str] = []
        self._member(HEAD, msgspec.json.encode(head))

    def add(self, pieces: Iterator[bytes]) -> None:
        """Write the next file of the head.

        Raises:
            ValueError: it has another size.
        """
        entry = self._head.files[len(self._digests)]
        self._output.write(_header(_number(len(self._digests)), entry.size))
        digest, written = hashlib.sha256(), 0
        for piece in pieces:
            digest.update(piece)
            written += len(piece)
            self._output.write(piece)
        if written != entry.size:
            raise ValueError(f"`{entry.path}` has {written} bytes instead of {entry.size}")
        self._output.write(_padding(written))
        self._digests.append(digest.hexdigest())

    def close(self) -> None:
        """Write the digests and the end."""
        self._member(_DIGESTS, msgspec.json.encode(self._digests))
        self._output.write(_END)

    def _member(self, name: str, content: bytes) -> None:
        self._output.write(_header(name, len(content)))
        self._output.write(content + _padding(len(content)))


class ArchiveReader:
    """Reads a backup from its beginning to its end, once."""

    def __init__(self, source: Input) -> None:
        """Read the head.

        Raises:
            BackupInvalid: it is no backup, or one of another format, or names what no backup holds.
        """
        self._source = source
        try:
            name, size = self._next_header()
        except BackupDamaged:
            raise BackupInvalid("it is not a backup of Kiteward: it is too short") from None
        if name != HEAD or size > _LARGEST_HEAD:
            raise BackupInvalid("it is not a backup of Kiteward")
        self.head = _head_of(self._content(size))
        self._digests: list[str] = []

    def files(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Yield each file with its content, in pieces, which has to be read before the next one is asked for.

        Raises:
            BackupInvalid: the backup is damaged. Only when the last file has been read is everything proven.
        """
        for number, entry in enumerate(self.head.files):
            if self._next_header() != (_number(number), entry.size):
                raise BackupDamaged(f"`{entry.path}` is not where it should be")
            yield entry, self._pieces(entry)
            if len(self._digests) != number + 1:
                raise RuntimeError("a file was not read")
        self._finish()

    def _pieces(self, entry: Entry) -> Iterator[bytes]:
        digest, left = hashlib.sha256(), entry.size
        while left:
            piece = self._exactly(min(left, _PIECE))
            digest.update(piece)
            left -= len(piece)
            yield piece
        self._exactly(len(_padding(entry.size)))
        self._digests.append(digest.hexdigest())

    def _finish(self) -> None:
        name, size = self._next_header()
        if name != _DIGESTS or size > _LARGEST_HEAD:
            raise BackupDamaged("its digests are missing")
        try:
            expected = msgspec.json.decode(self._content(size), type=list[str])
        except msgspec.DecodeError:
            raise BackupDamaged("its digests cannot be read") from None
        if len(expected) != len(self._digests):
            raise BackupDamaged("digests are missing")
        for entry, digest, found in zip(self.head.files, expected, self._digests, strict=True):
            if digest != found:
                raise BackupDamaged(f"`{entry.path}` has changed since the backup was made")
        if self._exactly(len(_END)) != _END or self._source.read(1):
            raise BackupDamaged("it does not end where it should")

    def _next_header(self) -> tuple[str, int]:
        block = self._exactly(BLOCK)
        try:
            header = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.HeaderError, UnicodeError, ValueError):
            raise BackupInvalid("it is not a backup of Kiteward, or is damaged") from None
        if header.type != tarfile.REGTYPE or header.size < 0:
            raise BackupDamaged("it has a member that is no plain file")
        return header.name, header.size

    def _content(self, size: int) -> bytes:
        content = self._exactly(size)
        self._exactly(len(_padding(size)))
        return content

    def _exactly(self, size: int) -> bytes:
        """Return so many bytes, read in pieces, so that a size alone takes no memory."""
        pieces = []
        while size:
            piece = self._source.read(min(size, _PIECE))
            if not piece:
                raise BackupDamaged("it ends too early")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def _head_of(content: bytes) -> Head:
    try:
        kind = msgspec.json.decode(content, type=_AnyHead)
        if kind.format != FORMAT:
            raise BackupInvalid(
                f"it was made by Kiteward {kind.version} in format {kind.format}, and this program reads format "
                f"{FORMAT}: use the version that made it, or a newer one"
            )
        head = msgspec.json.decode(content, type=Head)
    except msgspec.DecodeError:
        raise BackupDamaged("its head cannot be read") from None
    _require_paths(head)
    return head


class _AnyHead(msgspec.Struct, frozen=True):
    """What the head of every format has."""

    format: int
    version: str = "of an unknown version"


def _require_paths(head: Head) -> None:
    """Check that every path is one that a backup can hold, below the directory that it is restored to.

    Raises:
        BackupInvalid: one is not.
    """
    known: set[str] = set()
    for each in (*head.files, *(Entry(path, 0) for path in head.empty)):
        if each.size < 0 or not _is_possible(each.path):
            raise BackupInvalid("it names a path or a size that no backup has")
        if each.path in known:
            raise BackupInvalid("it names a file twice")
        known.add(each.path)
    if any(str(parent) in known for path in known for parent in PurePosixPath(path).parents):
        raise BackupInvalid("it names a file inside of a file")
    if STORE not in known:
        raise BackupInvalid("it holds no store")


def _is_possible(path: str) -> bool:
    """Return whether a path leads to a place where a data directory has files."""
    parts = path.split("/")
    if "\0" in path or len(path) > _LONGEST_PATH:
        return False
    if any(part in ("", ".", "..") or len(part.encode("utf-8", "replace")) > _LONGEST_NAME for part in parts):
        return False
    return path in (STORE, FACTOR_KEY) or (len(parts) > 1 and parts[0] in (AUDIT, ENGINE))


def _number(number: int) -> str:
    return f"{number:08}"


def _header(name: str, size: int) -> bytes:
    header = tarfile.TarInfo(name)
    header.size, header.mode = size, _MODE
    return header.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)
