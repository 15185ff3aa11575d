"""The official SDKs, each in a program that signs in with the tokens it is handed."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from tests.identity_providers.worlds import OPEN
from tests.support import toolchains
from tests.support.server import RunningServer

_COMPAT: Final = Path(__file__).resolve().parents[1] / "compat"
_WITHIN: Final = 240.0
"""Seconds in which a program signs in; one that tries again and again takes three and a half minutes."""

PROGRAMS: Final[Mapping[str, Callable[[], list[str]]]] = {
    "python": lambda: [sys.executable, str(_COMPAT / "python" / "sign_in.py")],
    "node": lambda: [*toolchains.node(), str(_COMPAT / "node" / "sign_in.mjs"), "@zilliz/milvus2-sdk-node"],
    "node 2.5": lambda: [*toolchains.node(), str(_COMPAT / "node" / "sign_in.mjs"), "milvus2-sdk-node-2.5"],
    "go": lambda: toolchains.go("sign_in", (_COMPAT / "go" / "sign_in.go").read_text()),
    "java": lambda: toolchains.java(_COMPAT / "java" / "SignIn.java"),
}
"""The program of each language, made if need be."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one sign-in got.

    Attributes:
        found: keys of the rows that the search found.
        collections: names of the collections that the user may see.
        refused: the sentence of a refusal; empty unless it was refused.
        seconds: how long it took.
    """

    found: list[int]
    collections: list[str]
    refused: str
    seconds: float


class SignIns:
    """A program of an SDK that runs against a server."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def sign_in(self, token: str) -> Seen:
        """Return what the holder of a token gets."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{token}\n")
        process.stdin.flush()
        late = threading.Timer(_WITHIN, process.kill)
        late.start()
        try:
            line = process.stdout.readline()
        finally:
            late.cancel()
        assert line.startswith("{"), f"the program has ended or did not answer in time: {line}"
        seen: dict[str, Any] = json.loads(line)
        found = [int(key) for key in seen.get("found", [])]
        return Seen(found, seen.get("collections", []), seen.get("refused", ""), seen["seconds"])


class Programs:
    """The programs of the SDKs at one server, each of which runs from when it is first needed until all are closed."""

    def __init__(self, server: RunningServer, collection: str) -> None:
        """Start none yet.

        Args:
            server: where they sign in.
            collection: what they search.
        """
        self._arguments = [server.uri.removeprefix("http://"), collection]
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def of(self, language: str) -> SignIns:
        """Return the program of a language, or skip the test that needs it."""
        if language not in self._processes:
            command = [*PROGRAMS[language](), *self._arguments]
            pipe = subprocess.PIPE
            self._processes[language] = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
            )
        return SignIns(self._processes[language])

    def close(self) -> None:
        """End them."""
        for process in self._processes.values():
            with process:
                process.kill()


def by_rest(server: RunningServer, token: str, collection: str) -> tuple[int, Any]:
    """Search with a token over REST, and return the HTTP status and the answer."""
    response = httpx.post(
        f"{server.uri}/v2/vectordb/entities/search",
        json={"collectionName": collection, "data": [[1.0, 0.0, 0.0, 0.0]], "annsField": "vector", "limit": 1},
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
    return response.status_code, response.json()


def who(server: RunningServer, token: str) -> dict[str, Any]:
    """Return what the server says of the caller."""
    response = httpx.post(
        f"{server.uri}/v2/kiteward/whoami/describe", json={}, headers={"Authorization": f"Bearer {token}"}, timeout=60
    )
    answer = response.json()
    assert answer["code"] == 0, answer
    return dict(answer["data"])


def demand_that_groups_decide(program: SignIns, member: str, outsider: str, foreign: str) -> None:
    """Sign in with three tokens, and demand that each brings what it has to.

    Args:
        program: of an SDK.
        member: a token of a user whose group gives the role `viewer`.
        outsider: one of a user without a group.
        foreign: one that was issued to another client.
    """
    seen, denied, refused = (program.sign_in(token) for token in (member, outsider, foreign))
    assert (seen.refused, seen.found, seen.collections) == ("", [1], [OPEN])
    assert "permission deny" in denied.refused or "not found" in denied.refused, denied.refused
    assert foreign.split(".")[2] not in refused.refused
    assert "`aud`" in refused.refused, refused.refused
    assert max(denied.seconds, refused.seconds) < 15  # neither is tried again and again
