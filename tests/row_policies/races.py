"""Writes to rows that are given away meanwhile, and all races by name.

A row that was given away is never overwritten or deleted by its previous owner.
"""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from pymilvus.grpc_gen import milvus_pb2
from tests.access.equivalence.random_values import Draw
from tests.row_policies import wire
from tests.row_policies.beside import serving_two
from tests.row_policies.change_race import changes_during_requests
from tests.row_policies.rules import Action
from tests.row_policies.schemas import MARK, OWNER, VECTOR, Field, Kind, Schema
from tests.row_policies.target import ROOT, Client, Target, serving
from tests.support.gateway import PASSWORD, encoded, v2

_ROWS: Final = 6
_RIVALS: Final = 8
"""Writes of one row by its previous owner, beside the one that gives it away."""


SCHEMA: Final = Schema(
    Field("id", Kind.INT64), False, (Field(MARK, Kind.VARCHAR), Field(OWNER, Kind.VARCHAR)), False, "L2", ("_default",)
)
_COLLECTION: Final = "reassigned"
_ANN: Final = "ann"
_BEN: Final = "ben"


async def writes_while_reassigning(
    requests: int,
    seed: int,
    tell: Callable[[int], None],
    *,
    serve: Callable[[], AbstractAsyncContextManager[Target]] = serving,
) -> tuple[int, str]:
    """Let previous owners write to rows while they are given away; return the writes, and what was wrong.

    Args:
        requests: writes.
        seed: everything follows from it.
        tell: is called with the number of writes from time to time.
        serve: runs the server, or several with one engine, to which the clients connect in turn.
    """
    async with serve() as target, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(target.client()) for _ in range(_RIVALS + 1)]
        await _prepare(clients[0])
        for client in clients:
            client.introduce(_ANN)
            client.introduce(_BEN)
        draw, done, mark = Draw(seed), 0, 0
        while done < requests:
            for owner in (_ANN, _BEN):
                former, mark = _BEN if owner == _ANN else _ANN, mark + 1
                await _reassign(clients, draw, owner, former, mark)
                done += _RIVALS + 1
                wrong = await _not_as_given(target, owner, mark)
                if wrong:
                    return done, wrong
            tell(done)
        return done, ""


async def _reassign(clients: Sequence[Client], draw: Draw, owner: str, former: str, mark: int) -> None:
    """Give all rows to another owner while the previous one writes to them."""
    rows = [_row(key, owner, f"mark-{mark}x") for key in range(_ROWS)]
    given = clients[0].ask(ROOT, "Upsert", _upsert("UpsertRequest", rows))
    rivals = [client.ask(former, *_rival(draw, former, mark)) for client in clients[1:]]
    place = draw.random.randint(0, len(rivals))
    replies = await asyncio.gather(*rivals[:place], given, *rivals[place:])
    assert replies[place].carried_out, replies[place].reason


def _rival(draw: Draw, former: str, mark: int) -> tuple[str, Any]:
    key, roll = draw.random.randrange(_ROWS), draw.random.random()
    row = _row(key, former, f"mark-{mark}y")
    if roll < 0.3:
        return "Delete", milvus_pb2.DeleteRequest(
            collection_name=_COLLECTION, expr=draw.of((f"id == {key}", f"id in [{key}]", "id >= 0"))
        )
    if roll < 0.5:
        return "Insert", _upsert("InsertRequest", [row])
    if roll < 0.75:
        return "Upsert", _upsert("UpsertRequest", [row])
    partial = {name: value for name, value in row.items() if name != OWNER}
    return "Upsert", _upsert("UpsertRequest", [partial], partial_update=True)


def _row(key: int, owner: str, mark: str) -> wire.Row:
    return {"id": key, OWNER: owner, MARK: mark, VECTOR: [1.0, float(key)]}


def _upsert(kind: str, rows: Sequence[wire.Row], **more: Any) -> Any:
    return getattr(milvus_pb2, kind)(
        collection_name=_COLLECTION, fields_data=wire.columns(SCHEMA, rows, rows[0]), num_rows=len(rows), **more
    )


async def _not_as_given(target: Target, owner: str, mark: int) -> str:
    rows = await target.stored("default", _COLLECTION)
    found = {row["id"]: (row[OWNER], row[MARK]) for row in rows}
    wrong = {key: found.get(key) for key in range(_ROWS) if found.get(key) != (owner, f"mark-{mark}x")}
    return f"rows given to {owner} by the write {mark} are {wrong}" if wrong else ""


async def _prepare(client: Client) -> None:
    named = {"collection_name": _COLLECTION}
    await client.make("CreateCollection", **named, schema=SCHEMA.message(_COLLECTION))
    pairs = [
        {"key": "index_type", "value": "FLAT"},
        {"key": "metric_type", "value": "L2"},
        {"key": "params", "value": "{}"},
    ]
    await client.make("CreateIndex", **named, field_name=VECTOR, extra_params=pairs)
    await client.make("LoadCollection", **named)
    await client.make("CreateRole", entity={"name": "writer"})
    await client.make("OperatePrivilegeV2", **v2("writer", "CollectionReadWrite", "default", _COLLECTION))
    for user in (_ANN, _BEN):
        await client.make("CreateCredential", username=user, password=encoded(PASSWORD))
        await client.make("OperateUserRole", username=user, role_name="writer")
    rule = f"{OWNER} == $current_principal"
    every = {"actions": sorted(Action), "using_expr": rule, "check_expr": rule}
    await client.make("CreateRowPolicy", **named, policy_name="rows_of_owners", **every)
    properties = [{"key": "rls.enabled", "value": "true"}]
    await client.make("AlterCollection", **named, properties=properties)


Race = Callable[[int, int, Callable[[int], None]], Coroutine[None, None, tuple[int, str]]]

RACES: Final[Mapping[str, Race]] = {
    "changes": changes_during_requests,
    "reassignments": writes_while_reassigning,
    "two-servers": functools.partial(writes_while_reassigning, serve=serving_two),
}
