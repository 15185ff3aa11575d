"""What a read is about, and what its answer must hold: queries, counts and pages of iterators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.row_policies import wire
from tests.row_policies.filters import Filter
from tests.row_policies.model import Model, marks_of, unequal
from tests.row_policies.operations import Ask, refused, shown, unseen
from tests.row_policies.wire import Key, Row


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a read is about.

    Attributes:
        seen: the rows of its partitions that the caller may see.
        found: those of them that the filter finds; None if its meaning is not certain.
        filter: the filter.
        partitions: that it names.
    """

    seen: Mapping[Key, Row]
    found: Mapping[Key, Row] | None
    filter: Filter
    partitions: tuple[str, ...]

    def leaked(self, keys: Sequence[Key]) -> str:
        """Return which keys must not be in an answer, in words."""
        wrong = [key for key in keys if key not in (self.seen if self.found is None else self.found)]
        if not wrong:
            return ""
        hidden = [key for key in wrong if key not in self.seen]
        return f"disclosed rows {hidden}" if hidden else f"found rows {wrong} that the filter leaves out"


class Read:
    """What reads have in common."""

    alone = False
    method = "Query"

    def __init__(self, model: Model, caller: str, wanted: Wanted, message: Any) -> None:
        self.model = model
        self.caller = caller
        self.wanted = wanted
        self.message = message

    async def run(self, ask: Ask) -> str:
        reply = await ask(self.caller, self.method, self.message)
        wrong = unseen(reply, marks_of(self.wanted.seen))
        if wrong:
            return wrong
        if self.wanted.found is not None and not reply.carried_out:
            return refused(reply)
        return self.judge(reply.message) if reply.carried_out else ""

    def judge(self, message: Any) -> str:
        """Return what is wrong with an answer that is a success."""
        raise NotImplementedError

    def unlike(self, keys: Sequence[Key], rows: Sequence[Row]) -> str:
        """Return which values are not those of the rows, in words."""
        for key, row in zip(keys, rows, strict=True):
            wrong = unequal(row, self.wanted.seen[key], self.model.schema)
            if wrong:
                return f"row {key!r}: {wrong}"
        return ""

    def __str__(self) -> str:
        return f"{self.caller}: {self.method} {shown(self.message)}"


class Query(Read):
    """A query, or a look-up by keys."""

    def __init__(self, *given: Any, limit: int | None, offset: int) -> None:
        super().__init__(*given)
        self._limit = limit
        self._offset = offset

    def judge(self, message: Any) -> str:
        rows = wire.rows_of(message.fields_data)
        keys: list[Key] = [row[self.model.schema.key.name] for row in rows]
        wrong = self.wanted.leaked(keys) or self.unlike(keys, rows) or self._not_asked_for(rows)
        found = self.wanted.found
        if wrong or found is None:
            return wrong
        if self.wanted.filter.keys:
            missing = found.keys() - set(keys) if self._limit is None else ()
            return f"withheld rows {sorted(missing, key=str)}" if missing else ""
        number = max(0, len(found) - self._offset)
        expected = number if self._limit is None else min(number, self._limit)
        return _counted(keys, expected, found)

    def _not_asked_for(self, rows: Sequence[Row]) -> str:
        asked = set(self.message.output_fields)
        if "*" in asked:
            return ""
        names = {*asked, self.model.schema.key.name}
        wrong = {name for row in rows for name in row} - names
        return f"answered with fields that were not asked for: {sorted(wrong)}" if wrong else ""


def _counted(keys: Sequence[Key], expected: int, found: Mapping[Key, Row]) -> str:
    if len(set(keys)) != len(keys):
        return f"answered with a row twice: {keys}"
    if len(keys) < expected:
        return f"withheld: {len(keys)} rows rather than {expected}, of {sorted(found.keys() - set(keys), key=str)}"
    return f"{len(keys)} rows rather than {expected}" if len(keys) > expected else ""


class Counting(Read):
    """`count(*)`."""

    def __init__(self, model: Model, caller: str, wanted: Wanted, message: Any) -> None:
        super().__init__(model, caller, wanted, message)
        message.output_fields.append("count(*)")

    def judge(self, message: Any) -> str:
        (column,) = message.fields_data
        (number,) = column.scalars.long_data.data
        seen, found = self.wanted.seen, self.wanted.found
        if found is None:
            return f"counted {number} of {len(seen)} rows" if number > len(seen) else ""
        if self.wanted.filter.keys and number >= len(found):
            return "" if number <= len(seen) else f"counted {number} of {len(seen)} rows"
        return "" if number == len(found) else f"counted {number} rows rather than {len(found)}"


class Pages(Read):
    """A query iterator, page by page, as pymilvus makes it."""

    def __init__(self, *given: Any, size: int) -> None:
        super().__init__(*given)
        self._size = size

    async def run(self, ask: Ask) -> str:
        name, keys, found = self.model.schema.key.name, list[Key](), self.wanted.found
        assert found is not None
        self.message.query_params.extend(
            wire.pairs({"limit": self._size, "iterator": "True", "reduce_stop_for_best": "True"})
        )
        for _ in range(len(found) // self._size + 2):
            self.message.expr = self._next(keys)
            reply = await ask(self.caller, "Query", self.message)
            wrong = unseen(reply, marks_of(self.wanted.seen)) or refused(reply)
            if wrong:
                return wrong
            page = [row[name] for row in wire.rows_of(reply.message.fields_data)]
            wrong = self.wanted.leaked(page)
            if wrong:
                return wrong
            keys.extend(page)
            if not page:
                break
        return _counted(keys, len(found), found)

    def _next(self, keys: Sequence[Key]) -> str:
        name, text = self.model.schema.key.name, self.wanted.filter.text
        if not keys:
            return text
        last = f'"{keys[-1]}"' if isinstance(keys[-1], str) else str(keys[-1])
        return f"({text}) and {name} > {last}" if text else f"{name} > {last}"
