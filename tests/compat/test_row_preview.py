"""A preview of row policies is what the user then sees, before each engine."""

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from pymilvus import MilvusClient
from tests.compat import accounts
from tests.compat.test_row_policy_reads import COUNT, as_root, create, rows
from tests.support.server import ROOT_TOKEN, RunningServer

NAME: Final = "previewed"
USERS: Final = ("una", "vic")
POLICIES: Final = (
    ("every_third", "PERMISSIVE", "owner in ['ana', $current_principal_tags['reads']]"),
    ("team", "PERMISSIVE", "team == $current_principal_tags['team']"),
    ("recent", "RESTRICTIVE", "year in [2001, 2002, 2003]"),
)


def ask(server: RunningServer, path: str, **body: Any) -> Any:
    """Call one of our own endpoints as root."""
    headers = {"Authorization": f"Bearer {ROOT_TOKEN}"}
    answer = httpx.post(f"{server.uri}/v2/kiteward/{path}", json=body, headers=headers, timeout=30).json()
    assert answer["code"] == 0, answer
    return answer["data"]


@pytest.fixture(scope="module")
def previewed(server: RunningServer, root: MilvusClient) -> Iterator[str]:
    """The collection with policies of both types; una has tags, and vic has none."""
    create(root, NAME)
    for name, kind, using in POLICIES:
        given = {"policyName": name, "policyType": kind, "usingExpr": using, "actions": ["Query", "Search", "Delete"]}
        ask(server, "row_policies/create", collectionName=NAME, **given)
    ask(server, "row_policies/enable", collectionName=NAME)
    accounts.grant(root, "previewers", ("CollectionReadWrite", NAME))
    for name in USERS:
        accounts.add(root, name)
        root.grant_role(name, "previewers")
    as_root(server, "AddUserTags", user_name="una", tags={"reads": "ben", "team": "blue"})
    yield NAME
    root.drop_collection(NAME)


@pytest.mark.parametrize("user", USERS)
def test_the_preview_is_what_the_user_sees(previewed: str, server: RunningServer, user: str) -> None:
    keys = list(range(COUNT + 2))
    preview = ask(server, "row_policies/preview", collectionName=previewed, userName=user, primaryKeys=keys)
    with accounts.signed_in(server.uri, user) as client:
        seen = {row["id"]: row for row in client.query(previewed, filter="", limit=100)}
        (counted,) = client.query(previewed, filter="", output_fields=["count(*)"])
        found = client.search(previewed, [[0.0, 0.0]], limit=100)[0]
    assert (preview["totalRows"], preview["visibleRows"]) == (COUNT, len(seen))
    assert counted["count(*)"] == len(found) == len(seen)
    assert {int(each["primaryKey"]) for each in preview["keys"] if each["visible"]} == set(seen)
    assert [each["stored"] for each in preview["keys"]] == [key < COUNT for key in keys]
    tags = {"una": {"reads": "ben", "team": "blue"}, "vic": {}}[user]
    shown = {
        "every_third": {row["id"] for row in rows() if row["owner"] in ("ana", tags.get("reads"))},
        "team": {row["id"] for row in rows() if row["team"] == tags.get("team")},
    }
    recent = {row["id"] for row in rows() if row["year"] != 2000}
    assert {each["policyName"]: each["rows"] for each in preview["policies"]} == {
        "every_third": len(shown["every_third"] & recent),
        "team": len(shown["team"] & recent),
        "recent": len((shown["every_third"] | shown["team"]) - recent),
    }


def test_the_preview_of_a_delete_is_what_the_user_then_deletes(previewed: str, server: RunningServer) -> None:
    before = ask(server, "row_policies/preview", collectionName=previewed, userName="vic", action="Delete")
    with accounts.signed_in(server.uri, "vic") as client:
        client.delete(previewed, filter="id >= 0")
    after = ask(server, "row_policies/preview", collectionName=previewed, userName="vic", action="Delete")
    assert before["visibleRows"] > after["visibleRows"] == 0
    assert after["totalRows"] == before["totalRows"] - before["visibleRows"]


def test_a_collection_that_is_not_loaded_is_said_to_be(
    previewed: str, server: RunningServer, root: MilvusClient
) -> None:
    root.release_collection(previewed)
    headers = {"Authorization": f"Bearer {ROOT_TOKEN}"}
    answer = httpx.post(
        f"{server.uri}/v2/kiteward/row_policies/preview",
        json={"collectionName": previewed, "userName": "una"},
        headers=headers,
        timeout=30,
    ).json()
    assert answer["reason"] == "rows_not_loaded"
    root.load_collection(previewed)
