"""Row policies and tags as a client of the protocol manages them: by generated stubs, for pymilvus has no methods."""

import signal
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from pymilvus import DataType, MilvusClient
from pymilvus.grpc_gen import common_pb2
from tests.support import raw_grpc
from tests.support import server as servers
from tests.support.server import ROOT_TOKEN, RunningServer

OWN = "owner == $current_principal"


def call(server: RunningServer, method: str, token: str = ROOT_TOKEN, **fields: Any) -> Any:
    """Call an RPC that must succeed."""
    answer = raw_grpc.call(server.uri, method, header=raw_grpc.authorization(token), **fields)
    status = answer if isinstance(answer, common_pb2.Status) else answer.status
    assert (status.code, status.error_code) == (0, 0), status
    return answer


def refused(server: RunningServer, method: str, token: str = ROOT_TOKEN, **fields: Any) -> tuple[int, str]:
    """Call an RPC that must be refused by its status, and return the code and the reason."""
    answer = raw_grpc.call(server.uri, method, header=raw_grpc.authorization(token), **fields)
    status = answer if isinstance(answer, common_pb2.Status) else answer.status
    assert status.code
    return status.code, status.reason


def create(root: MilvusClient, name: str, **properties: str) -> None:
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("owner", DataType.VARCHAR, max_length=64)
    schema.add_field("teams", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=8, max_length=64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    root.create_collection(name, schema=schema, properties=properties or None)


def properties(root: MilvusClient, name: str) -> dict[str, str]:
    described: dict[str, str] = root.describe_collection(name).get("properties", {})
    return {key: value for key, value in described.items() if key.startswith("rls.")}


def test_policies_are_created_listed_and_dropped(server: RunningServer, root: MilvusClient) -> None:
    create(root, "rows_listed")
    named = {"collection_name": "rows_listed", "policy_name": "own"}
    call(server, "CreateRowPolicy", **named, actions=[0, 1, 4], using_expr=OWN, check_expr=OWN, description="d")
    (policy,) = call(server, "ListRowPolicies", collection_name="rows_listed").policies
    assert (policy.policy_name, list(policy.actions), policy.using_expr) == ("own", [0, 1, 4], OWN)
    assert (policy.check_expr, policy.description, list(policy.roles)) == (OWN, "d", [])
    call(server, "DropRowPolicy", **named)
    assert not call(server, "ListRowPolicies", collection_name="rows_listed").policies


def test_a_field_of_the_wrong_kind_is_refused_with_what_would_be_right(
    server: RunningServer, root: MilvusClient
) -> None:
    create(root, "rows_checked")
    for expression, told in (
        ("ownr == 'a'", "`using_expr` reads ownr, which the collection does not declare"),
        ("vector == 1", "vector is of type FloatVector: row policies read VarChar, Bool, integers"),
        ("teams == 'a'", "teams is an array: use array_contains"),
        ("owner != 'a'", "`using_expr`: "),
    ):
        code, reason = refused(
            server,
            "CreateRowPolicy",
            collection_name="rows_checked",
            policy_name="p",
            actions=[0],
            using_expr=expression,
        )
        assert (code, told in reason) == (1100, True), reason
    call(
        server,
        "CreateRowPolicy",
        collection_name="rows_checked",
        policy_name="p",
        actions=[0],
        using_expr="array_contains(teams, $current_principal_tags['team'])",
    )


def test_tags_of_users_are_set_read_found_and_deleted(server: RunningServer, root: MilvusClient) -> None:
    root.create_user("tagged", "Password-1")
    call(server, "AddUserTags", user_name="tagged", tags={"team": "a", "level": "1"})
    assert dict(call(server, "GetUserTags", "tagged:Password-1", user_name="tagged").tags) == {
        "team": "a",
        "level": "1",
    }
    assert list(call(server, "ListUsersWithTag", tag_key="team", tag_value="a").user_names) == ["tagged"]
    call(server, "DeleteUserTags", user_name="tagged", tag_keys=["team"])
    assert dict(call(server, "GetUserTags", user_name="tagged").tags) == {"level": "1"}
    assert not call(server, "ListUsersWithTag", tag_key="team", tag_value="a").user_names


def test_properties_are_set_by_the_sdk_and_shown(root: MilvusClient) -> None:
    create(root, "rows_created", **{"rls.enabled": "true"})
    assert properties(root, "rows_created") == {"rls.enabled": "true", "rls.force": "false"}
    root.alter_collection_properties("rows_created", properties={"rls.force": True})
    assert properties(root, "rows_created") == {"rls.enabled": "true", "rls.force": "true"}
    root.drop_collection_properties("rows_created", property_keys=["rls.enabled", "rls.force"])
    assert properties(root, "rows_created") == {"rls.enabled": "false", "rls.force": "false"}
    root.rename_collection("rows_created", "rows_renamed")
    assert properties(root, "rows_renamed") == {"rls.enabled": "false", "rls.force": "false"}
    root.drop_collection("rows_renamed")
    create(root, "rows_renamed")
    assert properties(root, "rows_renamed") == {}


def test_other_properties_go_to_the_engine_with_them(root: MilvusClient) -> None:
    create(root, "rows_mixed")
    root.alter_collection_properties("rows_mixed", properties={"rls.enabled": "true", "mmap.enabled": "true"})
    described = root.describe_collection("rows_mixed")["properties"]
    assert described["rls.enabled"] == "true"
    assert described["mmap.enabled"] == "true"


def test_policies_properties_and_tags_are_there_after_a_restart_and_after_a_kill(tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = servers.start(data)
    with closing(MilvusClient(uri=server.uri, token=ROOT_TOKEN, dedicated=True)) as root:
        create(root, "docs")
        root.create_user("alice", "Password-1")
        root.alter_collection_properties("docs", properties={"rls.enabled": "true", "rls.force": "true"})
    call(server, "CreateRowPolicy", collection_name="docs", policy_name="own", actions=[0], using_expr=OWN)
    call(server, "AddUserTags", user_name="alice", tags={"team": "a"})
    server.stop(signal.SIGTERM)
    again = servers.start(data)
    look_again(again, "true", {"team": "a"})
    # What was acknowledged a moment ago is there after a kill as well.
    call(again, "CreateRowPolicy", collection_name="docs", policy_name="second", actions=[0], using_expr=OWN)
    call(again, "AddUserTags", user_name="alice", tags={"team": "b"})
    with closing(MilvusClient(uri=again.uri, token=ROOT_TOKEN, dedicated=True)) as root:
        root.alter_collection_properties("docs", properties={"rls.force": "false"})
    again.stop(signal.SIGKILL)
    with servers.running(data) as last:
        look_again(last, "false", {"team": "b"}, "second")


def look_again(server: RunningServer, force: str, tags: Mapping[str, str], *more: str) -> None:
    """Demand the properties, the policy `own` with more of its kind, and the tags."""
    with closing(MilvusClient(uri=server.uri, token=ROOT_TOKEN, dedicated=True)) as root:
        assert properties(root, "docs") == {"rls.enabled": "true", "rls.force": force}
    policies = call(server, "ListRowPolicies", collection_name="docs").policies
    assert {policy.policy_name: policy.using_expr for policy in policies} == dict.fromkeys(("own", *more), OWN)
    assert dict(call(server, "GetUserTags", user_name="alice").tags) == tags
