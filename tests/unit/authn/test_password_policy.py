"""The two named policies, at their edges."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiteward.authn.common_passwords import CONTEXT, GUESSED_FIRST, IN_A_ROW, SERVICE_WORDS, USER_NAME, _blocked
from kiteward.authn.password_policy import POLICIES, PasswordPolicy
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.identity import Secret

STANDARD, LEGACY, STRICT = POLICIES["standard"], POLICIES["legacy"], POLICIES["strict"]
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@pytest.mark.parametrize("password", ["Abcdef12", "abcdef1!", "ABCDEF1 ", "Aa!Aa!Aa", "Aa1" + "x" * 61, "Passwörter1"])
def test_standard_takes_8_to_64_characters_of_three_classes(password: str) -> None:
    STANDARD.check(Secret(password), user_name="alice")


@pytest.mark.parametrize("password", ["Abcde12", "Aa1" + "x" * 62, "", "Aä1öü"])
def test_standard_refuses_other_lengths_and_names_the_range(password: str) -> None:
    told = rf"^invalid password length: invalid parameter\[{len(password)} out of range 8 <= value <= 64\]"
    with pytest.raises(InvalidArgument, match=told):
        STANDARD.check(Secret(password), user_name="alice")


@pytest.mark.parametrize("password", ["abcdefgh", "Abcdefgh", "abcdef12", "12345678", "!!!!!!!!", "abc!!!!!"])
def test_standard_refuses_fewer_classes_and_names_them(password: str) -> None:
    with pytest.raises(InvalidArgument, match="three of upper case letters, lower case letters, numbers and special"):
        STANDARD.check(Secret(password), user_name="alice")


def test_password_that_breaks_two_rules_hears_of_both() -> None:
    with pytest.raises(InvalidArgument, match=r"length: invalid parameter\[3 .*three of"):
        STANDARD.check(Secret("abc"), user_name="alice")


def test_legacy_counts_bytes_as_milvus_does() -> None:
    LEGACY.check(Secret("ööö"), user_name="alice")
    LEGACY.check(Secret("ö" * 128), user_name="alice")
    with pytest.raises(InvalidArgument, match=r"\[258 out of range 6 <= value <= 256\]"):
        LEGACY.check(Secret("ö" * 129), user_name="alice")


@pytest.mark.parametrize("policy", [STANDARD, STRICT])
def test_characters_are_counted_but_under_legacy(policy: PasswordPolicy) -> None:
    text = ("Ä1-böse Übung " * policy.longest)[: policy.longest]
    policy.check(Secret(text), user_name="alice")
    with pytest.raises(InvalidArgument, match=rf"\[{policy.longest + 1} out of range"):
        policy.check(Secret(f"{text}x"), user_name="alice")


@pytest.mark.parametrize("password", ["abcdef", "a" * 256, "      "])
def test_legacy_takes_6_to_256_characters_of_any_kind(password: str) -> None:
    LEGACY.check(Secret(password), user_name="alice")


@pytest.mark.parametrize("password", ["abcde", "a" * 257, ""])
def test_legacy_refuses_other_lengths(password: str) -> None:
    with pytest.raises(InvalidArgument, match="out of range 6 <= value <= 256"):
        LEGACY.check(Secret(password), user_name="alice")


@given(ANY_TEXT)
def test_refusal_is_the_same_for_every_password_of_its_length_and_classes(password: str) -> None:
    """So it cannot show the password."""
    assert refusal_of(password) == refusal_of("".join(map(of_the_same_class, password)))


def refusal_of(password: str) -> str:
    try:
        STANDARD.check(Secret(password), user_name="alice")
    except InvalidArgument as error:
        return str(error)
    return ""


def of_the_same_class(character: str) -> str:
    return {"Lu": "Q", "Ll": "x", "Nd": "7"}.get(unicodedata.category(character), "~")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "a" * 7 + "bcdefgh-ijklm-xyz",
        "Über-den-Wolken-muss",
        "19xk2mm0-plq8vv3-77",
        "root of the matter, dear Watson",
        "パスワードではない長い文章です",
    ],
)
def test_strict_takes_long_passwords_of_any_kind(password: str) -> None:
    STRICT.check(Secret(password), user_name="alice")


@pytest.mark.parametrize("password", ["14 characters!", "x1" * 128 + "y"])
def test_strict_refuses_other_lengths(password: str) -> None:
    with pytest.raises(InvalidArgument, match="out of range 15 <= value <= 256"):
        STRICT.check(Secret(password), user_name="alice")


@pytest.mark.parametrize(
    ("password", "faults"),
    [
        ("passwordpassword", [GUESSED_FIRST, SERVICE_WORDS]),
        ("PasswordPassword", [GUESSED_FIRST, SERVICE_WORDS]),
        ("P@ssw0rdP@ssw0rd", [GUESSED_FIRST, SERVICE_WORDS]),
        ("0v3rk!ll-0v3rk1ll", [GUESSED_FIRST]),
        ("qwertyuiop123456", [GUESSED_FIRST, IN_A_ROW]),
        ("Qwerty-Qwerty-Qwerty!", [GUESSED_FIRST, IN_A_ROW]),
        ("asdfghjklpoiuytrewq", [IN_A_ROW]),
        ("123456789012345", [IN_A_ROW]),
        ("111111111111111", [GUESSED_FIRST, IN_A_ROW]),
        ("abcabcabcabcabcabc", [GUESSED_FIRST]),
        ("abcdefghijklmnopqrstuvw", [IN_A_ROW]),
        ("zyxwvutsrqponmlkji", [IN_A_ROW]),
        ("milvusmilvus123", [GUESSED_FIRST, SERVICE_WORDS]),
        ("Kiteward-Milvus-2026", [SERVICE_WORDS]),
        ("alice-alice-1234", [USER_NAME]),
        ("alice-of-database", [SERVICE_WORDS]),
        ("".join(chr(ord(letter) + 0xFEE0) for letter in "PASSWORD" * 2), [GUESSED_FIRST, SERVICE_WORDS]),  # full width
        ("root:Milvus:root:Milvus", [SERVICE_WORDS]),
    ],
)
def test_strict_refuses_what_is_guessed_first_and_names_each_rule(password: str, faults: list[str]) -> None:
    with pytest.raises(InvalidArgument) as refused:
        STRICT.check(Secret(password), user_name="alice")
    assert str(refused.value).split("; ") == [f"invalid password: {fault}" for fault in faults]
    assert password not in str(refused.value)


def test_the_block_list_is_long_enough_and_folded() -> None:
    assert len(_blocked()) >= 3_000 + len(CONTEXT)
    assert all(word == word.casefold() for word in _blocked())


def test_strict_names_every_rule_that_failed() -> None:
    with pytest.raises(InvalidArgument, match=r"length: invalid parameter\[6 .*common password.*words of this service"):
        STRICT.check(Secret("milvus"), user_name="alice")


@pytest.mark.parametrize(
    ("policy", "password", "codes"),
    [
        (STANDARD, "abc", [ErrorCode.PASSWORD_LENGTH, ErrorCode.PASSWORD_CLASSES]),
        (LEGACY, "abc", [ErrorCode.PASSWORD_LENGTH_IN_BYTES]),
        (STRICT, "password" * 3, [ErrorCode.PASSWORD_GUESSED_FIRST, ErrorCode.PASSWORD_SERVICE_WORDS]),
        (STRICT, "alice1alice2alice3", [ErrorCode.PASSWORD_USER_NAME]),
        (STRICT, "abcdefghijklmnopq", [ErrorCode.PASSWORD_IN_A_ROW]),
    ],
)
def test_refusal_names_each_broken_rule_and_the_argument_for_programs(
    policy: PasswordPolicy, password: str, codes: list[ErrorCode]
) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        policy.check(Secret(password), user_name="alice", field="newPassword")
    assert [detail.code for detail in refusal.value.details] == codes
    assert refusal.value.field == "newPassword"
