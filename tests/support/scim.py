"""A client of the SCIM API, in process, and the requests that it sends."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
from tests.support.gateway import GatewayHarness, own_call
from tests.support.rest import served

from kiteward.authn.oidc.issuers import NameRule
from kiteward.domain.identity import PresentedCredential
from kiteward.iam.json_api.keys import MadeKey
from kiteward.iam.scim.patching import PATCH_URN
from kiteward.iam.scim.schemas import GROUP_URN, USER_URN
from kiteward.iam.scim.settings import ScimSettings

SETTINGS: Final = ScimSettings(NameRule("scim_{userName}", {"@": "_"}))
ROOT: Final = "/scim/v2"


def user(login: str, **attributes: Any) -> dict[str, Any]:
    """Return a user to be made."""
    return {"schemas": [USER_URN], "userName": login, **attributes}


def group(name: str, *member_ids: str, **attributes: Any) -> dict[str, Any]:
    """Return a group to be made."""
    members = [{"value": each} for each in member_ids]
    return {"schemas": [GROUP_URN], "displayName": name, **({"members": members} if members else {}), **attributes}


def patch(*operations: Mapping[str, Any]) -> dict[str, Any]:
    """Return a patch."""
    return {"schemas": [PATCH_URN], "Operations": list(operations)}


async def own(
    harness: GatewayHarness, operation: str, by: str | PresentedCredential = "root", /, **arguments: Any
) -> Any:
    """Call one of our own operations and return its outcome; arguments as of `own_call`."""
    return await harness.gateway.handle(own_call(operation, by, **arguments))


async def key_of(harness: GatewayHarness, name: str, **limits: Any) -> str:
    """Return a new API key of a user.

    Args:
        harness: the gateway.
        name: the user.
        limits: how the key is limited, as JSON spells it.
    """
    made = await own(harness, "CreateApiKey", userName=name, **limits)
    assert isinstance(made, MadeKey)
    return made.key.reveal()


class Scim:
    """Sends requests with an API key.

    Attributes:
        client: sends them.
        key: the API key.
    """

    def __init__(self, client: httpx.AsyncClient, key: str) -> None:
        self.client = client
        self.key = key

    async def send(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str
    ) -> httpx.Response:
        """Send one request.

        Args:
            method: the HTTP method.
            path: the path below the root of the API.
            body: sent as JSON; None for no body.
            key: the API key, in place of the usual one.
            headers: further headers; `_` stands for `-`.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        content = {} if body is None else {"json": body}
        authorization = {"Authorization": f"Bearer {self.key if key is None else key}"}
        return await self.client.request(method, f"{ROOT}{path}", headers={**authorization, **sent}, **content)

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request that must succeed, and return the answer; None for one without content."""
        response = await self.send(method, path, body, **headers)
        assert response.is_success, response.text
        if response.status_code == httpx.codes.NO_CONTENT:
            return None
        assert response.headers["content-type"] == "application/scim+json"
        return response.json()

    async def failure(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        """Send a request that must fail, and return status and `scimType`."""
        response = await self.send(method, path, body, **headers)
        assert response.is_error, response.text
        answer = response.json()
        assert answer["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
        assert answer["status"] == str(response.status_code)
        assert answer["detail"]
        return response.status_code, answer.get("scimType", "")

    async def found(self, path: str, condition: str) -> list[str]:
        """Return the ids of what meets a filter."""
        response = await self.send("GET", f"{path}?{httpx.QueryParams(filter=condition, count=1000)}")
        assert response.is_success, response.text
        return [each["id"] for each in response.json()["Resources"]]


@asynccontextmanager
async def serving(harness: GatewayHarness, settings: ScimSettings = SETTINGS, **parts: Any) -> AsyncIterator[Scim]:
    """Serve SCIM for as long as the block lasts, for the key of a user who may provision users and nothing else.

    Args:
        harness: the gateway.
        settings: the settings of SCIM.
        parts: others of the services.
    """
    harness.configure(scim=settings, **parts)
    await harness.role("provisioner", ("ProvisionUsers", "*", "*"))
    await harness.user("directory", "provisioner")
    async with served(harness.gateway, offers_scim=True) as rest:
        yield Scim(rest.client, await key_of(harness, "directory"))
