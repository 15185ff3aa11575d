"""Filters of the audit page: what a period means, and which of them stay in the addresses of other pages."""

from datetime import UTC, datetime, timedelta

import pytest

from kiteward.api.console.audit_search import FILTERS, Search

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def search(**given: str) -> Search:
    return Search({**dict.fromkeys(FILTERS, ""), "scope": "all", "user_is": "any", **given}, "", "")


@pytest.mark.parametrize(
    ("period", "length"),
    [("hour", timedelta(hours=1)), ("day", timedelta(days=1)), ("week", timedelta(days=7)), ("month", timedelta(30))],
)
def test_period_ends_now(period: str, length: timedelta) -> None:
    wanted = search(period=period).wanted(50, NOW)
    assert (wanted.since, wanted.until) == (NOW - length, None)


@pytest.mark.parametrize("period", ["", "rubbish"])
def test_without_a_period_everything_is_searched(period: str) -> None:
    assert search(period=period).wanted(50, NOW).since is None


def test_beginning_that_is_given_takes_the_place_of_a_period_and_is_in_utc() -> None:
    wanted = search(period="hour", since="2026-11-01T10:30").wanted(50, NOW)
    assert wanted.since == datetime(2026, 11, 1, 10, 30, tzinfo=UTC)


def test_filters_that_say_nothing_are_in_no_address() -> None:
    assert search(user="emma").given == {"user": "emma"}
    assert search(scope="replica", user_is="by").given == {"scope": "replica", "user_is": "by"}
