"""Sealed backups: nothing is read without the key, and nothing that was changed, moved, left out or cut off."""

import io
import stat
from pathlib import Path
from typing import Final

import pytest

from kiteward.bootstrap.backup.archive import BackupInvalid
from kiteward.bootstrap.backup.sealed_file import (
    MAGIC,
    SealedReader,
    SealingWriter,
    make_key_file,
    read_key_file,
    read_sealed_head,
)
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret

KEY: Final = Secret("00" * 31 + "01")
OTHER: Final = Secret("00" * 31 + "02")
CHUNK: Final = 64 * 1024
SEALED_CHUNK: Final = CHUNK + 16


def sealed(data: bytes, *, piece: int = 1000) -> bytes:
    output = io.BytesIO()
    writer = SealingWriter(output, KEY, made="2026-11-29T12:00:00Z", version="1")
    for start in range(0, len(data), piece):
        writer.write(data[start : start + piece])
    writer.close()
    return output.getvalue()


def opened(data: bytes, key: Secret = KEY, *, piece: int = 777) -> bytes:
    reader = SealedReader(io.BytesIO(data), key)
    read = b""
    while more := reader.read(piece):
        read += more
    return read


def beginning(data: bytes) -> int:
    """Return where the first chunk begins."""
    return len(MAGIC) + 4 + int.from_bytes(data[len(MAGIC) : len(MAGIC) + 4])


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5])
def test_what_was_sealed_is_opened_whatever_its_size(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    assert opened(sealed(data[:size], piece=50_000), piece=70_000) == data[:size]


def test_the_same_data_is_sealed_differently_each_time_and_shows_nothing() -> None:
    first, second = sealed(b"a secret" * 100), sealed(b"a secret" * 100)
    assert first != second
    assert b"a secret" not in first


def test_another_key_opens_nothing() -> None:
    with pytest.raises(BackupInvalid, match="the key is another one"):
        opened(sealed(b"x"), OTHER)


def test_a_bit_that_is_changed_anywhere_is_found() -> None:
    data = sealed(b"x" * (CHUNK + 100))
    for place in (len(MAGIC) + 10, beginning(data) - 3, beginning(data), beginning(data) + SEALED_CHUNK, len(data) - 1):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(BackupInvalid):
            opened(bytes(changed))


def test_chunks_cannot_be_moved_left_out_repeated_or_cut_off() -> None:
    data = sealed(bytes(CHUNK) + b"1" * CHUNK + b"2" * CHUNK + b"end")
    start = beginning(data)
    chunks = [data[start + n * SEALED_CHUNK : start + (n + 1) * SEALED_CHUNK] for n in range(4)]
    for order in ((1, 0, 2, 3), (0, 2, 3), (0, 0, 1, 2, 3), (0, 1, 2), (0,), (), (0, 1, 2, 3, 3)):
        with pytest.raises(BackupInvalid):
            opened(data[:start] + b"".join(chunks[n] for n in order))


def test_chunks_of_another_file_with_the_same_key_do_not_fit() -> None:
    one, two = sealed(b"x" * (2 * CHUNK)), sealed(b"y" * (2 * CHUNK))
    mixed = one[: beginning(one) + SEALED_CHUNK] + two[beginning(two) + SEALED_CHUNK :]
    with pytest.raises(BackupInvalid, match="changed or cut off"):
        opened(mixed)


def test_head_is_read_without_the_key() -> None:
    assert read_sealed_head(io.BytesIO(sealed(b""))).made == "2026-11-29T12:00:00Z"


@pytest.mark.parametrize("data", [b"", MAGIC, MAGIC + b"\xff" * 8, MAGIC + (2).to_bytes(4) + b"{}"])
def test_a_head_that_cannot_be_read_is_refused(data: bytes) -> None:
    with pytest.raises(BackupInvalid):
        SealedReader(io.BytesIO(data), KEY)


def test_key_file_is_made_for_its_owner_alone_and_once(tmp_path: Path) -> None:
    path = tmp_path / "key"
    make_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(bytes.fromhex(read_key_file(path).reveal())) == 32
    with pytest.raises(FileExistsError):
        make_key_file(path)


@pytest.mark.parametrize("content", [b"", b"abc\n", b"zz" * 32, b"\xff" * 64])
def test_a_file_without_a_key_is_refused_without_its_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="key file") as refused:
        read_key_file(path)
    assert "zz" not in str(refused.value).replace(str(path), "")
