"""Walks with cURL over everything that REST offers for users, roles and data: python walk.py HOST:PORT.

Each step is one call of cURL and prints one line of JSON: its name and what it saw, or the message by which it was
refused. At a pause the walk waits for a line on its standard input. An API key comes in KITEWARD_API_KEY.
tests/compat/walkthrough.py says what each step must print.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

ADDRESS = sys.argv[1]
API_KEY = os.environ["KITEWARD_API_KEY"]
ROOT = "root:Milvus"
PASSWORD = "Str0ng-enough"
NEW_PASSWORD = "An0ther-password"
ANN = f"ann:{NEW_PASSWORD}"
CURL = str(shutil.which("curl"))
V1: dict[str, Any] = {"roleName": "editors", "objectType": "Collection", "objectName": "secrets", "privilege": "Query"}


class Refused(Exception):
    """An answer whose code is not 0."""


def ask(token: str, path: str, *options: str, **body: Any) -> Any:
    """Call an endpoint and return the data of its answer."""
    command = [CURL, "--silent", "--show-error", "--max-time", "30", *options, "--data", "@-"]
    if token:
        command += ["--header", f"Authorization: Bearer {token}"]
    command.append(f"http://{ADDRESS}/v2/vectordb/{path}")
    ran = subprocess.run(command, input=json.dumps(body), capture_output=True, text=True, check=True)
    answer = json.loads(ran.stdout)
    if answer["code"]:
        raise Refused(answer["message"])
    return answer["data"]


def say(line: dict[str, Any]) -> None:
    """Print one line."""
    print(json.dumps(line), flush=True)


def _nothing(_answer: Any) -> None:
    """Show nothing of an answer."""


def step(name: str, token: str, path: str, show: Callable[[Any], Any] = _nothing, **body: Any) -> None:
    """Make one call and say what it returned, or by which message it was refused."""
    begun = time.perf_counter()
    options = ("--retry", "60", "--retry-delay", "1", "--retry-connrefused") if name.endswith("is_away") else ()
    try:
        seen = {"value": show(ask(token, path, *options, **body))}
    except Refused as refused:
        seen = {"refused": str(refused)}
    say({"step": name, **seen, "seconds": time.perf_counter() - begun})


def pause(name: str) -> None:
    """Wait for a line."""
    say({"pause": name})
    sys.stdin.readline()


def rows(count: int) -> list[dict[str, Any]]:
    """Return rows."""
    return [{"id": number, "vector": [1.0, number, 0.0, 0.0]} for number in range(count)]


def found(data: Any) -> list[int]:
    """Return the ids of a query."""
    return sorted(int(row["id"]) for row in data)


def nearest(data: Any) -> list[int]:
    """Return the ids of a search, nearest first."""
    return [int(row["id"]) for row in data]


def query(name: str, token: str, collection: str) -> None:
    """Ask for every row."""
    step(name, token, "entities/query", found, collectionName=collection, filter="id >= 0", outputFields=["id"])


def search(name: str, token: str, collection: str) -> None:
    """Ask for two neighbours of the second vector."""
    wanted: dict[str, Any] = {"data": [[1.0, 1.0, 0.0, 0.0]], "annsField": "vector", "limit": 2, "outputFields": ["id"]}
    step(name, token, "entities/search", nearest, collectionName=collection, **wanted)


def grant(name: str, token: str, privilege: str, collection: str, *, revoke: bool = False) -> None:
    """Grant or revoke by V2."""
    what: dict[str, Any] = {
        "roleName": "editors",
        "privilege": privilege,
        "collectionName": collection,
        "dbName": "default",
    }
    step(name, token, f"roles/{'revoke' if revoke else 'grant'}_privilege_v2", **what)


def users() -> None:
    """Create and change users."""
    ann: dict[str, Any] = {"userName": "ann", "password": PASSWORD}
    step("create_user", ROOT, "users/create", **ann)
    step("create_user_again", ROOT, "users/create", **ann)
    step("create_user_weak", ROOT, "users/create", userName="bob", password="password")
    step("list_users", ROOT, "users/list", sorted)
    step("describe_user", ROOT, "users/describe", sorted, userName="ann")
    step("update_password", ROOT, "users/update_password", **ann, newPassword=NEW_PASSWORD)
    step("update_password_wrong_old", ROOT, "users/update_password", **ann, newPassword=NEW_PASSWORD)
    step("old_password", f"ann:{PASSWORD}", "users/describe", sorted, userName="ann")
    step("new_password", ANN, "users/describe", sorted, userName="ann")


def roles() -> None:
    """Create and bind roles."""
    step("create_role", ROOT, "roles/create", roleName="editors")
    step("create_role_again", ROOT, "roles/create", roleName="editors")
    step("list_roles", ROOT, "roles/list", sorted)
    step("grant_role", ROOT, "users/grant_role", userName="ann", roleName="editors")
    step("describe_user_with_role", ROOT, "users/describe", sorted, userName="ann")
    query("missing_privilege", ANN, "secrets")


def _grants(data: Any) -> list[list[str]]:
    parts = ("objectType", "objectName", "dbName", "privilege", "grantor")
    return [[each[part] for part in parts] for each in data]


def grants() -> None:
    """Grant and revoke, in both versions."""
    step("grant_v1", ROOT, "roles/grant_privilege", **V1)
    query("query_by_v1", ANN, "secrets")
    step("revoke_v1", ROOT, "roles/revoke_privilege", **V1)
    query("query_without_v1", ANN, "secrets")
    grant("grant_v2", ROOT, "Query", "secrets")
    step("describe_role", ROOT, "roles/describe", _grants, roleName="editors")
    query("query_by_v2", ANN, "secrets")
    grant("revoke_v2", ROOT, "Query", "secrets", revoke=True)
    query("query_without_v2", ANN, "secrets")


def _members(data: Any) -> list[str]:
    groups = {group["privilegeGroupName"]: group["privileges"] for group in data["privilegeGroups"]}
    return sorted(filter(None, groups.get("readers", "").split(",")))


def privilege_groups() -> None:
    """Create, fill, grant and drop a privilege group."""
    group: dict[str, Any] = {"privilegeGroupName": "readers"}
    step("create_group", ROOT, "privilege_groups/create", **group)
    step("add_to_group", ROOT, "privilege_groups/add_privileges_to_group", **group, privileges=["Query", "Search"])
    step("list_groups", ROOT, "privilege_groups/list", _members)
    grant("grant_group", ROOT, "readers", "secrets")
    query("query_by_group", ANN, "secrets")
    step("remove_from_group", ROOT, "privilege_groups/remove_privileges_from_group", **group, privileges=["Query"])
    query("query_without_group", ANN, "secrets")
    search("search_by_group", ANN, "secrets")
    step("drop_group_in_use", ROOT, "privilege_groups/drop", **group)
    grant("revoke_group", ROOT, "readers", "secrets", revoke=True)
    step("drop_group", ROOT, "privilege_groups/drop", **group)
    step("list_groups_without", ROOT, "privilege_groups/list", _members)


def _until_loaded(_data: Any) -> None:
    while ask(ANN, "collections/get_load_state", collectionName="notes")["loadState"] != "LoadStateLoaded":
        time.sleep(0.05)


def data() -> None:
    """Make a round trip with just the privileges that it needs."""
    notes: dict[str, Any] = {"collectionName": "notes"}
    fields = [
        {"fieldName": "id", "dataType": "Int64", "isPrimary": True},
        {"fieldName": "vector", "dataType": "FloatVector", "elementTypeParams": {"dim": 4}},
    ]
    create: dict[str, Any] = {
        **notes,
        "schema": {"autoId": False, "fields": fields},
        "params": {"consistencyLevel": "Strong"},
    }
    step("create_collection_without_privilege", ANN, "collections/create", **create)
    grant("grant_creating", ROOT, "CreateCollection", "*")
    step("create_collection", ANN, "collections/create", **create)
    for privilege in ("CreateIndex", "Load", "Insert", "Search", "Query", "Delete", "DropCollection"):
        grant(f"grant_{privilege}", ROOT, privilege, "notes")
    index = {"fieldName": "vector", "indexName": "vector", "indexType": "AUTOINDEX", "metricType": "L2"}
    step("create_index", ANN, "indexes/create", **notes, indexParams=[index])
    step("load", ANN, "collections/load", _until_loaded, **notes)
    step("insert", ANN, "entities/insert", lambda data: data["insertCount"], **notes, data=rows(10))
    search("search", ANN, "notes")
    query("query", ANN, "notes")
    step("insert_large", ANN, "entities/insert", lambda data: data["insertCount"], **notes, data=rows(10_000)[10:])
    step("delete", ANN, "entities/delete", **notes, filter="id >= 3")
    query("query_after_delete", ANN, "notes")


def everything_else() -> None:
    """Try what no role allows."""
    notes: dict[str, Any] = {"collectionName": "notes"}
    step("upsert", ANN, "entities/upsert", **notes, data=rows(1))
    step("flush", ANN, "collections/flush", **notes)
    step("release", ANN, "collections/release", **notes)
    step("rename", ANN, "collections/rename", **notes, newCollectionName="mine")
    step("create_partition", ANN, "partitions/create", **notes, partitionName="p")
    step("create_alias", ANN, "aliases/create", **notes, aliasName="a")
    step("create_database", ANN, "databases/create", dbName="db")
    step("create_user_by_ann", ANN, "users/create", userName="eve", password=PASSWORD)
    step("drop_user_by_ann", ANN, "users/drop", userName="keyholder")
    step("list_users_by_ann", ANN, "users/list")
    step("describe_other_by_ann", ANN, "users/describe", userName="root")
    step("create_role_by_ann", ANN, "roles/create", roleName="mine")
    step("grant_role_by_ann", ANN, "users/grant_role", userName="ann", roleName="admin")
    step("grant_v1_by_ann", ANN, "roles/grant_privilege", **V1)
    grant("grant_v2_by_ann", ANN, "Query", "*")
    step("create_group_by_ann", ANN, "privilege_groups/create", privilegeGroupName="mine")
    query("query_other", ANN, "secrets")
    search("search_other", ANN, "secrets")
    step("drop_other", ANN, "collections/drop", collectionName="secrets")
    step("has_other", ANN, "collections/has", lambda data: data["has"], collectionName="secrets")
    step("list_collections", ANN, "collections/list", sorted)
    step("drop_collection", ANN, "collections/drop", **notes)
    step("list_collections_after", ANN, "collections/list", sorted)


def api_keys() -> None:
    """Come in by an API key."""
    step("key_describes_its_user", API_KEY, "users/describe", sorted, userName="keyholder")
    query("key_queries", API_KEY, "secrets")
    search("key_searches_without_privilege", API_KEY, "secrets")
    step("key_lists_users", API_KEY, "users/list")
    step("wrong_key", f"{API_KEY}x", "collections/list")


def leaving() -> None:
    """Take everything away again."""
    step("revoke_role", ROOT, "users/revoke_role", userName="ann", roleName="editors")
    step("after_revoke_role", ANN, "collections/create", collectionName="late", dimension=4)
    step("drop_role_with_grants", ROOT, "roles/drop", roleName="editors")
    grant("revoke_last_grant", ROOT, "CreateCollection", "*", revoke=True)
    step("drop_role", ROOT, "roles/drop", roleName="editors")
    step("list_roles_after", ROOT, "roles/list", sorted)
    step("drop_user", ROOT, "users/drop", userName="ann")
    step("after_drop_user", ANN, "users/describe", userName="ann")
    step("list_users_after", ROOT, "users/list", sorted)


def errors() -> None:
    """Come with wrong credentials, and ask while the server restarts."""
    pause("before_wrong_password")
    step("wrong_password", "keyholder:Wr0ng-guess", "users/list")
    pause("after_wrong_password")
    step("unknown_user", "nobody:Wr0ng-guess", "users/list")
    step("no_credential", "", "users/list")
    pause("restart")
    step("root_while_server_is_away", ROOT, "users/list", sorted)
    pause("back")
    step("root_after_restart", ROOT, "users/list", sorted)
    query("key_after_restart", API_KEY, "secrets")


for part in (users, roles, grants, privilege_groups, data, everything_else, api_keys, leaving, errors):
    part()
