"""What the programs here share: they go through trials one by one, each with what their user may do just then.

A program gets the address as its argument, and in its environment KITEWARD_TOKEN, KITEWARD_DATABASE and
KITEWARD_TRIALS, a list of [trial, job, collection]. It says `pause` before each trial, waits for a line, does the job
and prints what it returned or how it failed.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

URI = f"http://{sys.argv[1]}" if len(sys.argv) > 1 else ""
TOKEN = os.environ.get("KITEWARD_TOKEN", "")
DATABASE = os.environ.get("KITEWARD_DATABASE", "")
DIMENSION = 4
TEXTS = ["apples grow on trees", "whales swim in the sea"]


def vector(text: str) -> list[float]:
    """Return an embedding made here: how often each of four letters occurs, and never all zeros."""
    return [1.0 + text.count(letter) for letter in "aeio"]


def run(jobs: Mapping[str, Callable[[str], Any]]) -> None:
    """Run the trials with these jobs; each takes the collection's name, and raises when the framework does."""
    for trial, job, collection in json.loads(os.environ["KITEWARD_TRIALS"]):
        _say({"pause": trial})
        sys.stdin.readline()
        try:
            seen = {"value": jobs[job](collection)}
        except Exception as error:  # noqa: BLE001  # whatever a framework raises is what is looked at
            seen = {"refused": _sentence(error)}
        _say({"trial": trial, **seen})


def _sentence(error: BaseException) -> str:
    """Return what the server said, without the frame that gRPC puts around it."""
    details = getattr(error, "details", None)
    return str(details() if callable(details) else error)


def _say(line: Mapping[str, Any]) -> None:
    # What a library printed without a newline must not hide the line.
    sys.stdout.write(f"\n{json.dumps(line, default=str)}\n")
    sys.stdout.flush()
