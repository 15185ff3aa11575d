"""A confined process keeps its directories and loses the network and every other file, native code included.

Confinement is permanent, so that each test confines a process of its own.
"""

import json
import socket
import subprocess
import sys
from typing import Any

import pytest

from kiteward.engine.confinement import Confinement, available

_PROGRAM = """
import ctypes, json, os, socket, sys
from pathlib import Path
data, outside, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
from kiteward.engine.confinement import confine
in_force = confine([data])
library = ctypes.CDLL(None, use_errno=True)

def errno_of(act):
    try:
        act()
    except OSError as error:
        return error.errno
    return 0

def native(name, *arguments):
    return ctypes.get_errno() if getattr(library, name)(*arguments) < 0 else 0

def rename():
    (data / "a").mkdir(), (data / "b").mkdir()
    (data / "a" / "file").write_text("kept")
    os.rename(data / "a" / "file", data / "b" / "file")
    assert (data / "b" / "file").read_text() == "kept"

pair = socket.socketpair()
unix = library.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0)
print(json.dumps({
    "network": in_force.network, "files": in_force.files,
    "own file": errno_of(rename),
    "own socket": errno_of(lambda: socket.socket(socket.AF_UNIX).bind(str(data / "s"))),
    "connected": errno_of(lambda: pair[0].sendmsg([b"x"])),
    "send elsewhere": errno_of(lambda: pair[0].sendmsg([b"x"], [], 0, str(data / "s"))),
    "module": errno_of(lambda: __import__("sqlite3")),
    "null": errno_of(lambda: open(os.devnull, "w")),
    "read outside": errno_of(lambda: outside.read_text()),
    "read by a link": errno_of(lambda: (data / "link").read_text()),
    "write outside": errno_of(lambda: outside.with_name("new").write_text("x")),
    "connect": errno_of(lambda: socket.create_connection(("127.0.0.1", port), timeout=5)),
    "resolve": errno_of(lambda: socket.getaddrinfo("localhost", port)),
    "native read": native("open", bytes(outside), os.O_RDONLY),
    "native write": native("open", bytes(outside), os.O_WRONLY),
    "native socket": [native("socket", family, kind, 0) for family in (2, 10, 16, 17, 40) for kind in (1, 2, 3)],
    "native connect": native("connect", unix, bytes([1, 0]) + bytes(data / "s"), 40),
    "native io_uring": native("syscall", 425, 1, None),
    "run": errno_of(lambda: os.execv("/bin/true", ["true"])),
}))
"""

_REFUSED = 13
_IN_FORCE = available()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a confined process could do, by errno; 0 means that it could."""
    base = tmp_path_factory.mktemp("confined")
    data, outside = base / "data", base / "outside"
    data.mkdir()
    outside.write_text("not yours")
    (data / "link").symlink_to(outside)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        command = [sys.executable, "-c", _PROGRAM, str(data), str(outside), str(listener.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        with pytest.raises(TimeoutError):
            listener.accept()
    assert outside.read_text() == "not yours"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_is_promised_is_put_in_force(seen: dict[str, Any]) -> None:
    assert Confinement(tuple(seen["network"]), tuple(seen["files"])) == _IN_FORCE


def test_own_directory_modules_and_sockets_stay(seen: dict[str, Any]) -> None:
    assert {seen[each] for each in ("own file", "own socket", "connected", "module", "null")} == {0}


@pytest.mark.parametrize(
    "act", ["read outside", "read by a link", "write outside", "connect", "send elsewhere", "resolve"]
)
def test_python_code_is_refused_everywhere(seen: dict[str, Any], act: str) -> None:
    assert seen[act] == _REFUSED


@pytest.mark.skipif("seccomp" not in _IN_FORCE.network, reason="this system has no seccomp")
def test_native_code_has_no_socket_no_connection_and_no_io_uring(seen: dict[str, Any]) -> None:
    assert set(seen["native socket"]) == {_REFUSED}
    assert seen["native connect"] == seen["native io_uring"] == _REFUSED


@pytest.mark.skipif("Landlock" not in _IN_FORCE.files, reason="this system has no Landlock")
def test_native_code_has_no_files_outside_and_runs_nothing(seen: dict[str, Any]) -> None:
    assert seen["native read"] == seen["native write"] == seen["run"] == _REFUSED


def test_gaps_are_what_only_python_is_kept_from() -> None:
    hook = _IN_FORCE.files[-1:]
    assert Confinement(hook, hook).gaps == ("the network", "files outside its directories")
    assert Confinement(("Landlock", *hook), ("Landlock", *hook)).gaps == ("the network",)
    assert Confinement(("seccomp", *hook), hook).gaps == ("files outside its directories",)
    assert Confinement(("seccomp", *hook), ("Landlock", *hook)).gaps == ()
