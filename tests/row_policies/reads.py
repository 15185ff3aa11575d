"""Random reads."""

from collections.abc import Sequence
from typing import Any

from pymilvus.grpc_gen import milvus_pb2
from tests.access.equivalence.random_values import Draw
from tests.row_policies import hostile, whole, wire
from tests.row_policies.answers import Counting, Pages, Query, Wanted
from tests.row_policies.filters import EVERYTHING, Filters
from tests.row_policies.model import Model
from tests.row_policies.operations import Operation, Place
from tests.row_policies.rules import Action
from tests.row_policies.schemas import MARK, VECTOR, Kind
from tests.row_policies.searches import Hybrid, Plan, Search, SearchByIds, SearchPages, draw_plan, fill_search
from tests.row_policies.values import vector
from tests.row_policies.wire import Key


class Reads:
    """Draws reads of a collection."""

    def __init__(self, model: Model, filters: Filters, hostiles: hostile.Hostiles, place: Place) -> None:
        self._model = model
        self._filters = filters
        self._hostiles = hostiles
        self._place = place

    def draw(self, draw: Draw, caller: str) -> Operation:
        """Return a read."""
        roll = draw.random.random()
        if roll < 0.02:
            return self._whole(draw, caller)
        if roll < 0.40:
            return self._query(draw, caller)
        if roll < 0.48:
            return Counting(self._model, caller, *self._base(draw, caller, Action.QUERY, milvus_pb2.QueryRequest))
        if roll < 0.56:
            return self._get(draw, caller)
        if roll < 0.60:
            return self._pages(draw, caller)
        if roll < 0.63:
            return self._search_pages(draw, caller)
        if roll < 0.69:
            return self._search_ids(draw, caller)
        return self._search(draw, caller) if roll < 0.9 else self._hybrid(draw, caller)

    def _whole(self, draw: Draw, caller: str) -> Operation:
        method = draw.of(tuple(whole.COUNTED))
        return whole.Counts(self._model, caller, method, whole.request(method, self._place, draw))

    def wanted(self, draw: Draw, caller: str, action: Action, *, hostiles: float = 0.2) -> Wanted:
        """Draw a filter and partitions, and return what they are about."""
        partitions = tuple(draw.some(self._model.schema.partitions, 2)) if draw.chance(0.2) else ()
        seen = self._model.within(self._model.visible(caller, action), partitions)
        if draw.chance(hostiles):
            return Wanted(seen, None, self._hostiles.draw(draw), partitions)
        chosen = draw.random.choices((lambda _: EVERYTHING, self._filters.draw, self._filters.templated), (20, 75, 5))[
            0
        ](draw)
        return Wanted(seen, {key: row for key, row in seen.items() if chosen.matches(row)}, chosen, partitions)

    def everything(self, draw: Draw) -> tuple[Action, Any]:
        """Return a query or a search for all rows that the caller may see."""
        if draw.chance(0.5):
            return Action.QUERY, self._message(draw, milvus_pb2.QueryRequest, output_fields=[MARK])
        message = self._message(draw, milvus_pb2.SearchRequest)
        fill_search(message, self._model, [vector(draw)], Plan(1_000, 0))
        return Action.SEARCH, message

    def keys_in(self, action: Action, message: Any) -> list[Key]:
        """Return the keys in an answer to `everything`."""
        if action is Action.SEARCH:
            return wire.ids_of(message.results.ids)
        return [row[self._model.schema.key.name] for row in wire.rows_of(message.fields_data)]

    def _base(self, draw: Draw, caller: str, action: Action, kind: Any, **more: Any) -> tuple[Wanted, Any]:
        wanted = self.wanted(draw, caller, action)
        text = {"dsl" if kind is milvus_pb2.SearchRequest else "expr": wanted.filter.text}
        message = self._message(draw, kind, partition_names=wanted.partitions, **text, **more)
        wire.fill_templates(message, wanted.filter.templates)
        return wanted, message

    def _message(self, draw: Draw, kind: Any, **more: Any) -> Any:
        return kind(db_name=self._place.database, collection_name=draw.of(self._place.names), **more)

    def _fields(self, draw: Draw) -> list[str]:
        schema = self._model.schema
        names = [*(field.name for field in schema.scalars), VECTOR, *(("extra", "note") if schema.dynamic else ())]
        return (
            ["*"] if draw.chance(0.2) else sorted({MARK, *draw.some(names)} if draw.chance(0.8) else draw.some(names))
        )

    def _query(self, draw: Draw, caller: str) -> Operation:
        wanted, message = self._base(
            draw, caller, Action.QUERY, milvus_pb2.QueryRequest, output_fields=self._fields(draw)
        )
        limit = draw.random.randint(1, 20) if draw.chance(0.5) else None
        offset = draw.random.randint(0, 8) if limit is not None and draw.chance(0.4) else 0
        given = {"limit": limit, "offset": offset, "iterator": draw.of(("True", "False")) if draw.chance(0.1) else None}
        message.query_params.extend(wire.pairs({key: value for key, value in given.items() if value}))
        return Query(self._model, caller, wanted, message, limit=limit, offset=offset)

    def _get(self, draw: Draw, caller: str) -> Operation:
        known = sorted(self._model.stored, key=str)
        absent: Sequence[Key] = (10**9,) if self._model.schema.key.kind is Kind.INT64 else ("absent",)
        keys = [draw.of([*known, *absent]) for _ in range(draw.number(6))]
        chosen = self._filters.of_keys(draw, keys)
        seen = self._model.within(self._model.visible(caller, Action.QUERY), ())
        wanted = Wanted(seen, {key: row for key, row in seen.items() if chosen.matches(row)}, chosen, ())
        message = self._message(draw, milvus_pb2.QueryRequest, expr=chosen.text, output_fields=self._fields(draw))
        return Query(self._model, caller, wanted, message, limit=None, offset=0)

    def _pages(self, draw: Draw, caller: str) -> Operation:
        seen = self._model.within(self._model.visible(caller, Action.QUERY), ())
        chosen = EVERYTHING if draw.chance(0.3) else self._filters.draw(draw)
        wanted = Wanted(seen, {key: row for key, row in seen.items() if chosen.matches(row)}, chosen, ())
        message = self._message(draw, milvus_pb2.QueryRequest, output_fields=[MARK])
        return Pages(self._model, caller, wanted, message, size=draw.random.randint(2, 10))

    def _search_pages(self, draw: Draw, caller: str) -> Operation:
        seen = self._model.within(self._model.visible(caller, Action.SEARCH), ())
        chosen = EVERYTHING if draw.chance(0.3) else self._filters.draw(draw)
        wanted = Wanted(seen, {key: row for key, row in seen.items() if chosen.matches(row)}, chosen, ())
        message = self._message(draw, milvus_pb2.SearchRequest, dsl=chosen.text, output_fields=[MARK])
        size = draw.random.randint(2, 12)
        return SearchPages(self._model, caller, wanted, message, vector=vector(draw), size=size)

    def _search(self, draw: Draw, caller: str) -> Operation:
        vectors = [vector(draw) for _ in range(draw.of((1, 1, 1, 2)))]
        wanted, message = self._base(
            draw, caller, Action.SEARCH, milvus_pb2.SearchRequest, output_fields=self._fields(draw)
        )
        plan = draw_plan(draw, self._model)
        fill_search(message, self._model, vectors, plan)
        return Search(self._model, caller, wanted, message, vectors=vectors, plan=plan)

    def _search_ids(self, draw: Draw, caller: str) -> Operation:
        seen = sorted(self._model.visible(caller, Action.SEARCH), key=str)
        known = seen if seen and draw.chance(0.6) else sorted(self._model.stored, key=str)
        if not known or not (self._model.governs(caller) or seen):
            return self._search(draw, caller)
        keys = list(dict.fromkeys(draw.of(known) for _ in range(draw.number(3))))
        wanted, message = self._base(
            draw, caller, Action.SEARCH, milvus_pb2.SearchRequest, output_fields=self._fields(draw)
        )
        return SearchByIds(self._model, caller, wanted, message, keys=keys, plan=Plan(draw.random.randint(1, 30), 0))

    def _hybrid(self, draw: Draw, caller: str) -> Operation:
        parts, limit = [], draw.random.randint(1, 20)
        message = self._message(draw, milvus_pb2.HybridSearchRequest, output_fields=self._fields(draw))
        for _ in range(draw.of((1, 2, 2, 3))):
            wanted, part = self._base(draw, caller, Action.SEARCH, milvus_pb2.SearchRequest)
            plan = Plan(draw.random.randint(1, 40), 0)
            fill_search(part, self._model, [vector(draw)], plan)
            message.requests.append(part)
            parts.append((wanted, plan.limit))
        strategy = draw.of(({"strategy": "rrf", "params": {"k": 60}}, {"strategy": "rrf", "params": {"k": 5}}))
        message.rank_params.extend(wire.pairs({**strategy, "limit": limit}))
        return Hybrid(self._model, caller, parts, message, limit=limit)
