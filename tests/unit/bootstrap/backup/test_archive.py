"""The file of a backup: what was written is read, and whatever was changed, cut off or put in is refused."""

import hashlib
import io
import tarfile
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from kiteward.bootstrap.backup.archive import FORMAT, ArchiveReader, ArchiveWriter, BackupInvalid, Entry, Head

FILES = {"store.db": b"s" * 1000, "factors.key": b"", "audit/head": b"h" * 512, "engine/collections/a/x": b"x" * 3000}


def head_of(files: Sequence[tuple[str, int]], **changes: Any) -> Head:
    entries = tuple(Entry(path, size) for path, size in files)
    head = Head(format=FORMAT, made="2026-11-29T12:00:00Z", version="1", revision="0022", rows=True, files=entries)
    return msgspec.structs.replace(head, **changes)


def written(files: dict[str, bytes] = FILES, **changes: Any) -> bytes:
    output = io.BytesIO()
    writer = ArchiveWriter(output, head_of([(path, len(content)) for path, content in files.items()], **changes))
    for content in files.values():
        writer.add(iter([content[:700], content[700:]]))
    writer.close()
    return output.getvalue()


def read(data: bytes) -> dict[str, bytes]:
    return {entry.path: b"".join(pieces) for entry, pieces in ArchiveReader(io.BytesIO(data)).files()}


def with_head(head: dict[str, Any]) -> bytes:
    """Return a backup that begins with this head, and then ends."""
    content = msgspec.json.encode(head)
    member = tarfile.TarInfo("backup.json")
    member.size = len(content)
    return member.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def test_what_was_written_is_read() -> None:
    assert read(written()) == FILES
    assert ArchiveReader(io.BytesIO(written(empty=("engine/databases/a",)))).head.empty == ("engine/databases/a",)


def test_the_file_is_a_tar_that_others_can_read() -> None:
    with tarfile.open(fileobj=io.BytesIO(written())) as tar:
        assert tar.getnames() == ["backup.json", "00000000", "00000001", "00000002", "00000003", "digests.json"]
        content = tar.extractfile("00000003")
        assert content is not None
        assert content.read() == FILES["engine/collections/a/x"]
        digests = tar.extractfile("digests.json")
        assert digests is not None
        assert msgspec.json.decode(digests.read()) == [hashlib.sha256(each).hexdigest() for each in FILES.values()]


def test_a_file_of_another_size_than_announced_is_not_written() -> None:
    writer = ArchiveWriter(io.BytesIO(), head_of([("store.db", 4)]))
    with pytest.raises(ValueError, match="5 bytes instead of 4"):
        writer.add(iter([b"12345"]))


def test_a_backup_that_is_cut_off_anywhere_is_refused() -> None:
    data = written()
    for size in (*range(0, len(data), 256), len(data) - 1):
        with pytest.raises(BackupInvalid):
            read(data[:size])


def test_a_bit_that_is_changed_anywhere_in_a_content_is_found() -> None:
    data = written()
    for path, content in FILES.items():
        for place in (0, len(content) - 1) if content else ():
            changed = bytearray(data)
            changed[data.index(content) + place] ^= 1
            with pytest.raises(BackupInvalid, match=f"`{path}` has changed"):
                read(bytes(changed))


def test_what_follows_the_end_is_refused() -> None:
    with pytest.raises(BackupInvalid, match="does not end where it should"):
        read(written() + b"\0")


@pytest.mark.parametrize(
    "path",
    [
        "../store.db",
        "/etc/passwd",
        "engine/../../x",
        "engine//x",
        "engine/./x",
        "engine",
        "audit/",
        "LOCK",
        "other/x",
        "engine/\0x",
        "",
        "engine/" + "x" * 256,
        "engine/" + "x/" * 3000 + "x",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    for head in (head_of([("store.db", 0), (path, 0)]), head_of([("store.db", 0)], empty=(path,))):
        with pytest.raises(BackupInvalid, match="a path or a size that no backup has"):
            ArchiveReader(io.BytesIO(with_head(msgspec.to_builtins(head))))


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ([("audit/head", 0)], "holds no store"),
        ([("store.db", 0), ("store.db", 0)], "names a file twice"),
        ([("store.db", 0), ("engine/a", 0), ("engine/a/b", 0)], "a file inside of a file"),
        ([("store.db", -1)], "a path or a size that no backup has"),
    ],
)
def test_files_that_contradict_one_another_are_refused(files: list[tuple[str, int]], why: str) -> None:
    with pytest.raises(BackupInvalid, match=why):
        ArchiveReader(io.BytesIO(with_head(msgspec.to_builtins(head_of(files)))))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME]
)
def test_a_member_that_is_no_plain_file_is_refused(kind: bytes) -> None:
    member = tarfile.TarInfo("00000000")
    member.type, member.linkname = kind, "/etc/passwd"
    head = msgspec.to_builtins(head_of([("store.db", 0)]))
    with pytest.raises(BackupInvalid, match="no plain file"):
        read(with_head(head) + member.tobuf(tarfile.GNU_FORMAT))


def test_a_size_alone_takes_no_memory() -> None:
    huge = tarfile.TarInfo("00000000")
    huge.size = 10**13
    head = msgspec.to_builtins(head_of([("store.db", 10**13)]))
    with pytest.raises(BackupInvalid, match="ends too early"):
        read(with_head(head) + huge.tobuf(tarfile.GNU_FORMAT))
    long = tarfile.TarInfo("backup.json")
    long.size = 10**13
    with pytest.raises(BackupInvalid, match="not a backup"):
        read(long.tobuf(tarfile.GNU_FORMAT))


def test_another_format_is_refused_with_the_version_that_made_it() -> None:
    head = {**msgspec.to_builtins(head_of([("store.db", 0)])), "format": 2, "version": "9.1", "more": "x"}
    with pytest.raises(BackupInvalid, match=r"made by Kiteward 9\.1 in format 2"):
        ArchiveReader(io.BytesIO(with_head(head)))


@pytest.mark.parametrize("data", [b"", b"x" * 512, b"\0" * 1024, with_head({"format": "x"}), with_head({"format": 1})])
def test_what_is_no_backup_is_refused(data: bytes) -> None:
    with pytest.raises(BackupInvalid):
        ArchiveReader(io.BytesIO(data))
