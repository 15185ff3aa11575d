"""An identity provider as the console uses it: addresses, codes, and what becomes of its errors."""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from kiteward.authn.oidc.fetching import FetchFailed
from kiteward.authn.oidc.issuers import Client, Issuer, NameRule
from kiteward.authn.oidc.provider import SignInProvider
from kiteward.authn.oidc.provider_answers import refusal_of
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import CapacityExceeded, KeyRejected
from kiteward.domain.identity import Secret

ISSUER = "https://idp.example"
REDIRECT = "https://kiteward.example/console/sign-in/company/callback"


@dataclass
class FakeClient:
    """Answers what a test has set, and counts."""

    document: dict[str, Any] = field(
        default_factory=lambda: {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize?realm=a",
            "token_endpoint": f"{ISSUER}/token",
        }
    )
    answer: tuple[int, Mapping[str, Any]] = (200, {"id_token": "i", "access_token": "a"})
    fault: str = ""
    reads: int = 0
    sent: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)

    async def metadata(self) -> Mapping[str, Any]:
        self.reads += 1
        if self.fault:
            raise FetchFailed(self.fault)
        return self.document

    async def exchange(
        self, address: str, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, Any]]:
        self.sent.append((address, dict(form), dict(headers)))
        if self.fault:
            raise FetchFailed(self.fault)
        return self.answer


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def provider(asked: FakeClient, *, secret: str = "", clock: Clock | None = None) -> SignInProvider:
    client = Client("an id", Secret(secret), "company", ("openid", "groups"))
    issuer = Issuer(ISSUER, frozenset({"kiteward"}), NameRule("idp_{sub}"), client=client)
    return SignInProvider(issuer, asked, clock=clock or Clock())


@contextlib.contextmanager
def unavailable() -> Iterator[None]:
    """Require that a block is refused because the provider cannot be used."""
    with pytest.raises(KeyRejected) as caught:
        yield
    assert caught.value.code == ErrorCode.SIGN_IN_PROVIDER_UNAVAILABLE


async def redeemed(asked: FakeClient, *, secret: str = "") -> None:
    await provider(asked, secret=secret).redeem("the code", verifier=Secret("v"), redirect_uri=REDIRECT)


async def test_the_browser_is_sent_with_everything_that_the_flow_needs() -> None:
    url = await provider(FakeClient()).authorization_url(redirect_uri=REDIRECT, state="s", nonce="n", challenge="c")
    assert url.startswith(f"{ISSUER}/authorize?")
    assert dict(parse_qsl(urlsplit(url).query)) == {
        "realm": "a",
        "response_type": "code",
        "client_id": "an id",
        "redirect_uri": REDIRECT,
        "scope": "openid groups",
        "state": "s",
        "nonce": "n",
        "code_challenge": "c",
        "code_challenge_method": "S256",
    }


async def test_a_recent_authentication_is_asked_for_where_it_is_required() -> None:
    issuer = Issuer(
        ISSUER, frozenset({"kiteward"}), NameRule("idp_{sub}"), client=Client("id", Secret("")), authentication_age=600
    )
    url = await SignInProvider(issuer, FakeClient(), clock=Clock()).authorization_url(
        redirect_uri=REDIRECT, state="s", nonce="n", challenge="c"
    )
    assert dict(parse_qsl(urlsplit(url).query))["max_age"] == "600"


async def test_a_confidential_client_authenticates_in_the_header_and_a_public_one_by_its_id() -> None:
    asked = FakeClient()
    await redeemed(asked, secret="a: b")
    await redeemed(asked)
    (address, confidential, headers), (_, public, without) = asked.sent
    assert address == f"{ISSUER}/token"
    assert confidential == {
        "grant_type": "authorization_code",
        "code": "the code",
        "redirect_uri": REDIRECT,
        "code_verifier": "v",
    }
    assert headers == {"authorization": "Basic YW4raWQ6YSUzQSti"}  # an+id:a%3A+b
    assert (public, without) == ({**confidential, "client_id": "an id"}, {})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("access_denied", ErrorCode.SIGN_IN_DENIED),
        ("login_required", ErrorCode.SIGN_IN_UNFINISHED),
        ("temporarily_unavailable", ErrorCode.SIGN_IN_PROVIDER_UNAVAILABLE),
        ("invalid_client", ErrorCode.SIGN_IN_MISCONFIGURED),
        ("invalid_grant", ErrorCode.SIGN_IN_CODE_SPENT),
        ("<b>anything</b>", ErrorCode.SIGN_IN_MISCONFIGURED),
        (None, ErrorCode.SIGN_IN_MISCONFIGURED),
        ([], ErrorCode.SIGN_IN_MISCONFIGURED),
    ],
)
async def test_errors_of_a_provider_become_one_of_a_few_sentences(
    error: object, code: ErrorCode, caplog: pytest.LogCaptureFixture
) -> None:
    asked = FakeClient(answer=(400, {"error": error, "error_description": "from an attacker"}))
    with caplog.at_level(logging.WARNING), pytest.raises(KeyRejected) as caught:
        await redeemed(asked)
    assert caught.value.code == refusal_of("company", error).code == code
    for text in (str(caught.value), caught.value.reason, caplog.text):
        assert "anything" not in text
        assert "attacker" not in text


@pytest.mark.parametrize("answer", [{}, {"id_token": 5}, {"id_token": "i", "access_token": 5}])
async def test_an_answer_without_an_id_token_is_of_no_use(answer: dict[str, Any]) -> None:
    with pytest.raises(KeyRejected) as caught:
        await redeemed(FakeClient(answer=(200, answer)))
    assert caught.value.code == ErrorCode.SIGN_IN_ANSWER_UNUSABLE


async def test_a_provider_that_fails_is_unavailable_and_refuses_nobody() -> None:
    for asked in (FakeClient(answer=(503, {})), FakeClient(answer=(302, {}))):
        with unavailable():
            await redeemed(asked)
    asked = FakeClient()
    known = provider(asked)
    await known.authorization_url(redirect_uri=REDIRECT, state="s", nonce="n", challenge="c")
    asked.fault = "it did not respond within 10 s"
    with unavailable():
        await known.redeem("c", verifier=Secret("v"), redirect_uri=REDIRECT)


async def test_metadata_are_read_once_an_hour_and_used_for_a_day_while_they_cannot_be() -> None:
    asked, clock = FakeClient(), Clock()
    known = provider(asked, clock=clock)

    async def asks() -> str:
        return await known.authorization_url(redirect_uri=REDIRECT, state="s", nonce="n", challenge="c")

    for seconds, reads in ((0, 1), (3_599, 1), (1, 2), (100, 2)):
        clock.now += seconds
        await asks()
        assert asked.reads == reads
    asked.fault = "it is away"
    clock.now += 3_600
    await asks()
    clock.now += 1
    await asks()
    assert asked.reads == 3  # not at every click
    clock.now += 86_400
    with unavailable():
        await asks()
    asked.fault = ""
    clock.now += 6
    await asks()


@pytest.mark.parametrize(
    "change",
    [
        {"authorization_endpoint": None},
        {"token_endpoint": "http://idp.example/token"},
        {"token_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://user@idp.example/"},
        {"authorization_endpoint": "https://idp.example/\r\nx"},
        {"end_session_endpoint": "http://idp.example/end"},
        {"end_session_endpoint": 5},
    ],
)
async def test_endpoints_that_are_not_safe_to_use_are_not_used(change: dict[str, Any]) -> None:
    asked = FakeClient()
    asked.document |= change
    with unavailable():
        await provider(asked).authorization_url(redirect_uri=REDIRECT, state="s", nonce="n", challenge="c")


async def test_an_answer_names_this_issuer_or_none() -> None:
    asked = FakeClient()
    await provider(asked).require_issuer(None)
    await provider(asked).require_issuer(ISSUER)
    for given in ("https://other.example", f"{ISSUER}/", ""):
        with pytest.raises(KeyRejected):
            await provider(asked).require_issuer(given)
    asked.document["authorization_response_iss_parameter_supported"] = True
    await provider(asked).require_issuer(ISSUER)
    with pytest.raises(KeyRejected):
        await provider(asked).require_issuer(None)


async def test_signing_out_there_is_offered_where_the_provider_offers_it() -> None:
    asked = FakeClient()
    assert await provider(asked).end_session_url(back="https://k/") == ""
    asked.document["end_session_endpoint"] = f"{ISSUER}/end?a=1"
    url = await provider(asked).end_session_url(back="https://k/")
    assert parse_qs(urlsplit(url).query) == {
        "a": ["1"],
        "client_id": ["an id"],
        "post_logout_redirect_uri": ["https://k/"],
    }
    asked.fault = "it is away"
    assert await provider(asked).end_session_url(back="https://k/") == ""


async def test_strangers_cannot_have_any_number_of_codes_exchanged_at_once() -> None:
    asked = FakeClient()
    known = provider(asked)
    for _ in range(8):
        await known._exchanges.acquire()
    with pytest.raises(CapacityExceeded):
        await known.redeem("c", verifier=Secret("v"), redirect_uri=REDIRECT)
    assert asked.sent == []
