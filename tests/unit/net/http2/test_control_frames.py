"""The control-frame limiter: so many at once, so many a second, and more for those who are answered."""

from kiteward.net.http2.control_frames import ControlFrameLimiter
from kiteward.net.http2.limits import Http2Limits

LIMITS = Http2Limits(control_frames=10, control_frame_rate=2)


def test_so_many_frames_are_allowed_at_once_and_no_more() -> None:
    limiter = ControlFrameLimiter(LIMITS, 0.0)
    assert limiter.allowance(0.0) == 10
    limiter.count(10)
    assert not limiter.exceeded
    limiter.count(1)
    assert limiter.exceeded


def test_allowance_comes_back_in_time_and_never_exceeds_the_limit() -> None:
    limiter = ControlFrameLimiter(LIMITS, 0.0)
    limiter.count(10)
    assert limiter.allowance(0.0) == 0
    assert limiter.allowance(2.0) == 4
    limiter.count(4)
    assert limiter.allowance(100.0) == 10


def test_time_in_which_nothing_was_counted_is_not_saved() -> None:
    limiter = ControlFrameLimiter(LIMITS, 0.0)
    assert limiter.allowance(100.0) == 10
    limiter.count(10)
    assert limiter.allowance(100.0) == 0


def test_a_response_allows_more() -> None:
    limiter = ControlFrameLimiter(LIMITS, 0.0)
    limiter.count(10)
    limiter.count_response()
    assert limiter.allowance(0.0) == 4
    for _ in range(100):
        limiter.count_response()
    assert limiter.allowance(0.0) == 10
