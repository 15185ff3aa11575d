from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import PASSWORD, GatewayHarness, v2
from tests.support.rest import NOT_AUTHENTICATED, Rest

from kiteward.milvus import messages


async def test_a_user_is_created_and_can_sign_in_with_its_plain_password(rest: Rest) -> None:
    assert await rest.ask("users/create", {"userName": "ann", "password": PASSWORD}) == {}
    assert await rest.ask("users/list") == ["ann", "root"]
    assert await rest.ask("users/describe", {"userName": "ann"}, by="ann") == []


async def test_a_description_is_kept_and_returned_beside_the_roles(rest: Rest, harness: GatewayHarness) -> None:
    await rest.ask("users/create", {"userName": "ann", "password": PASSWORD, "description": "from accounting"})
    await harness.role("reader")
    assert await rest.ask("users/grant_role", {"userName": "ann", "roleName": "reader"}) == {}
    assert await rest.whole("users/describe", {"userName": "ann"}) == {
        "code": 0,
        "data": ["reader"],
        "description": "from accounting",
    }


async def test_an_unknown_user_has_no_roles(rest: Rest) -> None:
    assert await rest.whole("users/describe", {"userName": "nobody"}) == {"code": 0, "data": [], "description": ""}


async def test_a_password_changes_with_the_old_one_only(rest: Rest, harness: GatewayHarness) -> None:
    await harness.user("ann")
    wrong = {"userName": "ann", "password": "Wrong-pass-1", "newPassword": "Changed-1"}
    assert await rest.code("users/update_password", wrong, by="ann") == 1400
    right = {"userName": "ann", "password": PASSWORD, "newPassword": "Changed-1"}
    assert await rest.ask("users/update_password", right, by="ann") == {}
    assert (await rest.send("users/describe", {"userName": "ann"}, by="ann")).json() == NOT_AUTHENTICATED
    changed = {"Authorization": "Bearer ann:Changed-1"}
    assert await rest.ask("users/describe", {"userName": "ann"}, by=None, headers=changed) == []


async def test_without_a_new_password_only_the_description_changes_and_no_old_one_is_sent(
    rest: Rest, harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.user("ann")
    handle = harness.gateway.handle

    async def watched(call: Any) -> Any:
        if call.operation == "UpdateCredential":
            assert messages.UpdateCredentialRequest.FromString(call.payload).oldPassword == ""
        return await handle(call)

    monkeypatch.setattr(harness.gateway, "handle", watched)
    body = {"userName": "ann", "password": "Wrong-pass-1", "description": "moved"}
    assert await rest.ask("users/update_password", body) == {}
    assert (await rest.whole("users/describe", {"userName": "ann"}, by="ann"))["description"] == "moved"


async def test_an_absent_description_stays_and_an_empty_one_clears(rest: Rest, harness: GatewayHarness) -> None:
    await rest.ask("users/create", {"userName": "ann", "password": PASSWORD, "description": "kept"})
    changed = {"userName": "ann", "password": PASSWORD, "newPassword": "Changed-1", "description": None}
    await rest.ask("users/update_password", changed, by="ann")
    assert (await rest.whole("users/describe", {"userName": "ann"}))["description"] == "kept"
    await rest.ask("users/update_password", {"userName": "ann", "description": ""})
    assert (await rest.whole("users/describe", {"userName": "ann"}))["description"] == ""


async def test_an_update_of_nothing_is_refused(rest: Rest, harness: GatewayHarness) -> None:
    await harness.user("ann")
    assert await rest.code("users/update_password", {"userName": "ann"}) == 1100


async def test_a_user_is_dropped(rest: Rest, harness: GatewayHarness) -> None:
    await harness.user("ann")
    assert await rest.ask("users/drop", {"userName": "ann"}) == {}
    assert await rest.ask("users/list") == ["root"]
    assert (await rest.send("users/list", by="ann")).status_code == 401


async def test_root_stays(rest: Rest) -> None:
    assert await rest.code("users/drop", {"userName": "root"}) == 1401


async def test_a_role_is_bound_and_unbound(rest: Rest, harness: GatewayHarness) -> None:
    await harness.user("ann")
    binding = {"userName": "ann", "roleName": "admin"}
    await rest.ask("users/grant_role", binding)
    assert await rest.ask("users/list", by="ann") == ["ann", "root"]
    assert await rest.ask("users/revoke_role", binding) == {}
    assert (await rest.send("users/list", by="ann")).status_code == 403


async def test_a_second_user_of_a_name_is_refused_in_the_words_of_the_gateway(
    rest: Rest, harness: GatewayHarness
) -> None:
    await harness.user("ann")
    assert await rest.whole("users/create", {"userName": "ann", "password": PASSWORD}) == {
        "code": 1100,
        "message": "user already exists: ann: invalid parameter",
    }


@pytest.mark.parametrize(
    ("path", "body", "missing"),
    [
        ("users/describe", {}, "UserReq.UserName"),
        ("users/drop", {}, "UserReq.UserName"),
        ("users/create", {"password": PASSWORD}, "PasswordReq.UserName"),
        ("users/create", {"userName": "ann"}, "PasswordReq.Password"),
        ("users/update_password", {"newPassword": "Changed-1"}, "NewPasswordReq.UserName"),
        ("users/grant_role", {"userName": "ann"}, "UserRoleReq.RoleName"),
        ("users/revoke_role", {"roleName": "admin"}, "UserRoleReq.UserName"),
    ],
)
async def test_required_fields_are_required(rest: Rest, path: str, body: dict[str, str], missing: str) -> None:
    answer = await rest.whole(path, body)
    assert answer["code"] == 1802
    assert f"Key: '{missing}'" in answer["message"]


async def test_no_password_is_in_an_answer_or_log(
    rest: Rest, harness: GatewayHarness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    for password in ("Hunter2-hunter2", "hunter2"):
        body = {"userName": "ann", "password": password}
        responses = [
            await rest.send("users/create", body),
            await rest.send("users/create", body, by=None, headers={"Authorization": f"Bearer ann:{password}x"}),
            await rest.send("users/update_password", {"userName": "ann", "password": "x", "newPassword": password}),
        ]
        assert all("unter2" not in response.text for response in responses)
    assert "unter2" not in caplog.text


async def test_none_of_this_reaches_the_engine(rest: Rest, harness: GatewayHarness, engine: FakeEngine) -> None:
    del engine.calls[:]
    await harness.user("ann")
    await rest.ask("users/list", {"dbName": "default"})
    await rest.ask("users/drop", {"userName": "ann", "dbName": "default"})
    assert engine.calls == []


async def test_what_a_caller_may_is_the_gateways_to_say(rest: Rest, harness: GatewayHarness) -> None:
    await harness.user("ann")
    refused = await rest.send("users/list", by="ann")
    assert (refused.status_code, refused.json()) == (
        403,
        {
            "code": 65535,
            "message": "rpc error: code = PermissionDenied desc = "
            "PrivilegeSelectOwnership: permission deny to ann in the `*` database",
        },
    )
    await harness.role("lister")
    await harness.succeed("OperatePrivilegeV2", **v2("lister", "SelectOwnership", "*", "*"))
    await harness.succeed("OperateUserRole", username="ann", role_name="lister")
    assert await rest.ask("users/list", by="ann") == ["ann", "root"]
