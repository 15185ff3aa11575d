"""Collections (contract 5.3), except creating one and changing its schema."""

from typing import Any, Final, TypeVar

import msgspec

from kiteward.api.rest.endpoints import NOTHING, Body, Endpoint, Name, Nothing, RequestContext, ResponseData
from kiteward.api.rest.indexes import metric_of
from kiteward.api.rest.rpc import (
    CollectionNameReq,
    Has,
    Int64,
    Pair,
    RowCount,
    describe_collection,
    pairs,
    row_count,
    rpc_endpoint,
)
from kiteward.api.rest.schemas import (
    FieldShape,
    FunctionShape,
    StructFieldShape,
    field_shapes,
    function_shapes,
    struct_field_shapes,
)
from kiteward.api.rest.status import RestFailure
from kiteward.domain.errors import AccessDenied, CollectionNotFound, EngineLacksOperation, ResponseFailed
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2

_Response = TypeVar("_Response", bound=messages.ProtocolMessage)


class LoadStateReq(CollectionNameReq):
    """A collection or some of its partitions."""

    partition_names: list[str] = []


class LoadState(ResponseData):
    """The load state of a collection."""

    load_state: str
    load_progress: int | msgspec.UnsetType = msgspec.UNSET


class RenameReq(CollectionNameReq):
    """A collection and its new name."""

    new_collection_name: Name
    new_db_name: str = ""


class CollectionPropertiesReq(CollectionNameReq):
    """Properties of a collection."""

    properties: dict[str, Any] = {}


class CollectionPropertyKeysReq(CollectionNameReq):
    """Names of properties of a collection."""

    property_keys: list[str] = []


class CompactReq(CollectionNameReq):
    """A collection to compact."""

    is_clustering: bool = False


class Compaction(ResponseData):
    """A compaction that was started."""

    compaction_id: int = msgspec.field(name="compactionID")


class CompactionReq(Body):
    """The id of a compaction."""

    job_id: Int64 = msgspec.field(name="jobID", default=0)


class CompactionState(ResponseData):
    """The state of a compaction."""

    compaction_id: int = msgspec.field(name="compactionID")
    state: str
    executing_plan_number: int
    timeout_plan_number: int
    completed_plan_number: int


class IndexSummary(ResponseData):
    """An index, in brief."""

    index_name: str
    field_name: str
    metric_type: str


class Description(ResponseData):
    """A collection. Parts that the caller may not see are empty."""

    collection_name: str
    collection_id: int = msgspec.field(name="collectionID")
    description: str
    auto_id: bool
    fields: list[FieldShape]
    struct_fields: list[StructFieldShape]
    functions: list[FunctionShape]
    aliases: list[str]
    indexes: list[IndexSummary]
    load: str
    shards_num: int
    partitions_num: int
    consistency_level: str
    enable_dynamic_field: bool
    properties: list[Pair]


async def list_names(context: RequestContext, _body: Body) -> list[str]:
    """Answer `collections/list`: the collections that the caller may see."""
    response = await context.call(
        messages.ShowCollectionsRequest(db_name=context.database), messages.ShowCollectionsResponse
    )
    return list(response.collection_names)


async def has(context: RequestContext, body: CollectionNameReq) -> Has:
    """Answer `collections/has`."""
    response = await context.call(
        messages.HasCollectionRequest(db_name=context.database, collection_name=body.collection_name),
        messages.BoolResponse,
    )
    return Has(has=response.value)


async def describe(context: RequestContext, body: CollectionNameReq) -> Description:
    """Answer `collections/describe` from four requests, of which all but the first may be refused."""
    database, name = context.database, body.collection_name
    described = await describe_collection(context, name)
    state_of = milvus_pb2.GetLoadStateRequest(db_name=database, collection_name=name)
    state = await _unless_refused(context, state_of, milvus_pb2.GetLoadStateResponse)
    indexes_of = milvus_pb2.DescribeIndexRequest(db_name=database, collection_name=name)
    indexes = await _unless_refused(context, indexes_of, milvus_pb2.DescribeIndexResponse)
    aliases_of = milvus_pb2.ListAliasesRequest(db_name=database, collection_name=name)
    aliases = await _unless_refused(context, aliases_of, messages.ListAliasesResponse)
    schema = described.schema
    return Description(
        collection_name=described.collection_name or schema.name,
        collection_id=described.collectionID,
        description=schema.description,
        auto_id=any(field.autoID for field in schema.fields if field.is_primary_key),
        fields=field_shapes(schema),
        struct_fields=struct_field_shapes(schema),
        functions=function_shapes(schema),
        aliases=list(aliases.aliases) if aliases else [],
        indexes=[
            IndexSummary(index_name=each.index_name, field_name=each.field_name, metric_type=metric_of(each))
            for each in (indexes.index_descriptions if indexes else ())
        ],
        load=messages.enum_name(state, "state") if state else "",
        shards_num=described.shards_num,
        partitions_num=described.num_partitions,
        consistency_level=messages.enum_name(described, "consistency_level"),
        enable_dynamic_field=schema.enable_dynamic_field,
        properties=pairs(described.properties),
    )


async def _unless_refused(
    context: RequestContext, request: messages.ProtocolMessage, response: type[_Response]
) -> _Response | None:
    """Return the response of a request, or None if it was refused, the engine lacks it, or nothing was found."""
    try:
        return await context.call(request, response)
    except (AccessDenied, CollectionNotFound, EngineLacksOperation, ResponseFailed):
        return None


async def get_stats(context: RequestContext, body: CollectionNameReq) -> RowCount:
    """Answer `collections/get_stats`."""
    response = await context.call(
        milvus_pb2.GetCollectionStatisticsRequest(db_name=context.database, collection_name=body.collection_name),
        milvus_pb2.GetCollectionStatisticsResponse,
    )
    return row_count(response.stats)


_NOT_EXISTING: Final = "LoadStateNotExist"
_NOT_LOADED: Final = "LoadStateNotLoad"
_LOADED: Final = 100


async def get_load_state(context: RequestContext, body: LoadStateReq) -> LoadState:
    """Answer `collections/get_load_state`; the progress is included unless the collection is not loaded."""
    response = await context.call(
        milvus_pb2.GetLoadStateRequest(
            db_name=context.database, collection_name=body.collection_name, partition_names=body.partition_names
        ),
        milvus_pb2.GetLoadStateResponse,
    )
    state = messages.enum_name(response, "state")
    if state == _NOT_EXISTING:
        raise RestFailure(messages.COLLECTION_NOT_FOUND, f"collection not found[collection={body.collection_name}]")
    if state == _NOT_LOADED:
        return LoadState(load_state=state)
    progress = (
        await context.call(
            milvus_pb2.GetLoadingProgressRequest(
                collection_name=body.collection_name, partition_names=body.partition_names, db_name=context.database
            ),
            milvus_pb2.GetLoadingProgressResponse,
        )
    ).progress
    return LoadState(
        load_state="LoadStateLoaded" if progress >= _LOADED else "LoadStateLoading", load_progress=progress
    )


async def refresh_load(context: RequestContext, body: CollectionNameReq) -> Nothing:
    """Answer `collections/refresh_load`."""
    await context.call(
        milvus_pb2.LoadCollectionRequest(db_name=context.database, collection_name=body.collection_name, refresh=True)
    )
    return NOTHING


async def flush(context: RequestContext, body: CollectionNameReq) -> Nothing:
    """Answer `collections/flush`."""
    await context.call(
        messages.FlushRequest(db_name=context.database, collection_names=[body.collection_name]), messages.FlushResponse
    )
    return NOTHING


async def compact(context: RequestContext, body: CompactReq) -> Compaction:
    """Answer `collections/compact`."""
    response = await context.call(
        milvus_pb2.ManualCompactionRequest(
            db_name=context.database, collection_name=body.collection_name, majorCompaction=body.is_clustering
        ),
        messages.ManualCompactionResponse,
    )
    return Compaction(compaction_id=response.compactionID)


async def get_compaction_state(context: RequestContext, body: CompactionReq) -> CompactionState:
    """Answer `collections/get_compaction_state`."""
    response = await context.call(
        milvus_pb2.GetCompactionStateRequest(compactionID=body.job_id), milvus_pb2.GetCompactionStateResponse
    )
    return CompactionState(
        compaction_id=body.job_id,
        state=messages.enum_name(response, "state"),
        executing_plan_number=response.executingPlanNo,
        timeout_plan_number=response.timeoutPlanNo,
        completed_plan_number=response.completedPlanNo,
    )


_NAME: Final = "collection_name"

ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    Endpoint("collections/list", Body, list[str], list_names, "List the names of the collections the caller may see."),
    Endpoint("collections/has", CollectionNameReq, Has, has, "Return whether a collection exists."),
    Endpoint("collections/describe", CollectionNameReq, Description, describe, "Describe a collection."),
    Endpoint("collections/get_stats", CollectionNameReq, RowCount, get_stats, "Count the rows of a collection."),
    Endpoint(
        "collections/get_load_state",
        LoadStateReq,
        LoadState,
        get_load_state,
        "Return the load progress of a collection.",
    ),
    rpc_endpoint("collections/drop", CollectionNameReq, "DropCollection", "Drop a collection.", collection_name=_NAME),
    rpc_endpoint(
        "collections/truncate",
        CollectionNameReq,
        "TruncateCollection",
        "Remove all rows of a collection.",
        collection_name=_NAME,
    ),
    rpc_endpoint("collections/load", CollectionNameReq, "LoadCollection", "Load a collection.", collection_name=_NAME),
    Endpoint(
        "collections/refresh_load",
        CollectionNameReq,
        Nothing,
        refresh_load,
        "Load data added to a collection since it was loaded.",
    ),
    rpc_endpoint(
        "collections/release", CollectionNameReq, "ReleaseCollection", "Release a collection.", collection_name=_NAME
    ),
    Endpoint("collections/flush", CollectionNameReq, Nothing, flush, "Write a collection's rows to storage."),
    rpc_endpoint(
        "collections/rename",
        RenameReq,
        "RenameCollection",
        "Rename a collection, or move it to another database.",
        oldName="collection_name",
        newName="new_collection_name",
        newDBName="new_db_name",
    ),
    rpc_endpoint(
        "collections/alter_properties",
        CollectionPropertiesReq,
        "AlterCollection",
        "Set properties of a collection.",
        collection_name=_NAME,
        properties="properties",
    ),
    rpc_endpoint(
        "collections/drop_properties",
        CollectionPropertyKeysReq,
        "AlterCollection",
        "Remove properties of a collection.",
        collection_name=_NAME,
        delete_keys="property_keys",
    ),
    Endpoint("collections/compact", CompactReq, Compaction, compact, "Start a compaction of a collection."),
    Endpoint(
        "collections/get_compaction_state",
        CompactionReq,
        CompactionState,
        get_compaction_state,
        "Return the state of a compaction.",
    ),
)
