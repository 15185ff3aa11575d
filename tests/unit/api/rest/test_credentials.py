import base64
from collections.abc import Callable

import pytest

from kiteward.api.rest.credentials import is_basic, presented_credential
from kiteward.domain.errors import CredentialMalformed, CredentialMissing, CredentialTooLong
from kiteward.domain.identity import LONGEST_CREDENTIAL, KeyCredential, PasswordCredential, Secret


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize("header", ["Bearer ann:se:cret", "ann:se:cret", basic("ann:se:cret")])
def test_a_password_is_read_from_each_form_and_split_at_the_first_colon(header: str) -> None:
    assert presented_credential([header]) == PasswordCredential("ann", Secret("se:cret"))


def test_a_password_beyond_ascii_is_read_as_utf8() -> None:
    on_the_wire = "Bearer ann:pässwörd".encode().decode("latin-1")
    assert presented_credential([on_the_wire]) == PasswordCredential("ann", Secret("pässwörd"))
    assert presented_credential([basic("ann:pässwörd")]) == PasswordCredential("ann", Secret("pässwörd"))


def test_a_bearer_without_a_colon_is_a_key() -> None:
    assert presented_credential(["Bearer kw_abc"]) == KeyCredential(Secret("kw_abc"))


@pytest.mark.parametrize("write", ["Bearer {}".format, basic])
def test_a_credential_of_the_greatest_length_is_read_and_a_longer_one_is_told_its_length(
    write: Callable[[str], str],
) -> None:
    text = "ann:".ljust(LONGEST_CREDENTIAL, "k")
    assert presented_credential([write(text)]) == PasswordCredential("ann", Secret(text[4:]))
    refused = presented_credential([write(text + "k")])
    assert isinstance(refused, CredentialTooLong)
    assert str(refused).startswith("the token has 16385 bytes, and at most 16384 are accepted: ")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer :secret",
        "Bearer ann:",
        ":secret",
        "ann:",
        ":",
        "kw_abc",
        "Basic ",
        "Basic !!!",
        "Basic ann:secret",
        basic("ann"),
        basic(":secret"),
        basic("ann:"),
        "Basic " + base64.b64encode(b"ann:\xff").decode(),
        "Bearer ann:\xff",
        "bearer kw_abc",
        "Token kw_abc",
        basic("ann:secret").replace("Basic", "basic"),
    ],
)
def test_whatever_else_is_not_a_credential(header: str) -> None:
    assert isinstance(presented_credential([header]), CredentialMalformed)


@pytest.mark.parametrize("header", ["bearer ann:secret", "Token ann:secret", "Bearer Bearer ann:secret"])
def test_another_spelling_of_the_prefix_belongs_to_the_name_and_so_to_nobody(header: str) -> None:
    presented = presented_credential([header])
    assert isinstance(presented, PasswordCredential)
    assert presented.user_name != "ann"


def test_no_header_and_two_headers_are_no_credential() -> None:
    assert isinstance(presented_credential([]), CredentialMissing)
    assert isinstance(presented_credential(["Bearer ann:secret", "Bearer ann:secret"]), CredentialMalformed)


def test_only_callers_who_speak_basic_are_challenged_in_it() -> None:
    assert is_basic([basic("ann:secret")])
    assert not is_basic(["Bearer ann:secret"])
    assert not is_basic([])
