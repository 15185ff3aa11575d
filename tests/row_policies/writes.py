"""Random writes: what may be stored, what must not, and what is there afterwards."""

from collections.abc import Sequence
from typing import Any, Final

from pymilvus.grpc_gen import milvus_pb2
from tests.access.equivalence.random_values import Draw
from tests.row_policies import whole, wire
from tests.row_policies.filters import Filters
from tests.row_policies.model import Model, marks_of
from tests.row_policies.operations import Ask, Operation, Place, Reply, refused, shown, unseen
from tests.row_policies.reads import Reads
from tests.row_policies.rules import Action
from tests.row_policies.schemas import MARK, OWNER, VECTOR, Kind
from tests.row_policies.values import Pool, vector
from tests.row_policies.wire import DYNAMIC, Key, Row

MOVES: Final = True
_MOST_ROWS: Final = 60
_KEYS: Final = 50
"""Keys that clients choose from: few, so that writes meet rows that are there."""

_GIVEN: Final = 10**6
"""What is added to them where the engine generates keys."""

_ASIDE: Final = 10**7
"""The first of other keys."""


class Writes:
    """Draws writes to a collection."""

    def __init__(
        self, model: Model, filters: Filters, reads: Reads, pool: Pool, place: Place, *, first_key: int = 1
    ) -> None:
        self._first_key = first_key
        self._model = model
        self._filters = filters
        self._reads = reads
        self._pool = pool
        self._place = place
        self._marks = 0

    def draw(self, draw: Draw, caller: str) -> Operation:
        """Return a write."""
        roll = draw.random.random()
        if roll < 0.02 and self._model.governs(caller):
            method = draw.of(tuple(whole.EMPTYING))
            return whole.Emptying(caller, method, whole.request(method, self._place, draw))
        if len(self._model.stored) > _MOST_ROWS:
            return self._delete(draw, caller)
        if roll < 0.3:
            return self.insert(draw, caller, draw.number(4))
        if roll < 0.75:
            return self._upsert(draw, caller)
        return self._delete(draw, caller) if roll < 0.9 else self._delete_keys(draw, caller)

    def draw_rows(self, draw: Draw, caller: str) -> Operation:
        """Return an insert or an upsert."""
        return self.insert(draw, caller, draw.number(3)) if draw.chance(0.4) else self._upsert(draw, caller)

    def deletion(self, keys: Sequence[Key]) -> Any:
        """Return a request to delete rows by their keys."""
        listed = ", ".join(f'"{key}"' if isinstance(key, str) else str(key) for key in keys)
        return milvus_pb2.DeleteRequest(
            db_name=self._place.database,
            collection_name=self._place.names[0],
            expr=f"{self._model.schema.key.name} in [{listed}]",
        )

    def aside(self, draw: Draw, caller: str) -> Operation:
        """Return an insert of one row under a key that no other write has."""
        row = self._row(draw, caller, keyed=False)
        if not self._model.schema.auto_id:
            key = _ASIDE + self._marks
            row[self._model.schema.key.name] = key if self._model.schema.key.kind is Kind.INT64 else f"key {key}"
        return self._write(draw, caller, "Insert", [row], self._names(draw, [row]))

    def insert(self, draw: Draw, caller: str, number: int) -> Operation:
        """Return an insert of so many rows."""
        schema = self._model.schema
        keyed = not schema.auto_id or draw.chance(0.15)
        rows = [self._row(draw, caller, keyed=keyed) for _ in range(number)]
        return self._write(draw, caller, "Insert", rows, self._names(draw, rows))

    def _upsert(self, draw: Draw, caller: str) -> Operation:
        rows = [self._row(draw, caller, keyed=True) for _ in range(draw.number(3))]
        if not draw.chance(0.45):
            return self._write(draw, caller, "Upsert", rows, self._names(draw, rows))
        key, fields = self._model.schema.key.name, [field.name for field in self._model.schema.fields]
        names = [key, *sorted(draw.some([*fields, VECTOR], 4))]
        rows = [{name: value for name, value in row.items() if name in names} for row in rows]
        return self._write(draw, caller, "Upsert", rows, names, partial_update=True)

    def _write(
        self, draw: Draw, caller: str, method: str, rows: list[Row], names: Sequence[str], **more: Any
    ) -> Operation:
        schema = self._model.schema
        partition = draw.of(schema.partitions) if draw.chance(0.3) else schema.partitions[0]
        if not MOVES:
            rows, partition = self._staying(rows, partition)
        kind = milvus_pb2.InsertRequest if method == "Insert" else milvus_pb2.UpsertRequest
        message: Any = kind(
            db_name=self._place.database,
            collection_name=draw.of(self._place.names),
            partition_name=partition if partition != schema.partitions[0] or draw.chance(0.3) else "",
            fields_data=wire.columns(schema, rows, names),
            num_rows=len(rows),
            **more,
        )
        return Write(self._model, caller, message, rows, method=method, partition=partition)

    def _staying(self, rows: list[Row], partition: str) -> tuple[list[Row], str]:
        """Return rows that are all in one partition already, or new, none twice; and that partition."""
        name, places = self._model.schema.key.name, dict[Any, str]()
        for row in rows:
            stored = self._model.stored.get(row.get(name, ""))
            places[id(row)] = stored.partition if stored else ""
        known = [place for place in places.values() if place]
        partition = known[0] if known else partition
        kept = {row.get(name, id(row)): row for row in rows if places[id(row)] in ("", partition)}
        return list(kept.values()), partition

    def _row(self, draw: Draw, caller: str, *, keyed: bool) -> Row:
        schema = self._model.schema
        self._marks += 1
        row: Row = {VECTOR: vector(draw)}
        for field in schema.fields:
            empty = field.nullable or field.default is not None
            row[field.name] = None if empty and draw.chance(0.25) else self._value(draw, caller, field)
        row[MARK] = f"mark-{self._marks}x"
        if keyed:
            row[schema.key.name] = self._key(draw, caller)
        if schema.dynamic:
            row.update(self._pool.dynamic(draw))
        return row

    def _value(self, draw: Draw, caller: str, field: Any) -> Any:
        if field.name == OWNER and draw.chance(0.7):
            return self._model.person(draw.of((caller, *self._model.people))).name
        return self._pool.value(draw, field.kind, field.element)

    def _key(self, draw: Draw, caller: str) -> Key:
        replaceable = self._model.visible(caller, Action.UPSERT)
        if replaceable and draw.chance(0.4):
            return draw.of(sorted(replaceable, key=str))
        number = self._first_key
        if self._model.schema.auto_id:
            known = [key for key in self._model.stored if isinstance(key, int)]
            if known and draw.chance(0.8):
                return draw.of(sorted(known))
            number += _GIVEN
        number += draw.random.randrange(_KEYS)
        return number if self._model.schema.key.kind is Kind.INT64 else f"key {number}"

    def _names(self, draw: Draw, rows: Sequence[Row]) -> list[str]:
        """Return the fields to send: those without a value in any row may stay away."""
        schema = self._model.schema
        keyed = schema.key.name in rows[0]
        names = [*((schema.key.name,) if keyed else ()), VECTOR]
        for field in schema.fields:
            if any(row[field.name] is not None for row in rows) or draw.chance(0.7):
                names.append(field.name)
            else:
                for row in rows:
                    del row[field.name]
        return [*names, *((DYNAMIC,) if schema.dynamic else ())]

    def _delete(self, draw: Draw, caller: str) -> Operation:
        wanted = self._reads.wanted(draw, caller, Action.DELETE, hostiles=0.35)
        text = wanted.filter.text
        if not text:
            text = "true"
        partition = draw.of(self._model.schema.partitions) if draw.chance(0.2) else ""
        seen = self._model.within(self._model.visible(caller, Action.DELETE), (partition,) if partition else ())
        found = None
        if wanted.found is not None:
            found = {key for key, row in seen.items() if wanted.filter.matches(row)}
        message = self._message(draw, text, partition_name=partition)
        wire.fill_templates(message, wanted.filter.templates)
        return Deletion(self._model, caller, message, set(seen), found)

    def _delete_keys(self, draw: Draw, caller: str) -> Operation:
        known = sorted(self._model.stored, key=str)
        keys = [draw.of(known) for _ in range(draw.number(3))] if known else [self._key(draw, caller)]
        seen = set(self._model.visible(caller, Action.DELETE))
        text = self._filters.of_keys(draw, keys).text
        return Deletion(self._model, caller, self._message(draw, text), seen, seen & set(keys))

    def _message(self, draw: Draw, text: str, **more: Any) -> Any:
        return milvus_pb2.DeleteRequest(
            db_name=self._place.database, collection_name=draw.of(self._place.names), expr=text, **more
        )


class Write:
    """An insert or an upsert."""

    alone = True

    def __init__(
        self, model: Model, caller: str, message: Any, rows: Sequence[Row], *, method: str, partition: str
    ) -> None:
        self._model = model
        self._caller = caller
        self._rows = rows
        self._partition = partition
        self.message = message
        self.method = method

    async def run(self, ask: Ask) -> str:
        reply = await ask(self._caller, self.method, self.message)
        sent = {row[MARK] for row in self._rows if MARK in row}
        wrong = unseen(reply, sent)
        if wrong:
            return wrong
        forbidden = self.forbidden(self._model)
        if not reply.carried_out:
            return "" if forbidden or self.unchecked(self._model) else refused(reply)
        if forbidden:
            return f"wrongly written: {forbidden}"
        return self.store(reply, self.rows_after(self._model), self._model)

    def forbidden(self, model: Model) -> str:
        """Return why the rows must not be stored, or nothing."""
        for place, (before, row) in enumerate(zip(self._before(model), self.rows_after(model), strict=True)):
            forbidden = self._forbidden(model, before, row) or self._incomplete(row)
            if forbidden:
                return f"row {place}: {forbidden}"
        return ""

    def rows_after(self, model: Model) -> list[Row]:
        """Return the rows as they are to be stored."""
        befores = self._before(model)
        return [
            model.completed(given, before if self._partial else None)
            for given, before in zip(self._rows, befores, strict=True)
        ]

    def _before(self, model: Model) -> list[Row | None]:
        name = model.schema.key.name
        found = [model.stored.get(given[name]) if name in given else None for given in self._rows]
        return [stored.row if stored else None for stored in found]

    @property
    def _partial(self) -> bool:
        return self.method == "Upsert" and bool(self.message.partial_update)

    def _forbidden(self, model: Model, before: Row | None, row: Row) -> str:
        """Return why policies do not let a row be written over another one, or as a new one."""
        caller, inserts = self._caller, self.method == "Insert"
        if before is not None and not model.allowed(caller, Action.UPSERT, before):
            return f"overwrites {before}"
        if inserts and not model.allowed(caller, Action.INSERT, row, coming=True):
            return f"brings {row}"
        upserts = not inserts or before is not None
        return f"becomes {row}" if upserts and not model.allowed(caller, Action.UPSERT, row, coming=True) else ""

    def unchecked(self, model: Model) -> bool:
        """Return whether it cannot be checked by policies, so that it may be refused although it is allowed."""
        schema, given = model.schema, self._rows
        name = schema.key.name
        if not model.governs(self._caller):
            return False
        keys = [row[name] for row in given if name in row]
        new = [key for key in keys if key not in model.stored]
        absent = any(field.name not in row for row in given for field in schema.fields)
        if len(set(keys)) < len(keys) or (absent and (new or not self._partial)):
            return True
        return schema.auto_id and bool(keys if self.method == "Insert" else new)

    def _incomplete(self, row: Row) -> str:
        """Return which field has no value although it must have one."""
        for field in self._model.schema.fields:
            if row[field.name] is None and not field.nullable:
                return f"{field.name} has no value"
        return "" if VECTOR in row else "no vector"

    def store(self, reply: Reply, stored: Sequence[Row], model: Model) -> str:
        """Store in a model what an answer says was stored; return what is wrong with the answer."""
        name = model.schema.key.name
        keys = wire.ids_of(reply.message.IDs)
        if len(keys) != len(stored):
            return f"wrote {len(keys)} rows rather than {len(stored)}"
        for key, row in zip(keys, stored, strict=True):
            if row.setdefault(name, key) != key:
                return f"wrote row {key!r} rather than {row[name]!r}"
            model.put(row, self._partition)
        return ""

    def __str__(self) -> str:
        return f"{self._caller}: {self.method} {shown(self.message)}"


class Deletion:
    """A delete, by filter or by keys."""

    alone = True

    def __init__(self, model: Model, caller: str, message: Any, seen: set[Key], found: set[Key] | None) -> None:
        self._model = model
        self._caller = caller
        self._message = message
        self._seen = seen
        self._found = found

    async def run(self, ask: Ask) -> str:
        visible = self._model.within({key: self._model.stored[key] for key in self._seen}, ())
        reply = await ask(self._caller, "Delete", self._message)
        wrong = unseen(reply, marks_of(visible))
        if wrong:
            return wrong
        if self._found is not None and not reply.carried_out:
            return refused(reply)
        return self._judge(reply) if reply.carried_out else ""

    def _judge(self, reply: Reply) -> str:
        keys = wire.ids_of(reply.message.IDs)
        if self._model.governs(self._caller) and len(self._seen) < len(self._model.stored):
            if not self._seen.issuperset(keys):
                return f"disclosed keys {sorted(set(keys) - self._seen, key=str)}"
            number = reply.message.delete_cnt
            if self._found is not None and number != len(self._found):
                return f"deleted {number} rows rather than {len(self._found)}"
        for key in self._found or ():
            del self._model.stored[key]
        self._model.changed()
        return ""

    @property
    def uncertain(self) -> set[Key]:
        """Return the keys that may be gone now."""
        return self._seen if self._found is None else set()

    def __str__(self) -> str:
        return f"{self._caller}: Delete {shown(self._message)}"
