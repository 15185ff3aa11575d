"""What is sealed opens with its key, for its purpose and its owner, and as it was."""

import base64

import pytest

from kiteward.authn.sealing import SealingKey
from kiteward.domain.identity import Secret

KEY = SealingKey(Secret("a text for tests, of 32 characters"), purpose="tests")


@pytest.mark.parametrize("secret", ["", "made", "\u2713 of any length" * 1000])
def test_what_is_sealed_is_opened(secret: str) -> None:
    sealed = KEY.seal(Secret(secret), about="alice")
    assert KEY.open(sealed, about="alice") == Secret(secret)
    assert secret == "" or secret not in sealed


def test_it_opens_for_its_key_purpose_and_owner_alone() -> None:
    sealed = KEY.seal(Secret("made"), about="alice")
    assert KEY.open(sealed, about="bob") is None
    assert SealingKey(Secret("another text"), purpose="tests").open(sealed, about="alice") is None
    text = Secret("a text for tests, of 32 characters")
    assert SealingKey(text, purpose="others").open(sealed, about="alice") is None
    assert SealingKey(text, purpose="tests").open(sealed, about="alice") == Secret("made")


def test_it_does_not_open_if_any_byte_was_changed_or_left_out() -> None:
    both = base64.b64decode(KEY.seal(Secret("made"), about="alice"))
    for place in range(len(both)):
        changed = both[:place] + bytes([both[place] ^ 1]) + both[place + 1 :]
        for wrong in (changed, both[:place]):
            assert KEY.open(base64.b64encode(wrong).decode(), about="alice") is None


@pytest.mark.parametrize("text", ["", "=", "AAAA", "no base64 \u2713", "A" * 27 + "\n="])
def test_what_was_never_sealed_does_not_open(text: str) -> None:
    assert KEY.open(text, about="alice") is None


def test_equal_secrets_are_not_sealed_alike() -> None:
    assert KEY.seal(Secret("made"), about="alice") != KEY.seal(Secret("made"), about="alice")
