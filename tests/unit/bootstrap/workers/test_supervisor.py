"""What the parent of workers decides, with processes that are only noted down and a clock that is set."""

import logging
import signal
from dataclasses import dataclass, field

import pytest

from kiteward.bootstrap.workers.messages import Alone, Failed, OfParent, Open, Opened, Prepared, Restarts, Stop
from kiteward.bootstrap.workers.supervisor import PAUSES, STEADY, STOP_WITHIN, Supervisor

PORTS = Open(19530, 9091)
SERVES = Opened(default_password=False, engine_fault="")


@dataclass
class FakeCrew:
    """Notes what it is asked to do.

    Attributes:
        running: the workers that run.
        sent: the messages to each.
        claimed: whether the ports are taken.
        claims: how often they were.
        announced: what was said when the server was ready.
        killed: the workers that were killed.
        taken: whether another process has the ports.
        full: whether no process can be started.
    """

    running: list[int] = field(default_factory=list)
    sent: list[tuple[int, OfParent]] = field(default_factory=list)
    claimed: bool = False
    claims: int = 0
    announced: list[Opened] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    taken: bool = False
    full: bool = False
    now: float = 1000.0

    def start(self, number: int) -> None:
        if self.full:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        assert number not in self.running
        self.running.append(number)

    def tell(self, number: int, message: OfParent) -> None:
        assert number in self.running
        self.sent.append((number, message))

    def kill(self, number: int) -> None:
        self.killed.append(number)

    def claim(self) -> Open:
        if self.taken:
            raise OSError("cannot listen on 127.0.0.1:19530: is another server running there?")
        self.claimed = True
        self.claims += 1
        return PORTS

    def release(self) -> None:
        self.claimed = False

    def ready(self, opened: Opened) -> None:
        self.announced.append(opened)

    def sent_to(self, number: int) -> list[OfParent]:
        """Return the messages to one worker besides restarts."""
        return [message for to, message in self.sent if to == number and not isinstance(message, Restarts)]


@dataclass
class Scene:
    """A supervisor with its crew."""

    crew: FakeCrew
    supervisor: Supervisor

    def ends(self, number: int, status: int = -signal.SIGKILL) -> None:
        self.crew.running.remove(number)
        self.supervisor.ended(number, status)

    def passes(self, seconds: float) -> None:
        self.crew.now += seconds
        self.supervisor.tick()

    def holds_ports(self) -> bool:
        return self.crew.claimed

    def status(self) -> int | None:
        return self.supervisor.status

    def comes_back(self, number: int) -> None:
        self.supervisor.heard(number, Prepared())
        self.supervisor.heard(number, SERVES)


def begun(workers: int = 3) -> Scene:
    crew = FakeCrew()
    supervisor = Supervisor(crew, workers, clock=lambda: crew.now)
    supervisor.begin()
    return Scene(crew, supervisor)


def serving(workers: int = 3) -> Scene:
    scene = begun(workers)
    for number in range(1, workers + 1):
        scene.supervisor.heard(number, Prepared())
    for number in range(1, workers + 1):
        scene.supervisor.heard(number, SERVES)
    return scene


# The start


def test_first_worker_is_prepared_before_the_others_are_started() -> None:
    scene = begun()
    assert scene.crew.running == [1]
    scene.supervisor.heard(1, Prepared())
    assert scene.crew.running == [1, 2, 3]


def test_ports_are_taken_and_opened_when_all_are_prepared() -> None:
    scene = begun()
    scene.supervisor.heard(1, Prepared())
    scene.supervisor.heard(2, Prepared())
    assert not scene.crew.sent
    assert not scene.crew.claims
    scene.supervisor.heard(3, Prepared())
    assert scene.crew.sent == [(1, PORTS), (2, PORTS), (3, PORTS)]
    assert scene.holds_ports()


def test_ports_are_held_until_every_worker_listens_and_the_server_is_ready_once() -> None:
    scene = begun()
    for number in (1, 2, 3):
        scene.supervisor.heard(number, Prepared())
    scene.supervisor.heard(2, Opened(default_password=True, engine_fault=""))
    scene.supervisor.heard(1, Opened(default_password=False, engine_fault="the engine is away"))
    assert scene.holds_ports()
    assert not scene.crew.announced
    scene.supervisor.heard(3, SERVES)
    assert not scene.holds_ports()
    assert scene.crew.announced == [Opened(default_password=True, engine_fault="the engine is away")]
    scene.ends(2)
    scene.passes(PAUSES[0])
    scene.comes_back(2)
    assert len(scene.crew.announced) == 1


def test_server_ends_with_the_reason_when_a_worker_cannot_start() -> None:
    scene = begun()
    scene.supervisor.heard(1, Prepared())
    scene.supervisor.heard(2, Failed("the store cannot be reached"))
    scene.ends(2, 1)
    assert scene.crew.sent_to(1)[-1] == Stop()
    assert scene.status() is None
    scene.ends(3, 0)
    scene.ends(1, 0)
    assert scene.status() == 1
    assert scene.supervisor.failure == "worker 2 cannot start: the store cannot be reached"


def test_server_says_how_a_worker_ended_that_gave_no_reason() -> None:
    scene = begun()
    scene.ends(1, -signal.SIGKILL)
    assert (scene.status(), scene.supervisor.failure) == (1, "worker 1 cannot start: by SIGKILL")


def test_server_ends_when_another_one_has_the_port() -> None:
    scene = begun(2)
    scene.crew.taken = True
    scene.supervisor.heard(1, Prepared())
    scene.supervisor.heard(2, Prepared())
    assert scene.crew.sent == [(1, Stop()), (2, Stop())]
    scene.ends(2, 0)
    scene.ends(1, 0)
    assert scene.status() == 1
    assert "is another server running there?" in scene.supervisor.failure


def test_server_ends_when_the_system_starts_no_process() -> None:
    crew = FakeCrew(full=True)
    supervisor = Supervisor(crew, 2, clock=lambda: crew.now)
    supervisor.begin()
    assert supervisor.status == 1
    assert supervisor.failure == "worker 1 cannot start: Resource temporarily unavailable"


# Workers that end


def test_worker_that_ended_is_started_again_after_a_pause_and_joins_the_port(caplog: pytest.LogCaptureFixture) -> None:
    scene = serving()
    with caplog.at_level(logging.WARNING):
        scene.ends(2)
    assert "worker 2 has ended: by SIGKILL; it is started again in 1 s" in caplog.text
    assert scene.supervisor.wait() == PAUSES[0]
    scene.passes(PAUSES[0] - 0.1)
    assert scene.crew.running == [1, 3]
    scene.passes(0.1)
    assert scene.crew.running == [1, 3, 2]
    scene.supervisor.heard(2, Prepared())
    assert scene.crew.sent[-1] == (2, PORTS)
    assert scene.crew.claims == 1


def test_pauses_grow_until_the_worker_has_served_for_a_while() -> None:
    scene = serving(2)
    waited = []
    for _ in range(len(PAUSES) + 1):
        scene.ends(2)
        waited.append(scene.supervisor.wait())
        scene.passes(waited[-1] or 0.0)
        scene.comes_back(2)
    assert waited == [*PAUSES, PAUSES[-1]]
    scene.passes(STEADY)
    scene.ends(2)
    assert scene.supervisor.wait() == PAUSES[0]


def test_worker_that_cannot_start_again_is_tried_again_while_another_runs() -> None:
    scene = serving(2)
    scene.ends(2)
    scene.passes(PAUSES[0])
    scene.supervisor.heard(2, Failed("no memory"))
    scene.ends(2, 1)
    assert scene.supervisor.wait() == PAUSES[1]
    assert scene.status() is None


def test_server_ends_when_no_worker_is_left_and_none_can_start() -> None:
    scene = serving(2)
    scene.ends(1)
    scene.ends(2)
    scene.passes(PAUSES[0])
    assert scene.crew.running == [1, 2]
    scene.ends(1, 1)
    assert scene.status() is None
    scene.supervisor.heard(2, Failed("the store is gone"))
    scene.ends(2, 1)
    assert scene.status() == 1
    assert scene.supervisor.failure == "no worker is left, and worker 2 cannot start: the store is gone"


def test_ports_are_taken_again_when_no_worker_listens_any_more() -> None:
    scene = serving(2)
    scene.ends(1)
    scene.ends(2)
    scene.passes(PAUSES[0])
    scene.supervisor.heard(1, Prepared())
    assert scene.crew.claims == 2
    assert scene.holds_ports()
    scene.supervisor.heard(1, SERVES)
    assert not scene.holds_ports()


def test_workers_learn_how_often_others_were_started_again() -> None:
    scene = serving(2)
    assert scene.crew.sent[-1] == (2, Restarts((0, 0)))
    scene.ends(2)
    scene.passes(PAUSES[0])
    assert scene.crew.sent[-1] == (1, Restarts((0, 1)))
    scene.comes_back(2)
    assert scene.crew.sent[-1] == (2, Restarts((0, 1)))


# The stop


def test_all_workers_stop_at_the_same_time_and_the_forwarding_one_ends_last() -> None:
    scene = serving()
    scene.supervisor.stop()
    assert [scene.crew.sent_to(number)[-1] for number in (1, 2, 3)] == [Stop()] * 3
    scene.ends(3, 0)
    assert scene.crew.sent_to(1)[-1] == Stop()
    scene.ends(2, 0)
    assert scene.crew.sent_to(1)[-1] == Alone()
    assert scene.status() is None
    scene.ends(1, 0)
    assert (scene.status(), scene.supervisor.failure) == (0, "")


def test_second_signal_changes_nothing() -> None:
    scene = serving(2)
    scene.supervisor.stop()
    sent = list(scene.crew.sent)
    scene.supervisor.stop()
    assert scene.crew.sent == sent


def test_no_worker_is_started_again_during_a_stop() -> None:
    scene = serving(2)
    scene.ends(2)
    scene.supervisor.stop()
    assert scene.supervisor.wait() == STOP_WITHIN
    scene.passes(PAUSES[0])
    assert scene.crew.running == [1]
    assert scene.crew.sent_to(1)[-2:] == [Stop(), Alone()]


def test_start_can_be_stopped() -> None:
    scene = begun()
    scene.supervisor.stop()
    scene.ends(1, 0)
    assert scene.status() == 0
    assert scene.crew.running == []


def test_worker_that_does_not_stop_is_killed_and_the_status_says_so(caplog: pytest.LogCaptureFixture) -> None:
    scene = serving(2)
    scene.supervisor.stop()
    scene.ends(1, 0)
    assert scene.supervisor.wait() == STOP_WITHIN
    scene.passes(STOP_WITHIN)
    assert scene.crew.killed == [2]
    assert "worker 2 has not stopped within 75 seconds" in caplog.text
    assert scene.supervisor.wait() is None
    scene.ends(2)
    assert scene.status() == 1
