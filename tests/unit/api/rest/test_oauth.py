"""Forms and failures as OAuth 2.0 has them."""

import json

import msgspec
import pytest

from kiteward.api.rest import oauth
from kiteward.api.rest.status import TIMEOUT, RestFailure
from kiteward.domain import errors
from kiteward.domain.identity import Secret


class Form(msgspec.Struct, kw_only=True):
    grant_type: str
    subject_token: Secret
    scope: str = ""
    actor_token: Secret | None = None


def decoded(text: str, content_type: str = oauth.FORM) -> Form:
    return oauth.decode(Form, text.encode(), content_type)


def test_parameters_are_unescaped_and_secrets_wrapped() -> None:
    form = decoded("grant_type=a%3Ab&subject_token=kw_%2B&scope=one+two%20three", f"{oauth.FORM}; charset=UTF-8")
    assert (form.grant_type, form.scope) == ("a:b", "one two three")
    assert form.subject_token == Secret("kw_+")
    assert "kw_" not in repr(form)


def test_a_parameter_without_a_value_counts_as_not_given() -> None:
    form = decoded("grant_type=a&subject_token=b&scope=&actor_token=")
    assert (form.scope, form.actor_token) == ("", None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("grant_type=a", "the parameter subject_token is missing"),
        ("subject_token=b&grant_type=", "the parameter grant_type is missing"),
        ("grant_type=a&subject_token=b&scop=x", "the parameter 'scop' is not supported here"),
        ("grant_type=a&subject_token=b&scope=x&scope=y", "the parameter 'scope' is given more than once"),
        ("", "the parameter grant_type is missing"),
        ("grant_type", "the body is no"),
        ("grant_type=%ff&subject_token=b", "the body is no"),
        ("&".join(f"p{number}=1" for number in range(33)), "the body is no"),
        ('{"grant_type": "a"}', "the body is no"),
        ("grant_type=é", "the body is no"),
    ],
)
def test_what_is_no_such_form_is_refused_with_the_parameter_and_no_value(text: str, told: str) -> None:
    with pytest.raises(errors.InvalidArgument, match=told):
        decoded(text)


@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain", "multipart/form-data"])
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(errors.InvalidArgument, match="the content type must be"):
        decoded("grant_type=a&subject_token=b", content_type)


LIMITED = errors.RequestsLimited("too many", kind="rate", retry_after=1.2)


@pytest.mark.parametrize(
    ("error", "http", "code"),
    [
        (errors.KeyRejected("no"), 401, "invalid_client"),
        (errors.CredentialMissing("none"), 401, "invalid_client"),
        (errors.AccessDenied("no"), 400, "unauthorized_client"),
        (errors.InvalidArgument("no", field="scope"), 400, "invalid_scope"),
        (errors.RoleNotFound("no", field="scope"), 400, "invalid_scope"),
        (errors.InvalidArgument("no", field="audience"), 400, "invalid_target"),
        (errors.InvalidArgument("no", field="grant_type"), 400, "unsupported_grant_type"),
        (errors.InvalidArgument("no", field="subject_token"), 400, "invalid_request"),
        (errors.LimitReached("full"), 429, "temporarily_unavailable"),
        (errors.CapacityExceeded("full"), 429, "temporarily_unavailable"),
        (LIMITED, 429, "temporarily_unavailable"),
        (errors.StoreUnavailable("away"), 503, "temporarily_unavailable"),
        (errors.CommitUnknown("?"), 503, "temporarily_unavailable"),
        (errors.LeaseOver("old"), 503, "temporarily_unavailable"),
        (errors.AuditUnavailable("full"), 503, "temporarily_unavailable"),
        (errors.ConfigurationError("bad"), 500, "server_error"),
        (RestFailure(TIMEOUT, "request timeout", http=408), 408, "invalid_request"),
        (RestFailure(1100, "no"), 400, "invalid_request"),
    ],
)
def test_a_failure_is_reported_as_oauth_has_it(error: errors.KitewardError, http: int, code: str) -> None:
    response = oauth.failed(error)
    assert (response.status_code, json.loads(bytes(response.body))) == (
        http,
        {"error": code, "error_description": str(error)},
    )


def test_who_is_limited_is_told_when_to_come_back() -> None:
    assert oauth.failed(LIMITED).headers["Retry-After"] == "2"


def test_a_description_holds_only_characters_that_it_may_hold() -> None:
    body = json.loads(bytes(oauth.failed(errors.InvalidArgument('é "quoted" \\ line\n')).body))
    assert body["error_description"] == "' 'quoted' ' line'"
    assert json.loads(bytes(oauth.failed(errors.InvalidArgument("")).body))["error_description"] == "invalid_request"


def test_secrets_are_revealed_in_a_success_and_nowhere_cached() -> None:
    response = oauth.succeeded({"access_token": Secret("kw_x")})
    assert json.loads(bytes(response.body)) == {"access_token": "kw_x"}
    assert response.headers["Pragma"] == "no-cache"
