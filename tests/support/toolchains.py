"""Programs in other languages: made once from what is locked, and anew only when what they are made from changes.

What is fetched and built stays below the repository, in `.cache/` and `node_modules/`; as long as nothing changes, no
network is needed again. A test that needs a toolchain which is missing is skipped with the reason.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_CACHE: Final = _REPOSITORY / ".cache"
_COMPAT: Final = _REPOSITORY / "tests" / "compat"
MAKING_WITHIN: Final = 600
"""How long fetching and building one of them may take, in seconds."""


def node() -> list[str]:
    """Return the command that runs a JavaScript file of `tests/compat/node`, ready for the file's name."""
    program = _program("node", package="nodejs")
    npm = _program("npm", package="npm")
    project = _COMPAT / "node"
    _made(
        project / "node_modules",
        [project / "package.json", project / "package-lock.json"],
        lambda: _run([npm, "ci"], cwd=project),
    )
    return [program]


def _program(name: str, *, package: str) -> str:
    """Return the path of a program, or skip the test that needs it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; on Debian, the package {package} has it")
    return found


def _made(product: Path, sources: list[Path], make: Callable[[], None]) -> None:
    """Make a directory unless it was made from just these sources."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = product / ".made-from"
    _CACHE.mkdir(exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != digest:
            stamp.unlink(missing_ok=True)
            make()
            stamp.write_text(digest)


def _run(command: list[str], *, cwd: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run a command of a toolchain, which must succeed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MAKING_WITHIN,
        check=False,
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
