"""One case: a collection with its rules, users and rows, and operations on it, all drawn from one seed."""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tests.access.equivalence.random_values import Draw
from tests.row_policies.changes import Change, Changes
from tests.row_policies.filters import Filters
from tests.row_policies.hostile import Hostiles
from tests.row_policies.model import KeyOf, Model, Stored
from tests.row_policies.operations import Ask, Operation, Place
from tests.row_policies.queued import Queued
from tests.row_policies.reads import Reads
from tests.row_policies.rest import OverRest
from tests.row_policies.rules import TAG_KEYS, Action, Person, Rules
from tests.row_policies.schemas import VECTOR, Schema, draw_schema
from tests.row_policies.target import DATABASES, ROOT, Client, Target
from tests.row_policies.values import Pool
from tests.row_policies.wire import Key
from tests.row_policies.writes import Deletion, Writes
from tests.support.gateway import encoded, v2

_SIDE_BY_SIDE: Final = 24
_FIRST_ROWS: Final = 24
_STRIDE: Final = 1_000_003
_OTHERS: Final = 1_000
"""The first key of the first of `writer`."""

_BY_REST: Final = 0.25
"""Share of the operations that are sent by REST, as far as REST can say them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What an operation did that it must not.

    Attributes:
        seed: of the case.
        place: of the operation among those of the case.
        what: it did.
        operation: in words.
    """

    seed: int
    place: int
    what: str
    operation: str

    def __str__(self) -> str:
        return f"case {self.seed}, operation {self.place}: {self.what}\n    {self.operation}"


class Case:
    """A case; `prepare` sets it up on a server, `run` carries out its operations."""

    def __init__(
        self,
        seed: int,
        *,
        protected: bool = True,
        transcript: Callable[[str], None] | None = None,
        attempt: int = 0,
    ) -> None:
        """Draw a case.

        Args:
            seed: everything follows from it.
            protected: whether there are row policies.
            transcript: takes each operation in words; None for none.
            attempt: another number for each time that the case is carried out on one server.
        """
        self.seed = seed
        self.protected = protected
        self.transcript = transcript
        self._callers: list[str] = []
        self._target: tuple[Target, Client] | None = None
        self._keys = ["key of all roles", "key of few roles"]
        draw = Draw(self.seed)
        prefix = f"c{seed}_{attempt}"
        self._prefix = prefix
        self._users = [f"{prefix}_u{number}" for number in range(3)]
        self._skipper, self._access = f"{prefix}_skipper", f"{prefix}_access"
        self._roles = [f"{prefix}_r{number}" for number in range(2)]
        self._pool = Pool((*self._users, "nobody"), ("red", "green", "it's blue"))
        self._database, self._collection = draw.of(DATABASES), f"{prefix}_rows"
        self._place = place = Place(self._database, (self._collection, self._collection, f"{prefix}_alias"))
        schema = draw_schema(draw, self._pool)
        self._model = Model(schema)
        self._filters = Filters(schema, self._pool)
        self._rules = Rules(schema, self._pool, self._roles)
        self._reads = Reads(self._model, self._filters, Hostiles(schema, self._filters, self._pool), place)
        self._writes = Writes(self._model, self._filters, self._reads, self._pool, place)
        self._changes = Changes(self._model, self._rules, self._pool, place, users=self._users, roles=self._roles)
        self._draw = draw

    async def prepare(self, client: Client) -> None:
        """Make the collection, its users and its rules."""
        await self._make_collection(client)
        await self._make_users(client)
        self._callers = [*self._users * 3, *((*self._keys, self._skipper, ROOT) if self.protected else (ROOT,))]
        left = _FIRST_ROWS
        while left > 0:
            number = self._draw.number(6)
            wrong = await self._writes.insert(self._draw, ROOT, number).run(client.ask)
            assert not wrong or "refused" in wrong, wrong
            left -= number
        if self.protected:
            await self._make_rules(client)

    async def run(self, client: Client, target: Target, places: Collection[int]) -> Fault | None:
        """Carry out operations.

        Args:
            client: of the callers.
            target: the server.
            places: of the operations to carry out, in order.
        """
        self._target = target, client
        waiting: list[tuple[int, Operation]] = []
        for place in places:
            operation = self.draw_operation(Draw(self.seed * _STRIDE + place))
            if self.transcript is not None:
                self.transcript(f"{place}: {operation}{' (by REST)' if self._by_rest(place) else ''}")
            waiting.append((place, operation))
            if not operation.alone and len(waiting) < _SIDE_BY_SIDE:
                continue
            fault = await self._all(client, waiting[:-1] if operation.alone else waiting)
            if fault is None and operation.alone:
                fault = await self._alone(client, target, place, operation)
            if fault is not None:
                return fault
            waiting.clear()
        return await self._all(client, waiting)

    def seen(self) -> Mapping[str, frozenset[Key]]:
        """Return the keys of the rows that each caller may query and search now."""
        return {
            f"{caller} {action}": frozenset(self._model.visible(caller, action))
            for caller in set(self._callers)
            for action in (Action.QUERY, Action.SEARCH)
        }

    @property
    def schema(self) -> Schema:
        """Return the collection's."""
        return self._model.schema

    @property
    def database(self) -> str:
        """Return the collection's."""
        return self._database

    @property
    def collection(self) -> str:
        """Return its name."""
        return self._collection

    def stored(self) -> dict[Key, Stored]:
        """Return the rows of the collection, by key."""
        return dict(self._model.stored)

    def known(self, keys: Sequence[Key]) -> frozenset[Key]:
        """Return those of some keys that rows of the case have, not those of `writer`."""
        return frozenset(key for key in keys if key in self._model.stored)

    def rules(self) -> Model:
        """Return the rules as they are now, without rows; they do not change any more."""
        model = self._model
        people, policies = dict(model.people), dict(model.policies)
        return replace(model, people=people, keys=dict(model.keys), policies=policies, stored={}, _seen={})

    def writer(self, number: int) -> tuple[Model, Writes]:
        """Return what draws writes under keys that nobody else writes, and the model of these rows."""
        model = replace(self._model, stored={}, _seen={})
        first = _OTHERS * (number + 1)
        return model, Writes(model, self._filters, self._reads, self._pool, self._place, first_key=first)

    def draw_caller(self, draw: Draw) -> str:
        """Return a caller."""
        return draw.of(self._callers)

    def draw_change(self, draw: Draw) -> Change:
        """Return a change of the rules or of what they read."""
        return self._changes.draw(draw)

    def draw_plain_read(self, draw: Draw) -> tuple[str, Action, Any]:
        """Return a read of all rows: caller, action, message."""
        return draw.of(self._callers), *self._reads.everything(draw)

    def keys_in(self, action: Action, message: Any) -> list[Key]:
        """Return the keys in an answer to such a read."""
        return self._reads.keys_in(action, message)

    async def finish(self, client: Client) -> None:
        """Drop the collection."""
        alias = f"{self._prefix}_alias"
        await client.make("DropAlias", db_name=self._database, alias=alias)
        await client.make("DropCollection", db_name=self._database, collection_name=self._collection)

    def _by_rest(self, place: int) -> bool:
        """Return whether an operation is sent by REST, as far as REST can say it."""
        return random.Random(self.seed * _STRIDE - place).random() < _BY_REST

    def _ask(self, client: Client, place: int) -> Ask:
        return OverRest(self._model.schema, client.ask, older=place % 2 == 0) if self._by_rest(place) else client.ask

    def draw_operation(self, draw: Draw) -> Operation:
        """Return an operation."""
        roll = draw.random.random()
        if self.protected and roll < 0.03:
            return self._changes.draw(draw)
        if roll < 0.035:
            return self._changes.flush()
        if self.protected and roll < 0.05:
            return self.draw_queued(draw)
        drawn = self._writes if roll < 0.2 else self._reads
        return drawn.draw(draw, draw.of(self._callers))

    def draw_queued(self, draw: Draw) -> Operation:
        """Return a write that waits for another one while the rules change; just a write where rules are forced.

        Forced rules concern the one before it too, which is decided by them before they change.
        """
        write = self._writes.draw_rows(draw, draw.of(self._users))
        if self._model.forced:
            return write
        first = self._writes.aside(draw, ROOT)
        change = self._changes.draw_beside_writes(draw)
        return Queued(first, write, change, collection=self._collection, target=self._require_target)

    def _require_target(self) -> tuple[Target, Client]:
        assert self._target is not None
        return self._target

    async def _all(self, client: Client, waiting: Sequence[tuple[int, Operation]]) -> Fault | None:
        found = await asyncio.gather(*(operation.run(self._ask(client, place)) for place, operation in waiting))
        for (place, operation), what in zip(waiting, found, strict=True):
            if what:
                return Fault(self.seed, place, what, str(operation))
        return None

    async def _alone(self, client: Client, target: Target, place: int, operation: Operation) -> Fault | None:
        what = await operation.run(self._ask(client, place))
        if not what:
            rows = await target.stored(self._database, self._collection)
            if isinstance(operation, Deletion):
                self._adopt(operation, rows)
            what = self._model.differences(rows)
            what = f"wrongly written: {what}" if what else ""
        return Fault(self.seed, place, what, str(operation)) if what else None

    def _adopt(self, operation: Deletion, rows: Sequence[Any]) -> None:
        """Take over what a filter without a certain meaning has deleted, of the rows that it may delete."""
        name = self._model.schema.key.name
        for key in operation.uncertain - {row[name] for row in rows}:
            del self._model.stored[key]
        self._model.changed()

    async def _make_collection(self, client: Client) -> None:
        schema = self._model.schema
        named = {"db_name": self._database, "collection_name": self._collection}
        await client.make("CreateCollection", **named, schema=schema.message(self._collection))
        for partition in schema.partitions[1:]:
            await client.make("CreatePartition", **named, partition_name=partition)
        parameters = [("index_type", "FLAT"), ("metric_type", schema.metric), ("params", "{}")]
        pairs = [{"key": key, "value": value} for key, value in parameters]
        await client.make("CreateIndex", **named, field_name=VECTOR, extra_params=pairs)
        await client.make("LoadCollection", **named)
        await client.make("CreateAlias", **named, alias=f"{self._prefix}_alias")

    async def _make_users(self, client: Client) -> None:
        for role in (*self._roles, self._access):
            await client.make("CreateRole", entity={"name": role})
        granted = v2(self._access, "CollectionAdmin", self._database, self._collection)
        await client.make("OperatePrivilegeV2", **granted)
        for user in self._users:
            await self._make_user(client, user, [role for role in self._roles if self._draw.chance(0.6)])
        self._model.people[ROOT] = Person(ROOT, frozenset({"admin"}), {}, bypasses=True)

    async def _make_user(self, client: Client, user: str, roles: Sequence[str], *, bypasses: bool = False) -> None:
        await client.make("CreateCredential", username=user, password=encoded("Password-1"))
        for role in (self._access, *roles):
            await client.make("OperateUserRole", username=user, role_name=role)
        client.introduce(user)
        self._model.people[user] = Person(user, frozenset({*roles, self._access}), {}, bypasses=bypasses)

    async def _make_rules(self, client: Client) -> None:
        draw, role = self._draw, f"{self._prefix}_bypass"
        await client.make("CreateRole", entity={"name": role})
        await client.make("OperatePrivilegeV2", **v2(role, "SkipRLS", self._database, self._collection))
        await self._make_user(client, self._skipper, [role], bypasses=True)
        for caller in self._keys:
            await self._make_key(client, caller)
        changes = [self._changes.create(self._changes.policy(draw)) for _ in range(draw.random.randint(3, 6))]
        for user in self._users:
            tags = {key: draw.of(self._pool.tags) for key in TAG_KEYS if draw.chance(0.6)}
            if tags:
                changes.append(self._changes.tagging(user, tags))
        changes.append(self._changes.switch("rls.enabled", on=True))
        for change in changes:
            wrong = await change.run(client.ask)
            assert not wrong, f"{change}: {wrong}"

    async def _make_key(self, client: Client, caller: str) -> None:
        draw, owner = self._draw, self._users[0]
        held = sorted(self._model.people[owner].roles & set(self._roles))
        roles = [self._access, *(role for role in held if draw.chance(0.3))]
        given = {"roles": roles} if caller == self._keys[1] else {}
        made = await client.document("api_keys/create", {"userName": owner, **given})
        client.introduce(caller, made["key"])
        tags = {key: draw.of(self._pool.tags) for key in TAG_KEYS if draw.chance(0.3)}
        if tags:
            await client.document("tags/set", {"keyId": made["keyId"], "tags": tags})
        everything = frozenset({*self._roles, self._access})
        self._model.keys[caller] = KeyOf(owner, frozenset(roles) if given else everything, tags)
