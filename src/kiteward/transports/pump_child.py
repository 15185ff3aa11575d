"""The process that pumps: takes pairs of sockets and moves bytes between them. Started by `pump_process` alone.

INVARIANT: it ends with its control connection, so that none is left behind by a server that was killed.
"""

import asyncio
import gc
import signal
import socket
import sys
from typing import cast

import uvloop

from kiteward.transports.pump import BUFFER, LINGER, ClientEnd, FrontEnd
from kiteward.transports.pump_process import NUMBER


class _Waiting(asyncio.Protocol):
    """A client's end until its front is there: keeps what has come."""

    def __init__(self) -> None:
        self.came: list[bytes] = []
        self.ended = False
        self.lost = False

    def data_received(self, data: bytes) -> None:
        self.came.append(data)

    def eof_received(self) -> bool:
        self.ended = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self.lost = True


class _Pumps:
    """Every pair of sockets, from taking it to telling that it is done with."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._joining: set[asyncio.Task[None]] = set()
        self.ended = asyncio.Event()
        control.setblocking(True)  # what is told is a few bytes, and the server reads them
        self._loop.add_reader(control, self._take)

    def _take(self) -> None:
        data: bytes
        descriptors: list[int]
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, NUMBER.size, 2)
        except OSError:  # reset: the server ended before it had read what it was told last
            data, descriptors = b"", []
        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        if len(data) != NUMBER.size:
            self._loop.remove_reader(self._control)
            self.ended.set()
        elif len(sockets) != 2:  # noqa: PLR2004  a client's and the front's; the process may open no more files
            self._close(data, sockets)
        else:
            task = self._loop.create_task(self._join(data, *sockets))
            self._joining.add(task)
            task.add_done_callback(self._joining.discard)

    async def _join(self, number: bytes, client: socket.socket, front: socket.socket) -> None:
        """Let bytes flow both ways between a client and the front."""
        left = 2

        def lost() -> None:
            nonlocal left
            left -= 1
            if not left:
                self._done(number)

        for each in (client, front):
            each.setblocking(False)
        waiting = _Waiting()
        client_side: asyncio.Transport | None = None
        try:
            client_side, _ = await self._loop.create_connection(lambda: waiting, sock=client)
            front_end = FrontEnd(client_side, LINGER)
            front_end.registered(lost)
            front_side, _ = await self._loop.create_unix_connection(lambda: front_end, sock=front)
        except OSError:
            if client_side is not None:
                client_side.abort()
            self._close(number, [client, front])
            return
        for side in (client_side, front_side):
            side.set_write_buffer_limits(high=BUFFER)
        if waiting.came:
            front_side.write(b"".join(waiting.came))
        if waiting.lost:
            lost()
            front_side.close()
            return
        client_end = ClientEnd(front_side, lost)
        client_side.set_protocol(cast("asyncio.Protocol", client_end))
        if waiting.ended:
            client_end.eof_received()

    def _close(self, number: bytes, sockets: list[socket.socket]) -> None:
        for each in sockets:
            each.close()
        self._done(number)

    def _done(self, number: bytes) -> None:
        try:
            self._control.sendall(number)
        except OSError:
            self.ended.set()


async def _run(control: socket.socket) -> None:
    pumps = _Pumps(control)
    await pumps.ended.wait()


def main() -> None:
    """Pump until the server lets go of the control connection."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server says when it has drained
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
