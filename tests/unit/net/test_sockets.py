"""Ports that the processes of one server share, and nobody else."""

import contextlib
import socket
from collections.abc import Iterable, Iterator

import pytest

from kiteward.net.sockets import bind, claim

LOOPBACK = "127.0.0.1"


@contextlib.contextmanager
def closing(sockets: Iterable[socket.socket]) -> Iterator[list[socket.socket]]:
    held = [*sockets]
    try:
        yield held
    finally:
        for each in held:
            each.close()


def port_of(sockets: list[socket.socket]) -> int:
    return int(sockets[0].getsockname()[1])


async def test_processes_listen_on_a_port_that_was_claimed_for_them() -> None:
    with closing(claim(LOOPBACK, 0)) as claimed:
        port = port_of(claimed)
        with (
            closing(await bind(LOOPBACK, port, shared=True)) as one,
            closing(await bind(LOOPBACK, port, shared=True)) as other,
        ):
            for each in (*one, *other):
                each.listen()
            for each in claimed:
                each.close()
            with socket.create_connection((LOOPBACK, port), timeout=30):
                pass


async def test_port_of_another_server_is_not_claimed() -> None:
    with closing(await bind(LOOPBACK, 0)) as alone:
        alone[0].listen()
        with pytest.raises(OSError, match="is another server running there"):
            claim(LOOPBACK, port_of(alone))


async def test_port_that_processes_of_another_server_share_is_not_claimed() -> None:
    with closing(claim(LOOPBACK, 0)) as claimed, closing(await bind(LOOPBACK, port_of(claimed), shared=True)) as shared:
        shared[0].listen()
        with pytest.raises(OSError, match="is another server running there"):
            claim(LOOPBACK, port_of(claimed))
        claimed[0].close()
        with pytest.raises(OSError, match="is another server running there"):
            claim(LOOPBACK, port_of(shared))


async def test_server_of_one_process_does_not_join_a_shared_port() -> None:
    with closing(claim(LOOPBACK, 0)) as claimed, pytest.raises(OSError, match="is another server running there"):
        await bind(LOOPBACK, port_of(claimed))


async def test_nobody_joins_the_port_of_a_server_of_one_process() -> None:
    with closing(await bind(LOOPBACK, 0)) as alone:
        alone[0].listen()
        with pytest.raises(OSError, match="is another server running there"):
            await bind(LOOPBACK, port_of(alone), shared=True)


async def test_one_port_is_claimed_on_every_address_of_a_name() -> None:
    with closing(claim("localhost", 0)) as claimed:
        assert len({each.getsockname()[1] for each in claimed}) == 1


async def test_name_that_does_not_resolve_is_said() -> None:
    with pytest.raises(OSError, match="cannot listen on"):
        claim("no-such-host.invalid", 0)
