"""Calls a second with a head that changes with each call, as pymilvus sends it.

h2load sends the same head each time, and a server that remembers it never reads it.
"""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks import cluster_answers, peer_program
from benchmarks.frames import Recorded
from benchmarks.load import CONNECTIONS, STREAMS, Load
from benchmarks.peer_program import Ends, Size
from benchmarks.peers import Peer

_WARM_UP_SECONDS: Final = 0.7


class ChangingLoad:
    """One request against one server, ready to be run several times; each answer is compared with the right one."""

    def __init__(self, peer: Peer, request: Recorded) -> None:
        """Ask for the right answer once.

        Raises:
            PeerMissing: the program that calls cannot be built.
            Unchecked: the answer is not right.
        """
        self._program = peer_program.built()
        self._peer = peer
        answers = {request.operation: Load(peer, request).answer()}
        self._document = json.dumps(cluster_answers.encoded(request.operation, request.payload, answers))
        self._size = Size(CONNECTIONS, STREAMS)

    def warm_up(self, seconds: float) -> None:
        """Run for a short while. Raises as `measure`."""
        self._run(_WARM_UP_SECONDS)
        self._size = replace(self._size, seconds=seconds)

    def measure(self) -> float:
        """Return the calls a second of one run.

        Raises:
            Unchecked: a call failed, or its answer was another one.
        """
        return self._run(self._size.seconds)

    def _run(self, seconds: float) -> float:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "recorded.json"
            path.write_text(self._document)
            return Ends(self._program, path).load(self._peer, replace(self._size, seconds=seconds)).rate
