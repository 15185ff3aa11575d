"""Users, roles, grants and API keys of a server: those of others, whose names are marked, and those of the callers."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.fuzz import canaries
from tests.fuzz.requests import Answer
from tests.fuzz.valid_requests import rpc_path
from tests.support.gateway import PASSWORD, encoded, v2

from kiteward.api.rest.endpoints import OWN_PREFIX
from kiteward.milvus import messages

NOBODY: Final = "nobody"
"""Holds no role."""

HOLDER: Final = "holder"
"""Holds everything that can be held on one collection."""

ADMINISTRATOR: Final = "administrator"
"""Owns the restricted keys."""

READER_KEY: Final = "key of an administrator, restricted to one role"
EMPTY_KEY: Final = "key of an administrator, restricted to no role"
ROOT_KEY: Final = "key of root, restricted to one role"

_OTHERS_PASSWORD: Final = "Canary-Secret-1"
_READER: Final = "reader"
_OF_THE_HOLDER: Final = "own_role"

Ask = Callable[[str, bytes], Awaitable[Answer]]
"""Sends one request of `root`: path and payload."""


@dataclass(frozen=True, slots=True)
class Identities:
    """What was made.

    Attributes:
        tokens: credential by caller.
        key_ids: of all API keys; those of others come first.
        others: how many are others'.
        secrets: what no answer may hold.
        exempt: users who may change what is theirs.
    """

    tokens: dict[str, str]
    key_ids: tuple[str, ...]
    others: int
    secrets: tuple[bytes, ...]
    exempt: frozenset[str]


class RootClient:
    """Makes things as `root`, and demands that it succeeds."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def rpc(self, operation: str, **fields: Any) -> None:
        """Call an RPC."""
        method = messages.method_of(operation)
        answer = await self._ask(rpc_path(operation), method.request(**fields).SerializeToString())
        assert answer.status == 0, (operation, answer)

    async def key(self, user: str, roles: list[str] | None, description: str) -> tuple[str, str]:
        """Make an API key; return its id and itself."""
        document = {"userName": user, "roles": roles, "description": description}
        answer = await self._ask(f"{OWN_PREFIX}api_keys/create", json.dumps(document).encode())
        reply = json.loads(answer.body)
        assert reply["code"] == 0, reply
        return reply["data"]["keyId"], reply["data"]["key"]


async def create_identities(make: RootClient) -> Identities:
    """Make users, roles, grants and keys on a fresh server."""
    for name in canaries.GROUPS:
        await make.rpc("CreatePrivilegeGroup", group_name=name)
    for user, role in zip(canaries.USERS, canaries.ROLES, strict=True):
        await make.rpc("CreateRole", entity={"name": role, "description": canaries.CONTENT})
        await _user(make, user, role, password=_OTHERS_PASSWORD)
        await make.rpc("OperatePrivilegeV2", **v2(role, "CollectionReadWrite", "default", canaries.HIDDEN[0]))
    for role, database, collection in (
        (_READER, "default", canaries.OWN),
        (_OF_THE_HOLDER, "default", canaries.OWN),
    ):
        await make.rpc("CreateRole", entity={"name": role})
        group = "CollectionAdmin" if role == _OF_THE_HOLDER else "CollectionReadOnly"
        await make.rpc("OperatePrivilegeV2", **v2(role, group, database, collection))
    await _user(make, NOBODY)
    await _user(make, HOLDER, _OF_THE_HOLDER)
    await _user(make, ADMINISTRATOR, "admin", _READER, password=_OTHERS_PASSWORD)
    others = [await make.key(user, None, canaries.CONTENT) for user in (canaries.USERS[0], ADMINISTRATOR, "root")]
    callers = {
        READER_KEY: await make.key(ADMINISTRATOR, [_READER], "own"),
        EMPTY_KEY: await make.key(ADMINISTRATOR, [], "own"),
    }
    await make.rpc("OperateUserRole", username="root", role_name=_READER)
    callers[ROOT_KEY] = await make.key("root", [_READER], "own")
    tokens = {caller: key for caller, (_, key) in callers.items()}
    return Identities(
        {**tokens, **{user: f"{user}:{PASSWORD}" for user in (NOBODY, HOLDER)}},
        tuple(key_id for key_id, _ in (*others, *callers.values())),
        len(others),
        (b"$argon2", _OTHERS_PASSWORD.encode(), *(key.encode() for _, key in others)),
        frozenset({NOBODY, HOLDER}),
    )


async def _user(make: RootClient, name: str, *roles: str, password: str = PASSWORD) -> None:
    await make.rpc("CreateCredential", username=name, password=encoded(password))
    for role in roles:
        await make.rpc("OperateUserRole", username=name, role_name=role)
