"""Which limits apply to the requests of a principal."""

from kiteward.authz.request_limits import LimitedBy, applying
from kiteward.domain.identity import Principal
from kiteward.domain.request_limits import HeldLimits, RequestLimits

TEN = RequestLimits(10)
FIVE = RequestLimits(5)
FOUR_AT_ONCE = RequestLimits(concurrent=4)


def test_those_of_the_user_of_each_role_and_of_the_keys_apply_together() -> None:
    held = HeldLimits(TEN, (("made", FIVE), ("maker", TEN)))
    principal = Principal("alice", frozenset({"batch", "reader"}), limits=held)
    found = applying(principal, {"batch": FOUR_AT_ONCE, "public": TEN, "other": FIVE}, None)
    assert found == [
        (LimitedBy("user", "alice"), TEN),
        (LimitedBy("role", "batch", "alice"), FOUR_AT_ONCE),
        (LimitedBy("role", "public", "alice"), TEN),
        (LimitedBy("api_key", "made"), FIVE),
        (LimitedBy("api_key", "maker"), TEN),
    ]


def test_an_api_key_does_not_escape_the_limits_of_a_role_that_it_leaves_out() -> None:
    principal = Principal("alice", frozenset({"reader"}), withheld_roles=frozenset({"batch"}))
    assert applying(principal, {"batch": FIVE}, None) == [(LimitedBy("role", "batch", "alice"), FIVE)]


def test_the_default_applies_to_kinds_that_neither_the_user_nor_a_role_limits() -> None:
    default = RequestLimits(1, concurrent=1)
    assert applying(Principal("alice"), None, default) == [(LimitedBy("default", "", "alice"), default)]
    fast = Principal("alice", limits=HeldLimits(RequestLimits(1000)))
    assert applying(fast, None, default)[1:] == [(LimitedBy("default", "", "alice"), RequestLimits(concurrent=1))]
    batch = Principal("alice", frozenset({"batch"}))
    assert applying(batch, {"batch": RequestLimits(9, concurrent=9)}, default) == [
        (LimitedBy("role", "batch", "alice"), RequestLimits(9, concurrent=9))
    ]
    by_key = Principal("alice", limits=HeldLimits(keys=(("k", RequestLimits(1000, concurrent=9)),)))
    assert applying(by_key, None, default)[0] == (LimitedBy("default", "", "alice"), default)


def test_nothing_applies_without_limits() -> None:
    assert applying(Principal("alice", frozenset({"reader"})), {"batch": FIVE}, None) == []
