"""Creating a collection: a form with its fields, their dimensions, indexes and metrics."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.explorer.databases import collection_names, database_names
from kiteward.api.console.explorer.offer import AUTOINDEX, MILVUS, Offer, offer_of
from kiteward.api.console.explorer.place import require
from kiteward.api.console.forms import path_below
from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.domain.errors import RequestRefused
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.gateway.new_collections import create_collection
from kiteward.milvus import messages
from kiteward.milvus.collection_fields import VECTORS, DataType
from kiteward.milvus.messages import common_pb2, milvus_pb2, schema_pb2

_LEAST_ROWS: Final = 3
_MOST_ROWS: Final = 64
_ARRAY: Final = "Array of "
_KEY_TYPES: Final = ("Int64", "VarChar")
_SCALARS: Final = ("Bool", "Int8", "Int16", "Int32", "Int64", "Float", "Double", "VarChar", "JSON")
_OTHERS: Final = (
    *_SCALARS,
    *(f"{_ARRAY}{kind}" for kind in ("Bool", "Int32", "Int64", "Float", "Double", "VarChar")),
)
"""The types of fields that are no vectors; every engine has them."""

_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"nullable": _OTHERS, "partition_key": _KEY_TYPES})
"""What can be ticked of a field other than the primary key -> the types that can have it."""

_SIZES: Final[Mapping[str, str]] = MappingProxyType({"VarChar": "max_length", "Array": "max_capacity"})
"""Type of a field -> the parameter that its size is; that of vectors is their dimension, others have none."""

_LONGEST: Final = "65535"
_NAME_OF_FIELD: Final = re.compile(r"schema\.fields\[(\d+)\]\.name")
_ABOUT_SIZE: Final = re.compile(r"\b(dim|dimension|max_length|max_capacity|length|capacity)\b", re.IGNORECASE)
"""What engines call the size of a field in their refusals."""

_PARAMETERS: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "HNSW": {"M": 16, "efConstruction": 200},
        "IVF_FLAT": {"nlist": 128},
        "IVF_SQ8": {"nlist": 128},
        "BIN_IVF_FLAT": {"nlist": 128},
    }
)
"""Parameters without which Milvus creates no index of a type: usual values of its documentation."""


@dataclass(frozen=True, slots=True)
class FieldGiven:
    """One row of the form: a field as it was typed. The first is the primary key.

    Attributes:
        name: its name; a row without one is left out.
        type: one of the types of the form.
        size: the dimension of a vector, the maximum length of text or the capacity of an array, as text.
        index: the type of index of a vector.
        metric: its metric, or empty for the usual one.
        options: what is ticked: `auto_id`, `nullable`, `partition_key`.
    """

    name: str
    type: str
    size: str = ""
    index: str = AUTOINDEX
    metric: str = ""
    options: tuple[str, ...] = ()

    @property
    def kind(self) -> DataType:
        """Its type in the protocol."""
        return DataType.Array if self.type.startswith(_ARRAY) else DataType[self.type]


_FIRST: Final = (FieldGiven("id", "Int64"), FieldGiven("vector", "FloatVector", "768"), FieldGiven("", "VarChar"))


async def create_form(request: ConsoleRequest) -> Response:
    """Show the form for a new collection."""
    database = request.query_value("database") or DEFAULT_DATABASE
    await require(request, "CreateCollection", database=database)
    return await _show(request, _FIRST, database, {}, dynamic=True, load=True)


async def create(request: ConsoleRequest) -> Response:
    """Create the collection; with the button for it, add one more row to the form instead."""
    database = request.form_text("database") or DEFAULT_DATABASE
    await require(request, "CreateCollection", database=database)
    given = _given(request)
    dynamic, load = bool(request.form_text("dynamic")), bool(request.form_text("load"))
    if request.form_text("more"):
        given = (*given, FieldGiven("", "VarChar"))[:_MOST_ROWS]
        return await _show(request, given, database, {}, dynamic=dynamic, load=load)
    errors = {**_illegal(request, given), **await _taken(request, database), **_errors(request, given)}
    if not errors:
        name = request.form_text("collection_name")
        message, indexes = _messages(request, given, database, dynamic=dynamic)
        sent: list[messages.ProtocolMessage] = []

        async def send(each: messages.ProtocolMessage) -> Any:
            sent.append(each)
            return await request.client.call(each)

        try:
            await create_collection(send, message, indexes, load=load and bool(indexes))
        except RequestRefused as error:
            errors = {_field_at_fault(given, error, sent[-1]): request.reason(error.details)}
        else:
            return request.redirect(path_below("collections", database, name), done="explorer_create")
    return await _show(request, given, database, errors, dynamic=dynamic, load=load)


async def _show(
    request: ConsoleRequest,
    given: tuple[FieldGiven, ...],
    database: str,
    errors: Mapping[str, Reason],
    *,
    dynamic: bool,
    load: bool,
) -> Response:
    offer = offer_of(embedded=request.embedded_engine)
    values: dict[str, Any] = {
        "given": given,
        "database": database,
        "databases": sorted({*await database_names(request), database}),
        "errors": errors,
        "dynamic": dynamic,
        "load": load,
        "key_types": _KEY_TYPES,
        "options": _OPTIONS,
        "types": _types(offer),
        "vectors": tuple(offer.vectors),
        "sized": tuple(kind for kind in _types(offer) if _size_name(FieldGiven("", kind))),
        "index_types": offer.indexes,
        "metrics": offer.metrics,
        "more": len(given) < _MOST_ROWS,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK
    return request.page("explorer/create.html", status=status, **values)


def _given(request: ConsoleRequest) -> tuple[FieldGiven, ...]:
    count = min(max(request.number("rows") or 0, _LEAST_ROWS), _MOST_ROWS)
    offer = offer_of(embedded=request.embedded_engine)
    return tuple(_row_given(request, position, offer) for position in range(count))


def _types(offer: Offer) -> tuple[str, ...]:
    return (*offer.vectors, *_OTHERS)


def _row_given(request: ConsoleRequest, position: int, offer: Offer) -> FieldGiven:
    allowed = _types(offer) if position else _KEY_TYPES
    kind, index, metric = (request.form_text(f"{part}_{position}") for part in ("type", "index", "metric"))
    return FieldGiven(
        request.form_text(f"name_{position}"),
        kind if kind in allowed else allowed[0],
        request.form_text(f"size_{position}"),
        index if index in offer.indexes else AUTOINDEX,
        metric if metric in offer.metrics else "",
        tuple(request.form_values(f"options_{position}")),
    )


def _errors(request: ConsoleRequest, given: tuple[FieldGiven, ...]) -> dict[str, Reason]:
    errors = {}
    if not request.form_text("collection_name"):
        errors["collection_name"] = request.complaint("field.needed")
    names = [field.name for field in given if field.name]
    for position, field in enumerate(given):
        if (not field.name and position == 0) or (not field.name and field.size):
            errors[f"name_{position}"] = request.complaint("field.needed")
        elif field.name and names.count(field.name) > 1:
            errors[f"name_{position}"] = request.complaint("explorer.name_twice")
        if field.name and _size_name(field) and not _is_count(field.size):
            errors[f"size_{position}"] = request.complaint("explorer.size_needed")
        errors |= _needless(request, position, field) | _unfit(request, position, field)
    if not any(field.name and field.kind in VECTORS for field in given):
        errors[""] = request.complaint("explorer.vector_needed")
    return errors


def _illegal(request: ConsoleRequest, given: tuple[FieldGiven, ...]) -> dict[str, Reason]:
    """Return which names break a rule."""
    naming = request.client.gateway.naming
    checks: list[tuple[str, str, Callable[[str], None]]] = [
        (f"name_{position}", field.name, naming.check_field_name) for position, field in enumerate(given)
    ]
    checks.append(
        (
            "collection_name",
            request.form_text("collection_name"),
            partial(naming.check_new_name, what="collection name"),
        )
    )
    errors = {}
    for at, name, check in checks:
        try:
            if name:
                check(name)
        except RequestRefused as error:
            errors[at] = request.reason(error.details)
    return errors


def _needless(request: ConsoleRequest, position: int, field: FieldGiven) -> dict[str, Reason]:
    """Return what a row says that its type does not have."""
    vector = field.kind in VECTORS
    given = {
        "size": bool(field.size) and not _size_name(field),
        "index": field.index != AUTOINDEX and not vector,
        "metric": bool(field.metric) and not vector,
    }
    if not field.name:
        return {}
    reason = Reason(request.text("explorer.none_of_type", type=field.type))
    errors = {f"{part}_{position}": reason for part, needless in given.items() if needless}
    ticked = [each for each in field.options if position and each in _OPTIONS and field.type not in _OPTIONS[each]]
    if ticked:
        options = request.text("list.separator").join(request.text(f"explorer.mark.{each}") for each in ticked)
        errors[f"options_{position}"] = Reason(request.text("explorer.option_unfit", type=field.type, options=options))
    return errors


def _unfit(request: ConsoleRequest, position: int, field: FieldGiven) -> dict[str, Reason]:
    """Return which choices of a row do not fit its type."""
    searched = offer_of(embedded=request.embedded_engine).vectors.get(field.type)
    if not field.name or searched is None:
        return {}
    separator = request.text("list.separator")
    return {
        f"{part}_{position}": Reason(request.text("explorer.unfit", type=field.type, fitting=separator.join(fitting)))
        for part, chosen, fitting in (
            ("index", field.index, searched.indexes),
            ("metric", field.metric, searched.metrics),
        )
        if chosen and chosen not in fitting
    }


async def _taken(request: ConsoleRequest, database: str) -> dict[str, Reason]:
    """Return that the name is in use, if it is. A Milvus takes an equal collection for the one that is asked for."""
    if request.form_text("collection_name") in await collection_names(request, database):
        return {"collection_name": request.complaint("explorer.collection_exists")}
    return {}


def _field_at_fault(given: tuple[FieldGiven, ...], error: RequestRefused, failed: messages.ProtocolMessage) -> str:
    """Return the field of the form that a refusal is about; empty where it is about none, or that is not clear.

    Args:
        given: the fields as they were typed.
        error: the refusal.
        failed: the request that was refused.
    """
    rows = [(position, field) for position, field in enumerate(given) if field.name]
    if error.field == "collectionName":
        return "collection_name"
    if isinstance(failed, milvus_pb2.CreateIndexRequest):
        return next((f"index_{position}" for position, field in rows if field.name == failed.field_name), "")
    named = _NAME_OF_FIELD.fullmatch(error.field)
    if named is not None:
        return f"name_{rows[int(named[1])][0]}"
    said = " ".join(each.quoted for each in error.details)
    meant = [position for position, field in rows if re.search(rf"(?<!\w){re.escape(field.name)}(?!\w)", said)]
    if len(meant) != 1:
        return ""
    return f"{'size' if _ABOUT_SIZE.search(said) else 'name'}_{meant[0]}"


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text[:9]) > 0


def _size_name(field: FieldGiven) -> str:
    """Return the name of the parameter that the size of a field is; empty where it has none."""
    if field.kind in VECTORS:
        return "" if field.kind == DataType.SparseFloatVector else "dim"
    return _SIZES.get(field.kind.name, "")


def _messages(
    request: ConsoleRequest, given: tuple[FieldGiven, ...], database: str, *, dynamic: bool
) -> tuple[messages.CreateCollectionRequest, list[milvus_pb2.CreateIndexRequest]]:
    """Return the requests that create the collection and its indexes."""
    name = request.form_text("collection_name")
    schema = schema_pb2.CollectionSchema(
        name=name, description=request.form_text("description"), enable_dynamic_field=dynamic
    )
    for position, field in enumerate(given):
        if field.name:
            _fill(schema.fields.add(), field, primary=position == 0)
    schema.autoID = any(field.autoID for field in schema.fields)
    message = messages.CreateCollectionRequest(
        db_name=database,
        collection_name=name,
        schema=schema.SerializeToString(),
        consistency_level=common_pb2.ConsistencyLevel.Bounded,
    )
    vectors = [field for field in given if field.name and field.kind in VECTORS]
    return message, [_index(database, name, field) for field in vectors]


def _fill(message: schema_pb2.FieldSchema, field: FieldGiven, *, primary: bool) -> None:
    message.name = field.name
    message.data_type = schema_pb2.DataType.ValueType(field.kind)
    message.is_primary_key = primary
    message.autoID = primary and "auto_id" in field.options
    message.nullable = not primary and "nullable" in field.options
    message.is_partition_key = not primary and "partition_key" in field.options
    parameters = {_size_name(field): field.size} if _size_name(field) else {}
    if field.kind == DataType.Array:
        element = DataType[field.type.removeprefix(_ARRAY)]
        message.element_type = schema_pb2.DataType.ValueType(element)
        if element == DataType.VarChar:
            parameters["max_length"] = _LONGEST
    message.type_params.extend(messages.KeyValuePair(key=key, value=value) for key, value in parameters.items())


def _index(database: str, collection: str, field: FieldGiven) -> milvus_pb2.CreateIndexRequest:
    metric = field.metric or MILVUS.vectors[field.type].metrics[0]
    parameters = {"index_type": field.index, "metric_type": metric}
    if field.index in _PARAMETERS:
        parameters["params"] = json.dumps(_PARAMETERS[field.index])
    return milvus_pb2.CreateIndexRequest(
        db_name=database,
        collection_name=collection,
        field_name=field.name,
        extra_params=[messages.KeyValuePair(key=key, value=value) for key, value in parameters.items()],
    )


PAGES: Final = (Page("new-collection", create_form, create),)
