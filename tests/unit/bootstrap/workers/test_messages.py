"""What the parent and a worker tell each other arrives as it was."""

import typing

import pytest

from kiteward.bootstrap.workers import messages
from kiteward.bootstrap.workers.messages import (
    Alone,
    Failed,
    OfParent,
    OfWorker,
    Open,
    Opened,
    Prepared,
    Restarts,
    Stop,
)

ALL = [
    Prepared(),
    Opened(default_password=True, engine_fault="the engine is away"),
    Failed("cannot listen:\nin two lines"),
    Open(19530, 9091),
    Open(19530, None),
    Restarts((0, 3)),
    Stop(),
    Alone(),
]


@pytest.mark.parametrize("message", ALL, ids=repr)
def test_message_arrives_as_it_was_in_one_line(message: OfWorker | OfParent) -> None:
    line = messages.encoded(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert messages.decoded(line) == message


def test_every_kind_is_among_these() -> None:
    kinds = {*typing.get_args(OfWorker), *typing.get_args(OfParent)}
    assert {type(message) for message in ALL} == kinds
