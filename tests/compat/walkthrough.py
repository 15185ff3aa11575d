"""What the programs in python/, node/, go/, java/ and curl/ must see when they walk over everything.

Each does the same steps on a server that holds the collection `secrets` with three rows, and a user `keyholder` whose
role `keyholder_role` may query it. A refusal must show its user the sentence that is written here.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from tests.support import json_programs
from tests.support.server import RunningServer

WITHIN: Final = 240.0
"""How long a whole walk may take, in seconds, before it counts as hanging."""

_WRONG_PASSWORD: Final = "auth check failure, please check username and password are correct"


@dataclass(frozen=True, slots=True)
class Refused:
    """A step that fails; the SDK shows its user this sentence, perhaps with words of its own around it."""

    sentence: str


def _denied(privilege: str, database: str = "default", *, user: str = "ann") -> Refused:
    return Refused(f"Privilege{privilege}: permission deny to {user} in the `{database}` database")


EXPECTED: Final[Mapping[str, object]] = {
    # Users
    "create_user": None,
    "create_user_again": Refused("user already exists: ann"),
    "create_user_weak": Refused("it must include three of upper case letters"),
    "list_users": ["ann", "keyholder", "root"],
    "describe_user": [],
    "update_password": None,
    "update_password_wrong_old": Refused("old password not correct for ann"),
    "old_password": Refused(_WRONG_PASSWORD),
    "new_password": [],
    # Roles and role bindings
    "create_role": None,
    "create_role_again": Refused('role [name:"editors"] already exists'),
    "list_roles": ["admin", "editors", "keyholder_role", "public"],
    "grant_role": None,
    "describe_user_with_role": ["editors"],
    "missing_privilege": _denied("Query"),
    # Grants of both versions
    "grant_v1": None,
    "query_by_v1": [0, 1, 2],
    "revoke_v1": None,
    "query_without_v1": _denied("Query"),
    "grant_v2": None,
    "describe_role": [["Collection", "secrets", "default", "Query", "root"]],
    "query_by_v2": [0, 1, 2],
    "revoke_v2": None,
    "query_without_v2": _denied("Query"),
    # Privilege groups
    "create_group": None,
    "add_to_group": None,
    "list_groups": ["Query", "Search"],
    "grant_group": None,
    "query_by_group": [0, 1, 2],
    "remove_from_group": None,
    "query_without_group": _denied("Query"),
    "search_by_group": [1, 0],
    "drop_group_in_use": Refused(
        "failed to check if privilege group dropable: privilege group [readers] is used by role [editors]"
    ),
    "revoke_group": None,
    "drop_group": None,
    "list_groups_without": [],
    # A data round trip by a user whose role allows exactly that
    "create_collection_without_privilege": _denied("CreateCollection"),
    "grant_creating": None,
    "create_collection": None,
    **{
        f"grant_{privilege}": None
        for privilege in ("CreateIndex", "Load", "Insert", "Search", "Query", "Delete", "DropCollection")
    },
    "create_index": None,
    "load": None,
    "insert": 10,
    "search": [1, 0],
    "query": list(range(10)),
    # A message of several windows of HTTP/2
    "insert_large": 9_990,
    "delete": None,
    "query_after_delete": [0, 1, 2],
    # Everything else is refused to that user
    "upsert": _denied("Upsert"),
    "flush": _denied("Flush"),
    "release": _denied("Release"),
    "rename": _denied("RenameCollection"),
    "create_partition": _denied("CreatePartition"),
    "create_alias": _denied("CreateAlias"),
    "create_database": _denied("CreateDatabase", "*"),
    "create_user_by_ann": _denied("CreateOwnership", "*"),
    "drop_user_by_ann": _denied("DropOwnership", "*"),
    "list_users_by_ann": _denied("SelectOwnership", "*"),
    "describe_other_by_ann": _denied("SelectUser", "*"),
    "create_role_by_ann": _denied("CreateOwnership", "*"),
    "grant_role_by_ann": _denied("ManageOwnership", "*"),
    "grant_v1_by_ann": _denied("ManageOwnership", "*"),
    "grant_v2_by_ann": _denied("ManageOwnership", "*"),
    "create_group_by_ann": _denied("CreatePrivilegeGroup", "*"),
    "query_other": _denied("Query"),
    "search_other": _denied("Search"),
    "drop_other": _denied("DropCollection"),
    "has_other": False,
    "list_collections": ["notes"],
    "drop_collection": None,
    "list_collections_after": [],
    # API keys
    "key_describes_its_user": ["keyholder_role"],
    "key_queries": [0, 1, 2],
    "key_searches_without_privilege": _denied("Search", user="keyholder"),
    "key_lists_users": _denied("SelectOwnership", "*", user="keyholder"),
    "wrong_key": Refused("auth check failure, please check api key is correct"),
    # What is taken away counts at once, for a client that is open too
    "revoke_role": None,
    "after_revoke_role": _denied("CreateCollection"),
    "drop_role_with_grants": Refused("Use REVOKE API to revoke privileges"),
    "revoke_last_grant": None,
    "drop_role": None,
    "list_roles_after": ["admin", "keyholder_role", "public"],
    "drop_user": None,
    "after_drop_user": Refused(_WRONG_PASSWORD),
    "list_users_after": ["keyholder", "root"],
    # Wrong credentials, and a restart of the server under clients that stay open: a call waits for it
    "wrong_password": Refused(_WRONG_PASSWORD),
    "unknown_user": Refused(_WRONG_PASSWORD),
    "no_credential": Refused("missing authorization in header"),
    "root_while_server_is_away": ["keyholder", "root"],
    "root_after_restart": ["keyholder", "root"],
    "key_after_restart": [0, 1, 2],
}
"""What each step sees, in the order of the walk: a value, or `Refused`."""

_NOT_FOUND: Final = Refused("collection not found[database=default][collection=secrets]")

DIFFERENT: Final[Mapping[tuple[str, str], object]] = {
    # REST tells who is not known that much, and looks at a collection before it searches, as Milvus does.
    **{
        ("curl", step): Refused("user hasn't authenticated")
        for step in ("old_password", "wrong_key", "after_drop_user", "wrong_password", "unknown_user", "no_credential")
    },
    ("curl", "search_other"): _NOT_FOUND,
    # This SDK describes a collection before it asks for rows, and what one has no privilege on is not there.
    ("go", "missing_privilege"): _NOT_FOUND,
    # This SDK connects again, and says at once that it cannot.
    ("python", "root_while_server_is_away"): Refused("Fail connecting to server"),
    # This SDK tries again three times within a fraction of a second, and then says so.
    ("node", "root_while_server_is_away"): Refused("connect"),
    ("node 2.5", "root_while_server_is_away"): Refused("connect"),
}
"""What a step of one language sees instead."""


@dataclass
class Walk:
    """A walk that has ended.

    Attributes:
        language: in which it was written, and the line of an older SDK.
        seen: what each step saw: a value, or `Refused` with all that the SDK showed.
        seconds: how long each step took.
        ended: exit status, and what the program wrote to stderr.
    """

    language: str
    seen: dict[str, object] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    ended: tuple[int, str] = (-1, "")

    def note(self, line: Mapping[str, Any]) -> None:
        """Note what a step printed."""
        step = line["step"]
        assert step not in self.seen
        self.seen[step] = Refused(line["refused"]) if "refused" in line else line["value"]
        self.seconds[step] = line["seconds"]


def run(language: str, command: list[str], api_key: str, at_pause: Callable[[str], None]) -> Walk:
    """Run a program that walks, and return what it saw.

    Args:
        language: in which it is written.
        command: the program and its arguments.
        api_key: one of the user `keyholder`.
        at_pause: called with the name of each pause; the walk goes on when it returns.
    """
    walk = Walk(language)

    def hear(line: Mapping[str, Any]) -> None:
        if "pause" in line:
            at_pause(line["pause"])
        else:
            walk.note(line)

    walk.ended = json_programs.run(command, hear, within=WITHIN, environment={"KITEWARD_API_KEY": api_key})
    return walk


def counted(server: RunningServer, outcome: str) -> Counter[str]:
    """Return how many requests of each operation have ended in this way, as the server's metrics say."""
    (endpoint,) = re.findall(r"health and metrics are on (http://[^\s\"]+)", server.log())
    text = httpx.get(f"{endpoint}/metrics", timeout=10).text
    rows = re.findall(rf'kiteward_requests_total\{{operation="(\S+)",outcome="{outcome}"\}} (\S+)', text)
    return Counter({operation: int(float(number)) for operation, number in rows})
