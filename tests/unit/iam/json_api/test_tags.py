"""Tags of users and API keys: whose they are, who sets them, and that they are effective at once."""

from typing import Any

import pytest
from tests.support.gateway import presented
from tests.unit.iam.json_api.conftest import Own, key

from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import AccessDenied, InvalidArgument, LimitReached, NotFound, RequestRefused
from kiteward.domain.identity import Principal
from kiteward.iam import tags


@pytest.fixture
async def people(own: Own) -> Own:
    """Alice and bob; carol, who may update and select every user; dave, who may update bob."""
    harness = own.harness
    await harness.role("tagger", ("UpdateUser", "*", "*"), ("SelectUser", "*", "*"))
    await harness.role("of_bob")
    scope = {"object": {"name": "User"}, "object_name": "bob", "grantor": {"privilege": {"name": "UpdateUser"}}}
    await harness.succeed("OperatePrivilege", entity={"role": {"name": "of_bob"}, **scope})
    for name, roles in (("alice", ()), ("bob", ()), ("carol", ("tagger",)), ("dave", ("of_bob",))):
        await harness.user(name, *roles)
    return own


async def principal(own: Own, by: Any) -> Principal:
    credential = key(by) if by.startswith("kw_") else presented(by)
    return await own.harness.authenticator.authenticate(credential, address="10.1.2.3:4")


async def made(own: Own, by: Any = "alice", **limits: Any) -> tuple[str, str]:
    """Create a key, and return its id and the key."""
    found = await own("CreateApiKey", by=by, **limits)
    return found["keyId"], found["key"]


async def test_tags_are_those_of_the_next_request(people: Own) -> None:
    assert (await principal(people, "alice")).tags == {}
    await people("SetTags", userName="alice", tags={"team": "a", "level": "1"})
    assert (await principal(people, "alice")).tags == {"team": "a", "level": "1"}
    await people("SetTags", userName="alice", tags={"team": "b"})
    assert await people("DeleteTags", userName="alice", keys=["level", "none"]) == {"keys": ["level"]}
    assert (await principal(people, "alice")).tags == {"team": "b"}


async def test_users_read_their_own_tags_and_others_need_select_user(people: Own) -> None:
    await people("SetTags", userName="alice", tags={"team": "a"})
    told = {"userName": "alice", "keyId": None, "tags": {"team": "a"}, "effectiveTags": {"team": "a"}}
    for by, asked in (("alice", {}), ("alice", {"userName": "alice"}), ("carol", {"userName": "alice"})):
        assert await people("DescribeTags", by=by, **asked) == told
    with pytest.raises(AccessDenied):
        await people("DescribeTags", by="bob", userName="alice")
    with pytest.raises(NotFound):
        await people("DescribeTags", userName="nobody")


async def test_users_are_found_by_a_tag_by_holders_of_select_user_on_all(people: Own) -> None:
    for name in ("bob", "alice"):
        await people("SetTags", userName=name, tags={"team": "a"})
    assert await people("ListTaggedUsers", by="carol", key="team", value="a") == {"userNames": ["alice", "bob"]}
    assert await people("ListTaggedUsers", key="team", value="b") == {"userNames": []}
    with pytest.raises(AccessDenied):
        await people("ListTaggedUsers", by="alice", key="team", value="a")


# Who sets them


async def test_tags_are_set_with_update_user_on_the_user_and_never_of_oneself(people: Own) -> None:
    for by, name, allowed in (
        ("carol", "alice", True),
        ("carol", "carol", False),
        ("dave", "bob", True),
        ("dave", "alice", False),
        ("dave", "dave", False),
        ("alice", "alice", False),
        ("root", "root", True),
    ):
        for operation, given in (("SetTags", {"tags": {"team": "a"}}), ("DeleteTags", {"keys": ["team"]})):
            if allowed:
                await people(operation, by=by, userName=name, **given)
            else:
                with pytest.raises(AccessDenied):
                    await people(operation, by=by, userName=name, **given)
                assert (await principal(people, name)).tags == {}


async def test_the_rpc_has_no_exemption_for_oneself_either(people: Own) -> None:
    for by, name in (("alice", "alice"), ("carol", "carol")):
        for method, given in (("AddUserTags", {"tags": {"team": "a"}}), ("DeleteUserTags", {"tag_keys": ["team"]})):
            with pytest.raises(AccessDenied, match="only administrators change their own tags"):
                await people.harness.call(method, by=by, user_name=name, **given)
    await people.harness.user("boss", "admin")
    await people.harness.succeed("AddUserTags", by="boss", user_name="boss", tags={"team": "a"})
    assert dict((await people.harness.succeed("GetUserTags", by="boss", user_name="boss")).tags) == {"team": "a"}


async def test_without_a_holder_the_tags_of_the_credential_itself_are_read(people: Own) -> None:
    await people("SetTags", userName="root", tags={"team": "a"})
    assert (await people("DescribeTags"))["userName"] == "root"
    assert (await people("DescribeTags"))["tags"] == {"team": "a"}
    assert (await principal(people, "root")).tags == {"team": "a"}


# API keys


async def test_a_key_has_its_owners_tags_with_its_own_in_their_place(people: Own) -> None:
    key_id, secret = await made(people)
    await people("SetTags", userName="alice", tags={"team": "a", "level": "1"})
    assert (await principal(people, secret)).tags == {"team": "a", "level": "1"}
    await people("SetTags", keyId=key_id, tags={"team": "b"})
    assert (await principal(people, secret)).tags == {"team": "b", "level": "1"}
    assert (await principal(people, "alice")).tags == {"team": "a", "level": "1"}
    told = await people("DescribeTags", by=secret)
    assert (told["keyId"], told["tags"]) == (key_id, {"team": "b"})
    assert told["effectiveTags"] == {"team": "b", "level": "1"}
    await people("DeleteTags", keyId=key_id, keys=["team"])
    assert (await principal(people, secret)).tags == {"team": "a", "level": "1"}


async def test_a_key_that_was_created_with_a_key_has_its_tags_now_and_later(people: Own) -> None:
    key_id, secret = await made(people)
    await people("SetTags", keyId=key_id, tags={"team": "a"})
    _, second = await made(people, secret)
    assert (await principal(people, second)).tags == {"team": "a"}
    await people("SetTags", keyId=key_id, tags={"team": "b"})
    assert (await principal(people, second)).tags == {"team": "b"}


async def test_an_owner_never_changes_the_tags_of_its_keys(people: Own) -> None:
    key_id, secret = await made(people)
    await people("SetTags", keyId=key_id, tags={"team": "a"})
    for by in ("alice", secret):
        for operation, given in (("SetTags", {"tags": {"team": "b"}}), ("DeleteTags", {"keys": ["team"]})):
            with pytest.raises(AccessDenied):
                await people(operation, by=by, keyId=key_id, **given)
    assert (await principal(people, secret)).tags == {"team": "a"}
    await people("SetTags", by="carol", keyId=key_id, tags={"team": "c"})
    assert (await principal(people, secret)).tags == {"team": "c"}


async def test_a_key_with_tags_acts_for_itself_and_reaches_no_other_key_of_its_owner(people: Own) -> None:
    key_id, secret = await made(people)
    other_id, _ = await made(people)
    await people("SetTags", keyId=key_id, tags={"team": "a"})
    assert (await principal(people, secret)).limited
    for operation in ("RotateApiKey", "EnableApiKey", "DescribeApiKey"):
        with pytest.raises((AccessDenied, NotFound)):
            await people(operation, by=secret, keyId=other_id)


async def test_roles_that_a_key_leaves_out_are_withheld(people: Own) -> None:
    _, secret = await made(people, "carol", roles=[])
    found = await principal(people, secret)
    assert (found.roles, found.withheld_roles) == (frozenset(), frozenset({"tagger"}))
    assert (await principal(people, "carol")).withheld_roles == frozenset()


async def test_whether_a_key_exists_is_not_told_to_who_may_tag_nobody(people: Own) -> None:
    key_id, _ = await made(people)
    messages = []
    for each in (key_id, "no_such_key"):
        with pytest.raises(AccessDenied) as refused:
            await people("SetTags", by="dave", keyId=each, tags={"a": "b"})
        messages.append(str(refused.value))
    assert messages == ["PrivilegeUpdateUser: permission deny to dave in the `*` database"] * 2
    with pytest.raises(NotFound):
        await people("SetTags", by="carol", keyId="no_such_key", tags={"a": "b"})


# Rules


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"": "a"}, ErrorCode.TAG_KEY_LENGTH),
        ({"x" * 129: "a"}, ErrorCode.TAG_KEY_LENGTH),
        ({"it's": "a"}, ErrorCode.TAG_KEY_CHARACTER),
        ({"é": "a"}, ErrorCode.TAG_KEY_CHARACTER),
        ({"team": ""}, ErrorCode.TAG_VALUE_LENGTH),
        ({"team": "é" * 513}, ErrorCode.TAG_VALUE_LENGTH),
        ({"team": "a\nb"}, ErrorCode.TAG_VALUE_CHARACTER),
        ({"team": "a\x7f"}, ErrorCode.TAG_VALUE_CHARACTER),
    ],
)
async def test_a_tag_that_breaks_a_rule_is_refused(people: Own, given: dict[str, str], code: ErrorCode) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await people("SetTags", userName="alice", tags=given)
    assert refused.value.code is code
    assert (await principal(people, "alice")).tags == {}


async def test_any_text_is_a_value(people: Own) -> None:
    hostile = "' or true or owner == \"x\\"
    await people("SetTags", userName="alice", tags={"a.b:c/d@e-f_1": hostile})
    assert (await principal(people, "alice")).tags == {"a.b:c/d@e-f_1": hostile}


async def test_tags_of_a_holder_are_limited_and_some_must_be_given(people: Own) -> None:
    await people("SetTags", userName="alice", tags={f"k{n}": "v" for n in range(tags.MOST_TAGS)})
    await people("SetTags", userName="alice", tags={"k0": "w"})
    with pytest.raises(LimitReached, match="at most 64 tags"):
        await people("SetTags", userName="alice", tags={"one_more": "v"})
    for operation in ("AddUserTags", "DeleteUserTags"):
        with pytest.raises(RequestRefused) as refused:
            await people.harness.call(operation, user_name="alice")
        assert refused.value.code is ErrorCode.TAGS_MISSING


async def test_both_a_user_and_a_key_are_not_one_holder(people: Own) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await people("DescribeTags", userName="alice", keyId="x")
    assert refused.value.code is ErrorCode.EXACTLY_ONE_ARGUMENT


async def test_a_change_is_recorded_with_what_was_there_before(people: Own) -> None:
    await people("SetTags", userName="alice", tags={"team": "a"})
    await people.harness.succeed("AddUserTags", user_name="alice", tags={"team": "b"})
    details = people.harness.trail.events[-1].details
    assert (details["user"], details["tags"]) == ("alice", [{"key": "team", "value": "b"}])
    assert details["result"] == {"before": {"team": "a"}, "after": {"team": "b"}}


@pytest.mark.parametrize("by", ["root", "carol", "alice"])
async def test_changes_of_tags_say_whose_they_are(people: Own, by: str) -> None:
    for asked in (("SetTags", {"tags": {"team": "a"}}), ("DeleteTags", {"keys": ["team"]})):
        with pytest.raises(InvalidArgument) as refused:
            await people(asked[0], by=by, **asked[1])
        assert refused.value.code is ErrorCode.EXACTLY_ONE_ARGUMENT
        assert refused.value.details[0].parameters == {"first": "userName", "second": "keyId"}
    assert (await principal(people, by)).tags == {}
