"""Refused requests are recorded once a window for each caller."""

from tests.support.gateway import RecordedEvents

from kiteward.audit.events import Event, Outcome
from kiteward.domain.errors import RequestsLimited
from kiteward.domain.identity import FederatedName, Principal
from kiteward.gateway import limited_callers
from kiteward.gateway.limited_callers import WINDOW, LimitedCallers

ERROR = RequestsLimited("too many requests", kind="rate")


def test_one_event_has_the_number_of_a_window() -> None:
    now, trail = 100.0, RecordedEvents()
    callers = LimitedCallers(lambda: now)
    alice = Principal("alice", credential="key:k")
    for operation in ("Search", "Search", "Query"):
        callers.add(alice, operation, ERROR)
    callers.add(Principal("bob"), "Search", RequestsLimited("at once", kind="concurrent"))
    now += WINDOW - 1
    callers.record_due(trail)
    assert trail.events == []
    now += 1
    callers.record_due(trail)
    callers.record_due(trail)
    first, second = trail.events
    assert (first.event, first.outcome, first.principal) == (Event.REQUESTS_LIMITED, Outcome.REFUSED, "alice")
    assert (first.credential, first.reason) == ("key:k", "too many requests")
    assert first.details == {"requests": 3, "limits": {"rate": 3}, "operations": {"Search": 2, "Query": 1}}
    assert (second.principal, second.details["limits"]) == ("bob", {"concurrent": 1})


def test_the_event_says_who_a_federated_caller_is() -> None:
    trail, callers = RecordedEvents(), LimitedCallers()
    ann = Principal("idp_ann", credential="session:s", identity=FederatedName("https://idp.example", "sub-ann"))
    callers.add(ann, "Search", ERROR)
    callers.record_all(trail)
    assert [(event.issuer, event.subject) for event in trail.events] == [("https://idp.example", "sub-ann")]


def test_what_is_not_due_is_recorded_at_the_end() -> None:
    trail, callers = RecordedEvents(), LimitedCallers()
    callers.add(Principal("alice"), "Search", ERROR)
    callers.record_all(trail)
    callers.record_all(trail)
    assert [event.details["requests"] for event in trail.events] == [1]


def test_many_callers_are_recorded_together(monkeypatch: object) -> None:
    trail, callers = RecordedEvents(), LimitedCallers()
    most = limited_callers._MOST_CALLERS
    for number in range(most + 5):
        callers.add(Principal(f"user{number}"), "Search", ERROR)
    callers.record_all(trail)
    assert len(trail.events) == most + 1
    assert (trail.events[-1].principal, trail.events[-1].details["requests"]) == ("", 5)
