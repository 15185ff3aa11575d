"""The page of a collection: its fields, indexes, aliases and partitions, who has access, and what can be done."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from starlette.responses import Response

from kiteward.api.console.explorer.load_states import load_state
from kiteward.api.console.explorer.place import Place, open_place
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.api.console.row_policies import protection
from kiteward.domain.errors import AccessDenied, EngineError, KitewardError, RequestRefused
from kiteward.iam.json_api.access import Holders, OfCollection
from kiteward.milvus import messages
from kiteward.milvus.collection_fields import DYNAMIC
from kiteward.milvus.messages import milvus_pb2, schema_pb2

_M = TypeVar("_M", bound=messages.ProtocolMessage)
_SIZES: Final = ("dim", "max_length", "max_capacity")
_COUNT: Final = "count(*)"


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field, as the table shows it.

    Attributes:
        name: its name.
        type: the name of its type, with that of an array's elements.
        sizes: dimension, maximum length and capacity by parameter name.
        marks: what it is, such as `primary`; each is a key of the texts below `explorer.mark.`.
        default: its default value as text, or None.
        settings: its further parameters.
        description: what it was created with.
        index: its index, or None.
    """

    name: str
    type: str
    sizes: Mapping[str, str]
    marks: Sequence[str]
    default: str | None
    settings: Mapping[str, str]
    description: str
    index: "IndexRow | None"


@dataclass(frozen=True, slots=True)
class IndexRow:
    """An index: its name, type, metric, and further parameters."""

    name: str
    type: str
    metric: str
    parameters: Mapping[str, str]


async def collection(request: ConsoleRequest) -> Response:
    """Show a collection, with its row policies; for administrators, also who has access to it."""
    place = await open_place(request)
    described, schema = place.described, place.described.schema
    indexes = await indexes_of(request, place)
    state = await load_state(request, place)
    holders = None
    if request.me.administrator:
        named = OfCollection(db_name=place.database, collection_name=place.name, after=request.query_value("after"))
        holders = await request.client.invoke("ListCollectionAccess", named, Holders)
    values: dict[str, Any] = {
        **place.values(),
        "schema": schema,
        "described": described,
        "consistency": messages.enum_name(described, "consistency_level"),
        "fields": _fields(schema, indexes),
        "functions": [(each, messages.enum_name(each, "type")) for each in schema.functions],
        "properties": [(each.key, each.value) for each in described.properties],
        "state": state,
        "rows": await _row_count(request, place),
        "partitions": await _partitions(request, place),
        "aliases": await _aliases(request, place),
        "protection": await protection(request) if place.holds("ViewRLS") else None,
        "holders": holders,
    }
    return request.page("explorer/collection.html", **values)


async def indexes_of(request: ConsoleRequest, place: Place) -> dict[str, IndexRow]:
    """Return the indexes of a collection by the name of their field; none where the engine does not tell."""
    asked = milvus_pb2.DescribeIndexRequest(db_name=place.database, collection_name=place.name)
    found = await _if_any(request, asked, milvus_pb2.DescribeIndexResponse)
    made = {}
    for each in found.index_descriptions if found else ():
        parameters = {pair.key: pair.value for pair in each.params}
        parameters |= _nested(parameters.pop("params", ""))
        kind, metric = parameters.pop("index_type", ""), parameters.pop("metric_type", "")
        made[each.field_name] = IndexRow(each.index_name, kind, metric, parameters)
    return made


def _nested(text: str) -> dict[str, str]:
    """Return the parameters within `params`, where some clients put them, as JSON."""
    try:
        given = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {"params": text}
    return {name: str(value) for name, value in given.items()} if isinstance(given, dict) else {"params": text}


async def _if_any(request: ConsoleRequest, asked: messages.ProtocolMessage, kind: type[_M]) -> _M | None:
    """Return the response, or None where the engine lacks the operation or has nothing to answer."""
    try:
        return await request.client.call(asked, kind)
    except (AccessDenied, EngineError, RequestRefused):
        return None


def _fields(schema: schema_pb2.CollectionSchema, indexes: Mapping[str, IndexRow]) -> list[FieldRow]:
    """Return the fields of a schema, with those of its structs behind them."""
    outputs = {name for function in schema.functions for name in function.output_field_names}
    rows = [
        _field(each, each.name, indexes.get(each.name), output=each.is_function_output or each.name in outputs)
        for each in schema.fields
        if not each.is_dynamic and each.name != DYNAMIC
    ]
    for struct in schema.struct_array_fields:
        for each in struct.fields:
            name = each.name if each.name.startswith(f"{struct.name}[") else f"{struct.name}[{each.name}]"
            rows.append(_field(each, name, indexes.get(name), output=False))
    return rows


def _field(field: schema_pb2.FieldSchema, name: str, index: IndexRow | None, *, output: bool) -> FieldRow:
    parameters = {pair.key: pair.value for pair in field.type_params}
    kind = messages.enum_name(field, "data_type")
    if field.element_type:
        kind = f"{kind}<{messages.enum_name(field, 'element_type')}>"
    marks = {
        "primary": field.is_primary_key,
        "auto_id": field.autoID,
        "partition_key": field.is_partition_key,
        "clustering_key": field.is_clustering_key,
        "nullable": field.nullable,
        "function_output": output,
    }
    held = field.default_value.WhichOneof("data")
    return FieldRow(
        name,
        kind,
        {size: parameters.pop(size) for size in _SIZES if size in parameters},
        [mark for mark, there in marks.items() if there],
        str(getattr(field.default_value, held)) if held else None,
        parameters,
        field.description,
        index,
    )


async def _row_count(request: ConsoleRequest, place: Place) -> int | None:
    """Return how many rows the reader may see, or how many are stored, or None where neither is known."""
    if place.may("Query"):
        counted = await count_rows(request, place)
        if counted is not None:
            return counted
    if not place.may("GetCollectionStatistics"):
        return None
    asked = milvus_pb2.GetCollectionStatisticsRequest(db_name=place.database, collection_name=place.name)
    found = await _if_any(request, asked, milvus_pb2.GetCollectionStatisticsResponse)
    counts = [each.value for each in found.stats if each.key == "row_count"] if found else []
    return int(counts[0]) if counts and counts[0].isdecimal() else None


async def count_rows(
    request: ConsoleRequest, place: Place, expression: str = "", partitions: Sequence[str] = ()
) -> int | None:
    """Return how many rows a filter matches of those that the user may see, or None where the engine refuses."""
    asked = messages.QueryRequest(
        db_name=place.database,
        collection_name=place.name,
        expr=expression,
        output_fields=[_COUNT],
        partition_names=partitions,
        use_default_consistency=True,
    )
    found = await _if_any(request, asked, messages.QueryResults)
    if found is None or not found.fields_data or not found.fields_data[0].scalars.long_data.data:
        return None
    return int(found.fields_data[0].scalars.long_data.data[0])


async def _partitions(request: ConsoleRequest, place: Place) -> list[str] | None:
    """Return the names of the partitions, or None where the reader may not see them."""
    if not place.may("ShowPartitions"):
        return None
    return await partition_names(request, place)


async def partition_names(request: ConsoleRequest, place: Place) -> list[str]:
    """Return the names of the partitions; none where they are not known to the reader."""
    if not place.may("ShowPartitions"):
        return []
    asked = milvus_pb2.ShowPartitionsRequest(db_name=place.database, collection_name=place.name)
    found = await _if_any(request, asked, milvus_pb2.ShowPartitionsResponse)
    return sorted(found.partition_names) if found else []


async def _aliases(request: ConsoleRequest, place: Place) -> list[str] | None:
    """Return the aliases, or None where the reader may not see them."""
    if not place.may("ListAliases"):
        return None
    asked = messages.ListAliasesRequest(db_name=place.database, collection_name=place.name)
    try:
        found = await request.client.call(asked, messages.ListAliasesResponse)
    except KitewardError:
        return sorted(place.described.aliases)
    return sorted(found.aliases)


PAGES: Final = (Page("collections/{database}/{name}", collection),)
