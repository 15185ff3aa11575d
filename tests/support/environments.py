"""Environments of older clients and frameworks, each made by the Makefile when the first test needs it."""

import fcntl
import functools
import sys
from pathlib import Path
from typing import Final

from tests.support import toolchains

_REPOSITORY: Final = Path(__file__).resolve().parents[2]


@functools.cache
def python(name: str, *, repository: Path = _REPOSITORY) -> Path:
    """Return the interpreter of an environment, which is first made or brought up to date with its lock.

    Tests in several processes may need the same one at the same time: one of them makes it, the others wait. So the
    timeout of each is to be longer than `toolchains.MAKING_WITHIN`. An environment that is up to date needs no network.
    It is looked at once in each process.

    Args:
        name: of the environment: `frameworks` is `.venv-frameworks`, made from `requirements/frameworks.lock`.
        repository: where the Makefile is.

    Raises:
        AssertionError: it cannot be made; the message has what `make` printed.
    """
    make = toolchains.installed("make", package="make")
    cache = repository / ".cache"
    cache.mkdir(exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        toolchains.run(
            [make, f"PYTHON={sys.executable}", f".venv-{name}/.ready"],
            cwd=repository,
            environment={"MAKEFLAGS": ""},  # the tests themselves are run by make, perhaps with options of its own
        )
    return repository / f".venv-{name}" / "bin" / "python"
