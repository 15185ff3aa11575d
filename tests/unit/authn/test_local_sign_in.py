"""Which users sign in to the console with a password."""

import pytest

from kiteward.authn.local_sign_in import LocalSignIn
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import AccessDenied
from kiteward.domain.identity import Principal

ROOT = Principal("root", unrestricted=True)
BOSS = Principal("boss", frozenset({"admin"}))
ANN = Principal("ann", frozenset({"reader"}))
HERE, HERE_TOO, THERE = "127.0.0.1:50000", "[::1]:50000", "10.0.0.7:50000"


def refusal(rule: LocalSignIn, principal: Principal, address: str) -> ErrorCode | None:
    try:
        rule.require(principal, address)
    except AccessDenied as error:
        return error.code
    return None


@pytest.mark.parametrize(
    ("rule", "principal", "address", "expected"),
    [
        (LocalSignIn.EVERYONE, ANN, THERE, None),
        (LocalSignIn.ADMINISTRATORS, ANN, HERE, ErrorCode.LOCAL_SIGN_IN_ADMINISTRATORS),
        (LocalSignIn.ADMINISTRATORS, ROOT, THERE, None),
        (LocalSignIn.ADMINISTRATORS, BOSS, THERE, None),
        (LocalSignIn.ADMINISTRATORS_FROM_LOOPBACK, ROOT, HERE, None),
        (LocalSignIn.ADMINISTRATORS_FROM_LOOPBACK, BOSS, HERE_TOO, None),
        (LocalSignIn.ADMINISTRATORS_FROM_LOOPBACK, ROOT, THERE, ErrorCode.LOCAL_SIGN_IN_LOOPBACK),
        (LocalSignIn.ADMINISTRATORS_FROM_LOOPBACK, ROOT, "", ErrorCode.LOCAL_SIGN_IN_LOOPBACK),
        (LocalSignIn.ADMINISTRATORS_FROM_LOOPBACK, ROOT, "localhost:1", ErrorCode.LOCAL_SIGN_IN_LOOPBACK),
        (LocalSignIn.ADMINISTRATORS_FROM_LOOPBACK, ANN, HERE, ErrorCode.LOCAL_SIGN_IN_ADMINISTRATORS),
        (LocalSignIn.NOBODY, ROOT, HERE, ErrorCode.LOCAL_SIGN_IN_CLOSED),
    ],
)
def test_rule_says_who_and_from_where(
    rule: LocalSignIn, principal: Principal, address: str, expected: ErrorCode | None
) -> None:
    assert refusal(rule, principal, address) == expected
