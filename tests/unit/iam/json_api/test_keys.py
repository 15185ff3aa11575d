"""API keys: returned once, owned by a user, and never wider than their owner or their creator."""

from typing import Any

import pytest
from tests.unit.iam.json_api.conftest import Own, key

from kiteward.domain.errors import AccessDenied, InvalidArgument, KeyRejected, LimitReached, NotFound, UserNotFound
from kiteward.iam.settings import LONGEST_LIFE, KeyRules


async def works(own: Own, text: str, address: str = "10.1.2.3:4") -> bool:
    try:
        await own("WhoAmI", by=text, address=address)
    except KeyRejected:
        return False
    return True


async def test_a_key_is_returned_once_and_authenticates_its_owner(own: Own) -> None:
    await own.harness.role("reader", ("Search", "default", "docs"))
    await own.harness.user("alice", "reader")
    made = await own("CreateApiKey", by="alice", description="crawler")
    me = await own("WhoAmI", by=made["key"])
    assert (me["userName"], me["credential"], me["keyId"]) == ("alice", f"key:{made['keyId']}", made["keyId"])
    assert me["roles"] == ["reader"]
    described = await own("DescribeApiKey", by="alice", keyId=made["keyId"])
    assert (described["description"], described["createdBy"]) == ("crawler", "alice")
    assert made["key"] not in str(described)
    assert made["key"] not in str(await own("ListApiKeys"))


async def test_a_key_does_with_what_its_role_holds_and_no_more(own: Own) -> None:
    await own.harness.role("reader", ("SelectUser", "*", "*"))
    await own.harness.user("alice", "reader", "admin")
    made = await own("CreateApiKey", by="alice", roles=["reader"])
    await own.harness.succeed("SelectUser", by=key(made["key"]))
    with pytest.raises(AccessDenied):
        await own.harness.call("CreateRole", by=key(made["key"]), entity={"name": "x"})


async def test_users_make_keys_for_themselves_and_administrators_for_anybody(own: Own) -> None:
    await own.harness.user("alice")
    await own.harness.user("bob")
    with pytest.raises(AccessDenied):
        await own("CreateApiKey", by="alice", userName="bob")
    made = await own("CreateApiKey", userName="bob")
    assert (await own("WhoAmI", by=made["key"]))["userName"] == "bob"
    with pytest.raises(NotFound):
        await own("CreateApiKey", userName="nobody")


async def test_a_key_is_restricted_to_roles_that_its_owner_holds(own: Own) -> None:
    await own.harness.role("reader")
    await own.harness.role("writer")
    await own.harness.user("alice", "reader")
    with pytest.raises(InvalidArgument, match="alice does not hold the role writer"):
        await own("CreateApiKey", by="alice", roles=["writer"])
    with pytest.raises(InvalidArgument, match="alice does not hold the role ghost"):
        await own("CreateApiKey", by="alice", roles=["ghost"])
    with pytest.raises(NotFound, match="ghost") as refusal:
        await own("CreateApiKey", roles=["ghost"])
    assert refusal.value.field == "roles"
    made = await own("CreateApiKey", by="alice", roles=["reader"])
    assert (await own("WhoAmI", by=made["key"]))["roles"] == ["reader"]
    none = await own("CreateApiKey", by="alice", roles=[])
    assert (await own("WhoAmI", by=none["key"]))["roles"] == []


async def test_root_gives_keys_of_any_role(own: Own) -> None:
    await own.harness.role("reader")
    made = await own("CreateApiKey", roles=["reader"])
    me = await own("WhoAmI", by=made["key"])
    assert (me["administrator"], me["roles"]) == (False, ["reader"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"expiresIn": 0}, "expiresIn"),
        ({"expiresIn": LONGEST_LIFE + 1}, "expiresIn"),
        ({"expiresIn": 10**400}, "expiresIn"),
        ({"networks": ["10.0.0.1/8"]}, "host bits"),
        ({"networks": ["somewhere"]}, "networks such as"),
        ({"networks": ["10.0.0.0/8"] * 101}, "at most 100"),
        ({"description": "é" * 513}, "1024 bytes"),
    ],
)
async def test_wrong_values_are_reported(own: Own, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        await own("CreateApiKey", **arguments)


async def test_a_default_end_and_a_limit_come_from_the_configuration(own: Own) -> None:
    own.harness.configure(key_rules=KeyRules(per_user=2, default_lifetime=60))
    assert (await own("CreateApiKey"))["expiresAt"] is not None
    await own("CreateApiKey", expiresIn=120)
    with pytest.raises(LimitReached, match="root has 2 API keys already"):
        await own("CreateApiKey")


async def test_networks_hold(own: Own) -> None:
    made = await own("CreateApiKey", networks=["10.0.0.0/8"])
    assert await works(own, made["key"])
    assert not await works(own, made["key"], "11.1.2.3:4")


async def test_keys_are_listed_to_their_owner_and_to_administrators(own: Own) -> None:
    await own.harness.user("alice")
    await own.harness.user("bob")
    hers = [(await own("CreateApiKey", by="alice"))["keyId"] for _ in range(3)]
    his = (await own("CreateApiKey", by="bob"))["keyId"]
    assert [key["keyId"] for key in (await own("ListApiKeys", by="alice"))["keys"]] == sorted(hers)
    everything = [key["keyId"] for key in (await own("ListApiKeys"))["keys"]]
    assert everything == sorted([*hers, his])
    assert [key["keyId"] for key in (await own("ListApiKeys", userName="bob"))["keys"]] == [his]
    with pytest.raises(AccessDenied):
        await own("ListApiKeys", by="alice", userName="bob")
    first = await own("ListApiKeys", limit=3)
    rest = await own("ListApiKeys", limit=3, after=first["next"])
    assert [key["keyId"] for key in (*first["keys"], *rest["keys"])] == everything
    assert rest["next"] == ""


@pytest.mark.parametrize(
    "operation", ["DescribeApiKey", "AlterApiKey", "RotateApiKey", "DisableApiKey", "EnableApiKey", "RevokeApiKey"]
)
async def test_keys_of_others_are_not_distinguished_from_missing_ones(own: Own, operation: str) -> None:
    await own.harness.user("alice")
    made = await own("CreateApiKey")
    with pytest.raises(NotFound) as others:
        await own(operation, by="alice", keyId=made["keyId"])
    with pytest.raises(NotFound) as missing:
        await own(operation, by="alice", keyId="nothing")
    assert str(others.value).replace(made["keyId"], "nothing") == str(missing.value)
    assert await works(own, made["key"])


async def test_the_description_of_a_key_is_replaced_and_cleared_and_nothing_else(own: Own) -> None:
    made = await own("CreateApiKey", description="crawler", networks=["10.0.0.0/8"])
    before = await own("DescribeApiKey", keyId=made["keyId"])
    for description in ("nightly crawler", ""):
        await own("AlterApiKey", keyId=made["keyId"], description=description)
        assert await own("DescribeApiKey", keyId=made["keyId"]) == {**before, "description": description}
    assert await works(own, made["key"])
    with pytest.raises(InvalidArgument, match="at most 1024 bytes"):
        await own("AlterApiKey", keyId=made["keyId"], description="x" * 1025)


async def test_a_rotated_key_has_a_new_secret_and_the_old_one_may_stay_for_a_while(own: Own) -> None:
    made = await own("CreateApiKey")
    kept = await own("RotateApiKey", keyId=made["keyId"], keepOldFor=60)
    assert kept["keyId"] == made["keyId"]
    assert kept["oldKeyValidUntil"] is not None
    assert await works(own, made["key"])
    assert await works(own, kept["key"])
    at_once = await own("RotateApiKey", keyId=made["keyId"])
    assert not await works(own, made["key"])
    assert not await works(own, kept["key"])
    assert await works(own, at_once["key"])


async def test_disabling_enabling_and_revoking_hold_at_once(own: Own) -> None:
    made = await own("CreateApiKey")
    await own("DisableApiKey", keyId=made["keyId"])
    assert not await works(own, made["key"])
    await own("EnableApiKey", keyId=made["keyId"])
    assert await works(own, made["key"])
    await own("RevokeApiKey", keyId=made["keyId"])
    assert not await works(own, made["key"])


async def limited(own: Own, **limits: Any) -> str:
    await own.harness.role("reader")
    await own.harness.role("writer")
    await own.harness.user("alice", "reader", "writer")
    made = await own("CreateApiKey", by="alice", **limits)
    text: str = made["key"]
    return text


async def test_a_key_makes_no_key_with_roles_it_does_not_hold(own: Own) -> None:
    text = await limited(own, roles=["reader"])
    with pytest.raises(AccessDenied, match="roles"):
        await own("CreateApiKey", by=text, roles=["writer"])
    made = await own("CreateApiKey", by=text)
    assert (await own("WhoAmI", by=made["key"]))["roles"] == ["reader"]


async def test_a_key_makes_no_key_that_outlives_it(own: Own) -> None:
    text = await limited(own, expiresIn=60)
    with pytest.raises(AccessDenied, match="expires later"):
        await own("CreateApiKey", by=text, expiresIn=3600)
    with pytest.raises(InvalidArgument, match="`expiresIn` must be from 1"):
        await own("CreateApiKey", by=text, expiresIn=LONGEST_LIFE + 1)
    assert (await own("CreateApiKey", by=text))["expiresAt"] is not None


async def test_a_key_makes_no_key_for_other_networks(own: Own) -> None:
    text = await limited(own, networks=["10.0.0.0/8"])
    for network in ("0.0.0.0/0", "11.0.0.0/8", "::/0"):
        with pytest.raises(AccessDenied, match="networks"):
            await own("CreateApiKey", by=text, networks=[network])
    made = await own("CreateApiKey", by=text)
    assert not await works(own, made["key"], "11.1.2.3:4")
    await own("CreateApiKey", by=text, networks=["10.1.0.0/16"])


async def test_a_limited_key_of_an_administrator_makes_keys_for_its_own_user_only(own: Own) -> None:
    await own.harness.user("boss", "admin")
    await own.harness.user("bob")
    text = (await own("CreateApiKey", by="boss", expiresIn=60))["key"]
    with pytest.raises(AccessDenied, match="own user only"):
        await own("CreateApiKey", by=text, userName="bob")
    whole = (await own("CreateApiKey", by="boss"))["key"]
    await own("CreateApiKey", by=whole, userName="bob")


@pytest.mark.parametrize(
    "operation", ["DescribeApiKey", "AlterApiKey", "RotateApiKey", "DisableApiKey", "EnableApiKey", "RevokeApiKey"]
)
@pytest.mark.parametrize(
    "limits", [{"roles": ["reader"]}, {"roles": []}, {"expiresIn": 60}, {"networks": ["10.0.0.0/8"]}]
)
async def test_a_limited_key_reaches_no_key_but_itself_and_those_that_it_made(
    own: Own, operation: str, limits: dict[str, Any]
) -> None:
    text = await limited(own, **limits)
    wide = await own("CreateApiKey", by="alice")
    with pytest.raises(NotFound):
        await own(operation, by=text, keyId=wide["keyId"])
    assert await works(own, wide["key"])
    grandchild = await own("CreateApiKey", by=(await own("CreateApiKey", by=text))["key"])
    await own(operation, by=text, keyId=grandchild["keyId"])
    await own(operation, by=text, keyId=(await own("WhoAmI", by=text))["keyId"])


@pytest.mark.parametrize("operation", ["RotateApiKey", "EnableApiKey"])
async def test_a_limited_key_of_an_administrator_opens_no_key_of_others(own: Own, operation: str) -> None:
    text = (await own("CreateApiKey", expiresIn=60))["key"]
    wide = await own("CreateApiKey")
    with pytest.raises(AccessDenied, match="only itself"):
        await own(operation, by=text, keyId=wide["keyId"])


async def test_a_limited_key_lists_itself_and_those_that_it_made(own: Own) -> None:
    text = await limited(own, roles=["reader"])
    await own("CreateApiKey", by="alice")
    made = await own("CreateApiKey", by=text)
    own_id = (await own("WhoAmI", by=text))["keyId"]
    listed = (await own("ListApiKeys", by=text))["keys"]
    assert {each["keyId"]: each["madeByKey"] for each in listed} == {own_id: None, made["keyId"]: own_id}
    assert (await own("ListApiKeys", by=text, userName="alice"))["keys"] == listed
    with pytest.raises(AccessDenied):
        await own("ListApiKeys", by=text, userName="root")


# Keys that a key created


async def test_a_key_tells_with_which_key_it_was_made(own: Own) -> None:
    maker = await own("CreateApiKey")
    made = await own("CreateApiKey", by=maker["key"])
    described = await own("DescribeApiKey", keyId=made["keyId"])
    assert (described["madeByKey"], described["createdBy"]) == (maker["keyId"], "root")
    assert (await own("DescribeApiKey", keyId=maker["keyId"]))["madeByKey"] is None


async def lineage(own: Own, **limits: Any) -> list[Any]:
    """Make a key of alice's, one with it, and one with that."""
    await own.harness.user("alice")
    made = [await own("CreateApiKey", by="alice", **limits)]
    for _ in range(2):
        made.append(await own("CreateApiKey", by=made[-1]["key"]))
    assert [await works(own, each["key"]) for each in made] == [True] * 3
    return made


LIMITS = pytest.mark.parametrize("limits", [{}, {"roles": []}, {"expiresIn": 60}])


@LIMITS
async def test_revoking_a_key_ends_what_descends_from_it_at_once(own: Own, limits: dict[str, Any]) -> None:
    made = await lineage(own, **limits)
    await own("RevokeApiKey", keyId=made[0]["keyId"])
    assert [await works(own, each["key"]) for each in made] == [False] * 3
    assert (await own("ListApiKeys", userName="alice"))["keys"] == []


@LIMITS
async def test_a_disabled_key_keeps_what_descends_from_it_out_until_it_is_enabled(
    own: Own, limits: dict[str, Any]
) -> None:
    made = await lineage(own, **limits)
    await own("DisableApiKey", keyId=made[0]["keyId"])
    assert [await works(own, each["key"]) for each in made] == [False] * 3
    reach = await own("DescribeUserAccess", keyId=made[2]["keyId"])
    assert reach["closed"] == f"of the API key {made[0]['keyId']}, with which it was created: the API key is disabled"
    await own("EnableApiKey", keyId=made[2]["keyId"])
    assert not await works(own, made[2]["key"])
    await own("EnableApiKey", keyId=made[0]["keyId"])
    assert [await works(own, each["key"]) for each in made] == [True] * 3


@LIMITS
async def test_a_new_secret_ends_what_was_made_with_the_old_one(own: Own, limits: dict[str, Any]) -> None:
    made = await lineage(own, **limits)
    rotated = await own("RotateApiKey", keyId=made[0]["keyId"])
    assert [await works(own, each["key"]) for each in (*made, rotated)] == [False] * 3 + [True]


async def test_what_an_old_secret_makes_ends_no_later_than_the_old_secret(own: Own) -> None:
    maker = await own("CreateApiKey")
    before = await own("CreateApiKey", by=maker["key"])
    rotated = await own("RotateApiKey", keyId=maker["keyId"], keepOldFor=60)
    by_old = await own("CreateApiKey", by=maker["key"])
    by_new = await own("CreateApiKey", by=rotated["key"])
    ends = {each["keyId"]: each["expiresAt"] for each in (await own("ListApiKeys"))["keys"]}
    until = rotated["oldKeyValidUntil"]
    assert ends == {maker["keyId"]: None, before["keyId"]: until, by_old["keyId"]: until, by_new["keyId"]: None}


async def test_a_secret_that_is_about_to_end_does_not_act_as_its_user(own: Own) -> None:
    await own.harness.user("alice")
    made = await own("CreateApiKey", by="alice")
    await own("DescribeUserAccount", by=made["key"])
    rotated = await own("RotateApiKey", by="alice", keyId=made["keyId"], keepOldFor=60)
    with pytest.raises(AccessDenied, match="a limited API key does not act as its user"):
        await own("DescribeUserAccount", by=made["key"])
    await own("DescribeUserAccount", by=rotated["key"])


async def test_a_secret_that_is_about_to_end_gets_none_that_does_not(own: Own) -> None:
    maker = await own("CreateApiKey")
    rotated = await own("RotateApiKey", keyId=maker["keyId"], keepOldFor=60)
    by_new = await own("CreateApiKey", by=rotated["key"])
    for key_id in (maker["keyId"], by_new["keyId"]):
        with pytest.raises(AccessDenied, match="cannot rotate or enable a key that expires later"):
            await own("RotateApiKey", by=maker["key"], keyId=key_id)
    assert await works(own, rotated["key"])
    by_old = await own("CreateApiKey", by=maker["key"])
    await own("RotateApiKey", by=maker["key"], keyId=by_old["keyId"])


async def test_a_key_of_another_user_ends_with_the_key_that_made_it(own: Own) -> None:
    await own.harness.user("boss", "admin")
    await own.harness.user("bob")
    maker = await own("CreateApiKey", by="boss")
    made = await own("CreateApiKey", by=maker["key"], userName="bob")
    await own("DisableUser", userName="boss")
    assert not await works(own, made["key"])
    await own("EnableUser", userName="boss")
    assert await works(own, made["key"])
    await own("DeleteUserAccount", userName="boss")
    assert not await works(own, made["key"])
    assert (await own("ListApiKeys", userName="bob"))["keys"] == []


async def test_who_is_no_administrator_any_more_does_not_reach_keys_that_were_created_for_others(own: Own) -> None:
    await own.harness.user("boss", "admin")
    await own.harness.user("bob")
    maker = await own("CreateApiKey", by="boss")
    made = await own("CreateApiKey", by=maker["key"], userName="bob")
    await own.harness.succeed("OperateUserRole", username="boss", role_name="admin", type=1)
    with pytest.raises(NotFound):
        await own("RotateApiKey", by=maker["key"], keyId=made["keyId"])


async def test_an_unknown_owner_is_not_one_without_keys(own: Own) -> None:
    await own.harness.user("alice")
    assert (await own("ListApiKeys", userName="alice"))["keys"] == []
    with pytest.raises(UserNotFound):
        await own("ListApiKeys", userName="nobody")
    # Whoever is no administrator does not learn which users there are.
    with pytest.raises(AccessDenied):
        await own("ListApiKeys", by="alice", userName="nobody")
