"""Guessing gets slower for each user and address, and ends with a lock; nobody else notices."""

import pytest

from kiteward.authn.throttle import (
    FAILURES_TO_LOCK,
    FORGOTTEN_AFTER,
    FREE_FAILURES,
    FREE_REFUSALS,
    LONGEST_WAIT,
    SOURCE_BURST,
    SOURCE_RATE,
    Throttle,
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock)


def fail(throttle: Throttle, times: int, user: str = "alice", host: str = "10.0.0.1") -> None:
    for _ in range(times):
        assert throttle.begin(user, host)
        throttle.end(user, host, right=False)


def test_five_wrong_passwords_are_free_and_then_waits_double_up_to_a_quarter_of_an_hour(
    throttle: Throttle, clock: Clock
) -> None:
    fail(throttle, FREE_FAILURES)
    for wait in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, LONGEST_WAIT, LONGEST_WAIT):
        clock.now += wait - 0.01
        assert not throttle.begin("alice", "10.0.0.1")
        clock.now += 0.02
        fail(throttle, 1)


def test_attempts_during_a_wait_do_not_make_it_longer(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, FREE_FAILURES)
    for _ in range(1000):
        assert not throttle.begin("alice", "10.0.0.1")
    clock.now += 1.0
    assert throttle.begin("alice", "10.0.0.1")


def test_others_and_other_addresses_do_not_wait(throttle: Throttle) -> None:
    fail(throttle, FREE_FAILURES)
    assert throttle.begin("bob", "10.0.0.1")
    assert throttle.begin("alice", "10.0.0.2")


def test_the_right_password_ends_the_waits(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, FREE_FAILURES)
    clock.now += 1.0
    assert throttle.begin("alice", "10.0.0.1")
    throttle.end("alice", "10.0.0.1", right=True)
    fail(throttle, FREE_FAILURES)


def test_many_attempts_at_once_count_before_the_first_has_failed(throttle: Throttle) -> None:
    begun = [throttle.begin("alice", "10.0.0.1") for _ in range(50)]
    assert begun.count(True) == FREE_FAILURES
    for _ in range(FREE_FAILURES):
        throttle.end("alice", "10.0.0.1", right=False)
    assert not throttle.begin("alice", "10.0.0.1")


def test_after_a_hundred_wrong_passwords_in_a_row_the_user_is_to_be_locked(throttle: Throttle) -> None:
    locks = []
    for number in range(FAILURES_TO_LOCK):
        host = f"10.0.0.{number}"
        assert throttle.begin("alice", host)
        locks.append(throttle.end("alice", host, right=False))
    assert locks == [False] * (FAILURES_TO_LOCK - 1) + [True]


def test_a_user_that_is_locked_already_is_to_be_locked_once_in_a_hundred(throttle: Throttle) -> None:
    locks = []
    for number in range(3 * FAILURES_TO_LOCK):
        host = f"10.0.{number // 250}.{number % 250}"
        assert throttle.begin("alice", host)
        locks.append(throttle.end("alice", host, right=False))
    assert [number + 1 for number, lock in enumerate(locks) if lock] == [
        FAILURES_TO_LOCK * times for times in (1, 2, 3)
    ]


def test_attempts_that_waits_refuse_end_what_is_spared_until_they_are_forgotten(
    throttle: Throttle, clock: Clock
) -> None:
    assert throttle.spares("alice", "10.0.0.1")
    fail(throttle, FREE_FAILURES)
    for _ in range(FREE_REFUSALS):
        assert throttle.spares("alice", "10.0.0.1")
        assert throttle.refuses("alice", "10.0.0.1")
    assert not throttle.spares("alice", "10.0.0.1")
    assert throttle.spares("alice", "10.0.0.2")
    assert throttle.spares("bob", "10.0.0.1")
    clock.now += FORGOTTEN_AFTER + 1
    assert throttle.spares("alice", "10.0.0.1")


def test_a_reset_of_the_failure_count_spares_again(throttle: Throttle) -> None:
    fail(throttle, FREE_FAILURES)
    assert all(throttle.refuses("alice", "10.0.0.1") for _ in range(FREE_REFUSALS))
    throttle.clear_failures("alice")
    assert throttle.spares("alice", "10.0.0.1")


def test_wrong_passwords_are_forgotten_after_a_day_without_another(throttle: Throttle, clock: Clock) -> None:
    for _ in range(FAILURES_TO_LOCK * 2):
        assert throttle.begin("alice", "10.0.0.1")
        assert not throttle.end("alice", "10.0.0.1", right=False)
        clock.now += FORGOTTEN_AFTER + 1
    fail(throttle, FREE_FAILURES)
    assert not throttle.begin("alice", "10.0.0.1")


def test_a_right_password_in_between_begins_the_row_again(throttle: Throttle) -> None:
    for number in range(FAILURES_TO_LOCK * 2):
        host = f"10.0.{number % 250}.1"
        assert throttle.begin("alice", host)
        assert not throttle.end("alice", host, right=number % 50 == 0)


def test_what_was_not_found_out_counts_for_nothing(throttle: Throttle) -> None:
    for _ in range(FAILURES_TO_LOCK + 1):
        assert throttle.begin("alice", "10.0.0.1")
        assert not throttle.end("alice", "10.0.0.1", right=None)


def test_a_user_that_has_its_failure_count_reset_starts_again_everywhere(throttle: Throttle) -> None:
    for host in ("10.0.0.1", "10.0.0.2"):
        fail(throttle, FREE_FAILURES, host=host)
    throttle.clear_failures("alice")
    for host in ("10.0.0.1", "10.0.0.2"):
        fail(throttle, FREE_FAILURES, host=host)


def test_memory_is_bounded_and_what_is_longest_unheard_of_goes_first(clock: Clock) -> None:
    throttle = Throttle(clock, capacity=10)
    for number in range(100):
        fail(throttle, FREE_FAILURES, user=f"user{number}", host=f"10.0.0.{number}")
    assert len(throttle._pairs) == len(throttle._in_a_row) == len(throttle._sources_of) == len(throttle._sources) == 10
    assert not throttle.begin("user99", "10.0.0.99")
    assert throttle.begin("user0", "10.0.0.0")


def test_memory_does_not_depend_on_how_long_a_user_name_is(throttle: Throttle) -> None:
    name = "a" * 60_000
    fail(throttle, FREE_FAILURES, user=name)
    assert not throttle.begin(name, "10.0.0.1")
    kept = [digest for digest, _ in throttle._pairs] + [*throttle._in_a_row, *throttle._sources_of]
    assert {len(each) for each in kept} == {16}


def test_names_that_no_encoding_holds_are_counted_too(throttle: Throttle) -> None:
    fail(throttle, FREE_FAILURES, user="\udcff")
    assert throttle.refuses("\udcff", "10.0.0.1")


# One address, ever new user names


def test_guesses_at_ever_new_names_from_one_address_are_looked_at_at_a_rate(throttle: Throttle, clock: Clock) -> None:
    for number in range(SOURCE_BURST):
        fail(throttle, 1, user=f"user{number}")
    assert not throttle.begin("another", "10.0.0.1")
    looked_at = 0
    for number in range(2_000):  # ten seconds of 200 guesses a second
        clock.now += 0.005
        if throttle.begin(f"name{number}", "10.0.0.1"):
            throttle.end(f"name{number}", "10.0.0.1", right=False)
            looked_at += 1
    assert looked_at == pytest.approx(10 * SOURCE_RATE, abs=2)


def test_other_addresses_do_not_wait_for_one_that_guesses(throttle: Throttle) -> None:
    for number in range(SOURCE_BURST):
        fail(throttle, 1, user=f"user{number}")
    assert throttle.begin("alice", "10.0.0.2")


def test_right_passwords_of_many_users_behind_one_address_are_never_too_many(throttle: Throttle) -> None:
    for number in range(5 * SOURCE_BURST):
        assert throttle.begin(f"user{number}", "10.0.0.1")
        throttle.end(f"user{number}", "10.0.0.1", right=True)


def test_failures_of_an_address_expire_with_time(throttle: Throttle, clock: Clock) -> None:
    for number in range(SOURCE_BURST):
        fail(throttle, 1, user=f"user{number}")
    clock.now += SOURCE_BURST / SOURCE_RATE
    for number in range(SOURCE_BURST):
        fail(throttle, 1, user=f"fresh{number}")
