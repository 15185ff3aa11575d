"""Access to SCIM, its description of itself, and its answers to requests that it does not offer."""

import base64
from collections.abc import AsyncIterator

import pytest
from tests.support.gateway import PASSWORD, GatewayHarness, own_call
from tests.support.rest import Rest, served
from tests.support.scim import ROOT, Scim, group, key_of, own, patch, serving, user

from kiteward.api.rest.scim.responses import BY_CLASS, BY_CODE, failed
from kiteward.domain import errors
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.iam.scim.schemas import GROUP_URN, USER_URN
from kiteward.iam.scim.settings import ScimSettings

EVERY_REQUEST = [
    ("GET", "/Users", None),
    ("GET", f"/Users/{'0' * 36}", None),
    ("POST", "/Users", user("x")),
    ("PUT", f"/Users/{'0' * 36}", user("x")),
    ("PATCH", f"/Users/{'0' * 36}", patch({"op": "replace", "path": "active", "value": False})),
    ("DELETE", f"/Users/{'0' * 36}", None),
    ("GET", "/Groups", None),
    ("GET", f"/Groups/{'0' * 36}", None),
    ("POST", "/Groups", group("x")),
    ("PUT", f"/Groups/{'0' * 36}", group("x")),
    ("PATCH", f"/Groups/{'0' * 36}", patch({"op": "replace", "path": "displayName", "value": "x"})),
    ("DELETE", f"/Groups/{'0' * 36}", None),
]


@pytest.fixture
async def closed(harness: GatewayHarness) -> AsyncIterator[Rest]:
    async with served(harness.gateway) as rest:
        yield rest


async def test_it_is_closed_unless_it_is_enabled(harness: GatewayHarness, closed: Rest) -> None:
    key = await key_of(harness, "root")
    for path in ("/Users", "/ServiceProviderConfig"):
        response = await Scim(closed.client, key).send("GET", path)
        assert (response.status_code, response.text) == (404, "404 page not found")


async def test_its_operations_are_closed_too_unless_it_is_enabled(harness: GatewayHarness) -> None:
    assert not ScimSettings().enabled
    await harness.user("alice")
    for call in (own_call("ListScimUsers"), own_call("HandOverToScim", userName="alice")):
        with pytest.raises(errors.OperationRefused, match="SCIM is not enabled"):
            await harness.gateway.handle(call)


@pytest.mark.parametrize(("method", "path", "body"), EVERY_REQUEST)
async def test_every_request_needs_the_privilege(
    harness: GatewayHarness, scim: Scim, method: str, path: str, body: object
) -> None:
    await harness.role("reader", ("All", "*", "*"), ("ClusterAdmin", "*", "*"))
    await harness.user("mallory", "reader")
    for key, status in ((await key_of(harness, "mallory"), 403), ("kw_nobody", 401), ("", 401)):
        response = await scim.send(method, path, body, key=key)
        assert response.status_code == status
        assert response.json()["status"] == str(status)
        assert response.headers["content-type"] == "application/scim+json"
    assert [event for event in harness.trail.events if event.principal == "mallory"][-1].decision == "refused"


async def test_a_key_that_is_limited_to_the_role_may_provision(harness: GatewayHarness, scim: Scim) -> None:
    await harness.succeed("OperateUserRole", username="directory", role_name="teammate")
    limited = {"roles": ["provisioner"], "networks": ["192.0.2.0/24"], "expiresIn": 3600}
    assert (await scim.send("GET", "/Users", key=await key_of(harness, "directory", **limited))).status_code == 200
    other = await key_of(harness, "directory", roles=["teammate"])
    assert (await scim.send("GET", "/Users", key=other)).status_code == 403
    away = await key_of(harness, "directory", networks=["198.51.100.0/24"])
    assert (await scim.send("GET", "/Users", key=away)).status_code == 401


async def test_an_administrator_may_provision(harness: GatewayHarness, scim: Scim) -> None:
    assert (await scim.send("GET", "/Users", key=await key_of(harness, "root"))).status_code == 200


@pytest.mark.parametrize("kind", ["basic", "bearer", "token", "none"])
async def test_only_api_keys_are_taken(harness: GatewayHarness, scim: Scim, kind: str) -> None:
    headers = {
        "basic": {"Authorization": f"Basic {base64.b64encode(b'root:Milvus').decode()}"},
        "bearer": {"Authorization": f"Bearer directory:{PASSWORD}"},
        "token": {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
        "none": {},
    }[kind]
    response = await scim.client.get(f"{ROOT}/Users", headers=headers)
    assert response.status_code == 401
    assert "www-authenticate" in response.headers


async def test_nothing_is_said_to_strangers(scim: Scim) -> None:
    for method, path, body in (
        *EVERY_REQUEST,
        ("GET", "/Nothing", None),
        ("GET", "/Schemas", None),
        ("POST", "/Users", "x"),
    ):
        assert (await scim.send(method, path, body, key="kw_nobody")).status_code == 401


async def test_requests_count_against_the_limits_of_the_keys_owner(harness: GatewayHarness) -> None:
    async with serving(harness) as scim:
        await own(harness, "SetLimits", userName="directory", requestsPerSecond=1, burst=2)
        answers = [await scim.send("GET", "/Users") for _ in range(6)]
    limited = [each for each in answers if each.status_code == 429]
    assert limited
    assert all(int(each.headers["retry-after"]) >= 1 for each in limited)
    assert limited[0].json()["status"] == "429"


async def test_it_says_what_it_offers(scim: Scim) -> None:
    offered = await scim.ask("GET", "/ServiceProviderConfig")
    assert {
        name: offered[name]["supported"] for name in ("patch", "bulk", "filter", "changePassword", "sort", "etag")
    } == {
        "patch": True,
        "bulk": False,
        "filter": True,
        "changePassword": False,
        "sort": False,
        "etag": True,
    }
    types = await scim.ask("GET", "/ResourceTypes")
    assert [(each["id"], each["endpoint"], each["schema"]) for each in types["Resources"]] == [
        ("User", "/Users", USER_URN),
        ("Group", "/Groups", GROUP_URN),
    ]
    for each in (*types["Resources"], *(await scim.ask("GET", "/Schemas"))["Resources"], offered):
        assert await scim.ask("GET", each["meta"]["location"].partition(ROOT)[2]) == each
    for path in ("/Schemas/urn:x", "/ResourceTypes/Robot", "/ServiceProviderConfig/x", "/Nothing", "/Users/a/b", "/"):
        assert await scim.failure("GET", path) == (404, "")
    assert await scim.failure("GET", "/Schemas?filter=id pr") == (403, "")


async def test_what_is_not_offered_is_refused_as_such(scim: Scim) -> None:
    for method, path in (("POST", "/Bulk"), ("GET", "/Me"), ("POST", "/.search")):
        assert await scim.failure(method, path, {}) == (501, "")
    for method, path in (("PUT", "/Users"), ("POST", "/Users/x"), ("POST", "/Schemas"), ("GET", "/Users/.search")):
        assert await scim.failure(method, path, {} if method != "GET" else None) == (405, "")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"7", b'"x"', b"\xff", b"[" * 100_000, b'{"a":[' + b"{}," * 300_000 + b"{}]}"]
)
async def test_a_body_that_is_no_object_is_refused(scim: Scim, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {scim.key}"}
    response = await scim.client.post(f"{ROOT}/Users", headers=headers, content=body)
    assert (response.status_code, response.json()["scimType"]) == (400, "invalidSyntax")


async def test_flags_that_entra_adds_to_the_address_change_nothing(scim: Scim) -> None:
    made = await scim.ask("POST", "/Users?aadOptscim062020", user("alice"))
    found = await scim.ask("GET", '/Users?aadOptscim062020&filter=userName eq "alice"')
    assert [each["id"] for each in found["Resources"]] == [made["id"]]


async def test_a_page_of_another_origin_is_refused(scim: Scim) -> None:
    assert (await scim.send("GET", "/Users", origin="https://evil.example")).status_code == 403


def test_every_error_has_a_status_and_only_a_wrong_request_has_a_type() -> None:
    kinds = [errors.KitewardError]
    for kind in kinds:
        kinds += kind.__subclasses__()
        response = failed(kind("what is wrong"))
        assert response.status_code >= 400
        assert (b"scimType" in response.body) <= (response.status_code in (400, 409))
    assert set(BY_CLASS) <= set(kinds)
    for code, (status, kind_of_error) in BY_CODE.items():
        response = failed(errors.InvalidArgument("what is wrong", ErrorDetail(code)))
        assert response.status_code == status
        assert (f'"scimType":"{kind_of_error}"'.encode() in response.body) is bool(kind_of_error)


def test_every_scim_code_has_a_row_or_the_status_of_its_class() -> None:
    of_class = {
        "SCIM_DISABLED",
        "SCIM_MANAGED_ALREADY",
        "SCIM_NOT_MANAGED",
        "SCIM_RESOURCE_NOT_FOUND",
        "SCIM_USER_PROTECTED",
    }
    assert {code.name for code in ErrorCode if code.name.startswith("SCIM_")} - of_class == {
        code.name for code in BY_CODE if code.name.startswith("SCIM_")
    }


def test_a_defect_reveals_nothing() -> None:
    assert b"secret" not in failed(errors.KitewardError("a secret")).body
