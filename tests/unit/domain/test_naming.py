"""Which names are legal (contract 3)."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import (
    DatabaseNameInvalid,
    FieldNameInvalid,
    InvalidArgument,
    InvalidGroupName,
    RequestRefused,
)
from kiteward.domain.naming import NamingRules

RULES = NamingRules()
Check = Callable[[str], None]
CHECKS: dict[str, tuple[Check, int, str]] = {
    "user": (RULES.check_user_name, 32, "_.-"),
    "role": (RULES.check_role_name, 255, "_$"),
    "object": (RULES.check_object_name, 255, "_$"),
    "database": (RULES.check_database_name, 255, "_"),
    "group": (RULES.check_group_name, 255, "_"),
    "field": (RULES.check_field_name, 255, "_"),
    "index": (RULES.check_index_name, 255, "_"),
    "partition": (RULES.check_partition_name, 255, "_-"),
}
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"


def is_legal(check: Check, name: str) -> bool:
    try:
        check(name)
    except RequestRefused:
        return False
    return True


@pytest.mark.parametrize("kind", CHECKS)
@given(name=st.text(max_size=8) | st.text(f"{LETTERS}{DIGITS}_$.- ", max_size=8))
def test_name_is_legal_exactly_when_the_rule_says_so(kind: str, name: str) -> None:
    check, _, further = CHECKS[kind]
    first = {"user": LETTERS, "partition": LETTERS + DIGITS + "_"}.get(kind, LETTERS + "_")
    expected = bool(name) and name[0] in first and set(name) <= set(LETTERS + DIGITS + further)
    if (kind, name) in (("object", "*"), ("index", "")):
        expected = True
    assert is_legal(check, name) is expected


@pytest.mark.parametrize("kind", CHECKS)
def test_longest_name_fits_and_one_more_byte_does_not(kind: str) -> None:
    check, longest, _ = CHECKS[kind]
    assert is_legal(check, "n" * longest)
    assert not is_legal(check, "n" * (longest + 1))


@pytest.mark.parametrize("kind", CHECKS)
@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "\t",
        "a ",
        " a",
        "a\n",
        "\na",
        "a\0",
        "\uff41",
        "a\u00e9",
        "\u212a",
        "a\u200b",
        "\u0661a",
        "a\u0661",
        "a/b",
        "*a",
        "**",
    ],
)
def test_no_name_passes_that_looks_like_another(kind: str, name: str) -> None:
    # An index without a name gets one from the engine.
    assert is_legal(CHECKS[kind][0], name) is ((kind, name) == ("index", ""))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "database name couldn't be empty"),
        ("1a", "the first character of a database name must be an underscore or letter"),
        ("a-b", "database name can only contain numbers, letters and underscores"),
        ("d" * 256, "the length of a database name must be less than 255 characters"),
    ],
)
def test_database_name_is_refused_in_the_words_of_milvus(name: str, told: str) -> None:
    with pytest.raises(DatabaseNameInvalid) as refused:
        RULES.check_database_name(name)
    assert str(refused.value) == f"{told}: invalid database name[database={name}]"


def test_each_kind_of_name_is_refused_in_its_own_class() -> None:
    for check, name, error in (
        (RULES.check_user_name, "1", InvalidArgument),
        (RULES.check_role_name, "1", InvalidArgument),
        (RULES.check_object_name, "1", InvalidArgument),
        (RULES.check_database_name, "1", DatabaseNameInvalid),
        (RULES.check_database_name, "d" * 256, DatabaseNameInvalid),
        (RULES.check_database_name, "", DatabaseNameInvalid),
        (RULES.check_group_name, "1", InvalidGroupName),
        (RULES.check_group_name, "", InvalidGroupName),
        (RULES.check_group_name, "g" * 256, InvalidGroupName),
        (RULES.check_group_name, "a-b", InvalidArgument),
    ):
        with pytest.raises(error):
            check(name)


def test_wildcard_is_an_object_a_privilege_and_a_collection_but_no_type() -> None:
    for what in ("object name", "Privilege", "collection name"):
        RULES.check_object_name("*", what)
    with pytest.raises(InvalidArgument, match="ObjectType"):
        RULES.check_object_name("*", "ObjectType")


def test_lengths_and_characters_are_configured() -> None:
    rules = NamingRules(max_user_name=3, max_name=4, role_characters="-", object_characters="")
    assert is_legal(rules.check_user_name, "abc")
    assert not is_legal(rules.check_user_name, "abcd")
    assert is_legal(rules.check_role_name, "a-b")
    assert not is_legal(rules.check_role_name, "a$b")
    assert not is_legal(rules.check_role_name, "abcde")
    assert not is_legal(rules.check_object_name, "a$b")


@pytest.mark.parametrize("check", [RULES.check_user_description, RULES.check_role_description])
def test_description_is_limited_in_bytes_and_free_in_content(check: Check) -> None:
    check("")
    check("é\n\0" * 256)
    with pytest.raises(InvalidArgument, match=r"1026.*1024"):
        check("é" * 513)


@pytest.mark.parametrize("kind", CHECKS)
def test_lone_surrogate_is_refused_like_any_other_character(kind: str) -> None:
    assert not is_legal(CHECKS[kind][0], "a\ud800")


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", ".", "..", "a\0b", "a ", "é"])
@pytest.mark.parametrize("kind", ["partition", "field", "index"])
def test_names_that_are_paths_are_illegal_inside_collections_too(kind: str, name: str) -> None:
    with pytest.raises((InvalidArgument, FieldNameInvalid), match=f"Invalid {kind} name"):
        CHECKS[kind][0](name)


def test_refusal_repeats_no_endless_name() -> None:
    for kind in ("partition", "field", "index"):
        with pytest.raises(RequestRefused) as refusal:
            CHECKS[kind][0]("n" * 100_000)
        assert len(str(refusal.value)) < 400


@pytest.mark.parametrize(
    ("kind", "name", "field", "detail"),
    [
        ("user", "", "userName", ErrorDetail(ErrorCode.NAME_EMPTY)),
        ("user", "a" * 33, "userName", ErrorDetail(ErrorCode.NAME_TOO_LONG, {"limit": 32})),
        ("user", "9a", "userName", ErrorDetail(ErrorCode.NAME_FIRST_LETTER, {"character": "9"})),
        ("user", "a b", "userName", ErrorDetail(ErrorCode.NAME_CHARACTER, {"allowed": "_.-", "character": " "})),
        ("role", "", "roleName", ErrorDetail(ErrorCode.NAME_EMPTY)),
        ("role", "a" * 256, "roleName", ErrorDetail(ErrorCode.NAME_TOO_LONG, {"limit": 255})),
        ("role", "9a", "roleName", ErrorDetail(ErrorCode.NAME_FIRST_CHARACTER, {"character": "9"})),
        ("role", "a\n", "roleName", ErrorDetail(ErrorCode.NAME_CHARACTER, {"allowed": "_$", "character": "\\n"})),
        ("group", "", "privilegeGroupName", ErrorDetail(ErrorCode.NAME_EMPTY)),
        ("group", "9a", "privilegeGroupName", ErrorDetail(ErrorCode.NAME_FIRST_CHARACTER, {"character": "9"})),
        (
            "group",
            "a-",
            "privilegeGroupName",
            ErrorDetail(ErrorCode.NAME_CHARACTER, {"allowed": "_", "character": "-"}),
        ),
    ],
)
def test_refusal_names_its_argument_and_the_broken_rule_for_programs(
    kind: str, name: str, field: str, detail: ErrorDetail
) -> None:
    with pytest.raises(RequestRefused) as refusal:
        CHECKS[kind][0](name)
    assert (refusal.value.field, refusal.value.details) == (field, (detail,))


@pytest.mark.parametrize("check", [RULES.check_user_description, RULES.check_role_description])
def test_refused_description_is_reported_with_its_limit(check: Check) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        check("x" * 1025)
    assert refusal.value.field == "description"
    assert refusal.value.details == (ErrorDetail(ErrorCode.DESCRIPTION_TOO_LONG, {"limit": 1024}),)


@pytest.mark.parametrize("kind", ["field", "partition"])
def test_what_is_wrong_with_a_name_has_a_code_that_says_it(kind: str) -> None:
    check, longest, further = CHECKS[kind]
    for name, code, parameters in (
        ("", ErrorCode.NAME_EMPTY, {}),
        ("n" * (longest + 1), ErrorCode.NAME_TOO_LONG, {"limit": longest}),
        ("$a", ErrorCode.NAME_FIRST_CHARACTER, {"character": "$"}),
        ("a b!", ErrorCode.NAME_CHARACTER, {"allowed": further, "character": " "}),
    ):
        with pytest.raises(RequestRefused) as refused:
            check(name)
        assert [(each.code, dict(each.parameters)) for each in refused.value.details] == [(code, parameters)]
