"""API keys: hard to guess, easy to recognise, and nothing of them is kept."""

import re
import string

import pytest

from kiteward.authn.api_keys import digest_of, key_id_of, mint


def test_a_key_is_one_word_with_prefix_id_and_checksum() -> None:
    minted = mint()
    text = minted.key.reveal()
    assert re.fullmatch(r"kw_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}", text)
    assert key_id_of(text) == minted.key_id
    assert minted.digest == digest_of(text)
    assert text not in repr(minted)


def test_a_secret_holds_256_bits() -> None:
    assert len(string.digits + string.ascii_letters) ** 43 > 2**256
    assert len({mint().key.reveal()[16:59] for _ in range(200)}) == 200


def test_a_new_secret_for_an_id_keeps_the_id() -> None:
    first = mint()
    second = mint(first.key_id)
    assert second.key_id == first.key_id == key_id_of(second.key.reveal())
    assert second.digest != first.digest


def test_every_mistyped_character_is_noticed_without_asking_anybody() -> None:
    text = mint().key.reveal()
    for position in range(len(text)):
        other = "x" if text[position] != "x" else "y"
        assert key_id_of(text[:position] + other + text[position + 1 :]) is None


@pytest.mark.parametrize("text", ["", "kw_", "root", "kw_é", "kw_" + "a" * 61, "\ud800"])
def test_what_is_not_a_key_has_no_id(text: str) -> None:
    assert key_id_of(text) is None
    assert len(digest_of(text)) == 64


def test_a_key_with_something_around_it_is_no_key() -> None:
    text = mint().key.reveal()
    for around in (f" {text}", f"{text} ", f"{text}\n", text * 2):
        assert key_id_of(around) is None
