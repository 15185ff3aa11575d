"""Sign-ins in progress: which browser may finish one, and for how long."""

import base64
import hashlib
import re
from dataclasses import replace

import pytest

from kiteward.api.console.attempts import LIFETIME, Attempt, mark_of

NOW = 1_000_000.5


def begun(provider: str = "company", back_to: str = "/console/users") -> Attempt:
    return Attempt.begin(provider, back_to, now=NOW)


def finished(
    attempt: Attempt, *, provider: str = "company", cookie: str = "", state: str = "", later: float = 1.0
) -> Attempt | None:
    cookie = cookie or attempt.cookie.reveal()
    return Attempt.finish(provider, cookie, state=state or attempt.state, now=NOW + later)


def test_the_browser_that_began_it_finishes_it() -> None:
    attempt = begun()
    found = finished(attempt)
    assert found == attempt
    assert found is not None
    assert (found.back_to, found.nonce, found.verifier) == ("/console/users", attempt.nonce, attempt.verifier)


def test_everything_that_leaves_the_server_differs_and_reveals_nothing_of_the_rest() -> None:
    attempt, other = begun(), begun()
    texts = [attempt.state, attempt.nonce, attempt.verifier.reveal(), attempt.challenge, other.state, other.nonce]
    assert len(set(texts)) == len(texts)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", text) for text in texts)
    assert attempt.secret.reveal() not in "".join(texts)
    assert attempt.secret.reveal() not in repr(attempt)


def test_challenge_is_the_digest_of_the_verifier_by_the_method_s256() -> None:
    attempt = begun()
    digest = hashlib.sha256(attempt.verifier.reveal().encode("ascii")).digest()
    assert attempt.challenge == base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_nothing_in_the_cookie_can_be_changed() -> None:
    attempt = begun()
    secret, began_at, back_to = attempt.cookie.reveal().split(".")
    elsewhere = base64.urlsafe_b64encode(b"/console/account").decode()
    for cookie in (
        f"{secret}.{began_at}.{elsewhere}",
        f"{secret}.{int(began_at) + 500}.{back_to}",
        f"{begun().secret.reveal()}.{began_at}.{back_to}",
        f"{secret}.{began_at}",
        f"{secret}.x.{back_to}",
        f"{secret}.{began_at}.%",
        f"{secret}.{began_at}.{base64.urlsafe_b64encode(bytes([255])).decode()}",
        f"{secret}.{began_at}.{back_to}" + "A" * 4_000,
        "..",
        "rubbish",
    ):
        assert finished(attempt, cookie=cookie) is None, cookie


@pytest.mark.parametrize("state", ["x", "\udcff", "é"])
def test_another_state_finishes_nothing(state: str) -> None:
    assert finished(begun(), state=state) is None
    assert finished(begun(), state=begun().state) is None


def test_the_answer_of_another_provider_finishes_nothing() -> None:
    attempt = begun()
    assert finished(attempt, provider="other") is None
    assert finished(replace(attempt, provider="other")) is None


def test_it_ends_after_its_lifetime() -> None:
    attempt = begun()
    assert finished(attempt, later=LIFETIME - 1) is not None
    assert finished(attempt, later=LIFETIME) is None


def test_its_cookie_is_found_by_the_state() -> None:
    attempt, other = begun(), begun()
    assert attempt.state.startswith(mark_of(attempt.state))
    assert mark_of(attempt.state) != mark_of(other.state)
