"""Recorded reasons in the languages of the console: what decides says them in English."""

import re

import pytest

from kiteward.api.console.audit_reasons import error_in_language, in_language
from kiteward.api.console.language import catalogues
from kiteward.audit.events import HIDDEN
from kiteward.authn import password_verifier
from kiteward.authn.second_factor import factors
from kiteward.authz import policy
from kiteward.domain.errors import KitewardError

LANGUAGES = catalogues()
SAID = (
    policy._ALLOWED_ROOT.reason,
    policy._ALLOWED_ADMIN.reason,
    policy._ALLOWED_OPEN.reason,
    policy._ALLOWED.reason,
    password_verifier.THROTTLED,
    factors.THROTTLED,
    "`lars` does not hold the role `admin`",
    "no role of `lars` holds Delete on `default.a`b`",
    "`kw_1` is limited, and does not act as `lars`",
    "the sign-in of `lars` lacks a second factor",
    "only administrators do this as `lars` to `lars`, with or without UpdateUser",
    "no such user",
    "the user is disabled",
    "the user is locked after too many wrong passwords",
    "wrong password",
    "the API key is disabled",
    "the API key has expired",
    "a limited API key can create keys for its own user only",
    "no role of `lars` holds Search on `default.docs`" + HIDDEN,
    "row policies: row 7 violates `check_expr` of the row policy mine of the collection docs",
    "row policies: row 7 violates `check_expr` of each of the row policies mine, team of the collection docs",
    "row policies: no row policy of the collection docs lets lars write rows by Upsert",
    (
        "row policies: the key of row 7 is not that of a row which the row policies of the collection docs let "
        "lars replace"
    ),
    "row policies: `group_by` is not accepted in reads of a collection with row policies: leave it out",
)
_NAMED = "lars|kw_1|Delete|Search|Upsert|a\u02cbb|docs|mine|team|group_by|7|check_expr"


@pytest.mark.parametrize("recorded", SAID)
def test_reason_of_a_known_form_is_said_in_every_language_with_its_names(recorded: str) -> None:
    shown = recorded.replace("a`b", "a\u02cbb")
    assert in_language(LANGUAGES["en"], recorded) == shown
    chinese = in_language(LANGUAGES["zh"], recorded)
    assert re.search("[\u4e00-\u9fff]", chinese)
    assert set(re.findall(_NAMED, shown)) == set(re.findall(_NAMED, chinese))


def test_any_other_reason_has_no_text() -> None:
    assert in_language(LANGUAGES["zh"], "the engine is away") == ""
    assert in_language(LANGUAGES["zh"], "wrong password\n") == ""
    assert in_language(LANGUAGES["zh"], f"the engine is away{HIDDEN}") == ""


def error_classes() -> list[str]:
    """Return the names of all errors that Kiteward raises on purpose."""
    found, left = [], [KitewardError]
    while left:
        each = left.pop()
        left += each.__subclasses__()
        if each.__module__ == KitewardError.__module__:
            found.append(each.__name__)
    return sorted(found)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_kind_of_error_is_said_for_people(language: str) -> None:
    text = LANGUAGES[language]
    for name in (*error_classes(), "CancelledError"):
        said = error_in_language(text, name)
        assert name not in said, name
        assert bool(re.search("[\u4e00-\u9fff]", said)) is (language == "zh"), name
    assert len({error_in_language(text, name) for name in error_classes()}) > len(error_classes()) - 4


def test_an_error_of_the_engine_has_its_code_a_refusal_its_reason_and_a_defect_its_name() -> None:
    english, chinese = LANGUAGES["en"], LANGUAGES["zh"]
    assert error_in_language(english, "status 1100") == "The engine answered with the error code 1100"
    assert (
        error_in_language(english, "OldPasswordWrong: no such user") == "The present password was wrong: no such user"
    )
    assert error_in_language(chinese, "OldPasswordWrong: no such user").endswith(in_language(chinese, "no such user"))
    assert error_in_language(english, "FactorRejected: used") == "The second factor was not accepted: used"
    assert error_in_language(english, "ZeroDivisionError") == "An unexpected error (ZeroDivisionError)"
    assert error_in_language(english, "") == "An unexpected error ()"
