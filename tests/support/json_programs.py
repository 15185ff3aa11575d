"""Runs programs that print lines of JSON, and that wait for a line on their input after each that has `pause`."""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def run(
    command: list[str],
    on_line: Callable[[Mapping[str, Any]], None],
    *,
    within: float,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> tuple[int, str]:
    """Run a program to its end.

    Args:
        command: the program and its arguments.
        on_line: called with each object it prints; after one that has `pause` the program may continue.
        within: seconds after which it counts as hanging and is killed.
        environment: variables beside our own.
        cwd: where it runs.

    Returns:
        Its exit status, and what it wrote to stderr.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
        cwd=cwd,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        written: list[str] = []
        drain = threading.Thread(target=lambda stderr: written.append(stderr.read()), args=(process.stderr,))
        drain.start()
        stop = threading.Timer(within, process.kill)
        stop.start()
        try:
            for text in process.stdout:
                if not text.startswith("{"):
                    continue  # some SDKs log there
                line = json.loads(text)
                on_line(line)
                if "pause" in line:
                    process.stdin.write("\n")
                    process.stdin.flush()
            process.wait()
        finally:
            stop.cancel()
            process.kill()
            drain.join()
    return process.returncode, "".join(written)
