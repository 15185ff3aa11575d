"""Requests at full speed while policies change, and writes to rows that are given away meanwhile.

A request that begins after a change was acknowledged is decided by the new policy, and every request by one policy. A
row that was given away is never overwritten or deleted by its previous owner.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pymilvus.grpc_gen import milvus_pb2
from tests.access.equivalence.random_values import Draw
from tests.row_policies import wire
from tests.row_policies.cases import Case
from tests.row_policies.operations import refused
from tests.row_policies.rules import Action
from tests.row_policies.schemas import MARK, OWNER, VECTOR, Field, Kind, Schema
from tests.row_policies.target import ROOT, Client, Target, serving
from tests.row_policies.wire import Key
from tests.support.gateway import PASSWORD, encoded, v2

_READERS: Final = 12
_ROWS: Final = 6
_RIVALS: Final = 8
"""Writes of one row by its previous owner, beside the one that gives it away."""


@dataclass(slots=True)
class History:
    """What each caller may see, after each change.

    Attributes:
        states: keys by caller, before the first change and after each.
        acknowledged: the latest state whose change was acknowledged.
    """

    states: list[Mapping[str, frozenset[Key]]] = field(default_factory=list)
    acknowledged: int = 0

    def wrong(self, caller: str, keys: frozenset[Key], first: int) -> str:
        """Return what is wrong with keys that a caller saw, in words.

        Args:
            caller: who saw them.
            keys: that the answer holds.
            first: the state that was acknowledged when the request began.
        """
        if any(state[caller] == keys for state in self.states[first:]):
            return ""
        older = [place for place, state in enumerate(self.states[:first]) if state[caller] == keys]
        if older:
            return f"decided by the policy of change {older[-1]}, although change {first} was acknowledged before"
        newest = self.states[first][caller]
        more, less = sorted(keys - newest, key=str), sorted(newest - keys, key=str)
        return f"decided by no one policy: {more} too many, {less} missing"


async def changes_while_reading(requests: int, seed: int) -> tuple[int, str]:
    """Read at full speed while policies, tags and role bindings change; return the reads, and what was wrong."""
    async with serving() as target, target.client() as client:
        case = Case(seed)
        await case.prepare(client)
        race = _Race(case, requests)
        async with contextlib.AsyncExitStack() as stack:
            readers = [await stack.enter_async_context(target.client()) for _ in range(_READERS)]
            for reader in readers:
                reader.adopt(client)
            changer = asyncio.create_task(race.change(client))
            wrong = await asyncio.gather(*(race.read(reader, place) for place, reader in enumerate(readers)))
            race.over = True
            wrong.append(await changer)
        return race.done, next((each for each in wrong if each), "")


class _Race:
    def __init__(self, case: Case, requests: int) -> None:
        self._case = case
        self._left = requests
        self._history = History([case.seen()])
        self.done = 0
        self.over = False

    async def change(self, client: Client) -> str:
        """Change the policy again and again."""
        draw = Draw(self._case.seed)
        while not self.over:
            change = self._case.draw_change(draw)
            change.apply()
            self._history.states.append(self._case.seen())
            wrong = await change.send(client.ask)
            if wrong:
                self.over = True
                return f"{change}: {wrong}"
            self._history.acknowledged = len(self._history.states) - 1
        return ""

    async def read(self, client: Client, place: int) -> str:
        """Read again and again."""
        draw = Draw(self._case.seed + place + 1)
        while self._left > 0 and not self.over:
            self._left -= 1
            self.done += 1
            caller, action, message = self._case.draw_plain_read(draw)
            first = self._history.acknowledged
            reply = await client.ask(caller, action.name.capitalize(), message)
            wrong = refused(reply)
            if not wrong:
                keys = frozenset(self._case.keys_in(action, reply.message))
                wrong = self._history.wrong(f"{caller} {action}", keys, first)
            if wrong:
                self.over = True
                return f"{caller}: {action.name}: {wrong}"
        return ""


SCHEMA: Final = Schema(
    Field("id", Kind.INT64), False, (Field(MARK, Kind.VARCHAR), Field(OWNER, Kind.VARCHAR)), False, "L2", ("_default",)
)
_COLLECTION: Final = "reassigned"
_ANN: Final = "ann"
_BEN: Final = "ben"


async def writes_while_reassigning(requests: int, seed: int) -> tuple[int, str]:
    """Let previous owners write to rows while they are given away; return the writes, and what was wrong."""
    async with serving() as target, contextlib.AsyncExitStack() as stack:
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


RACES: Final[Mapping[str, Callable[[int, int], Coroutine[None, None, tuple[int, str]]]]] = {
    "changes": changes_while_reading,
    "reassignments": writes_while_reassigning,
}
