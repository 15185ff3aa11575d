"""Makes the data directory of an earlier version that `tests/upgrade` opens: `python -m tests.support.earlier_data`.

It runs the server of that version from its commit, in this environment, and packs what the server leaves. Done once for
each released version; what it packs is kept in the repository, so that a test needs neither the commit nor its server.
All passwords in it are made up for it, and its API key is accepted by nothing else.
"""

import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks import earlier
from pymilvus import MilvusClient

VERSIONS: Final = {"0.1.0": earlier.V0_1}
"""Each released version, and the commit that it was made from."""

PACKED: Final = Path(__file__).parents[1] / "upgrade"
FACTS: Final = "facts.json"
"""The name of the file beside the data directory that says what is in it."""

ROOT: Final = "root:Not-a-secret-1"
READER: Final = "emma:Not-a-secret-2"
DIMENSION: Final = 4
ROWS: Final = 40

_PROGRAM: Final = (sys.executable, "-m", "kiteward")
_READY: Final = re.compile(r"ready on (https?://[\d.]+:\d+)")
_START_WITHIN: Final = 120.0


def vector(number: int) -> list[float]:
    """Return the vector of a row."""
    return [float(number), 1.0, 0.0, -1.0]


def main() -> None:
    """Make what is missing."""
    for version, commit in VERSIONS.items():
        packed = PACKED / f"v{version}.tar.xz"
        if packed.exists():
            continue
        with earlier.checked_out(commit) as tree, tempfile.TemporaryDirectory() as directory:
            _make(tree, Path(directory))
            with tarfile.open(packed, "w:xz") as tar:
                tar.add(Path(directory) / "data", "data", filter=_plain)
                tar.add(Path(directory) / FACTS, FACTS, filter=_plain)
        print(packed)


def _make(tree: Path, directory: Path) -> None:
    with _serving(tree, directory) as uri:
        client = MilvusClient(uri=uri, token=ROOT)
        _fill(client)
        client.close()
    key = _command(tree, directory, "keys", "create", "emma", "--json")
    facts = {"key": json.loads(key)["key"], "keyId": json.loads(key)["keyId"]}
    # Once more, so that a part of the rows is in a write-ahead log, and not in a data file alone.
    with _serving(tree, directory, stop=False) as uri:
        client = MilvusClient(uri=uri, token=ROOT)
        client.insert("docs", [{"id": ROWS + number, "vector": vector(number), "text": "late"} for number in range(5)])
        client.close()
    (directory / FACTS).write_text(json.dumps(facts), encoding="utf-8")


def _fill(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=DIMENSION, metric_type="L2")
    client.insert("docs", [{"id": n, "vector": vector(n), "text": f"row {n}"} for n in range(ROWS)])
    client.flush("docs")
    client.create_alias("docs", "current")
    client.create_collection("closed", dimension=DIMENSION)
    client.create_role("reader")
    for privilege in ("Query", "Search"):
        client.grant_privilege_v2("reader", privilege, "docs", "default")
    client.create_privilege_group("looking")
    client.add_privileges_to_group("looking", ["Query", "Search"])
    name, _, password = READER.partition(":")
    client.create_user(name, password)
    client.grant_role(name, "reader")
    client.create_user("noah", "Not-a-secret-3")


@contextmanager
def _serving(tree: Path, directory: Path, *, stop: bool = True) -> Iterator[str]:
    """Run the server, and stop it afterwards, or kill it."""
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_PROGRAM, "serve", "--data-dir", "data", "--port", "0"],
            cwd=directory,
            env=_environment(tree),
            stdout=output,
            stderr=output,
        )
    try:
        yield _address(process, log)
    finally:
        if stop:
            process.terminate()
        else:
            process.kill()
        process.wait()
        time.sleep(1)  # the engine's process ends with it


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        ready = _READY.search(log.read_text(encoding="utf-8"))
        if ready is not None:
            return ready[1]
        time.sleep(0.1)
    sys.exit(f"the server did not start:\n{log.read_text(encoding='utf-8')}")


def _command(tree: Path, directory: Path, *words: str) -> str:
    done = subprocess.run(
        [*_PROGRAM, *words, "--data-dir", "data"],
        cwd=directory,
        env=_environment(tree),
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def _environment(tree: Path) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": str(tree / "src"),
        "KITEWARD_ROOT_PASSWORD": ROOT.partition(":")[2],
        "KITEWARD_METRICS_PORT": "0",
    }


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Return a member without what describes this machine; None for sockets and locks."""
    if not (member.isfile() or member.isdir()) or "/socket-" in member.name:
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    return member


def unpacked(version: str, directory: Path) -> dict[str, Any]:
    """Unpack the data directory of a version to `data` in a directory, and return what is known about it."""
    with tarfile.open(PACKED / f"v{version}.tar.xz") as tar:
        tar.extractall(directory, filter="data")
    (directory / "data").chmod(0o700)
    facts: dict[str, Any] = json.loads((directory / FACTS).read_text(encoding="utf-8"))
    return facts


if __name__ == "__main__":
    main()
