import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from kiteward.engine.embedded.outgoing import OutgoingFrames

LARGE = bytes(300 * 1024)


class Transport:
    """Keeps what is written; takes only so many bytes before it has enough."""

    def __init__(self) -> None:
        self.writes: list[list[bytes]] = []
        self.room = 10_000_000
        transport: Any = self
        self.outgoing = OutgoingFrames(transport, asyncio.get_running_loop())

    def write(self, data: bytes) -> None:
        self.writelines([data])

    def writelines(self, blocks: Iterable[bytes]) -> None:
        self.writes.append(list(blocks))
        self.room -= sum(map(len, self.writes[-1]))
        if self.room <= 0:
            self.outgoing.pause()


@pytest.fixture
async def transport() -> Transport:
    return Transport()


async def test_frames_of_one_turn_of_the_loop_are_one_write(transport: Transport) -> None:
    for call in (1, 2, 3):
        transport.outgoing.put(call, (b"head%d" % call, b"payload"))
    assert transport.writes == []
    await asyncio.sleep(0)
    assert transport.writes == [[b"head1payloadhead2payloadhead3payload"]]


async def test_large_payload_is_passed_on_without_a_copy(transport: Transport) -> None:
    transport.outgoing.put(1, (b"head", LARGE))
    await asyncio.sleep(0)
    ((head, payload),) = transport.writes
    assert (head, payload is LARGE) == (b"head", True)


async def test_frames_wait_while_the_transport_has_enough_and_can_be_withdrawn(transport: Transport) -> None:
    transport.room = 100_000
    for call in (1, 2, 3, 4):
        transport.outgoing.put(call, (b"head", LARGE))
    await asyncio.sleep(0)
    assert len(transport.writes) == 1
    assert transport.outgoing.withdraw(3)
    assert not transport.outgoing.withdraw(1)
    transport.room = 10_000_000
    transport.outgoing.resume()
    assert len(transport.writes) == 3


async def test_hand_over_leaves_nothing_waiting(transport: Transport) -> None:
    transport.outgoing.pause()
    transport.outgoing.put(1, (b"one",))
    transport.outgoing.put(2, (b"two",))
    transport.outgoing.hand_over()
    assert transport.writes == [[b"one"], [b"two"]]


async def test_nothing_is_written_after_the_end(transport: Transport) -> None:
    transport.outgoing.put(1, (b"one",))
    transport.outgoing.close()
    transport.outgoing.put(2, (b"two",))
    await asyncio.sleep(0)
    assert transport.writes == []
