"""Earlier commits, checked out beside this one for as long as they are measured."""

import contextlib
import hashlib
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

V0_1: Final = "1123d0b"
"""The commit of version 0.1."""

_PROJECT: Final = Path(__file__).parents[1]


@contextlib.contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Check a commit out into a temporary directory, and give that.

    Raises:
        subprocess.CalledProcessError: the repository does not have the commit.
    """
    with tempfile.TemporaryDirectory(prefix="kiteward-earlier-") as directory:
        tree = Path(directory) / "tree"
        git = ("git", "-C", str(_PROJECT), "worktree")
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def python(tree: Path) -> Path:
    """Return an interpreter that has what a commit's server needs, in an environment that is made once for its lock.

    Raises:
        subprocess.CalledProcessError: what it needs cannot be installed.
    """
    lock = tree / "requirements" / "run.lock"
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    environment = _PROJECT / ".cache" / "earlier" / digest
    interpreter, ready = environment / "bin" / "python", environment / ".ready"
    if not ready.is_file():
        venv.create(environment, clear=True, with_pip=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        subprocess.run([interpreter, *install, "--require-hashes", "--no-deps", "-r", lock], check=True)
        ready.touch()
    return interpreter
