"""Why something was allowed or refused, as the audit trail has it, in the language of a page.

The trail says it in English. Pages show a reason of a known form as a text of their language, and any other one as it
was recorded.
"""

import re
from typing import Final

from kiteward.api.console.language import Language
from kiteward.audit.events import HIDDEN

_FORMS: Final = {
    "recorded.root": r"`root` is not restricted",
    "recorded.administrator": r"the role `admin` may do everything",
    "recorded.every_user": r"any authenticated user may",
    "recorded.own": r"users may do this for themselves, with what is theirs",
    "recorded.roles": r"the roles of the principal hold every required privilege",
    "recorded.no_role": r"no role of `(?P<user>.*)` holds (?P<privilege>\w+) on `(?P<place>.*)`",
    "recorded.no_administrator": r"`(?P<user>.*)` does not hold the role `admin`",
    "recorded.limited": r"`(?P<key>.*)` is limited, and does not act as `(?P<user>.*)`",
    "recorded.no_factor": r"the sign-in of `(?P<user>.*)` lacks a second factor",
    "recorded.oneself": (
        r"only administrators do this as `(?P<user>.*)` to `(?P=user)`, with or without (?P<privilege>\w+)"
    ),
    "recorded.no_user": r"no such user",
    "recorded.disabled": r"the user is disabled",
    "recorded.locked": r"the user is locked after too many wrong passwords",
    "recorded.wrong_password": r"wrong password",
    "recorded.throttled": r"throttled after wrong passwords",
    "recorded.throttled_factors": r"throttled after wrong second factors",
    "recorded.key_disabled": r"the API key is disabled",
    "recorded.key_expired": r"the API key has expired",
    "recorded.key_owner": r"a limited API key can create keys for its own user only",
    "recorded.row_absent": (
        r"row policies: no row policy of the collection (?P<collection>.*) lets (?P<user>.*) write rows by "
        r"(?P<action>\w+)"
    ),
    "recorded.row_key": (
        r"row policies: the key of row (?P<row>\d+) is not that of a row which the row policies of the collection "
        r"(?P<collection>.*) let (?P<user>.*) replace"
    ),
    "recorded.row_read": (
        r"row policies: `(?P<name>.*)` is not accepted in reads of a collection with row policies: leave it out"
    ),
    "recorded.row_violates": (
        r"row policies: row (?P<row>\d+) violates `check_expr` of the row policy (?P<policy>.*) of the collection "
        r"(?P<collection>.*)"
    ),
    "recorded.row_violates_each": (
        r"row policies: row (?P<row>\d+) violates `check_expr` of each of the row policies (?P<policies>.*) of the "
        r"collection (?P<collection>.*)"
    ),
}
"""The key of a text -> what the trail has."""

_PATTERNS: Final = {key: re.compile(form, re.DOTALL) for key, form in _FORMS.items()}


_NAME_AND_REASON: Final = re.compile(r"(?P<name>\w+)(?:: (?P<reason>.*))?", re.DOTALL)
_STATUS: Final = re.compile(r"status (?P<status>-?\d+)")


def error_in_language(text: Language, recorded: str) -> str:
    """Return what kind of error a request ended with, in a language.

    Args:
        text: the language.
        recorded: the class of the error, perhaps with a reason, or the status of the engine's response.
    """
    status = _STATUS.fullmatch(recorded)
    if status:
        return text("recorded.error.status", **status.groupdict())
    found = _NAME_AND_REASON.fullmatch(recorded)
    name, reason = (found["name"], found["reason"]) if found else (recorded, None)
    key = f"recorded.error.{name}"
    said = text(key) if key in text.texts else text("recorded.error.unexpected", name=name)
    return text("recorded.error.because", said=said, reason=in_language(text, reason) or reason) if reason else said


def in_language(text: Language, recorded: str) -> str:
    """Return a recorded reason in a language; empty if its form is not known."""
    reason = recorded.removesuffix(HIDDEN)
    said = _said(text, reason)
    return text("recorded.hidden", reason=said) if said and reason != recorded else said


def _said(text: Language, recorded: str) -> str:
    for key, pattern in _PATTERNS.items():
        found = pattern.fullmatch(recorded)
        if found:
            return text(key, **found.groupdict())
    return ""
