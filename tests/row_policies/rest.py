"""Reads and writes as REST bodies, and their answers as the messages that gRPC would have answered with."""

import ast
import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2
from tests.row_policies import wire
from tests.row_policies.engine import ids_message
from tests.row_policies.operations import Ask, Reply
from tests.row_policies.schemas import DIMENSIONS, VECTOR, Field, Kind, Schema
from tests.row_policies.wire import DYNAMIC, Key, Row

PREFIX: Final = "/v2/vectordb/"
_COUNT: Final = "count(*)"
_PLAIN: Final = frozenset({"limit", "offset"})
_SEARCHED: Final = frozenset(
    {"anns_field", "topk", "metric_type", "params", "offset", "group_by_field", "group_size", "limit", "strategy"}
)
_WRITES: Final = {"Insert": "insert", "Upsert": "upsert"}


@dataclass(frozen=True, slots=True)
class OverRest:
    """Sends by REST what REST can say, and the rest by gRPC.

    Attributes:
        schema: of the collection.
        ask: sends a request.
        older: whether hybrid searches go to the older name of their endpoint.
    """

    schema: Schema
    ask: Ask
    older: bool = False

    async def __call__(self, caller: str, method: str, message: Any) -> Reply:
        """Send a request and return its answer."""
        made = None if isinstance(message, dict) else self._body(method, message)
        if made is None:
            return await self.ask(caller, method, message)
        path, body = made
        named = {"dbName": message.db_name, "collectionName": message.collection_name}
        reply = await self.ask(caller, f"{PREFIX}entities/{path}", {**named, **body})
        answer = json.loads(reply.raw)
        if answer["code"]:
            return Reply(0, reply.raw, _KINDS[method](status={"code": answer["code"], "reason": answer["message"]}))
        return Reply(0, reply.raw, self._message(method, answer))

    def _body(self, method: str, message: Any) -> tuple[str, dict[str, Any]] | None:
        if method == "Query":
            return self._query(message)
        if method == "Search":
            return self._search(message)
        if method == "HybridSearch":
            return self._hybrid(message)
        if method in _WRITES:
            return self._write(method, message)
        if method == "Delete":
            given = {"filter": message.expr, "partitionName": message.partition_name}
            return "delete", {**given, "exprParams": _templates(message)}
        return None

    def _query(self, message: Any) -> tuple[str, dict[str, Any]] | None:
        given = {pair.key: json.loads(pair.value) for pair in message.query_params if pair.key in _PLAIN}
        if len(given) < len(message.query_params):
            return None
        common = {"outputFields": list(message.output_fields), "partitionNames": list(message.partition_names)}
        keys = None if given else _keys_of(message.expr, self.schema.key)
        if keys and _COUNT not in message.output_fields:
            return "get", {**common, "id": keys if len(keys) > 1 else keys[0]}
        return "query", {
            **common,
            "filter": message.expr,
            "limit": given.get("limit", 0),
            "offset": given.get("offset", 0),
            "exprParams": _templates(message),
        }

    def _search(self, message: Any) -> tuple[str, dict[str, Any]] | None:
        common = _searched(message)
        if common is None:
            return None
        ids = wire.ids_of(message.ids)
        return "search", {
            **common,
            **({"ids": ids} if ids else {"data": _vectors(message)}),
            "outputFields": list(message.output_fields),
            "partitionNames": list(message.partition_names),
        }

    def _hybrid(self, message: Any) -> tuple[str, dict[str, Any]] | None:
        parts = [_searched(part) for part in message.requests]
        partitions = {tuple(part.partition_names) for part in message.requests}
        if None in parts or len(partitions) != 1:
            return None
        ranking = {pair.key: pair.value for pair in message.rank_params}
        return "advanced_search" if self.older else "hybrid_search", {
            "search": [
                {**(part or {}), "data": _vectors(sent)} for part, sent in zip(parts, message.requests, strict=True)
            ],
            "rerank": {"strategy": ranking["strategy"], "params": json.loads(ranking["params"])},
            "limit": int(ranking["limit"]),
            "outputFields": list(message.output_fields),
            "partitionNames": list(partitions.pop()),
        }

    def _write(self, method: str, message: Any) -> tuple[str, dict[str, Any]] | None:
        rows = wire.rows_of(message.fields_data)
        if self.schema.auto_id and self.schema.key.name in rows[0]:
            return None  # the endpoint sends no key that the engine generates
        body: dict[str, Any] = {"data": rows, "partitionName": message.partition_name}
        if method == "Upsert":
            body["partialUpdate"] = message.partial_update
        return _WRITES[method], body

    def _message(self, method: str, answer: Mapping[str, Any]) -> Any:
        data = answer["data"]
        if method == "Query":
            return milvus_pb2.QueryResults(fields_data=self._columns(data))
        if method in ("Search", "HybridSearch"):
            return self._hits(data, answer["topks"])
        made: Any = milvus_pb2.MutationResult(delete_cnt=data.get("deleteCount", 0))
        keys = data.get("insertIds", data.get("upsertIds", []))
        if keys:
            made.IDs.CopyFrom(ids_message([self._key(each) for each in keys]))
        return made

    def _hits(self, data: Sequence[Row], counts: Sequence[int]) -> Any:
        made: Any = milvus_pb2.SearchResults()
        made.results.topks.extend(counts)
        made.results.scores.extend(row.pop("distance") for row in data)
        if data:
            made.results.ids.CopyFrom(ids_message([self._key(row[self.schema.key.name]) for row in data]))
        made.results.fields_data.extend(self._columns(data))
        return made

    def _key(self, value: Any) -> Key:
        return int(value) if self.schema.key.kind is Kind.INT64 else str(value)

    def _columns(self, data: Sequence[Row]) -> list[Any]:
        """Return the rows of an answer as columns of the fields that they have."""
        if data and list(data[0]) == [_COUNT]:
            counted: Any = schema_pb2.FieldData(field_name=_COUNT, type=schema_pb2.Int64)
            counted.scalars.long_data.data.append(int(data[0][_COUNT]))
            return [counted]
        fields = {field.name: field for field in self.schema.scalars}
        rows = [{name: _value(value, fields.get(name), name) for name, value in row.items()} for row in data]
        names = [name for name in (*fields, VECTOR) if rows and name in rows[0]]
        dynamic = any(name not in fields and name != VECTOR for row in rows for name in row)
        return wire.columns(self.schema, rows, [*names, *((DYNAMIC,) if dynamic else ())])


_KINDS: Final[Mapping[str, Any]] = {
    "Query": milvus_pb2.QueryResults,
    "Search": milvus_pb2.SearchResults,
    "HybridSearch": milvus_pb2.SearchResults,
    "Insert": milvus_pb2.MutationResult,
    "Upsert": milvus_pb2.MutationResult,
    "Delete": milvus_pb2.MutationResult,
}


def _value(value: Any, field: Field | None, name: str) -> Any:
    """Return a value of an answer as columns have it: 64 bits may come as text, JSON does, floats in few digits."""
    if isinstance(value, list):
        kind = Kind.FLOAT if name == VECTOR else field.element if field else None
        return [_scalar(each, kind) for each in value]
    return _scalar(value, field.kind if field else None)


def _scalar(value: Any, kind: Kind | None) -> Any:
    if value is None:
        return None
    if kind is Kind.INT64:
        return int(value)
    if kind is Kind.JSON:
        return json.loads(value) if isinstance(value, str) else value
    if kind is Kind.FLOAT:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    return value


def _keys_of(text: str, key: Field) -> list[Key] | None:
    """Return the keys of a filter that is a list of them; None for every other filter."""
    found = re.fullmatch(rf"{key.name} in (\[.*\])", text, re.DOTALL)
    try:
        values = ast.literal_eval(found[1]) if found else None
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    kind = int if key.kind is Kind.INT64 else str
    return values if values and all(type(each) is kind for each in values) else None


def _searched(search: Any) -> dict[str, Any] | None:
    """Return what both endpoints for searches take of a search; None for a page of an iterator."""
    given = {pair.key: pair.value for pair in search.search_params}
    if not given.keys() <= _SEARCHED:
        return None
    made: dict[str, Any] = {
        "annsField": given["anns_field"],
        "filter": search.dsl,
        "limit": int(given["topk"]),
        "offset": int(given["offset"]),
        "searchParams": {"metricType": given["metric_type"], "params": json.loads(given["params"])},
        "exprParams": _templates(search),
    }
    if "group_by_field" in given:
        made |= {"groupingField": given["group_by_field"], "groupSize": int(given["group_size"])}
    return made


def _vectors(search: Any) -> list[list[float]]:
    group = common_pb2.PlaceholderGroup.FromString(search.placeholder_group)
    return [list(struct.unpack(f"<{DIMENSIONS}f", each)) for each in group.placeholders[0].values]


def _templates(message: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in message.expr_template_values.items():
        kind = value.WhichOneof("val")
        held = value.array_val.WhichOneof("data") if kind == "array_val" else None
        made[name] = list(getattr(value.array_val, held).data) if held else getattr(value, kind)
    return made
