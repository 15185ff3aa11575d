"""The encryption of a backup: AES-256-GCM in chunks that can be neither changed, moved, left out nor cut off.

The construction is that of age and of "STREAM" (Hoang, Reyhanitabar, Rogaway, Vizár 2015): each file has a key of its
own, derived from the key file and a random salt. The nonce of a chunk is its number and whether it is the last one. The
head in front, which anybody can read, is authenticated with every chunk.
"""

import os
import re
import secrets
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kiteward.bootstrap.backup.archive import BackupDamaged, BackupInvalid, Output
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret

MAGIC: Final = b"kiteward sealed backup 1\n"
_CHUNK: Final = 64 * 1024
_TAG: Final = 16
_LENGTH: Final = 4
_LARGEST_HEAD: Final = 4096
_SALT: Final = 32
_KEY: Final = 32
_PURPOSE: Final = b"kiteward: backups"
_TEXT: Final = re.compile(r"[0-9a-f]{64}")
_MODE: Final = 0o600


class SealedHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be read of a sealed backup without its key.

    Attributes:
        made: as of the head inside.
        version: as of the head inside.
        salt: what makes the key of this file, in hexadecimal digits.
    """

    made: str
    version: str
    salt: str


def make_key_file(path: Path) -> None:
    """Write a new random key to a new file that only its owner can read.

    Raises:
        FileExistsError: there is a file of this name.
        OSError: it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{secrets.token_hex(_KEY)}\n")
        file.flush()
        os.fsync(file.fileno())


def read_key_file(path: Path) -> Secret:
    """Return the key in a file.

    Raises:
        ConfigurationError: it cannot be read, or holds no key.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigurationError(f"the key file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        text = ""
    if not _TEXT.fullmatch(text):
        raise ConfigurationError(
            f"the key file {path} holds no key: it is 64 hexadecimal digits, as `kiteward backup key {path}` makes it"
        )
    return Secret(text)


class SealingWriter:
    """Seals what is written to it."""

    def __init__(self, output: Output, key: Secret, *, made: str, version: str) -> None:
        """Write the head."""
        head = SealedHead(made=made, version=version, salt=secrets.token_hex(_SALT))
        encoded = msgspec.json.encode(head)
        self._head = MAGIC + len(encoded).to_bytes(_LENGTH) + encoded
        self._cipher = _cipher(key, head)
        self._output = output
        self._number = 0
        self._waiting = bytearray()
        output.write(self._head)

    def write(self, data: bytes, /) -> None:
        """Seal bytes. The last chunk waits for `close`, whether it is full or not."""
        self._waiting += data
        start = 0
        while len(self._waiting) - start > _CHUNK:
            self._seal(bytes(self._waiting[start : start + _CHUNK]), last=False)
            start += _CHUNK
        del self._waiting[:start]

    def close(self) -> None:
        """Write the last chunk."""
        self._seal(bytes(self._waiting), last=True)

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        self._output.write(self._cipher.encrypt(_nonce(self._number, last=last), chunk, self._head))
        self._number += 1


class SealedReader:
    """Reads a sealed file. Nothing is returned that is not proven; the end is proven before the last bytes are."""

    def __init__(self, source: BinaryIO, key: Secret) -> None:
        """Read the head; `source` is at its beginning.

        Raises:
            BackupInvalid: it cannot be read.
        """
        head, self._head = _head(source)
        self._cipher = _cipher(key, head)
        self._source = source
        self._number = 0
        self._ahead = source.read(_CHUNK + _TAG)
        self._opened = bytearray()
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, or fewer at the end.

        Raises:
            BackupInvalid: the key is another one, or the file was changed or cut off.
        """
        while len(self._opened) < size and not self._ended:
            self._open()
        data = bytes(self._opened[:size])
        del self._opened[:size]
        return data

    def _open(self) -> None:
        chunk, self._ahead = self._ahead, self._source.read(_CHUNK + _TAG)
        self._ended = not self._ahead
        try:
            self._opened += self._cipher.decrypt(_nonce(self._number, last=self._ended), chunk, self._head)
        except (InvalidTag, ValueError):
            if self._number == 0:
                raise BackupInvalid(
                    "the key is another one, or the file was changed: give the key file that it was sealed with, or "
                    "use another backup"
                ) from None
            raise BackupDamaged("it was changed or cut off") from None
        self._number += 1


def read_sealed_head(source: BinaryIO) -> SealedHead:
    """Return what can be read of a sealed file without its key. It is not proven.

    Raises:
        BackupInvalid: it cannot be read.
    """
    return _head(source)[0]


def _head(source: BinaryIO) -> tuple[SealedHead, bytes]:
    magic, length = source.read(len(MAGIC)), source.read(_LENGTH)
    size = int.from_bytes(length)
    if magic != MAGIC or size > _LARGEST_HEAD:
        raise BackupInvalid("it is not a sealed backup, or is damaged")
    encoded = source.read(size)
    try:
        return msgspec.json.decode(encoded, type=SealedHead), magic + length + encoded
    except msgspec.DecodeError:
        raise BackupDamaged("its head cannot be read") from None


def _cipher(key: Secret, head: SealedHead) -> AESGCM:
    try:
        salt = bytes.fromhex(head.salt)
    except ValueError:
        raise BackupDamaged("its head cannot be read") from None
    return AESGCM(HKDF(SHA256(), _KEY, salt, _PURPOSE).derive(bytes.fromhex(key.reveal())))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])
