"""The requests that Microsoft and Okta document, in their order and spelling, as docs/scim.md lists them."""

from typing import Any

import pytest
from tests.support.scim import Scim, patch

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


async def entra_user(scim: Scim, name: str = "test_user") -> str:
    """Make a user as Entra does, and return the id."""
    made = await scim.ask(
        "POST",
        "/Users",
        {
            "schemas": [USER, ENTERPRISE],
            "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
            "userName": name,
            "active": True,
            "addresses": None,
            "emails": [{"primary": True, "type": "work", "value": f"{name}@corp.example"}],
            "meta": {"resourceType": "User"},
            "name": {"formatted": "given family", "familyName": "family", "givenName": "given"},
            "roles": [],
            "title": None,
            "department": None,
            "manager": None,
        },
    )
    return str(made["id"])


async def entra_group(scim: Scim) -> str:
    made = await scim.ask(
        "POST",
        "/Groups",
        {
            "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
            "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
            "displayName": "searchers",
            "meta": {"resourceType": "Group"},
        },
    )
    return str(made["id"])


async def okta_user(scim: Scim) -> dict[str, Any]:
    made: dict[str, Any] = await scim.ask(
        "POST",
        "/Users",
        {
            "schemas": [USER],
            "userName": "test.user",
            "name": {"givenName": "Test", "familyName": "User"},
            "emails": [{"primary": True, "value": "test.user@okta.local", "type": "work"}],
            "displayName": "Test User",
            "locale": "en-US",
            "externalId": "00ujl29u0le5T6Aj10h7",
            "groups": [],
            "password": "1mz050nq",
            "active": True,
        },
    )
    return made


async def members(scim: Scim, group: str) -> list[str]:
    return [each["value"] for each in (await scim.ask("GET", f"/Groups/{group}")).get("members", [])]


async def test_entra_tests_the_connection_by_a_user_that_is_not_there(scim: Scim) -> None:
    for attribute in ("userName", "externalId"):
        found = await scim.ask("GET", f'/Users?filter={attribute} eq "6c2b3a5e-random"')
        assert (found["totalResults"], found["Resources"]) == (0, [])


@pytest.mark.parametrize(
    "disable",
    [
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Replace", "path": "active", "value": False},
        {"op": "replace", "path": "active", "value": False},
    ],
)
async def test_entra_finds_changes_and_disables_a_user(scim: Scim, disable: dict[str, Any]) -> None:
    made = await entra_user(scim)
    assert await scim.found("/Users", 'emails[type eq "work"].value eq "test_user@corp.example"') == [made]
    changed = await scim.ask(
        "PATCH",
        f"/Users/{made}",
        patch(
            {"op": "Replace", "path": "displayName", "value": "Pvlo"},
            {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "other@corp.example"},
            {"op": "Replace", "path": 'emails[type eq "other"].Value', "value": "third@corp.example"},
            {"op": "Replace", "path": "name.givenName", "value": "Gtfd"},
            {"op": "Replace", "path": "externalId", "value": "Eqpj"},
            {"op": "Add", "path": "nickName", "value": "Babs"},
            {"op": "Add", "path": 'phoneNumbers[type eq "work"].value', "value": "1"},
            {"op": "Add", "path": 'addresses[type eq "other"].Formatted', "value": "x"},
            {"op": "Replace", "path": f"{ENTERPRISE}:employeeNumber", "value": "Eqpj"},
        ),
    )
    assert (changed["displayName"], changed["externalId"], changed["name"]["givenName"]) == ("Pvlo", "Eqpj", "Gtfd")
    assert [each["value"] for each in changed["emails"]] == ["other@corp.example", "third@corp.example"]
    assert not (await scim.ask("PATCH", f"/Users/{made}", patch(disable)))["active"]
    assert await scim.ask("DELETE", f"/Users/{made}") is None


async def test_entra_replaces_several_attributes_at_once_by_its_flag(scim: Scim) -> None:
    made = await entra_user(scim)
    value = {
        "displayName": "Bjfe",
        "name.givenName": "Kkom",
        "name.familyName": "Unua",
        f"{ENTERPRISE}:employeeNumber": "Aklq",
    }
    changed = await scim.ask("PATCH", f"/Users/{made}", patch({"op": "replace", "value": value}))
    assert changed["displayName"] == "Bjfe"
    assert (changed["name"]["givenName"], changed["name"]["familyName"]) == ("Kkom", "Unua")


async def test_entra_asks_for_a_manager_and_sets_one_without_naming_the_extension(scim: Scim) -> None:
    made, other = await entra_user(scim), await entra_user(scim, "boss")
    for name in ("manager", f"{ENTERPRISE}:manager"):
        for condition in (f'id eq "{made}" and {name} eq "{other}"', f'{name} eq "{other}" and id eq "{made}"'):
            assert await scim.found("/Users", condition) == []
        value = [{"$ref": f"http://scim.example/Users/{other}", "value": other}]
        changed = await scim.ask("PATCH", f"/Users/{made}", patch({"op": "Add", "path": name, "value": value}))
        assert other not in str(changed)
    assert await scim.failure("GET", f'/Users?filter=manager eq "{other}"') == (400, "invalidFilter")


async def test_entra_makes_a_group_without_members_and_then_adds_and_removes_them(scim: Scim) -> None:
    made, group = await entra_user(scim), await entra_group(scim)
    member = {"$ref": None, "value": made}
    found = await scim.ask("GET", '/Groups?excludedAttributes=members&filter=displayName eq "searchers"')
    assert [each["id"] for each in found["Resources"]] == [group]
    for operation, left in (("Add", [made]), ("Remove", []), ("Add", [made])):
        change = patch({"op": operation, "path": "members", "value": [member]})
        assert await scim.ask("PATCH", f"/Groups/{group}", change) is None
        assert await members(scim, group) == left
    assert "members" not in await scim.ask("GET", f"/Groups/{group}?excludedAttributes=members")
    asked = f'/Groups?filter=id eq "{group}" and members eq "{made}"&attributes=id'
    assert [each["id"] for each in (await scim.ask("GET", asked))["Resources"]] == [group]
    by_flag = patch({"op": "remove", "path": f'members[value eq "{made}"]'})
    assert await scim.ask("PATCH", f"/Groups/{group}", by_flag) is None
    assert await members(scim, group) == []


async def test_okta_makes_replaces_and_deactivates_a_user(scim: Scim) -> None:
    assert (await scim.ask("GET", "/Users?startIndex=1&count=2"))["totalResults"] == 0
    asked = '/Users?filter=userName eq "test.user"&startIndex=1&count=100'
    assert (await scim.ask("GET", asked))["totalResults"] == 0
    made = await okta_user(scim)
    assert "password" not in made
    replaced = await scim.ask(
        "PUT",
        f"/Users/{made['id']}",
        {
            **made,
            "name": {"givenName": "Another", "middleName": "Excited", "familyName": "User"},
            "emails": [{**made["emails"][0], "display": "test.user@okta.local"}],
            "groups": [],
        },
    )
    assert replaced["name"]["middleName"] == "Excited"
    values: list[dict[str, Any]] = [{"active": False}, {"active": True}, {"password": "2nz150or"}]
    for value in values:
        changed = await scim.ask("PATCH", f"/Users/{made['id']}", patch({"op": "replace", "value": value}))
        assert changed["active"] is value.get("active", True)
    assert not (await scim.ask("PUT", f"/Users/{made['id']}", {**replaced, "active": False}))["active"]


async def test_okta_pushes_a_group_and_its_members(scim: Scim) -> None:
    first, second = await okta_user(scim), {"id": await entra_user(scim, "second")}
    pushed = {"schemas": [GROUP], "displayName": "Test SCIMv2", "members": []}
    group = (await scim.ask("POST", "/Groups", pushed))["id"]
    renamed = {"op": "replace", "value": {"id": group, "displayName": "Test SCIMv20"}}
    await scim.ask("PATCH", f"/Groups/{group}", patch(renamed))
    for operations, left in (
        ([{"op": "add", "path": "members", "value": [{"value": first["id"], "display": "x"}]}], [first]),
        (
            [
                {"op": "remove", "path": f'members[value eq "{first["id"]}"]'},
                {"op": "add", "path": "members", "value": [{"value": second["id"], "display": "x"}]},
            ],
            [second],
        ),
        (
            [{"op": "replace", "path": "members", "value": [{"value": each["id"]} for each in (first, second)]}],
            [first, second],
        ),
        ([{"op": "replace", "path": "members", "value": []}], []),
        ([{"op": "add", "path": "members", "value": [{"value": first["id"]}]}], [first]),
        ([{"op": "replace", "value": {"members": [], "id": group, "displayName": "Test SCIMv20"}}], []),
    ):
        await scim.ask("PATCH", f"/Groups/{group}", patch(*operations))
        assert sorted(await members(scim, group)) == sorted(each["id"] for each in left)
    whole = {**pushed, "id": group, "members": [{"value": first["id"], "display": "x"}]}
    await scim.ask("PUT", f"/Groups/{group}", whole)
    assert await members(scim, group) == [first["id"]]
    assert await scim.ask("DELETE", f"/Groups/{group}") is None
