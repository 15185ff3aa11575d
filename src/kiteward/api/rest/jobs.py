"""Jobs (contract 5.3, 5.4). Import jobs have no endpoint, because the protocol of the SDKs has no RPC for them."""

from typing import Annotated, Any, Final

import msgspec

from kiteward.api.rest.endpoints import Body, Endpoint, Name, RequestContext, ResponseData, refused
from kiteward.api.rest.rpc import CollectionNameReq
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2

JobId = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,17}$")]
"""The id of a job, as a number or as text."""


class JobIdReq(Body):
    """The id of a job."""

    job_id: JobId


class CollectionsJobsReq(Body):
    """The name of a collection; empty for all collections."""

    collection_name: str = ""


class RestoreReq(Body):
    """An external snapshot, and the collection to create from it."""

    target_collection_name: Name
    snapshot_metadata_uri: Name = msgspec.field(name="snapshotMetadataURI")
    external_spec: str = ""


class ExportReq(Body):
    """A snapshot and the location to export it to."""

    snapshot_name: Name
    target_s3_path: Name = msgspec.field(name="targetS3Path")
    collection_name: str = ""
    external_spec: str = ""


class RefreshReq(CollectionNameReq):
    """A collection with external rows, and their location."""

    external_source: str = ""
    external_spec: str = ""


class JobCreated(ResponseData):
    """A job that was started."""

    job_id: int


class Exported(ResponseData):
    """The location of an exported snapshot's metadata."""

    snapshot_metadata_uri: str = msgspec.field(name="snapshotMetadataURI")
    job_id: int


class Records(ResponseData):
    """A list of jobs."""

    records: list[dict[str, Any]]


async def restore_external(context: RequestContext, body: RestoreReq) -> JobCreated:
    """Answer `jobs/snapshot/restore_external`."""
    response = await context.call(
        milvus_pb2.RestoreExternalSnapshotRequest(
            db_name=context.database,
            target_collection_name=body.target_collection_name,
            snapshot_metadata_uri=body.snapshot_metadata_uri,
            external_spec=body.external_spec,
        ),
        milvus_pb2.RestoreExternalSnapshotResponse,
    )
    return JobCreated(job_id=response.job_id)


async def export(context: RequestContext, body: ExportReq) -> Exported:
    """Answer `jobs/snapshot/export`."""
    response = await context.call(
        milvus_pb2.ExportSnapshotRequest(
            db_name=context.database,
            name=body.snapshot_name,
            collection_name=body.collection_name,
            target_s3_path=body.target_s3_path,
            external_spec=body.external_spec,
        ),
        milvus_pb2.ExportSnapshotResponse,
    )
    return Exported(snapshot_metadata_uri=response.snapshot_metadata_uri, job_id=response.job_id)


async def describe_restore(context: RequestContext, body: JobIdReq) -> dict[str, Any]:
    """Answer `jobs/snapshot/describe`."""
    response = await context.call(
        milvus_pb2.GetRestoreSnapshotStateRequest(job_id=int(body.job_id)), milvus_pb2.GetRestoreSnapshotStateResponse
    )
    return _record(response.info)


async def list_restores(context: RequestContext, body: CollectionsJobsReq) -> Records:
    """Answer `jobs/snapshot/list`."""
    response = await context.call(
        milvus_pb2.ListRestoreSnapshotJobsRequest(db_name=context.database, collection_name=body.collection_name),
        milvus_pb2.ListRestoreSnapshotJobsResponse,
    )
    return Records(records=[_record(each) for each in response.jobs])


async def refresh(context: RequestContext, body: RefreshReq) -> JobCreated:
    """Answer `jobs/external_collection/refresh`."""
    response = await context.call(
        milvus_pb2.RefreshExternalCollectionRequest(
            db_name=context.database,
            collection_name=body.collection_name,
            external_source=body.external_source,
            external_spec=body.external_spec,
        ),
        milvus_pb2.RefreshExternalCollectionResponse,
    )
    return JobCreated(job_id=response.job_id)


async def describe_refresh(context: RequestContext, body: JobIdReq) -> dict[str, Any]:
    """Answer `jobs/external_collection/describe`."""
    response = await context.call(
        milvus_pb2.GetRefreshExternalCollectionProgressRequest(job_id=int(body.job_id)),
        milvus_pb2.GetRefreshExternalCollectionProgressResponse,
    )
    return _record(response.job_info)


async def list_refreshes(context: RequestContext, body: CollectionsJobsReq) -> Records:
    """Answer `jobs/external_collection/list`."""
    response = await context.call(
        milvus_pb2.ListRefreshExternalCollectionJobsRequest(
            db_name=context.database, collection_name=body.collection_name
        ),
        milvus_pb2.ListRefreshExternalCollectionJobsResponse,
    )
    return Records(records=[_record(each) for each in response.jobs])


def _record(job: messages.ProtocolMessage) -> dict[str, Any]:
    """Return the message of a job as JSON, its fields in camelCase."""
    return {
        _camel(field.name): messages.enum_name(job, field.name) if field.enum_type else getattr(job, field.name)
        for field in job.DESCRIPTOR.fields
    }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


_NO_IMPORT: Final = "Kiteward does not import files; insert rows instead"

ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    *(
        refused(f"jobs/import/{action}", _NO_IMPORT)
        for action in ("create", "list", "get_progress", "describe", "commit", "abort")
    ),
    Endpoint(
        "jobs/snapshot/restore_external",
        RestoreReq,
        JobCreated,
        restore_external,
        "Start to restore a collection from an external snapshot.",
    ),
    Endpoint("jobs/snapshot/export", ExportReq, Exported, export, "Start to export a snapshot."),
    Endpoint(
        "jobs/snapshot/describe",
        JobIdReq,
        dict[str, Any],
        describe_restore,
        "Return the progress of restoring a snapshot.",
    ),
    Endpoint("jobs/snapshot/list", CollectionsJobsReq, Records, list_restores, "List the jobs that restore snapshots."),
    Endpoint(
        "jobs/external_collection/refresh",
        RefreshReq,
        JobCreated,
        refresh,
        "Start to refresh an external collection.",
    ),
    Endpoint(
        "jobs/external_collection/describe",
        JobIdReq,
        dict[str, Any],
        describe_refresh,
        "Return the progress of refreshing an external collection.",
    ),
    Endpoint(
        "jobs/external_collection/list",
        CollectionsJobsReq,
        Records,
        list_refreshes,
        "List the jobs that refresh external collections.",
    ),
)
