"""Groups by SCIM, and the roles that they give."""

from typing import Any

import pytest
from tests.support.gateway import GatewayHarness
from tests.support.scim import Scim, group, key_of, own, patch, user

from kiteward.domain.identity import KeyCredential, Secret
from kiteward.store.identity_records import GroupRole


async def made_user(scim: Scim, login: str) -> str:
    return str((await scim.ask("POST", "/Users", user(login)))["id"])


async def members(scim: Scim, group_id: str) -> list[str]:
    return [each["value"] for each in (await scim.ask("GET", f"/Groups/{group_id}")).get("members", [])]


async def roles(harness: GatewayHarness, key: str) -> list[str]:
    return list((await own(harness, "WhoAmI", KeyCredential(Secret(key)))).roles)


async def map_role(harness: GatewayHarness, name: str, role: str = "teammate", **how: Any) -> None:
    await own(harness, "GrantGroupRole", issuer="scim", group=name, roleName=role, **how)


async def test_a_group_is_made_with_its_members_and_shown_at_both(scim: Scim) -> None:
    alice, bob = await made_user(scim, "alice"), await made_user(scim, "bob")
    response = await scim.send("POST", "/Groups", group("Team", alice, bob, externalId="G1"))
    made = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == made["meta"]["location"]
    assert (made["displayName"], made["externalId"]) == ("Team", "G1")
    assert sorted(each["value"] for each in made["members"]) == sorted([alice, bob])
    assert all(each["$ref"].endswith(f"/scim/v2/Users/{each['value']}") for each in made["members"])
    (shown,) = (await scim.ask("GET", f"/Users/{alice}"))["groups"]
    assert (shown["value"], shown["display"], shown["type"]) == (made["id"], "Team", "direct")


async def test_a_patch_of_a_group_is_answered_without_its_members(scim: Scim) -> None:
    alice = await made_user(scim, "alice")
    made = await scim.ask("POST", "/Groups", group("Team"))
    add = patch({"op": "Add", "path": "members", "value": [{"value": alice}]})
    response = await scim.send("PATCH", f"/Groups/{made['id']}", add)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["etag"] == (await scim.ask("GET", f"/Groups/{made['id']}"))["meta"]["version"]
    shown = await scim.ask("PATCH", f"/Groups/{made['id']}?attributes=members", add)
    assert [each["value"] for each in shown["members"]] == [alice]


async def test_members_come_and_go(scim: Scim) -> None:
    alice, bob, carol = [await made_user(scim, name) for name in ("alice", "bob", "carol")]
    team = (await scim.ask("POST", "/Groups", group("Team", alice)))["id"]
    for operation, left in (
        ({"op": "Add", "path": "members", "value": [{"value": bob}, {"value": alice}]}, {alice, bob}),
        ({"op": "Remove", "path": "members", "value": [{"value": alice}]}, {bob}),
        ({"op": "replace", "path": "members", "value": [{"value": carol}, {"value": alice}]}, {alice, carol}),
        ({"op": "remove", "path": f'members[value eq "{carol}"]'}, {alice}),
        ({"op": "remove", "path": "members"}, set()),
    ):
        await scim.ask("PATCH", f"/Groups/{team}", patch(operation))
        assert set(await members(scim, team)) == left, operation
    await scim.ask("PUT", f"/Groups/{team}", group("Renamed", bob))
    assert await members(scim, team) == [bob]
    assert (await scim.ask("PUT", f"/Groups/{team}", group("Renamed")))["displayName"] == "Renamed"
    assert await members(scim, team) == []


@pytest.mark.parametrize("wrong", ["nobody", "0" * 8 + "-0000-0000-0000-" + "0" * 12, "root", "directory"])
async def test_only_users_of_the_directory_are_members(scim: Scim, wrong: str) -> None:
    alice = await made_user(scim, "alice")
    made = await scim.ask("POST", "/Groups", group("Team", alice))
    assert await scim.failure("POST", "/Groups", group("Other", wrong)) == (400, "invalidValue")
    add = patch({"op": "add", "path": "members", "value": [{"value": wrong}]}, {"op": "remove", "path": "members"})
    assert (await scim.send("PATCH", f"/Groups/{made['id']}", add)).status_code in (204, 400)
    refused = patch(
        {"op": "replace", "path": "displayName", "value": "New"},
        {"op": "add", "path": "members", "value": [{"value": wrong}]},
    )
    assert await scim.failure("PATCH", f"/Groups/{made['id']}", refused) == (400, "invalidValue")
    assert (await scim.ask("GET", f"/Groups/{made['id']}"))["displayName"] == "Team"
    assert (await scim.ask("GET", "/Groups"))["totalResults"] == 1


async def test_groups_within_groups_are_refused(scim: Scim) -> None:
    inner = await scim.ask("POST", "/Groups", group("Inner"))
    outer = {**group("Outer"), "members": [{"value": inner["id"], "type": "Group"}]}
    assert await scim.failure("POST", "/Groups", outer) == (400, "invalidValue")


async def test_filters_find_groups_also_by_their_members(scim: Scim) -> None:
    alice, bob = await made_user(scim, "alice"), await made_user(scim, "bob")
    team = (await scim.ask("POST", "/Groups", group("Team", alice, externalId="G1")))["id"]
    other = (await scim.ask("POST", "/Groups", group("Other", alice, bob)))["id"]
    for condition, found in {
        'displayName eq "team"': [team],
        'externalId eq "G1"': [team],
        f'members eq "{bob}"': [other],
        f'members[value eq "{alice}"]': sorted([team, other]),
        f'id eq "{team}" and members eq "{bob}"': [],
        f'id eq "{other}" and members eq "{bob}"': [other],
        f'not (members.value eq "{bob}")': [team],
        'members.type eq "user" and not (externalId pr)': [other],
        'displayName sw "t" or displayName sw "o"': sorted([team, other]),
    }.items():
        assert await scim.found("/Groups", condition) == found, condition
    listed = await scim.ask("GET", '/Groups?excludedAttributes=members&filter=displayName eq "team"')
    assert "members" not in listed["Resources"][0]
    assert "members" in (await scim.ask("GET", "/Groups"))["Resources"][0]
    assert "members" not in await scim.ask("GET", f"/Groups/{team}?excludedAttributes=members")


async def test_membership_gives_roles_and_takes_them_before_it_is_answered(harness: GatewayHarness, scim: Scim) -> None:
    alice = await made_user(scim, "alice")
    key = await key_of(harness, "scim_alice")
    await map_role(harness, "Team")
    team = (await scim.ask("POST", "/Groups", group("Team")))["id"]
    assert await roles(harness, key) == []
    for method, path, body, held in (
        (
            "PATCH",
            f"/Groups/{team}",
            patch({"op": "add", "path": "members", "value": [{"value": alice}]}),
            ["teammate"],
        ),
        ("PATCH", f"/Groups/{team}", patch({"op": "remove", "path": f'members[value eq "{alice}"]'}), []),
        ("PUT", f"/Groups/{team}", group("Team", alice), ["teammate"]),
        ("PUT", f"/Groups/{team}", group("Renamed", alice), []),
        ("PUT", f"/Groups/{team}", group("Team", alice), ["teammate"]),
        ("DELETE", f"/Groups/{team}", None, []),
    ):
        await scim.ask(method, path, body)
        assert await roles(harness, key) == held, (method, body)


async def test_a_change_of_the_mapping_is_in_force_before_it_is_answered(harness: GatewayHarness, scim: Scim) -> None:
    alice = await made_user(scim, "alice")
    key = await key_of(harness, "scim_alice")
    await harness.role("second")
    await scim.ask("POST", "/Groups", group("Team[1]", alice))
    await scim.ask("POST", "/Groups", group("Other", alice))
    assert await roles(harness, key) == []
    await map_role(harness, "Team[*", pattern=True)
    assert await roles(harness, key) == ["teammate"]
    for pattern in ("team*", "Team[1-9]*", "Te?m*", "%eam*", "Team_*"):
        await map_role(harness, pattern, "second", pattern=True)
    assert await roles(harness, key) == ["teammate"]
    await map_role(harness, "*er", "second", pattern=True)
    assert await roles(harness, key) == ["second", "teammate"]
    await own(harness, "RevokeGroupRole", issuer="scim", group="Team[*", roleName="teammate", pattern=True)
    assert await roles(harness, key) == ["second"]
    await harness.succeed("DropRole", role_name="second")
    assert await roles(harness, key) == []


async def test_a_mapping_of_another_issuer_gives_groups_of_scim_nothing(harness: GatewayHarness, scim: Scim) -> None:
    alice = await made_user(scim, "alice")
    await scim.ask("POST", "/Groups", group("Team", alice))
    async with harness.policy_cache.change() as transaction:
        await transaction.identities.grant_role(GroupRole("https://idp.example", "Team", False, "teammate"))
    assert await roles(harness, await key_of(harness, "scim_alice")) == []


async def test_a_key_can_be_restricted_to_a_role_that_a_group_gives(harness: GatewayHarness, scim: Scim) -> None:
    alice = await made_user(scim, "alice")
    await map_role(harness, "Team")
    team = (await scim.ask("POST", "/Groups", group("Team", alice)))["id"]
    key = await key_of(harness, "scim_alice", roles=["teammate"])
    assert await roles(harness, key) == ["teammate"]
    await scim.ask("DELETE", f"/Groups/{team}")
    assert await roles(harness, key) == []


async def test_conditions_hold_back_changes_of_groups(scim: Scim) -> None:
    made = await scim.ask("POST", "/Groups", group("Team"))
    path, version = f"/Groups/{made['id']}", made["meta"]["version"]
    await scim.ask("PUT", path, group("New"), if_match=version)
    rename = patch({"op": "replace", "path": "displayName", "value": "Newer"})
    for method, body in (("PUT", group("Newer")), ("PATCH", rename), ("DELETE", None)):
        assert await scim.failure(method, path, body, if_match=version) == (412, "")
    assert (await scim.ask("GET", path))["displayName"] == "New"


async def test_two_groups_may_have_one_name(scim: Scim) -> None:
    first, second = [await scim.ask("POST", "/Groups", group("Team")) for _ in range(2)]
    assert await scim.found("/Groups", 'displayName eq "Team"') == sorted([first["id"], second["id"]])


async def test_a_large_group_is_changed_by_who_may_provision(scim: Scim) -> None:
    ids = [await made_user(scim, f"user{number}") for number in range(120)]
    made = await scim.ask("POST", "/Groups", group("Team", *ids))
    assert len(made["members"]) == len(ids)
    repeated = [{"value": each, "display": "x" * 200} for each in ids]
    await scim.ask(
        "PATCH", f"/Groups/{made['id']}", patch({"op": "replace", "path": "members", "value": repeated[:60]})
    )
    assert len(await members(scim, made["id"])) == 60
