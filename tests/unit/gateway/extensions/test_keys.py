"""API keys: told once, owned by somebody, and never wider than their owner or their maker."""

from typing import Any

import pytest
from tests.unit.gateway.extensions.conftest import Own, key

from kiteward.domain.errors import AccessDenied, InvalidArgument, KeyRejected, LimitReached, NotFound
from kiteward.gateway.administration.base import KeyRules
from kiteward.gateway.extensions.keys import LONGEST_LIFE


async def works(own: Own, text: str, address: str = "10.1.2.3:4") -> bool:
    try:
        await own("WhoAmI", by=text, address=address)
    except KeyRejected:
        return False
    return True


async def test_a_key_is_told_once_and_comes_in_as_its_owner(own: Own) -> None:
    await own.house.role("reader", ("Search", "default", "docs"))
    await own.house.user("alice", "reader")
    made = await own("CreateApiKey", by="alice", description="crawler")
    me = await own("WhoAmI", by=made["key"])
    assert (me["userName"], me["credential"], me["keyId"]) == ("alice", f"key:{made['keyId']}", made["keyId"])
    assert me["roles"] == ["reader"]
    described = await own("DescribeApiKey", by="alice", keyId=made["keyId"])
    assert (described["description"], described["createdBy"]) == ("crawler", "alice")
    assert made["key"] not in str(described)
    assert made["key"] not in str(await own("ListApiKeys"))


async def test_a_key_does_with_what_its_role_holds_and_no_more(own: Own) -> None:
    await own.house.role("reader", ("SelectUser", "*", "*"))
    await own.house.user("alice", "reader", "admin")
    made = await own("CreateApiKey", by="alice", roles=["reader"])
    await own.house.succeed("SelectUser", by=key(made["key"]))
    with pytest.raises(AccessDenied):
        await own.house.call("CreateRole", by=key(made["key"]), entity={"name": "x"})


async def test_users_make_keys_for_themselves_and_administrators_for_anybody(own: Own) -> None:
    await own.house.user("alice")
    await own.house.user("bob")
    with pytest.raises(AccessDenied):
        await own("CreateApiKey", by="alice", userName="bob")
    made = await own("CreateApiKey", userName="bob")
    assert (await own("WhoAmI", by=made["key"]))["userName"] == "bob"
    with pytest.raises(NotFound):
        await own("CreateApiKey", userName="nobody")


async def test_a_key_is_narrowed_to_roles_that_its_owner_holds(own: Own) -> None:
    await own.house.role("reader")
    await own.house.role("writer")
    await own.house.user("alice", "reader")
    with pytest.raises(InvalidArgument, match="alice does not hold the role writer"):
        await own("CreateApiKey", by="alice", roles=["writer"])
    with pytest.raises(InvalidArgument, match="alice does not hold the role ghost"):
        await own("CreateApiKey", by="alice", roles=["ghost"])
    with pytest.raises(NotFound, match="ghost"):
        await own("CreateApiKey", roles=["ghost"])
    made = await own("CreateApiKey", by="alice", roles=["reader"])
    assert (await own("WhoAmI", by=made["key"]))["roles"] == ["reader"]
    none = await own("CreateApiKey", by="alice", roles=[])
    assert (await own("WhoAmI", by=none["key"]))["roles"] == []


async def test_root_gives_keys_of_any_role(own: Own) -> None:
    await own.house.role("reader")
    made = await own("CreateApiKey", roles=["reader"])
    me = await own("WhoAmI", by=made["key"])
    assert (me["administrator"], me["roles"]) == (False, ["reader"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"expiresIn": 0}, "expiresIn"),
        ({"expiresIn": LONGEST_LIFE + 1}, "expiresIn"),
        ({"networks": ["10.0.0.1/8"]}, "host bits"),
        ({"networks": ["somewhere"]}, "networks such as"),
        ({"networks": ["10.0.0.0/8"] * 101}, "at most 100"),
        ({"description": "é" * 513}, "1024 bytes"),
    ],
)
async def test_wrong_values_are_told(own: Own, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        await own("CreateApiKey", **arguments)


async def test_a_default_end_and_a_limit_come_from_the_configuration(own: Own) -> None:
    own.house.configure(key_rules=KeyRules(per_user=2, default_lifetime=60))
    assert (await own("CreateApiKey"))["expiresAt"] is not None
    await own("CreateApiKey", expiresIn=120)
    with pytest.raises(LimitReached, match="root has 2 API keys already"):
        await own("CreateApiKey")


async def test_networks_hold(own: Own) -> None:
    made = await own("CreateApiKey", networks=["10.0.0.0/8"])
    assert await works(own, made["key"])
    assert not await works(own, made["key"], "11.1.2.3:4")


async def test_keys_are_listed_to_their_owner_and_to_administrators(own: Own) -> None:
    await own.house.user("alice")
    await own.house.user("bob")
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
    "operation", ["DescribeApiKey", "RotateApiKey", "DisableApiKey", "EnableApiKey", "RevokeApiKey"]
)
async def test_keys_of_others_are_not_told_from_missing_ones(own: Own, operation: str) -> None:
    await own.house.user("alice")
    made = await own("CreateApiKey")
    with pytest.raises(NotFound) as others:
        await own(operation, by="alice", keyId=made["keyId"])
    with pytest.raises(NotFound) as missing:
        await own(operation, by="alice", keyId="nothing")
    assert str(others.value).replace(made["keyId"], "nothing") == str(missing.value)
    assert await works(own, made["key"])


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
    await own.house.role("reader")
    await own.house.role("writer")
    await own.house.user("alice", "reader", "writer")
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
    with pytest.raises(AccessDenied, match="outlives"):
        await own("CreateApiKey", by=text, expiresIn=3600)
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
    await own.house.user("boss", "admin")
    await own.house.user("bob")
    text = (await own("CreateApiKey", by="boss", expiresIn=60))["key"]
    with pytest.raises(AccessDenied, match="own user only"):
        await own("CreateApiKey", by=text, userName="bob")
    whole = (await own("CreateApiKey", by="boss"))["key"]
    await own("CreateApiKey", by=whole, userName="bob")


@pytest.mark.parametrize("operation", ["RotateApiKey", "EnableApiKey"])
async def test_a_limited_key_opens_no_other_key(own: Own, operation: str) -> None:
    text = await limited(own, roles=["reader"])
    wide = await own("CreateApiKey", by="alice")
    with pytest.raises(AccessDenied, match="no key but itself"):
        await own(operation, by=text, keyId=wide["keyId"])
    key_id = (await own("WhoAmI", by=text))["keyId"]
    await own(operation, by=text, keyId=key_id)
