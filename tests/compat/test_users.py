"""Users through pymilvus' MilvusClient."""

import grpc
import pytest
from pymilvus import MilvusClient, MilvusException
from tests.compat import accounts
from tests.compat.accounts import denied
from tests.support import raw_grpc
from tests.support.server import RunningServer

ENGINES = ("embedded",)  # no engine takes part
NEW_PASSWORD = "An0ther-password"


def test_user_is_created_described_listed_and_dropped(server: RunningServer, root: MilvusClient) -> None:
    root.create_user("ann", accounts.PASSWORD, description="reads papers")
    assert root.describe_user("ann") == {"user_name": "ann", "roles": (), "description": "reads papers"}
    assert {"ann", "root"} <= set(root.list_users())
    assert list(root.list_users()) == sorted(root.list_users())
    assert raw_grpc.accepts(server.uri, accounts.token("ann"))
    root.drop_user("ann")
    assert root.describe_user("ann") == {}
    assert "ann" not in root.list_users()
    assert not raw_grpc.accepts(server.uri, accounts.token("ann"))


def test_dropping_an_unknown_user_succeeds_and_dropping_root_does_not(root: MilvusClient) -> None:
    root.drop_user("never_was")
    with pytest.raises(MilvusException, match="root user cannot be deleted") as caught:
        root.drop_user("root")
    assert caught.value.code == 1401


def test_user_created_again_starts_without_the_roles_of_the_old_one(root: MilvusClient) -> None:
    accounts.add(root, "phoenix", ("Query", "*"))
    root.drop_user("phoenix")
    root.create_user("phoenix", accounts.PASSWORD)
    assert root.describe_user("phoenix")["roles"] == ()


def test_description_is_changed_and_cleared_without_any_password(server: RunningServer, root: MilvusClient) -> None:
    root.create_user("dora", accounts.PASSWORD)
    root.update_user("dora", description="second floor")
    assert root.describe_user("dora")["description"] == "second floor"
    root.update_user("dora", description="")
    assert root.describe_user("dora")["description"] == ""
    assert raw_grpc.accepts(server.uri, accounts.token("dora"))


def test_changed_password_counts_at_once_and_the_old_one_no_more(server: RunningServer, root: MilvusClient) -> None:
    root.create_user("petra", accounts.PASSWORD, description="kept")
    assert raw_grpc.accepts(server.uri, accounts.token("petra"))
    root.update_password("petra", accounts.PASSWORD, NEW_PASSWORD)
    assert raw_grpc.accepts(server.uri, f"petra:{NEW_PASSWORD}")
    assert not raw_grpc.accepts(server.uri, accounts.token("petra"))
    assert root.describe_user("petra")["description"] == "kept"


def test_password_and_description_change_together(server: RunningServer, root: MilvusClient) -> None:
    root.create_user("both", accounts.PASSWORD)
    root.update_password("both", accounts.PASSWORD, NEW_PASSWORD, description="moved")
    assert raw_grpc.accepts(server.uri, f"both:{NEW_PASSWORD}")
    assert root.describe_user("both")["description"] == "moved"


def test_client_goes_on_after_changing_its_own_password_when_configured_to(
    server: RunningServer, root: MilvusClient
) -> None:
    accounts.add(root, "self_changer")
    with accounts.signed_in(server.uri, "self_changer") as client:
        client.update_password("self_changer", accounts.PASSWORD, NEW_PASSWORD, reset_connection=True)
        assert client.describe_user("self_changer")["user_name"] == "self_changer"
    assert not raw_grpc.accepts(server.uri, accounts.token("self_changer"))


def test_client_is_out_after_changing_its_own_password_when_not_configured_to(
    server: RunningServer, root: MilvusClient
) -> None:
    accounts.add(root, "stale")
    with accounts.signed_in(server.uri, "stale") as client:
        client.update_password("stale", accounts.PASSWORD, NEW_PASSWORD)
        with pytest.raises(grpc.RpcError) as caught:
            client.describe_user("stale")
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_root_needs_the_old_password_too(server: RunningServer, root: MilvusClient) -> None:
    root.create_user("forgetful", accounts.PASSWORD)
    for user in ("forgetful", "nobody_here"):
        with pytest.raises(MilvusException) as caught:
            root.update_password(user, "Wr0ng-guess", NEW_PASSWORD)
        assert caught.value.code == 1400
        assert caught.value.message == f"old password not correct for {user}: not authenticated"
    assert raw_grpc.accepts(server.uri, accounts.token("forgetful"))


@pytest.mark.parametrize("password", ["Sh0rt-1", "alllowercase", "L0ng-" + "x" * 60, ""])
def test_password_that_breaks_a_rule_is_refused_and_never_repeated(root: MilvusClient, password: str) -> None:
    with pytest.raises(MilvusException) as caught:
        root.create_user("hopeful", password)
    assert caught.value.code == 1100
    assert not password or password not in caught.value.message
    assert root.describe_user("hopeful") == {}


@pytest.mark.parametrize("name", ["", "1st", "with space", " root", "root ", "a" * 33, "semi;colon", "colon:name"])
def test_name_that_breaks_a_rule_is_refused(root: MilvusClient, name: str) -> None:
    with pytest.raises(MilvusException) as caught:
        root.create_user(name, accounts.PASSWORD)
    assert caught.value.code == 1100
    assert list(root.list_users()).count("root") == 1


def test_name_that_is_taken_is_refused(server: RunningServer, root: MilvusClient) -> None:
    root.create_user("taken", accounts.PASSWORD)
    with pytest.raises(MilvusException, match="user already exists: taken") as caught:
        root.create_user("taken", NEW_PASSWORD)
    assert caught.value.code == 1100
    assert raw_grpc.accepts(server.uri, accounts.token("taken"))


def test_plain_user_looks_after_itself_and_nobody_else(server: RunningServer, root: MilvusClient) -> None:
    accounts.add(root, "plain")
    accounts.add(root, "other")
    with accounts.signed_in(server.uri, "plain") as client:
        assert client.describe_user("plain") == {"user_name": "plain", "roles": (), "description": ""}
        client.update_user("plain", description="mine")
        assert client.describe_user("plain")["description"] == "mine"
        for stranger in ("other", "nobody_here", "root"):
            with denied("SelectUser", "plain", "*"):
                client.describe_user(stranger)
            with denied("UpdateUser", "plain", "*"):
                client.update_password(stranger, accounts.PASSWORD, NEW_PASSWORD)
        with denied("SelectOwnership", "plain", "*"):
            client.list_users()
        with denied("CreateOwnership", "plain", "*"):
            client.create_user("plain2", accounts.PASSWORD)
        with denied("DropOwnership", "plain", "*"):
            client.drop_user("plain")
        with denied("ManageOwnership", "plain", "*"):
            client.grant_role("plain", "admin")


def test_user_administrator_manages_users_without_being_admin(server: RunningServer, root: MilvusClient) -> None:
    accounts.add(
        root, "personnel", *((name, "*", "*") for name in ("CreateOwnership", "DropOwnership", "SelectOwnership"))
    )
    with accounts.signed_in(server.uri, "personnel") as client:
        client.create_user("hired", accounts.PASSWORD)
        assert "hired" in client.list_users()
        client.drop_user("hired")
        assert "hired" not in client.list_users()
        with denied("ManageOwnership", "personnel", "*"):
            client.grant_role("personnel", "admin")


def test_holder_of_the_admin_role_may_do_everything(server: RunningServer, root: MilvusClient) -> None:
    accounts.add(root, "deputy")
    root.grant_role("deputy", "admin")
    with accounts.signed_in(server.uri, "deputy") as client:
        client.create_collection("deputy_docs", dimension=4)
        client.create_user("deputised", accounts.PASSWORD)
        assert "deputised" in client.list_users()
        assert "deputy_docs" in client.list_collections()
        root.revoke_role("deputy", "admin")
        with denied("SelectOwnership", "deputy", "*"):
            client.list_users()
