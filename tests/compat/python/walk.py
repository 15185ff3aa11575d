"""Walks over everything that pymilvus can do with users, roles and data: python walk.py HOST:PORT.

Each step prints one line of JSON: its name and what it saw, or the sentence by which it was refused. At a pause the
walk waits for a line on its standard input. An API key comes in KITEWARD_API_KEY. tests/compat/walkthrough.py says what
each step must print.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import grpc
from pymilvus import DataType, MilvusClient, MilvusException

ADDRESS = sys.argv[1]
API_KEY = os.environ["KITEWARD_API_KEY"]
PASSWORD = "Str0ng-enough"
NEW_PASSWORD = "An0ther-password"
V1 = ("editors", "Collection", "Query", "secrets")

logging.disable(logging.CRITICAL)


def say(line: dict[str, Any]) -> None:
    """Print one line."""
    print(json.dumps(line), flush=True)


def step(name: str, call: Callable[[], Any], show: Callable[[Any], Any] = lambda _answer: None) -> None:
    """Make one call and say what it returned, or by which sentence it was refused."""
    begun = time.perf_counter()
    try:
        seen = {"value": show(call())}
    except (grpc.RpcError, MilvusException) as error:
        seen = {"refused": _shown(error)}
    say({"step": name, **seen, "seconds": time.perf_counter() - begun})


def _shown(error: grpc.RpcError | MilvusException) -> str:
    """Return what an error says itself, without its cause."""
    return str(error.details() if isinstance(error, grpc.RpcError) else error)


def reconnected(client: MilvusClient) -> None:
    """Wait until a client has its server again: while that is away, each call fails at once."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            client.has_collection("secrets")
        except (grpc.RpcError, MilvusException):
            time.sleep(0.1)
        else:
            return


def pause(name: str) -> None:
    """Wait for a line."""
    say({"pause": name})
    sys.stdin.readline()


def sign_in(token: str) -> MilvusClient:
    """Connect; clients of their own, because those with the same token share one otherwise."""
    return MilvusClient(uri=f"http://{ADDRESS}", token=token, dedicated=True)


def vector(number: int) -> list[float]:
    """Return one vector."""
    return [1.0, float(number), 0.0, 0.0]


def rows(count: int) -> list[dict[str, Any]]:
    """Return rows."""
    return [{"id": number, "vector": vector(number)} for number in range(count)]


def query(client: MilvusClient, collection: str) -> Callable[[], Any]:
    """Return a query for every row."""
    return lambda: client.query(collection, filter="id >= 0", output_fields=["id"])


def search(client: MilvusClient, collection: str) -> Callable[[], Any]:
    """Return a search for two neighbours of the second vector."""
    return lambda: client.search(collection, [vector(1)], anns_field="vector", limit=2, output_fields=["id"])


def found(answer: Any) -> list[int]:
    """Return the ids of a query."""
    return sorted(row["id"] for row in answer)


def nearest(answer: Any) -> list[int]:
    """Return the ids of a search, nearest first."""
    return [hit["id"] for hit in answer[0]]


def roles_of(answer: Any) -> list[str]:
    """Return the roles of a described user."""
    return sorted(answer["roles"])


def users(root: MilvusClient) -> MilvusClient:
    """Create and change users."""
    step("create_user", lambda: root.create_user("ann", PASSWORD))
    step("create_user_again", lambda: root.create_user("ann", PASSWORD))
    step("create_user_weak", lambda: root.create_user("bob", "password"))
    step("list_users", root.list_users, sorted)
    step("describe_user", lambda: root.describe_user("ann"), roles_of)
    step("update_password", lambda: root.update_password("ann", PASSWORD, NEW_PASSWORD))
    step("update_password_wrong_old", lambda: root.update_password("ann", PASSWORD, NEW_PASSWORD))
    step("old_password", lambda: sign_in(f"ann:{PASSWORD}").describe_user("ann"))
    ann = sign_in(f"ann:{NEW_PASSWORD}")
    step("new_password", lambda: ann.describe_user("ann"), roles_of)
    return ann


def roles(root: MilvusClient, ann: MilvusClient) -> None:
    """Create and bind roles."""
    step("create_role", lambda: root.create_role("editors"))
    step("create_role_again", lambda: root.create_role("editors"))
    step("list_roles", root.list_roles, sorted)
    step("grant_role", lambda: root.grant_role("ann", "editors"))
    step("describe_user_with_role", lambda: root.describe_user("ann"), roles_of)
    step("missing_privilege", query(ann, "secrets"))


def _grants(answer: Any) -> list[list[str]]:
    parts = ("object_type", "object_name", "db_name", "privilege", "grantor_name")
    return [[grant[part] for part in parts] for grant in answer["privileges"]]


def grants(root: MilvusClient, ann: MilvusClient) -> None:
    """Grant and revoke, in both versions."""
    step("grant_v1", lambda: root.grant_privilege(*V1))
    step("query_by_v1", query(ann, "secrets"), found)
    step("revoke_v1", lambda: root.revoke_privilege(*V1))
    step("query_without_v1", query(ann, "secrets"))
    step("grant_v2", lambda: root.grant_privilege_v2("editors", "Query", "secrets", "default"))
    step("describe_role", lambda: root.describe_role("editors"), _grants)
    step("query_by_v2", query(ann, "secrets"), found)
    step("revoke_v2", lambda: root.revoke_privilege_v2("editors", "Query", "secrets", "default"))
    step("query_without_v2", query(ann, "secrets"))


def _members(answer: Any) -> list[str]:
    return sorted(name for group in answer if group["privilege_group"] == "readers" for name in group["privileges"])


def privilege_groups(root: MilvusClient, ann: MilvusClient) -> None:
    """Create, fill, grant and drop a privilege group."""
    step("create_group", lambda: root.create_privilege_group("readers"))
    step("add_to_group", lambda: root.add_privileges_to_group("readers", ["Query", "Search"]))
    step("list_groups", root.list_privilege_groups, _members)
    step("grant_group", lambda: root.grant_privilege_v2("editors", "readers", "secrets", "default"))
    step("query_by_group", query(ann, "secrets"), found)
    step("remove_from_group", lambda: root.remove_privileges_from_group("readers", ["Query"]))
    step("query_without_group", query(ann, "secrets"))
    step("search_by_group", search(ann, "secrets"), nearest)
    step("drop_group_in_use", lambda: root.drop_privilege_group("readers"))
    step("revoke_group", lambda: root.revoke_privilege_v2("editors", "readers", "secrets", "default"))
    step("drop_group", lambda: root.drop_privilege_group("readers"))
    step("list_groups_without", root.list_privilege_groups, _members)


def data(root: MilvusClient, ann: MilvusClient) -> None:
    """Make a round trip with just the privileges that it needs."""
    schema = MilvusClient.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)

    def create() -> None:
        ann.create_collection("notes", schema=schema, consistency_level="Strong")

    def grant(privilege: str, collection: str) -> Callable[[], None]:
        return lambda: root.grant_privilege_v2("editors", privilege, collection, "default")

    step("create_collection_without_privilege", create)
    step("grant_creating", grant("CreateCollection", "*"))
    step("create_collection", create)
    for privilege in ("CreateIndex", "Load", "Insert", "Search", "Query", "Delete", "DropCollection"):
        step(f"grant_{privilege}", grant(privilege, "notes"))
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="AUTOINDEX", metric_type="L2")
    step("create_index", lambda: ann.create_index("notes", index))
    step("load", lambda: ann.load_collection("notes"))
    step("insert", lambda: ann.insert("notes", rows(10)), lambda answer: answer["insert_count"])
    step("search", search(ann, "notes"), nearest)
    step("query", query(ann, "notes"), found)
    step("insert_large", lambda: ann.insert("notes", rows(10_000)[10:]), lambda answer: answer["insert_count"])
    step("delete", lambda: ann.delete("notes", filter="id >= 3"))
    step("query_after_delete", query(ann, "notes"), found)


def everything_else(ann: MilvusClient) -> None:
    """Try what no role allows."""
    step("upsert", lambda: ann.upsert("notes", rows(1)))
    step("flush", lambda: ann.flush("notes"))
    step("release", lambda: ann.release_collection("notes"))
    step("rename", lambda: ann.rename_collection("notes", "mine"))
    step("create_partition", lambda: ann.create_partition("notes", "p"))
    step("create_alias", lambda: ann.create_alias("notes", "a"))
    step("create_database", lambda: ann.create_database("db"))
    step("create_user_by_ann", lambda: ann.create_user("eve", PASSWORD))
    step("drop_user_by_ann", lambda: ann.drop_user("keyholder"))
    step("list_users_by_ann", ann.list_users)
    step("describe_other_by_ann", lambda: ann.describe_user("root"))
    step("create_role_by_ann", lambda: ann.create_role("mine"))
    step("grant_role_by_ann", lambda: ann.grant_role("ann", "admin"))
    step("grant_v1_by_ann", lambda: ann.grant_privilege(*V1))
    step("grant_v2_by_ann", lambda: ann.grant_privilege_v2("editors", "Query", "*", "default"))
    step("create_group_by_ann", lambda: ann.create_privilege_group("mine"))
    step("query_other", query(ann, "secrets"))
    step("search_other", search(ann, "secrets"))
    step("drop_other", lambda: ann.drop_collection("secrets"))
    step("has_other", lambda: ann.has_collection("secrets"), bool)
    step("list_collections", ann.list_collections, sorted)
    step("drop_collection", lambda: ann.drop_collection("notes"))
    step("list_collections_after", ann.list_collections, sorted)


def api_keys() -> MilvusClient:
    """Come in by an API key."""
    holder = sign_in(API_KEY)
    step("key_describes_its_user", lambda: holder.describe_user("keyholder"), roles_of)
    step("key_queries", query(holder, "secrets"), found)
    step("key_searches_without_privilege", search(holder, "secrets"))
    step("key_lists_users", holder.list_users)
    step("wrong_key", lambda: sign_in(f"{API_KEY}x"))
    return holder


def leaving(root: MilvusClient, ann: MilvusClient) -> None:
    """Take everything away again, under a client that is open."""
    step("revoke_role", lambda: root.revoke_role("ann", "editors"))
    step("after_revoke_role", lambda: ann.create_collection("late", dimension=4))
    step("drop_role_with_grants", lambda: root.drop_role("editors"))
    step("revoke_last_grant", lambda: root.revoke_privilege_v2("editors", "CreateCollection", "*", "default"))
    step("drop_role", lambda: root.drop_role("editors"))
    step("list_roles_after", root.list_roles, sorted)
    step("drop_user", lambda: root.drop_user("ann"))
    step("after_drop_user", lambda: ann.describe_user("ann"))
    step("list_users_after", root.list_users, sorted)


def errors(root: MilvusClient, holder: MilvusClient) -> None:
    """Come with wrong credentials, and stay while the server restarts."""
    pause("before_wrong_password")
    step("wrong_password", lambda: sign_in("keyholder:Wr0ng-guess"))
    pause("after_wrong_password")
    step("unknown_user", lambda: sign_in("nobody:Wr0ng-guess"))
    step("no_credential", lambda: sign_in(""))
    pause("restart")
    step("root_while_server_is_away", root.list_users, sorted)
    pause("back")
    reconnected(root)
    reconnected(holder)
    step("root_after_restart", root.list_users, sorted)
    step("key_after_restart", query(holder, "secrets"), found)


def main() -> None:
    """Walk."""
    root = sign_in("root:Milvus")
    ann = users(root)
    roles(root, ann)
    grants(root, ann)
    privilege_groups(root, ann)
    data(root, ann)
    everything_else(ann)
    holder = api_keys()
    leaving(root, ann)
    errors(root, holder)
    for client in (root, ann, holder):
        client.close()


main()
