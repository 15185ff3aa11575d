"""Calls a second: h2load sends a recorded request, and every answer is accounted for.

h2load does not look at `grpc-status`. An answer with another status than OK carries no message, and a failure inside a
message has another size than a success. So the same request is sent by a gRPC client before and after, its answer is
read and must be right, and under load exactly as many bytes must have come as that many right answers have.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from benchmarks.frames import LIMIT, Recorded, authorization, framed
from benchmarks.peers import Peer

CONNECTIONS: Final = 4
STREAMS: Final = 8
_AT_ONCE: Final = CONNECTIONS * STREAMS
_TIMEOUT: Final = 90.0
_WARM_UP_CALLS: Final = 2 * _AT_ONCE
_WARM_UP_SECONDS: Final = 0.7
_HEADERS: Final = ("content-type: application/grpc", "te: trailers")


class Unchecked(Exception):
    """A run whose answers were not all right; its figure must not be printed."""


@dataclass(frozen=True, slots=True)
class Run:
    """What h2load reports of one run.

    Attributes:
        rate: calls a second.
        calls: requests sent.
        answered: those answered with an HTTP status of 200 to 299, to the end.
        data: bytes of all messages, with their gRPC prefixes.
    """

    rate: float
    calls: int
    answered: int
    data: int

    @classmethod
    def parse(cls, report: str) -> "Run":
        """Read the report.

        Raises:
            Unchecked: it is not one.
        """
        rate = re.search(r"^finished in [\d.]+\w+, ([\d.]+) req/s", report, re.MULTILINE)
        calls = re.search(r"^requests: (\d+) total, .* (\d+) succeeded", report, re.MULTILINE)
        status = re.search(r"^status codes: (\d+) 2xx", report, re.MULTILINE)
        data = re.search(r"\((\d+)\) data$", report, re.MULTILINE)
        if rate is None or calls is None or status is None or data is None:
            raise Unchecked("h2load did not report")
        answered = min(int(calls[2]), int(status[1]))
        return cls(float(rate[1]), int(calls[1]), answered, int(data[1]))

    def check(self, message_bytes: int) -> None:
        """Return a run, if every call had the right response.

        Args:
            message_bytes: the size of the right answer.

        Raises:
            Unchecked: some were not.
        """
        expected = self.calls * len(framed(bytes(message_bytes)))
        if self.answered != self.calls:
            raise Unchecked(f"{self.calls - self.answered} of {self.calls} calls were not answered")
        if self.data != expected:
            raise Unchecked(f"{self.calls} right answers are {expected} bytes, but {self.data} came")


class Load:
    """One request against one peer, ready to be run several times."""

    def __init__(self, peer: Peer, request: Recorded) -> None:
        self._peer = peer
        self._request = request
        self._calls = 0

    @property
    def calls(self) -> int:
        """How many calls one run makes, those of the checks before and after included."""
        return self._calls + 2

    def warm_up(self, seconds: float) -> None:
        """Run for a short while, and determine how many calls take about `seconds`."""
        rate = self._run(_WARM_UP_CALLS).rate
        rate = self._run(_rounded(rate * _WARM_UP_SECONDS)).rate
        self._calls = _rounded(rate * seconds)

    def measure(self) -> float:
        """Return the calls a second of one run.

        Raises:
            Unchecked: not every answer was right.
        """
        return self._run(self._calls).rate

    def _run(self, calls: int) -> Run:
        before = len(self.answer())
        run = self._h2load(calls)
        run.check(before)
        if len(self.answer()) != before:
            raise Unchecked(f"{self._request.operation}: the answer changed its size during the run")
        return run

    def answer(self) -> bytes:
        """Send the request once by a gRPC client and return its serialised answer, which is right.

        Raises:
            Unchecked: its status is not OK, or it says something else than it should.
        """
        metadata = (("authorization", authorization(self._peer.token)),) if self._peer.token else ()
        with grpc.insecure_channel(self._peer.address) as channel:
            call = channel.unary_unary(self._request.path)
            try:
                answer: bytes = call(self._request.payload, metadata=metadata, timeout=_TIMEOUT)
            except grpc.RpcError as error:
                raise Unchecked(f"{self._peer.name}: {self._request.operation}: {error.code().name}") from error
        message = self._request.answer.FromString(answer)
        if message.status.code or message.status.error_code or not _is_right(message):
            raise Unchecked(f"{self._peer.name}: {self._request.operation}: {message.status.reason or 'wrong answer'}")
        return answer

    def _h2load(self, calls: int) -> Run:
        headers = list(_HEADERS)
        if self._peer.token:
            headers.append(f"authorization: {authorization(self._peer.token)}")
        with tempfile.TemporaryDirectory() as directory:
            body = Path(directory) / "request"
            body.write_bytes(framed(self._request.payload))
            command = [*f"h2load -t 1 -c {CONNECTIONS} -m {STREAMS} -n {calls} -d".split(), str(body)]
            command += [part for header in headers for part in ("-H", header)]
            command.append(f"http://{self._peer.address}{self._request.path}")
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
            except subprocess.TimeoutExpired:
                raise Unchecked(f"{calls} calls were not answered within {_TIMEOUT:g} s") from None
        return Run.parse(done.stdout)


def _rounded(calls: float) -> int:
    """Return a number of calls that every stream gets the same share of."""
    return max(2, round(calls / _AT_ONCE)) * _AT_ONCE


def _is_right(message: Any) -> bool:
    match type(message).__name__:
        case "ListCredUsersResponse":
            return len(message.usernames) == 10
        case "SelectRoleResponse":
            return len(message.results) == 1 and len(message.results[0].users) == 1
        case "BoolResponse":
            return bool(message.value)
        case "SearchResults":
            return len(message.results.ids.int_id.data) == LIMIT
        case _:
            return False
