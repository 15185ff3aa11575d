"""The token endpoint, over HTTP: its parameters, its answers, and how the service authenticates."""

import base64
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from tests.support.gateway import PASSWORD, GatewayHarness
from tests.support.rest import Rest, served

from kiteward.api.rest.token_endpoint import GRANT_TYPE
from kiteward.iam.settings import ExchangeRules
from kiteward.iam.token_exchange import TokenType

PATH = "/v2/kiteward/token"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class TokenEndpoint:
    """Sends forms to the endpoint, with the keys of the service `svc` and of alice."""

    def __init__(self, rest: Rest, service: str, subject: str) -> None:
        self.rest = rest
        self.service, self.subject = service, subject

    async def __call__(
        self, header: str | None = "", /, headers: dict[str, str] | None = None, **parameters: str | None
    ) -> httpx.Response:
        """Send a form; a parameter that is None is left out.

        Args:
            header: the `Authorization` header, the service's key unless given; None for none.
            headers: further headers.
            parameters: parameters besides the usual ones.
        """
        form = {
            "grant_type": GRANT_TYPE,
            "subject_token": self.subject,
            "subject_token_type": TokenType.API_KEY.value,
            **parameters,
        }
        sent = {**FORM, **(headers or {})}
        if header is not None:
            sent["Authorization"] = header or f"Bearer {self.service}"
        content = urlencode({name: value for name, value in form.items() if value is not None}).encode()
        return await self.rest.client.post(PATH, content=content, headers=sent)


@pytest.fixture
async def token(harness: GatewayHarness) -> AsyncIterator[TokenEndpoint]:
    harness.configure(exchange_rules=ExchangeRules({"svc": frozenset({"viewer", "writer"})}))
    await harness.role("exchangers", ("ExchangeToken", "*", "*"))
    await harness.role("viewer")
    await harness.role("writer")
    await harness.user("svc", "exchangers")
    await harness.user("alice", "viewer")
    async with served(harness.gateway) as rest:
        keys = [
            (await rest.ask("/v2/kiteward/api_keys/create", {"userName": name}))["key"] for name in ("svc", "alice")
        ]
        yield TokenEndpoint(rest, *keys)


def told(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert set(body) == {"error", "error_description"}, body
    assert body["error_description"].isascii()
    return response.status_code, body["error"]


async def test_a_key_is_issued_as_the_rfc_has_it(token: TokenEndpoint) -> None:
    response = await token(scope="viewer")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    body = response.json()
    key = body.pop("access_token")
    assert body == {
        "issued_token_type": TokenType.API_KEY,
        "token_type": "Bearer",
        "expires_in": 900,
        "scope": "viewer",
        "row_tags": {},
    }
    me = await token.rest.ask("/v2/kiteward/whoami/describe", headers={"Authorization": f"Bearer {key}"})
    assert (me["userName"], me["actor"], me["roles"]) == ("alice", "svc", ["viewer"])


async def test_a_client_that_asks_for_an_access_token_is_told_that_it_got_one(token: TokenEndpoint) -> None:
    response = await token(requested_token_type=TokenType.ACCESS_TOKEN.value)
    assert response.json()["issued_token_type"] == TokenType.ACCESS_TOKEN


async def test_tags_are_asked_for_as_a_json_object(token: TokenEndpoint) -> None:
    await token.rest.ask("/v2/kiteward/tags/set", {"userName": "alice", "tags": {"team": "sales", "floor": "3"}})
    assert (await token(row_tags='{"team": null}')).json()["row_tags"] == {"team": "sales"}
    assert (await token(row_tags="{}")).json()["row_tags"] == {}
    for wrong in ("team", '["team"]', '{"team": 1}', '{"team": "legal"}'):
        assert told(await token(row_tags=wrong)) == (400, "invalid_request")


async def test_the_service_authenticates_in_each_way(token: TokenEndpoint) -> None:
    basic = base64.b64encode(f"svc:{PASSWORD}".encode()).decode()
    for header in (f"Basic {basic}", f"Bearer svc:{PASSWORD}", f"Bearer {token.service}"):
        assert (await token(header)).status_code == 200
    by_body = await token(None, actor_token=token.service, actor_token_type=TokenType.API_KEY.value)
    assert by_body.status_code == 200


async def test_a_caller_that_is_not_authenticated_gets_a_challenge(token: TokenEndpoint) -> None:
    for header in (None, "Bearer kw_nothing", "Bearer svc:wrong"):
        response = await token(header)
        assert told(response) == (401, "invalid_client")
        assert response.headers["WWW-Authenticate"] == "Bearer"
    wrong = await token("Basic " + base64.b64encode(b"svc:wrong").decode())
    assert told(wrong) == (401, "invalid_client")
    assert wrong.headers["WWW-Authenticate"].startswith("Basic")
    forged = token.service[:-1] + "~"
    for actor in (forged, "eyJhbGciOiJub25lIn0.e30."):
        refused = await token(None, actor_token=actor, actor_token_type=TokenType.API_KEY.value)
        assert told(refused)[0] == 401
        assert actor not in refused.text


async def test_nothing_is_told_of_a_form_to_a_caller_that_is_not_authenticated(token: TokenEndpoint) -> None:
    assert told(await token("Bearer kw_nothing", grant_type="password")) == (401, "invalid_client")
    assert told(await token("Bearer kw_nothing", subject_token=None)) == (401, "invalid_client")


@pytest.mark.parametrize(
    "grant",
    [
        "password",
        "implicit",
        "client_credentials",
        "authorization_code",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:saml2-bearer",
    ],
)
async def test_only_a_token_exchange_is_granted(token: TokenEndpoint, grant: str) -> None:
    assert told(await token(grant_type=grant)) == (400, "unsupported_grant_type")


async def test_two_credentials_are_refused(token: TokenEndpoint) -> None:
    response = await token(actor_token=token.service, actor_token_type=TokenType.API_KEY.value)
    assert told(response) == (400, "invalid_request")
    assert told(await token(actor_token_type=TokenType.API_KEY.value)) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
        ({"subject_token": None}, "invalid_request"),
        ({"subject_token": "alice:Password-1"}, "invalid_request"),
        ({"subject_token_type": None}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"scope": "writer"}, "invalid_scope"),
        ({"scope": "viewer admin"}, "invalid_scope"),
        ({"audience": "elsewhere"}, "invalid_target"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"scop": "viewer"}, "invalid_request"),
        ({"authorization_details": "[]"}, "invalid_request"),
    ],
)
async def test_a_request_that_is_wrong_gets_the_error_of_the_rfc(
    token: TokenEndpoint, parameters: dict[str, Any], error: str
) -> None:
    response = await token(**parameters)
    assert told(response) == (400, error)
    assert response.headers["Cache-Control"] == "no-store"


async def test_a_service_without_the_privilege_is_not_authorized(token: TokenEndpoint) -> None:
    assert told(await token(f"Bearer alice:{PASSWORD}")) == (400, "unauthorized_client")


async def test_a_service_with_too_many_keys_is_told_to_wait(token: TokenEndpoint, harness: GatewayHarness) -> None:
    harness.configure(exchange_rules=ExchangeRules({"svc": frozenset({"viewer"})}, per_service=1))
    async with served(harness.gateway) as rest:
        again = TokenEndpoint(rest, token.service, token.subject)
        assert (await again()).status_code == 200
        assert told(await again()) == (429, "temporarily_unavailable")


async def test_a_form_of_more_than_its_limit_is_refused(token: TokenEndpoint) -> None:
    assert told(await token(subject_token="eyJ" + "a" * 70_000)) == (413, "invalid_request")
    assert told(await token(subject_token="eyJ" + "a" * 20_000)) == (400, "invalid_request")


async def test_only_post_is_served(token: TokenEndpoint) -> None:
    assert (await token.rest.client.get(PATH)).status_code in (401, 404)


async def test_headers_of_every_endpoint_hold_here_too(token: TokenEndpoint) -> None:
    assert told(await token(headers={"Request-Timeout": "never"})) == (400, "invalid_request")
    refused = await token(headers={"Origin": "https://evil.example"})
    assert refused.status_code == 403
