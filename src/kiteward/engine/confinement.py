"""Confines a process: it loses access to the network and to files that it does not need.

Three layers, each for what the others do not reach:

1. seccomp (Linux): no sockets but Unix sockets, no connection to any of them, no io_uring. It holds for native code.
2. Landlock (Linux): files below the listed directories only, no TCP. It holds for native code.
3. An audit hook of Python (everywhere): the same for what Python code opens. Native code is not subject to it.

The system calls are made through ctypes: libseccomp's binding needs the shared library of the system, and there is no
kept binding to Landlock; what is needed are four calls (decision 0026).
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_MODE_FILTER: Final = 2
_SECCOMP_RET_ALLOW: Final = 0x7FFF0000
_SECCOMP_RET_ERRNO: Final = 0x00050000
_EACCES: Final = 13
_AF_UNIX: Final = 1
_X32_CALLS: Final = 0x40000000
"""From this number on x86-64 has a second table of system calls."""

_LOAD, _JUMP_EQUAL, _JUMP_FROM, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Where `struct seccomp_data` holds them; of the argument the low 32 bits, on the little-endian machines below."""


@dataclass(frozen=True, slots=True)
class _Machine:
    """Numbers of Linux on one kind of processor."""

    audit: int
    socket: int
    connect: int


_MACHINES: Final = {"x86_64": _Machine(0xC000003E, 41, 42), "aarch64": _Machine(0xC00000B7, 198, 203)}
_IO_URING: Final = (425, 426, 427)
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
"""The same on every kind of processor."""

_CREATE_RULESET_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1
_READ_FILE, _READ_DIRECTORY = 1 << 2, 1 << 3
_WRITE_FILE: Final = 1 << 1
_FILE_ACCESS: Final = (1 << 0) | _WRITE_FILE | _READ_FILE | (1 << 14)
"""Execute, write, read, truncate: what may be granted on a file that is no directory."""
_ACCESS_BY_VERSION: Final = {2: 14, 3: 15, 4: 15, 5: 16}
"""How many kinds of access each version of Landlock knows; version 1 forbids every rename between directories."""
_TCP_FROM_VERSION: Final = 4
_BIND_AND_CONNECT_TCP: Final = 0b11

_SYSTEM: Final = (
    "/usr",
    "/lib",
    "/lib64",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/urandom",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
)
"""What libraries read while they are loaded and used."""

_NETWORK_EVENTS: Final = frozenset(
    {
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyaddr",
        "socket.gethostbyname",
        "socket.getnameinfo",
        "socket.sendmsg",
        "socket.sendto",
    }
)


@dataclass(frozen=True, slots=True)
class Confinement:
    """Which mechanisms are in force, or would be.

    Attributes:
        network: names of the mechanisms that deny network access.
        files: names of the mechanisms that deny access to files outside.
    """

    network: tuple[str, ...]
    files: tuple[str, ...]

    def __str__(self) -> str:
        """Return the confinement as text for operators."""
        network = " and ".join(self.network) or "nothing"
        return f"the network is blocked by {network}, files outside its directories by {' and '.join(self.files)}"

    @property
    def gaps(self) -> tuple[str, ...]:
        """What native code of the process could still do, because this system cannot forbid it."""
        closed = (
            ("the network", "seccomp" in self.network),
            ("files outside its directories", "Landlock" in self.files),
        )
        return tuple(what for what, is_closed in closed if not is_closed)


_HOOK: Final = "an audit hook of Python"


def available() -> Confinement:
    """Return what `confine` would put in force on this system; it changes nothing."""
    version = _landlock_version()
    network = [
        name for name, there in (("seccomp", _has_seccomp()), ("Landlock", version >= _TCP_FROM_VERSION)) if there
    ]
    files = ["Landlock"] if version in _ACCESS_BY_VERSION or version > max(_ACCESS_BY_VERSION) else []
    return Confinement((*network, _HOOK), (*files, _HOOK))


def confine(written: Iterable[Path], *, read: Iterable[Path] = ()) -> Confinement:
    """Confine this process, its future threads and its children, permanently.

    To be called while no other thread runs Python code: a thread that runs already keeps its access.

    Args:
        written: directories it may read and write.
        read: directories and files it may read, besides those of Python and of the system's libraries.

    Returns:
        What is in force. A layer that the system lacks is left out.
    """
    sys.dont_write_bytecode = True
    kept = tuple(dict.fromkeys(each.resolve() for each in written))
    readable = tuple(dict.fromkeys(each.resolve() for each in (*map(Path, (*_of_python(), *_SYSTEM)), *read)))
    found = available()
    network, files = list(found.network), list(found.files)
    if "Landlock" in files and not _restrict_files(kept, readable):
        files.remove("Landlock")
        network = [each for each in network if each != "Landlock"]
    if "seccomp" in network and not _filter_calls():
        network.remove("seccomp")
    sys.addaudithook(_hook(kept, readable))
    return Confinement(tuple(network), tuple(files))


def _of_python() -> Iterator[str]:
    """Yield where Python, the libraries and this package are."""
    yield from (each for each in (sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path) if each)
    yield os.path.realpath(sys.executable)


def _hook(written: Sequence[Path], read: Sequence[Path]) -> Callable[[str, tuple[Any, ...]], None]:
    """Return an audit hook that lets Python code open files below these paths only, and no connection."""
    writable = tuple(map(str, written))
    readable = (*writable, *map(str, read), os.devnull)

    def below(path: str, roots: tuple[str, ...]) -> bool:
        return any(path == root or path.startswith(f"{root}{os.sep}") for root in roots)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        # Without an address it sends to a peer that is connected already.
        if event in _NETWORK_EVENTS and (event != "socket.sendmsg" or arguments[1] is not None):
            raise PermissionError(_EACCES, "this process has no network")
        if event != "open" or isinstance(arguments[0], int):
            return
        name, mode, flags = arguments
        writes = (
            flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND) if isinstance(flags, int) else 0
        )
        writes = writes or (isinstance(mode, str) and any(letter in mode for letter in "wax+"))
        path = os.path.realpath(os.fsdecode(name))
        if path != os.devnull and not below(path, writable if writes else readable):
            raise PermissionError(_EACCES, "this process may not open files outside its directories")

    return hook


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _machine() -> _Machine | None:
    return _MACHINES.get(platform.machine()) if sys.platform == "linux" and sys.byteorder == "little" else None


def _has_seccomp() -> bool:
    return _machine() is not None and Path("/proc/sys/kernel/seccomp/actions_avail").exists()


def _filter_calls() -> bool:
    """Install the seccomp filter; return whether that worked."""
    machine = _machine()
    if machine is None:
        return False
    always = (machine.connect, *_IO_URING)
    # The position of the refusal; a jump counts the instructions between itself and its goal.
    last = len(always) + 8
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 0, last - 2, machine.audit),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_FROM, last - 4, 0, _X32_CALLS),
        *((_JUMP_EQUAL, last - place, 0, number) for place, number in enumerate(always, start=5)),
        (_JUMP_EQUAL, 0, 2, machine.socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_EQUAL, 0, 1, _AF_UNIX),
        (_RETURN, 0, 0, _SECCOMP_RET_ALLOW),
        (_RETURN, 0, 0, _SECCOMP_RET_ERRNO | _EACCES),
    ]
    code = b"".join(struct.pack("=HBBI", *each) for each in program)
    held = ctypes.create_string_buffer(code)
    header = struct.pack("@HP", len(program), ctypes.addressof(held))
    return _no_new_privileges() and not _library().prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0)


def _no_new_privileges() -> bool:
    return not _library().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _landlock_version() -> int:
    """Return the version of Landlock, 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_library().syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION)))


def _restrict_files(written: Sequence[Path], read: Sequence[Path]) -> bool:
    """Install the Landlock rules; return whether that worked."""
    version = _landlock_version()
    known = min(version, max(_ACCESS_BY_VERSION))
    handled = (1 << _ACCESS_BY_VERSION[known]) - 1
    tcp = _BIND_AND_CONNECT_TCP if version >= _TCP_FROM_VERSION else 0
    attributes = struct.pack("=QQ", handled, tcp) if tcp else struct.pack("=Q", handled)
    library = _library()
    ruleset = library.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    try:
        grants = [(path, handled) for path in written]
        grants += [(path, _READ_FILE | _READ_DIRECTORY) for path in read]
        grants.append((Path(os.devnull), _READ_FILE | _WRITE_FILE))
        granted = all(_grant(library, ruleset, path, access) for path, access in grants if path.exists())
        return granted and _no_new_privileges() and not library.syscall(_LANDLOCK_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _grant(library: ctypes.CDLL, ruleset: int, path: Path, access: int) -> bool:
    """Add a rule for what is beneath a path."""
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        beneath = struct.pack("=Qi", access if path.is_dir() else access & _FILE_ACCESS, opened)
        return not library.syscall(_LANDLOCK_ADD, ruleset, _RULE_PATH_BENEATH, beneath, 0)
    finally:
        os.close(opened)
