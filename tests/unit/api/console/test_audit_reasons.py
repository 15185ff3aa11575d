"""Recorded reasons in the languages of the console: what decides says them in English."""

import re

import pytest

from kiteward.api.console.audit_reasons import in_language
from kiteward.api.console.language import catalogues
from kiteward.authn import password_verifier
from kiteward.authn.second_factor import factors
from kiteward.authz import policy

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
)


@pytest.mark.parametrize("recorded", SAID)
def test_reason_of_a_known_form_is_said_in_every_language_with_its_names(recorded: str) -> None:
    assert in_language(LANGUAGES["en"], recorded) == recorded
    chinese = in_language(LANGUAGES["zh"], recorded)
    assert re.search("[\u4e00-\u9fff]", chinese)
    assert set(re.findall("lars|kw_1|Delete|a`b", recorded)) == set(re.findall("lars|kw_1|Delete|a`b", chinese))


def test_any_other_reason_has_no_text() -> None:
    assert in_language(LANGUAGES["zh"], "the engine is away") == ""
    assert in_language(LANGUAGES["zh"], "wrong password\n") == ""
