"""The two named policies, at their edges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiteward.authn.password_policy import POLICIES
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.identity import Secret

STANDARD, LEGACY = POLICIES["standard"], POLICIES["legacy"]
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@pytest.mark.parametrize("password", ["Abcdef12", "abcdef1!", "ABCDEF1 ", "Aa!Aa!Aa", "Aa1" + "x" * 61, "Passwörter1"])
def test_standard_takes_8_to_64_characters_of_three_classes(password: str) -> None:
    STANDARD.check(Secret(password))


@pytest.mark.parametrize("password", ["Abcde12", "Aa1" + "x" * 62, "", "Aä1öü"])
def test_standard_refuses_other_lengths_and_names_the_range(password: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"password length\[{len(password)} out of range 8 <= value <= 64\]"):
        STANDARD.check(Secret(password))


@pytest.mark.parametrize("password", ["abcdefgh", "Abcdefgh", "abcdef12", "12345678", "!!!!!!!!", "abc!!!!!"])
def test_standard_refuses_fewer_classes_and_names_them(password: str) -> None:
    with pytest.raises(InvalidArgument, match="three of upper case letters, lower case letters, numbers and special"):
        STANDARD.check(Secret(password))


def test_password_that_breaks_two_rules_hears_of_both() -> None:
    with pytest.raises(InvalidArgument, match=r"length\[3 .*three of"):
        STANDARD.check(Secret("abc"))


def test_characters_are_counted_not_bytes() -> None:
    STANDARD.check(Secret("Ä1" + "ö" * 62))
    with pytest.raises(InvalidArgument):
        STANDARD.check(Secret("Ä1" + "ö" * 63))


@pytest.mark.parametrize("password", ["abcdef", "a" * 256, "      "])
def test_legacy_takes_6_to_256_characters_of_any_kind(password: str) -> None:
    LEGACY.check(Secret(password))


@pytest.mark.parametrize("password", ["abcde", "a" * 257, ""])
def test_legacy_refuses_other_lengths(password: str) -> None:
    with pytest.raises(InvalidArgument, match="out of range 6 <= value <= 256"):
        LEGACY.check(Secret(password))


@given(ANY_TEXT.filter(lambda text: len(text) > 3 and not text.isdecimal()))
def test_refusal_never_shows_the_password(password: str) -> None:
    try:
        STANDARD.check(Secret(password))
    except InvalidArgument as error:
        rule = "password length out of range value invalid must include three of upper case letters numbers and special"
        assert password not in str(error) or password in rule or password in " characters; lower"
