"""The three named policies, at their edges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiteward.authn.guessable import common_passwords
from kiteward.authn.password_policy import POLICIES
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.identity import Secret

STANDARD, LEGACY = POLICIES["standard"], POLICIES["legacy"]
STRICT, USER = POLICIES["strict"], "gertrude"
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@pytest.mark.parametrize("password", ["Abcdef12", "abcdef1!", "ABCDEF1 ", "Aa!Aa!Aa", "Aa1" + "x" * 61, "Passwörter1"])
def test_standard_takes_8_to_64_characters_of_three_classes(password: str) -> None:
    STANDARD.check(Secret(password), USER)


@pytest.mark.parametrize("password", ["Abcde12", "Aa1" + "x" * 62, "", "Aä1öü"])
def test_standard_refuses_other_lengths_and_names_the_range(password: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"password length\[{len(password)} out of range 8 <= value <= 64\]"):
        STANDARD.check(Secret(password), USER)


@pytest.mark.parametrize("password", ["abcdefgh", "Abcdefgh", "abcdef12", "12345678", "!!!!!!!!", "abc!!!!!"])
def test_standard_refuses_fewer_classes_and_names_them(password: str) -> None:
    with pytest.raises(InvalidArgument, match="three of upper case letters, lower case letters, numbers and special"):
        STANDARD.check(Secret(password), USER)


def test_password_that_breaks_two_rules_hears_of_both() -> None:
    with pytest.raises(InvalidArgument, match=r"length\[3 .*three of"):
        STANDARD.check(Secret("abc"), USER)


def test_characters_are_counted_not_bytes() -> None:
    STANDARD.check(Secret("Ä1" + "ö" * 62), USER)
    with pytest.raises(InvalidArgument):
        STANDARD.check(Secret("Ä1" + "ö" * 63), USER)


@pytest.mark.parametrize("password", ["abcdef", "a" * 256, "      "])
def test_legacy_takes_6_to_256_characters_of_any_kind(password: str) -> None:
    LEGACY.check(Secret(password), USER)


@pytest.mark.parametrize("password", ["abcde", "a" * 257, ""])
def test_legacy_refuses_other_lengths(password: str) -> None:
    with pytest.raises(InvalidArgument, match="out of range 6 <= value <= 256"):
        LEGACY.check(Secret(password), USER)


@given(ANY_TEXT.filter(lambda text: len(text) > 3 and not text.isdecimal()))
def test_refusal_never_shows_the_password(password: str) -> None:
    try:
        STANDARD.check(Secret(password), USER)
    except InvalidArgument as error:
        rule = "password length out of range value invalid must include three of upper case letters numbers and special"
        assert password not in str(error) or password in rule or password in " characters; lower"


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "8f2k-19xq-77zp-0m", "ä" * 7 + "Ölkännchen", "zwei Kühe auf dem Eis", "x1v" * 4 + "hum"],
)
def test_strict_takes_15_characters_of_any_kind(password: str) -> None:
    STRICT.check(Secret(password), USER)


@pytest.mark.parametrize("password", ["zwei Kühe im S", "zwei Kühe " * 25 + "im Schn"])
def test_strict_refuses_other_lengths(password: str) -> None:
    with pytest.raises(InvalidArgument, match="out of range 15 <= value <= 256"):
        STRICT.check(Secret(password), USER)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("passwordpassword", "repeat"),
        ("zwei kühe zwei kühe ", "repeat"),
        ("1234567890123456", "sequence"),
        ("qwertyuiopasdfghjkl", "sequence"),
        ("zyxwvutsrqponmlk", "sequence"),
        ("Football2024!!!!!", "common password"),
        ("\uff46\uff4f\uff4f\uff54\uff42\uff41\uff4c\uff4c202420242", "common password"),
        ("P@ssw0rd!!!20242024", "common password"),
        ("DragonDragonDragon", "common password"),
        ("Milvus-Root-2026-11", "words of this service"),
        ("K1tew4rd_K1tew4rd_2026", "words of this service"),
        ("Gertrude-Gertrude-1", "user name"),
    ],
)
def test_strict_refuses_what_is_guessed_first(password: str, reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        STRICT.check(Secret(password), USER)


def test_strict_names_each_broken_rule() -> None:
    with pytest.raises(InvalidArgument, match=r"length\[12 .*repeat.*sequence.*common password"):
        STRICT.check(Secret("123412341234"), USER)


@given(st.sampled_from(sorted(common_passwords())))
def test_strict_refuses_every_common_password_in_either_case(password: str) -> None:
    built = [f"{password}2024", f"!!{password}"] if any(map(str.isalpha, password)) else []
    for text in (password, password.upper(), *built):
        with pytest.raises(InvalidArgument, match="common password"):
            STRICT.check(Secret(text), USER)


def test_block_list_is_long_enough() -> None:
    assert len(common_passwords()) >= 3000
