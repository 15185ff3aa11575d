"""Users by SCIM, as a client sees them and as Kiteward treats them."""

from typing import Any

import pytest
from tests.support.gateway import GatewayHarness, presented
from tests.support.scim import SETTINGS, Scim, group, key_of, own, patch, serving, user

from kiteward.authn.oidc.issuers import NameRule
from kiteward.domain.errors import KeyRejected, PasswordRejected
from kiteward.domain.identity import KeyCredential, Secret
from kiteward.iam.scim.settings import ScimSettings
from kiteward.store.records import UserRecord


async def stored(harness: GatewayHarness, name: str) -> UserRecord:
    record = await harness.store.user(name)
    assert record is not None
    return record


async def works(harness: GatewayHarness, key: str) -> bool:
    try:
        await harness.call("GetVersion", by=KeyCredential(Secret(key)))
    except KeyRejected:
        return False
    return True


async def test_a_user_is_made_with_the_prefix_and_without_a_password(harness: GatewayHarness, scim: Scim) -> None:
    response = await scim.send(
        "POST",
        "/Users",
        user("alice@corp", externalId="X1", name={"givenName": "A"}, emails=[{"value": "a@corp.local"}]),
    )
    made = response.json()
    assert response.status_code == 201
    assert (
        response.headers["location"]
        == made["meta"]["location"]
        == f"http://kiteward.test:19530/scim/v2/Users/{made['id']}"
    )
    assert response.headers["etag"] == made["meta"]["version"]
    assert (made["userName"], made["externalId"], made["active"]) == ("alice@corp", "X1", True)
    assert await scim.ask("GET", f"/Users/{made['id']}") == made
    record = await stored(harness, "scim_alice_corp")
    assert (record.roles, record.enabled, record.scim_login) == ((), True, "alice@corp")
    for password in ("", "!", "Milvus"):
        with pytest.raises(PasswordRejected):
            await harness.call("GetVersion", by=presented("scim_alice_corp", password))


async def test_a_user_name_belongs_to_one_user_in_any_case(scim: Scim) -> None:
    await scim.ask("POST", "/Users", user("Alice@corp"))
    assert await scim.failure("POST", "/Users", user("alice@CORP")) == (409, "uniqueness")
    assert await scim.failure("POST", "/Users", user("Alice_corp")) == (409, "uniqueness")
    other = await scim.ask("POST", "/Users", user("bob"))
    assert await scim.failure("PUT", f"/Users/{other['id']}", user("alice@corp")) == (409, "uniqueness")


async def test_no_user_that_scim_did_not_make_is_touched(harness: GatewayHarness, scim: Scim) -> None:
    await harness.user("scim_local", "teammate")
    before = await harness.store.users()
    assert await scim.failure("POST", "/Users", user("local")) == (409, "uniqueness")
    assert await harness.store.users() == before
    assert (await scim.ask("GET", "/Users"))["totalResults"] == 0
    for path in ("/Users/root", "/Users/alice", "/Users/scim_local", f"/Users/{'0' * 36}"):
        for method, body in (("GET", None), ("DELETE", None), ("PUT", user("x")), ("PATCH", DEACTIVATE)):
            assert await scim.failure(method, path, body) == (404, "")
            assert await scim.failure(method, "/Users/%00", body) == (400, "invalidValue")
    assert await harness.store.users() == before


DEACTIVATE = patch({"op": "Replace", "path": "active", "value": "False"})
ACTIVATE = patch({"op": "replace", "value": {"active": True}})


async def test_deactivation_ends_keys_before_it_is_answered(harness: GatewayHarness, scim: Scim) -> None:
    made = await scim.ask("POST", "/Users", user("alice"))
    key = await key_of(harness, "scim_alice")
    assert await works(harness, key)
    answer = await scim.ask("PATCH", f"/Users/{made['id']}", DEACTIVATE)
    assert answer["active"] is False
    assert not await works(harness, key)
    await scim.ask("PATCH", f"/Users/{made['id']}", ACTIVATE)
    assert await works(harness, key)


async def test_a_user_can_be_made_inactive(harness: GatewayHarness, scim: Scim) -> None:
    await scim.ask("POST", "/Users", user("alice", active=False))
    assert not (await stored(harness, "scim_alice")).enabled


async def test_whom_an_administrator_disables_stays_so_however_often_scim_says_active(
    harness: GatewayHarness, scim: Scim
) -> None:
    made = await scim.ask("POST", "/Users", user("alice"))
    await own(harness, "DisableUser", userName="scim_alice")
    for method, body in (("PATCH", ACTIVATE), ("PUT", user("alice", active=True)), ("PUT", user("alice"))):
        assert (await scim.ask(method, f"/Users/{made['id']}", body))["active"] is True
        assert not (await stored(harness, "scim_alice")).enabled


@pytest.mark.parametrize("first", ["SCIM", "administrator"])
async def test_whom_an_administrator_disables_stays_so_when_scim_has_deactivated_too(
    harness: GatewayHarness, scim: Scim, first: str
) -> None:
    made = await scim.ask("POST", "/Users", user("alice"))
    for by in (first, "administrator" if first == "SCIM" else "SCIM"):
        if by == "SCIM":
            assert (await scim.ask("PATCH", f"/Users/{made['id']}", DEACTIVATE))["active"] is False
        else:
            await own(harness, "DisableUser", userName="scim_alice")
    assert (await scim.ask("PATCH", f"/Users/{made['id']}", ACTIVATE))["active"] is True
    assert not (await stored(harness, "scim_alice")).enabled
    await own(harness, "EnableUser", userName="scim_alice")
    for body, enabled in ((DEACTIVATE, False), (ACTIVATE, True)):
        await scim.ask("PATCH", f"/Users/{made['id']}", body)
        assert (await stored(harness, "scim_alice")).enabled is enabled


async def test_whom_an_administrator_has_disabled_and_handed_over_stays_so(harness: GatewayHarness, scim: Scim) -> None:
    await harness.user("carol")
    await own(harness, "DisableUser", userName="carol")
    await own(harness, "HandOverToScim", userName="carol")
    (scim_id,) = await scim.found("/Users", 'userName eq "carol"')
    await scim.ask("PATCH", f"/Users/{scim_id}", ACTIVATE)
    assert not (await stored(harness, "carol")).enabled


async def test_whom_an_administrator_enables_is_disabled_by_the_next_deactivation(
    harness: GatewayHarness, scim: Scim
) -> None:
    made = await scim.ask("POST", "/Users", user("alice", active=False))
    await own(harness, "EnableUser", userName="scim_alice")
    await scim.ask("PATCH", f"/Users/{made['id']}", DEACTIVATE)
    assert not (await stored(harness, "scim_alice")).enabled


async def test_a_replacement_without_active_does_not_activate(harness: GatewayHarness, scim: Scim) -> None:
    made = await scim.ask("POST", "/Users", user("alice", active=False, displayName="A", externalId="X"))
    replaced = await scim.ask("PUT", f"/Users/{made['id']}", user("alice"))
    assert replaced["active"] is False
    assert "displayName" not in replaced
    assert "externalId" not in replaced
    assert not (await stored(harness, "scim_alice")).enabled


async def test_a_rename_keeps_roles_keys_tags_and_groups(harness: GatewayHarness, scim: Scim) -> None:
    made = await scim.ask("POST", "/Users", user("alice"))
    team = await scim.ask("POST", "/Groups", group("Team", made["id"]))
    await harness.succeed("OperateUserRole", username="scim_alice", role_name="teammate")
    await own(harness, "SetTags", userName="scim_alice", tags={"team": "blue"})
    key = await key_of(harness, "scim_alice")
    assert await works(harness, key)
    renamed = await scim.ask(
        "PATCH", f"/Users/{made['id']}", patch({"op": "replace", "path": "userName", "value": "bob"})
    )
    assert (renamed["id"], renamed["userName"]) == (made["id"], "bob")
    assert await harness.store.user("scim_alice") is None
    record = await stored(harness, "scim_bob")
    assert (record.roles, record.tags, record.scim_login) == (("teammate",), {"team": "blue"}, "bob")
    assert await works(harness, key)
    shown = await own(harness, "WhoAmI", KeyCredential(Secret(key)))
    assert shown.user_name == "scim_bob"
    assert (await scim.ask("GET", f"/Groups/{team['id']}"))["members"][0]["value"] == made["id"]
    again = await scim.ask("POST", "/Users", user("alice"))
    assert again["id"] != made["id"]
    assert (await stored(harness, "scim_alice")).roles == ()


async def test_a_rename_to_a_name_of_others_changes_nothing(harness: GatewayHarness, scim: Scim) -> None:
    await harness.user("scim_local")
    made = await scim.ask("POST", "/Users", user("alice"))
    before = await harness.store.users()
    for name, failure in (
        ("local", (409, "uniqueness")),
        ("a b", (400, "invalidValue")),
        ("x" * 40, (400, "invalidValue")),
    ):
        assert await scim.failure("PUT", f"/Users/{made['id']}", user(name)) == failure
    assert await harness.store.users() == before


async def test_a_rename_in_another_case_keeps_the_user(harness: GatewayHarness, scim: Scim) -> None:
    made = await scim.ask("POST", "/Users", user("alice"))
    renamed = await scim.ask("PUT", f"/Users/{made['id']}", user("Alice"))
    assert (renamed["id"], renamed["userName"]) == (made["id"], "Alice")
    assert (await stored(harness, "scim_Alice")).scim_login == "Alice"


async def test_a_deleted_user_is_gone_with_its_keys(harness: GatewayHarness, scim: Scim) -> None:
    made = await scim.ask("POST", "/Users", user("alice"))
    team = await scim.ask("POST", "/Groups", group("Team", made["id"]))
    key = await key_of(harness, "scim_alice")
    response = await scim.send("DELETE", f"/Users/{made['id']}")
    assert (response.status_code, response.content) == (204, b"")
    assert not await works(harness, key)
    assert await harness.store.user("scim_alice") is None
    assert await scim.failure("GET", f"/Users/{made['id']}") == (404, "")
    assert await scim.failure("DELETE", f"/Users/{made['id']}") == (404, "")
    assert "members" not in await scim.ask("GET", f"/Groups/{team['id']}")


async def test_whom_an_administrator_deletes_is_gone_for_scim_too(harness: GatewayHarness, scim: Scim) -> None:
    made = await scim.ask("POST", "/Users", user("alice"))
    await own(harness, "DeleteUserAccount", userName="scim_alice")
    assert await scim.failure("GET", f"/Users/{made['id']}") == (404, "")


async def test_the_last_administrator_is_neither_deactivated_nor_deleted(harness: GatewayHarness) -> None:
    async with serving(harness, root_bypass=False) as scim:
        made = await scim.ask("POST", "/Users", user("boss"))
        await harness.succeed("OperateUserRole", username="scim_boss", role_name="admin")
        for method, body in (("PATCH", DEACTIVATE), ("PUT", user("boss", active=False)), ("DELETE", None)):
            assert await scim.failure(method, f"/Users/{made['id']}", body) == (403, "")
        assert (await stored(harness, "scim_boss")).enabled


@pytest.mark.parametrize("prefix", ["ro", "su"])
async def test_no_name_of_root_or_of_a_super_user_is_made(harness: GatewayHarness, prefix: str) -> None:
    login = {"ro": "ot", "su": "perior"}[prefix]
    settings = ScimSettings(NameRule(f"{prefix}{{userName}}"))
    assert settings.name_made_of(login) in ("root", "superior")
    async with serving(harness, settings, super_users=frozenset({"superior"})) as scim:
        assert await scim.failure("POST", "/Users", user(login)) == (400, "invalidValue")
        other = await scim.ask("POST", "/Users", user("x"))
        assert await scim.failure("PUT", f"/Users/{other['id']}", user(login)) == (400, "invalidValue")


async def test_conditions_hold_changes_back_that_are_based_on_an_older_version(scim: Scim) -> None:
    made = await scim.ask("POST", "/Users", user("alice"))
    path, version = f"/Users/{made['id']}", made["meta"]["version"]
    assert (await scim.send("GET", path, if_none_match=version)).status_code == 304
    changed = await scim.ask("PUT", path, user("alice", displayName="A"), if_match=version)
    assert changed["meta"]["version"] != version
    assert (await scim.send("GET", path, if_none_match=version)).status_code == 200
    for method, body in (("PUT", user("alice")), ("PATCH", DEACTIVATE), ("DELETE", None)):
        assert await scim.failure(method, path, body, if_match=version) == (412, "")
    assert await scim.ask("GET", path) == changed
    strong = changed["meta"]["version"].removeprefix("W/")
    await scim.ask("DELETE", path, if_match=f'"other", {strong}')


async def test_users_are_listed_in_pages_without_gaps(scim: Scim) -> None:
    ids = sorted([(await scim.ask("POST", "/Users", user(f"user{number}")))["id"] for number in range(7)])
    seen: list[str] = []
    for start in (1, 4, 7, 10):
        page = await scim.ask("GET", f"/Users?startIndex={start}&count=3")
        assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (7, start, len(page["Resources"]))
        seen += [each["id"] for each in page["Resources"]]
    assert seen == ids
    for count in (0, -5):
        none = await scim.ask("GET", f"/Users?count={count}")
        assert (none["totalResults"], none["Resources"]) == (7, [])
    assert (await scim.ask("GET", "/Users?startIndex=-3&count=1"))["startIndex"] == 1
    for query in ("count=many", "startIndex=1.5"):
        assert await scim.failure("GET", f"/Users?{query}") == (400, "invalidValue")


async def test_filters_find_users_by_index_and_by_comparison(scim: Scim) -> None:
    made = {
        name: (
            await scim.ask(
                "POST", "/Users", user(name, externalId=f"X-{name}", emails=[{"value": f"{name}@x", "type": "work"}])
            )
        )["id"]
        for name in ("alice", "bob", "carol")
    }
    for condition, names in {
        'userName eq "ALICE"': ["alice"],
        'externalId eq "X-bob"': ["bob"],
        'externalId eq "x-bob"': [],
        f'id eq "{made["carol"]}"': ["carol"],
        'userName eq "nobody"': [],
        'userName sw "a" or userName sw "b"': ["alice", "bob"],
        'userName eq "alice" and externalId eq "X-bob"': [],
        'emails[type eq "work" and value eq "bob@x"]': ["bob"],
        'emails[type eq "work"].value eq "bob@x"': ["bob"],
        'active eq true and not (userName eq "bob")': ["alice", "carol"],
    }.items():
        assert await scim.found("/Users", condition) == sorted(made[name] for name in names), condition
    assert await scim.failure("GET", "/Users?filter=userName") == (400, "invalidFilter")
    assert await scim.failure("GET", '/Users?filter=shoeSize eq "7"') == (400, "invalidFilter")
    page = await scim.ask("GET", "/Users?filter=active eq true&startIndex=2&count=1")
    assert (page["totalResults"], len(page["Resources"]), page["Resources"][0]["id"]) == (
        3,
        1,
        sorted(made.values())[1],
    )


async def test_a_search_by_post_finds_the_same(scim: Scim) -> None:
    made = await scim.ask("POST", "/Users", user("alice"))
    await scim.ask("POST", "/Users", user("bob"))
    search: dict[str, Any] = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}
    found = await scim.ask(
        "POST", "/Users/.search", {**search, "filter": 'userName eq "alice"', "attributes": ["userName"]}
    )
    assert [(each["id"], each["userName"]) for each in found["Resources"]] == [(made["id"], "alice")]
    assert "active" not in found["Resources"][0]
    assert await scim.failure("POST", "/Users/.search", {"filter": "x"}) == (400, "invalidSyntax")
    assert await scim.failure("POST", "/Users/.search", {**search, "filter": 7}) == (400, "invalidSyntax")


async def test_attributes_are_left_out_where_a_client_asks_for_that(scim: Scim) -> None:
    made = await scim.ask("POST", "/Users", user("alice", name={"givenName": "A", "familyName": "B"}))
    path = f"/Users/{made['id']}"
    assert (await scim.ask("GET", f"{path}?attributes=userName,name.givenName")).keys() == {
        "schemas",
        "id",
        "userName",
        "name",
    }
    assert (await scim.ask("GET", f"{path}?attributes=NAME.givenname"))["name"] == {"givenName": "A"}
    assert "name" not in await scim.ask("GET", f"{path}?excludedAttributes=name,id")
    assert (await scim.ask("GET", f"{path}?excludedAttributes=name.givenName"))["name"] == {"familyName": "B"}
    assert (await scim.ask("GET", f"{path}?excludedAttributes=id"))["id"] == made["id"]
    assert await scim.failure("GET", f"{path}?attributes=id&excludedAttributes=name") == (400, "invalidSyntax")


async def test_neither_password_nor_what_is_not_kept_reaches_the_audit_trail(
    harness: GatewayHarness, scim: Scim
) -> None:
    secret = {"password": "confidential-1", "phoneNumbers": [{"value": "confidential-2"}]}
    made = await scim.ask("POST", "/Users", user("alice", **secret))
    path = f"/Users/{made['id']}"
    await scim.ask("PUT", path, user("alice", **secret))
    await scim.ask("PATCH", path, patch({"op": "replace", "path": "password", "value": "confidential-3"}))
    await scim.ask("PATCH", path, patch({"op": "replace", "value": {**secret, "displayName": "A"}}))
    assert "confidential" not in repr(harness.trail.events)
    assert "confidential" not in repr(await scim.ask("GET", path))


async def test_changes_are_recorded_in_full_with_the_name_in_kiteward(harness: GatewayHarness, scim: Scim) -> None:
    made = await scim.ask("POST", "/Users", user("alice"))
    await scim.ask("PUT", f"/Users/{made['id']}", user("bob"))
    begun, ended = [event for event in harness.trail.events if event.operation == "ReplaceScimUser"]
    assert begun.details["resource"]["userName"] == "bob"
    assert ended.details["result"] == {"userName": "scim_bob", "renamed": "scim_alice"}
    assert (ended.principal, ended.transport, ended.decision) == ("directory", "scim", "allowed")


async def test_a_user_of_an_issuer_is_invited_to_sign_in_by_its_tokens(harness: GatewayHarness) -> None:
    issuer = "https://idp.example"
    async with serving(harness, ScimSettings(SETTINGS.names, issuer)) as scim:
        made = await scim.ask("POST", "/Users", user("alice"))
        held = (await stored(harness, "scim_alice")).identity
        assert held is not None
        assert (held.issuer, held.subject) == (issuer, None)
        await scim.ask("PUT", f"/Users/{made['id']}", user("bob"))
        assert (await stored(harness, "scim_bob")).identity is not None


async def test_a_user_without_a_password_is_not_locked_by_wrong_ones(harness: GatewayHarness, scim: Scim) -> None:
    await scim.ask("POST", "/Users", user("alice"))
    await harness.policy_cache._lock("scim_alice")
    assert (await stored(harness, "scim_alice")).locked_at is None


async def test_a_backup_leaves_users_without_a_password_out_and_can_be_restored(
    harness: GatewayHarness, scim: Scim
) -> None:
    await scim.ask("POST", "/Users", user("alice"))
    await harness.user("bob")
    taken = await harness.succeed("BackupRBAC")
    assert "scim_alice" not in [each.user for each in taken.RBAC_meta.users]
    for name in ("bob", "directory"):
        await harness.succeed("DeleteCredential", username=name)
    for name in ("provisioner", "teammate"):
        await harness.succeed("DropRole", role_name=name, force_drop=True)
    await harness.succeed("RestoreRBAC", RBAC_meta=taken.RBAC_meta)
    assert await harness.store.user_names() == ["bob", "directory", "root", "scim_alice"]
