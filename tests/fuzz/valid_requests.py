"""Valid requests to begin with: of every RPC by its descriptor, of every endpoint by its type, and calls of clients."""

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from tests.access.equivalence import request_pairs
from tests.access.equivalence.populated_engine import PopulatedEngine
from tests.access.equivalence.random_values import PARTITIONS, Draw
from tests.access.equivalence.request_pairs import Failed, Outcome
from tests.access.equivalence.runner import COUNTERPARTS
from tests.fuzz import canaries

from kiteward.api.rest.endpoint_table import TABLE
from kiteward.api.rest.endpoints import OWN_PREFIX, PREFIX
from kiteward.api.rest.token_endpoint import GRANT_TYPE
from kiteward.authz.privileges import BUILT_IN_GROUPS, PRIVILEGES
from kiteward.domain.errors import KitewardError
from kiteward.iam.token_exchange import TokenType
from kiteward.milvus import messages

IDENTITY_WORDS: Final = ("Credential", "Role", "Privilege", "User", "Grant", "RBAC", "RowPolic")
"""Parts of the names of those RPCs that are about users, roles, grants and groups."""

_TOGETHER: Final[Mapping[str, Sequence[Sequence[str]]]] = {
    f"{OWN_PREFIX}access/explain": (
        ("privilege", "collectionName"),
        ("privilege", "collectionName", "dbName"),
        ("operation", "collectionName"),
        ("operation", "collectionName", "dbName"),
        ("userName", "privilege", "collectionName"),
        ("keyId", "privilege", "collectionName"),
    )
}
"""Members that make sense together, of those endpoints that refuse most other choices."""

_DEEPEST: Final = 4
_SHARES_OF_OPTIONAL_FIELDS: Final = (0.1, 0.3, 0.6)
_BY_WORD: Final[Sequence[tuple[tuple[str, ...], Sequence[str]]]] = (
    (("grant_type",), (GRANT_TYPE,)),
    (("token_type",), tuple(TokenType)),
    (("scope",), (*canaries.ROLES[:3], "admin", "public", "reader admin")),
    (("operation",), tuple(messages.METHODS)),
    (("alias",), (*canaries.HIDDEN_ALIASES, canaries.OWN_ALIAS, "new_alias")),
    (
        ("collection", "oldname", "newname", "object_name", "objectname"),
        (*canaries.COLLECTIONS, "*", "new_collection"),
    ),
    (("db", "database"), (*canaries.DATABASES, "")),
    (("privilege",), (*PRIVILEGES, *BUILT_IN_GROUPS, "All", "*")),
    (("group",), (*canaries.GROUPS, *BUILT_IN_GROUPS, "new_group")),
    (("role",), (*canaries.ROLES[:3], "admin", "public", "reader", "new_role")),
    (("user", "owner"), (*canaries.USERS[:3], "root", "administrator", "nobody", "holder", "new_user")),
    (("partition",), PARTITIONS),
    (("password",), ("UGFzc3dvcmQtOQ==", "Password-9", "")),
    (("keyid", "key_id"), canaries.KEY_IDS),
    (("filter", "expr", "dsl"), ("id > 0", "id in [1, 2]", "")),
    (("object",), ("Collection", "Global", "User")),
)
"""Values for a field whose name holds one of these words; the first matching row decides."""

_OTHER: Final = ("", "id", "vector", "x", "1", canaries.OWN, *canaries.HIDDEN)


def word(draw: Draw, name: str) -> str:
    """Return values for a field of that name."""
    lowered = name.lower()
    for words, choices in _BY_WORD:
        if any(each in lowered for each in words):
            return draw.of(choices)
    return draw.of(_OTHER)


def message(draw: Draw, operation: str) -> bytes:
    """Return a random request of an RPC, made of likely names."""
    made = messages.METHODS[operation].request()
    _fill(draw, made, 0)
    return bytes(made.SerializeToString())


def rpc_path(operation: str) -> str:
    """Return the path of an RPC."""
    return f"/{messages.METHODS[operation].service}/{operation}"


async def known_calls(draw: Draw, each: int) -> dict[str, list[bytes]]:
    """Return valid requests by RPC: those that clients make, `each` times for every endpoint that asks for the same."""
    caller = _Recorder(PopulatedEngine())
    for counterpart in COUNTERPARTS.values():
        for _ in range(each):
            pair = counterpart(draw)
            caller.database = draw.of(canaries.DATABASES)
            try:
                await pair.by_grpc(caller)
            except (Failed, KitewardError):
                continue
    return caller.asked


def body(draw: Draw, path: str) -> Any:
    """Return a valid body of a REST endpoint."""
    short = path.removeprefix(PREFIX)
    if short in COUNTERPARTS and draw.chance(0.8):
        document = canaries.renamed(dict(COUNTERPARTS[short](draw).body))
        return {**document, "dbName": draw.of(canaries.DATABASES)} if draw.chance(0.6) else document
    if path in _TOGETHER and draw.chance(0.7):
        return {name: word(draw, name) for name in draw.of(_TOGETHER[path])}
    return _struct(draw, TABLE[path].body)


class _Recorder:
    """Implements `request_pairs.GrpcClient`: remembers each call, and answers as an engine does."""

    def __init__(self, engine: PopulatedEngine) -> None:
        self._engine = engine
        self.database = ""
        self.asked: dict[str, list[bytes]] = {}

    async def call(self, operation: str, /, **fields: Any) -> Any:
        request = request_pairs.request(operation, fields)
        payload = await self._engine.call(operation, request.SerializeToString(), metadata={}, timeout=None)
        canaries.rename(request)
        if "db_name" in request.DESCRIPTOR.fields_by_name:
            request.db_name = self.database
        self.asked.setdefault(operation, []).append(request.SerializeToString())
        response = request_pairs.response(operation, payload)
        status = request_pairs.status(response)
        if status is not None and (status.code or status.error_code):
            raise Failed(Outcome(request_pairs.REFUSED))
        return response


def _fill(draw: Draw, made: Any, depth: int) -> None:
    for field in made.DESCRIPTOR.fields:
        if depth and draw.chance(0.3):
            continue
        if field.message_type is not None:
            _fill_message(draw, made, field, depth)
            continue
        value = _scalar(draw, field)
        if field.is_repeated:
            getattr(made, field.name).extend([value] * draw.number(2))
        else:
            setattr(made, field.name, value)


def _fill_message(draw: Draw, made: Any, field: Any, depth: int) -> None:
    if depth >= _DEEPEST or field.message_type.GetOptions().map_entry or field.name == "base":
        return
    _fill(draw, getattr(made, field.name).add() if field.is_repeated else getattr(made, field.name), depth + 1)


def _scalar(draw: Draw, field: Any) -> Any:
    if field.type == field.TYPE_STRING:
        return word(draw, field.name)
    if field.type == field.TYPE_BYTES:
        return draw.of((b"", b"1", word(draw, field.name).encode()))
    if field.type == field.TYPE_BOOL:
        return draw.chance(0.5)
    if field.type == field.TYPE_ENUM:
        return draw.of(field.enum_type.values).number
    return draw.of((0, 1, 2, 3, 4, 7))


def _struct(draw: Draw, kind: Any) -> dict[str, Any]:
    share = draw.of(_SHARES_OF_OPTIONAL_FIELDS)
    return {
        field.encode_name: _value(draw, field.type, field.name)
        for field in msgspec.structs.fields(kind)
        if field.required or draw.chance(share)
    }


def _value(draw: Draw, kind: Any, name: str) -> Any:
    origin, held = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Annotated, types.UnionType, typing.Union):
        return _value(draw, draw.of(held[:1] if origin is typing.Annotated else held), name)
    if origin is typing.Literal:
        return draw.of(held)
    if origin in (list, tuple):
        return [_value(draw, held[0], name) for _ in range(draw.number(2))]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct(draw, kind)
    plain: Mapping[Any, Callable[[], Any]] = {
        bool: lambda: draw.chance(0.5),
        int: lambda: draw.of((0, 1, 2, 3, 60)),
        float: lambda: draw.of((0, 0.5, 1)),
        type(None): lambda: None,
    }
    return plain[kind]() if kind in plain else {} if origin is dict else word(draw, name)
