"""What the answers of searches must hold: plain ones, by range, in groups, of several parts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.access.equivalence.random_values import Draw
from tests.row_policies import wire
from tests.row_policies.answers import Read, Wanted
from tests.row_policies.engine import ids_message
from tests.row_policies.model import Model, marks_of, unequal, vector_of
from tests.row_policies.operations import Ask, Reply, refused, shown, unseen
from tests.row_policies.rules import Action
from tests.row_policies.schemas import INTEGERS, VECTOR, Kind
from tests.row_policies.wire import Key, Row

_CLOSE: Final = 1e-3
"""Difference of scores that rounding explains."""

_GROUPED: Final = (*INTEGERS, Kind.BOOL, Kind.VARCHAR)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a search cuts its hits.

    Attributes:
        limit: hits, or groups.
        offset: hits left out.
        radius: the worse bound of scores; None for none.
        inner: the better bound.
        group: the field of groups; empty for none.
        size: hits of a group.
    """

    limit: int
    offset: int
    radius: float | None = None
    inner: float | None = None
    group: str = ""
    size: int = 1


def draw_plan(draw: Draw, model: Model) -> Plan:
    limit, roll = draw.random.randint(1, 30), draw.random.random()
    if roll < 0.15:
        fields = [each for each in model.schema.of_kind(*_GROUPED) if each is not model.schema.key]
        return Plan(limit, 0, group=draw.of(fields).name, size=draw.number(3))
    if roll < 0.3:
        bounds = (draw.of((2.3, 8.3, 20.3)), draw.of((None, 0.1, 1.1)))
        if model.schema.metric != "L2":
            bounds = (draw.of((-6.3, -0.9, 0.3)), draw.of((None, 0.9, 4.1)))
        return Plan(limit, 0, radius=bounds[0], inner=bounds[1])
    return Plan(limit, draw.random.randint(0, 5) if draw.chance(0.2) else 0)


def fill_search(message: Any, model: Model, vectors: Sequence[Sequence[float]], plan: Plan) -> None:
    """Complete the message of a search."""
    bounds = {"radius": plan.radius, "range_filter": plan.inner}
    given: dict[str, Any] = {
        "anns_field": VECTOR,
        "topk": plan.limit,
        "metric_type": model.schema.metric,
        "params": {name: value for name, value in bounds.items() if value is not None},
        "offset": plan.offset,
    }
    if plan.group:
        given |= {"group_by_field": plan.group, "group_size": plan.size}
    message.search_params.extend(wire.pairs(given))
    message.placeholder_group, message.nq, message.dsl_type = wire.placeholders(vectors), len(vectors), 1


class Search(Read):
    """A search, by range or in groups or neither."""

    method = "Search"

    def __init__(self, *given: Any, vectors: Sequence[Sequence[float]], plan: Plan) -> None:
        super().__init__(*given)
        self._vectors = vectors
        self._plan = plan

    def judge(self, message: Any) -> str:
        results, start = message.results, 0
        keys = wire.ids_of(results.ids)
        wrong = self.wanted.leaked(keys) or self.unlike(keys, wire.rows_of(results.fields_data) or [{}] * len(keys))
        if wrong:
            return wrong
        for asked, number in zip(self._vectors, results.topks, strict=True):
            part, scores = keys[start : start + number], list(results.scores[start : start + number])
            start += number
            wrong = self._hits(asked, part, scores)
            if wrong:
                return wrong
        return ""

    def _hits(self, asked: Sequence[float], keys: Sequence[Key], scores: Sequence[float]) -> str:
        metric, seen, found = self.model.schema.metric, self.wanted.seen, self.wanted.found
        for key, given in zip(keys, scores, strict=True):
            true = score(metric, asked, vector_of(seen[key]))
            if abs(true - given) > _CLOSE:
                return f"row {key!r} has the score {given} rather than {true}"
        if len(set(keys)) != len(keys):
            return f"answered with a row twice: {keys}"
        if found is None:
            return ""
        if self._plan.group:
            return self._groups(keys, found)
        ranked = sorted(score(metric, asked, vector_of(row)) for row in found.values())
        if metric != "L2":
            ranked.reverse()
        expected = self._cut(ranked)
        if len(expected) != len(scores):
            return (
                f"{'withheld: ' if len(scores) < len(expected) else ''}{len(scores)} hits rather than {len(expected)}"
            )
        unlike = [(one, two) for one, two in zip(scores, expected, strict=True) if abs(one - two) > _CLOSE]
        return f"withheld nearer rows: scores {unlike}" if unlike else ""

    def _cut(self, ranked: Sequence[float]) -> Sequence[float]:
        """Return the scores to expect."""
        plan = self._plan
        if plan.radius is None:
            return ranked[plan.offset : plan.offset + plan.limit]
        sign = -1 if self.model.schema.metric == "L2" else 1
        within = [each for each in ranked if sign * each > sign * plan.radius]
        if plan.inner is not None:
            within = [each for each in within if sign * each <= sign * plan.inner]
        return within[: plan.limit]

    def _groups(self, keys: Sequence[Key], found: Mapping[Key, Row]) -> str:
        plan = self._plan
        if len(found) > max(plan.limit * plan.size * 3, plan.limit * 10):
            return ""  # Milvus Lite looks at so many
        every: dict[Any, int] = {}
        for row in found.values():
            every[row[plan.group]] = every.get(row[plan.group], 0) + 1
        answered: dict[Any, int] = {}
        for key in keys:
            value = found[key][plan.group]
            answered[value] = answered.get(value, 0) + 1
        if len(answered) != min(plan.limit, len(every)):
            return f"withheld: {len(answered)} groups rather than {min(plan.limit, len(every))}"
        wrong = {value: number for value, number in answered.items() if number != min(plan.size, every[value])}
        return f"groups of the wrong size: {wrong}" if wrong else ""


class SearchByIds(Search):
    """A search by the vectors of stored rows, each of which the caller must see."""

    def __init__(self, *given: Any, keys: Sequence[Key], plan: Plan) -> None:
        model, caller = given[0], given[1]
        visible = model.visible(caller, Action.SEARCH)
        self._hidden = sorted({key for key in keys if key not in visible}, key=str)
        rows = [visible[key].row for key in keys if key in visible]
        super().__init__(*given, vectors=[vector_of(row) for row in rows], plan=plan)
        fill_search(self.message, model, [], plan)
        self.message.ids.CopyFrom(ids_message(keys))
        self.message.nq = len(keys)

    async def run(self, ask: Ask) -> str:
        if not self._hidden:
            return await super().run(ask)
        reply = await ask(self.caller, self.method, self.message)
        told = f"disclosed how near rows are to hidden ones: {self._hidden}"
        return told if reply.carried_out else unseen(reply, ())


class SearchPages(Read):
    """A search iterator of version 2, page by page, as pymilvus makes it."""

    method = "Search"

    def __init__(self, *given: Any, vector: Sequence[float], size: int) -> None:
        super().__init__(*given)
        self._size = size
        fill_search(self.message, self.model, [vector], Plan(size, 0))
        iterator = {"iterator": "True", "search_iter_v2": "True", "search_iter_batch_size": size}
        self.message.search_params.extend(wire.pairs(iterator))

    async def run(self, ask: Ask) -> str:
        keys, found = list[Key](), self.wanted.found
        assert found is not None
        for _ in range(len(found) // self._size + 2):
            reply = await ask(self.caller, self.method, self.message)
            wrong = unseen(reply, marks_of(self.wanted.seen)) or refused(reply)
            page = [] if wrong else wire.ids_of(reply.message.results.ids)
            wrong = wrong or self.wanted.leaked(page)
            if wrong:
                return wrong
            keys.extend(page)
            if len(page) < self._size:
                break
            self._turn(reply.message.results.search_iterator_v2_results)
        if len(set(keys)) != len(keys):
            return f"answered with a row twice: {keys}"
        missing = found.keys() - set(keys)
        return f"withheld rows {sorted(missing, key=str)}" if missing else ""

    def _turn(self, position: Any) -> None:
        """Ask for the next page."""
        kept = [
            pair
            for pair in self.message.search_params
            if not pair.key.startswith(("search_iter_id", "search_iter_last"))
        ]
        del self.message.search_params[:]
        self.message.search_params.extend(kept)
        known = {"search_iter_last_bound": position.last_bound, "search_iter_id": position.token}
        self.message.search_params.extend(wire.pairs(known))


class Hybrid:
    """A search of several parts, each with its own filter."""

    alone = False

    def __init__(
        self, model: Model, caller: str, parts: Sequence[tuple[Wanted, int]], message: Any, *, limit: int
    ) -> None:
        self._model = model
        self._caller = caller
        self._parts = parts
        self._message = message
        self._limit = limit

    async def run(self, ask: Ask) -> str:
        reply = await ask(self._caller, "HybridSearch", self._message)
        seen: dict[Key, Row] = {}
        for wanted, _ in self._parts:
            seen.update(wanted.seen)
        wrong = unseen(reply, marks_of(seen))
        if wrong:
            return wrong
        if not reply.carried_out:
            return refused(reply) if all(wanted.found is not None for wanted, _ in self._parts) else ""
        return self._judge(reply, seen)

    def _judge(self, reply: Reply, seen: Mapping[Key, Row]) -> str:
        keys, rows = wire.ids_of(reply.message.results.ids), wire.rows_of(reply.message.results.fields_data)
        union: set[Key] = set()
        for wanted, _ in self._parts:
            union.update(wanted.seen if wanted.found is None else wanted.found)
        wrong = [key for key in keys if key not in union]
        if wrong:
            return f"disclosed rows {wrong}"
        for key, row in zip(keys, rows or [{}] * len(keys), strict=True):
            unlike = unequal(row, seen[key], self._model.schema)
            if unlike:
                return f"row {key!r}: {unlike}"
        whole = all(wanted.found is not None and len(wanted.found) <= limit for wanted, limit in self._parts)
        expected = min(self._limit, len(union))
        if whole and len(keys) != expected:
            return f"{'withheld: ' if len(keys) < expected else ''}{len(keys)} hits rather than {expected}"
        return ""

    def __str__(self) -> str:
        return f"{self._caller}: HybridSearch {shown(self._message)}"


def score(metric: str, one: Sequence[float], two: Sequence[float]) -> float:
    """Return the score of a hit."""
    product = sum(a * b for a, b in zip(one, two, strict=True))
    if metric == "L2":
        return sum((a - b) ** 2 for a, b in zip(one, two, strict=True))
    return product if metric == "IP" else product / (math.hypot(*one) * math.hypot(*two))
