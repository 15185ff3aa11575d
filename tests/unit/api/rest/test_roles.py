from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness
from tests.support.rest import Rest

from kiteward.domain.errors import AccessDenied
from kiteward.milvus import messages

GRANT = {"objectType": "Collection", "objectName": "*", "privilege": "Search", "dbName": "default", "grantor": "root"}


async def test_a_role_is_created_listed_altered_and_dropped(rest: Rest) -> None:
    assert await rest.ask("roles/create", {"roleName": "reader", "description": "reads"}) == {}
    assert await rest.ask("roles/list") == ["admin", "public", "reader"]
    assert (await rest.whole("roles/describe", {"roleName": "reader"}))["description"] == "reads"
    assert await rest.ask("roles/alter", {"roleName": "reader", "description": "reads all"}) == {}
    assert (await rest.whole("roles/describe", {"roleName": "reader"}))["description"] == "reads all"
    assert await rest.ask("roles/alter", {"roleName": "reader"}) == {}
    assert (await rest.whole("roles/describe", {"roleName": "reader"}))["description"] == ""
    assert await rest.ask("roles/drop", {"roleName": "reader"}) == {}
    assert await rest.ask("roles/list") == ["admin", "public"]


async def test_a_description_is_described_with_grants_beside_it(rest: Rest) -> None:
    await rest.ask("roles/create", {"roleName": "reader", "description": "reads"})
    await rest.ask("roles/grant_privilege_v2", {"roleName": "reader", "privilege": "Search", "collectionName": "*"})
    assert await rest.whole("roles/describe", {"roleName": "reader"}) == {
        "code": 0,
        "data": [GRANT],
        "description": "reads",
    }


async def test_only_the_described_roles_description_is_shown(rest: Rest) -> None:
    await rest.ask("roles/create", {"roleName": "reader", "description": "reads"})
    await rest.ask("roles/create", {"roleName": "writer", "description": "writes"})
    assert (await rest.whole("roles/describe", {"roleName": "reader"}))["description"] == "reads"


async def test_the_messages_name_the_bodys_database_and_never_the_headers(
    rest: Rest, harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.role("reader")
    asked: list[Any] = []
    handle = harness.gateway.handle

    async def watched(call: Any) -> Any:
        asked.append(messages.decode(call.operation, call.payload))
        return await handle(call)

    monkeypatch.setattr(harness.gateway, "handle", watched)
    granted = {"roleName": "reader", "privilege": "All"}
    bodies = {
        "describe": {"roleName": "reader"},
        "grant_privilege": {**granted, "objectType": "Collection", "objectName": "*"},
        "grant_privilege_v2": granted,
    }
    for database in ("default", ""):
        for path, body in bodies.items():
            del asked[:]
            await rest.send(f"roles/{path}", {**body, "dbName": database}, headers={"DB-Name": "in_header"})
            sent = asked[-1]
            assert getattr(sent, "entity", sent).db_name == database, path


async def test_an_unknown_role_is_reported_by_the_grants(rest: Rest) -> None:
    answer = await rest.whole("roles/describe", {"roleName": "nobody"})
    assert answer == {"code": 1100, "message": 'the role "nobody" does not exist: invalid parameter'}


async def test_a_role_that_holds_grants_is_not_dropped(rest: Rest, harness: GatewayHarness) -> None:
    await harness.role("reader", ("Search", "default", "*"))
    assert await rest.code("roles/drop", {"roleName": "reader"}) == 1100
    assert "reader" in await rest.ask("roles/list")


async def test_a_privilege_on_an_object_is_granted_and_revoked(rest: Rest, harness: GatewayHarness) -> None:
    await harness.role("reader")
    body = {"roleName": "reader", "objectType": "Collection", "objectName": "docs", "privilege": "Search"}
    assert await rest.ask("roles/grant_privilege", body) == {}
    assert await rest.ask("roles/describe", {"roleName": "reader"}) == [{**GRANT, "objectName": "docs"}]
    assert await rest.ask("roles/revoke_privilege", body) == {}
    assert await rest.ask("roles/describe", {"roleName": "reader"}) == []


@pytest.mark.parametrize("version", ["", "_v2"])
async def test_both_versions_revoke_what_the_other_granted(rest: Rest, harness: GatewayHarness, version: str) -> None:
    await harness.role("reader")
    named = {"roleName": "reader", "privilege": "Search"}
    bodies = {
        "": {**named, "objectType": "Collection", "objectName": "docs"},
        "_v2": {**named, "collectionName": "docs"},
    }
    other = {"": "_v2", "_v2": ""}[version]
    await rest.ask(f"roles/grant_privilege{version}", bodies[version])
    assert len(await rest.ask("roles/describe", {"roleName": "reader"})) == 1
    await rest.ask(f"roles/revoke_privilege{other}", bodies[other])
    assert await rest.ask("roles/describe", {"roleName": "reader"}) == []


async def test_the_database_of_a_grant_is_the_bodys_else_the_headers_else_default(
    rest: Rest, harness: GatewayHarness, engine: FakeEngine
) -> None:
    engine.create(database="in_body")
    engine.create(database="in_header")
    await harness.catalog.refresh()
    await harness.role("reader")
    body = {"roleName": "reader", "objectType": "Collection", "objectName": "*", "privilege": "Search"}
    header = {"DB-Name": "in_header"}
    await rest.ask("roles/grant_privilege", {**body, "dbName": "in_body"}, headers=header)
    await rest.ask("roles/grant_privilege", body, headers=header)
    await rest.ask("roles/grant_privilege", body)
    assert sorted(database for _, database, _, _ in await harness.grants("reader")) == [
        "default",
        "in_body",
        "in_header",
    ]


async def test_the_header_does_not_count_for_the_second_version(
    rest: Rest, harness: GatewayHarness, engine: FakeEngine
) -> None:
    engine.create(database="in_header")
    await harness.catalog.refresh()
    await harness.role("reader")
    body = {"roleName": "reader", "privilege": "Search", "collectionName": "*"}
    header = {"DB-Name": "in_header"}
    await rest.ask("roles/grant_privilege_v2", body, headers=header)
    assert [database for _, database, _, _ in await harness.grants("reader")] == ["default"]
    await rest.ask("roles/revoke_privilege_v2", body, headers=header)
    assert await harness.grants("reader") == []


async def test_the_second_version_needs_a_collection_and_the_gateway_says_so(
    rest: Rest, harness: GatewayHarness
) -> None:
    await harness.role("reader")
    assert await rest.code("roles/grant_privilege_v2", {"roleName": "reader", "privilege": "Search"}) == 1100


@pytest.mark.parametrize(
    ("body", "header", "databases"),
    [
        ({}, "", ["*", "default"]),
        ({"dbName": "one"}, "", ["*", "one"]),
        ({}, "one", ["*", "one"]),
        ({"dbName": "*"}, "one", ["*", "default", "one"]),
    ],
)
async def test_grants_are_listed_for_one_database(
    rest: Rest, harness: GatewayHarness, engine: FakeEngine, body: dict[str, str], header: str, databases: list[str]
) -> None:
    engine.create(database="one")
    await harness.catalog.refresh()
    await harness.role("reader", ("Search", "default", "*"), ("Search", "one", "*"), ("Search", "*", "*"))
    listed = await rest.ask("roles/describe", {"roleName": "reader", **body}, headers={"DB-Name": header})
    assert sorted(grant["dbName"] for grant in listed) == databases


async def test_a_description_asks_for_the_role_and_then_for_its_grants(
    rest: Rest, harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.user("ann")
    asked = []
    handle = harness.gateway.handle

    async def watched(call: Any) -> Any:
        asked.append(call.operation)
        return await handle(call)

    monkeypatch.setattr(harness.gateway, "handle", watched)
    await rest.ask("roles/describe", {"roleName": "admin"})
    assert asked == ["SelectRole", "SelectGrant"]
    assert (await rest.send("roles/describe", {"roleName": "admin"}, by="ann")).status_code == 403
    with pytest.raises(AccessDenied):
        await harness.call("SelectRole", by="ann", role=messages.RoleEntity(name="admin"))


@pytest.mark.parametrize(
    ("path", "body", "missing"),
    [
        ("roles/describe", {}, "RoleReq.RoleName"),
        ("roles/drop", {}, "RoleReq.RoleName"),
        ("roles/create", {}, "DescribedRoleReq.RoleName"),
        ("roles/alter", {"description": "d"}, "DescribedRoleReq.RoleName"),
        ("roles/grant_privilege", {"objectType": "Global", "objectName": "*", "privilege": "All"}, "GrantReq.RoleName"),
        ("roles/grant_privilege", {"roleName": "r", "objectName": "*", "privilege": "All"}, "GrantReq.ObjectType"),
        ("roles/grant_privilege", {"roleName": "r", "objectType": "Global", "privilege": "All"}, "GrantReq.ObjectName"),
        ("roles/revoke_privilege", {"roleName": "r", "objectType": "Global", "objectName": "*"}, "GrantReq.Privilege"),
        ("roles/grant_privilege_v2", {"privilege": "All", "collectionName": "*"}, "GrantV2Req.RoleName"),
        ("roles/revoke_privilege_v2", {"roleName": "r", "collectionName": "*"}, "GrantV2Req.Privilege"),
    ],
)
async def test_required_fields_are_required(rest: Rest, path: str, body: dict[str, str], missing: str) -> None:
    answer = await rest.whole(path, body)
    assert answer["code"] == 1802
    assert f"Key: '{missing}'" in answer["message"]
