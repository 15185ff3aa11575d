"""Secrets that wait to be shown: to one session, once, for a short time, and not many of them."""

from kiteward.api.console.tickets import OneTimeSecret, Tickets
from kiteward.domain.identity import Secret


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(secret: str = "made") -> OneTimeSecret:
    return OneTimeSecret("title", "what", Secret(secret), "/console/keys")


def test_ticket_is_good_once() -> None:
    tickets, made = Tickets(), shown()
    ticket = tickets.put("session:a", made)
    assert tickets.take("session:a", ticket) is made
    assert tickets.take("session:a", ticket) is None


def test_ticket_is_good_for_its_own_session_alone() -> None:
    tickets = Tickets()
    ticket = tickets.put("session:a", shown())
    assert tickets.take("session:b", ticket) is None
    assert tickets.take("session:a", "\ud800") is None
    assert tickets.take("session:a", ticket) is not None


def test_ticket_is_forgotten_after_a_minute() -> None:
    clock = Clock()
    tickets = Tickets(clock)
    early = tickets.put("session:a", shown())
    clock.now = 59.0
    late = tickets.put("session:a", shown())
    clock.now = 60.0
    assert tickets.take("session:a", early) is None
    assert tickets.take("session:a", late) is not None


def test_few_secrets_wait_for_one_session() -> None:
    tickets = Tickets()
    first, *others = [tickets.put("session:a", shown()) for _ in range(9)]
    assert tickets.take("session:a", first) is None
    assert all(tickets.take("session:a", each) is not None for each in others)
