"""Requests about jobs, resource groups, analyzers and files (contract 5.3), and what REST serves to nobody."""

from collections.abc import Mapping
from typing import Any, Final

from tests.access.equivalence.random_values import Draw
from tests.access.equivalence.request_pairs import Counterpart, Pair, not_served, once

_NO_RPC: Final = "no RPC of the service tells it"
_NO_IMPORT: Final = "Kiteward does not import files: the RPC goes to the engine, which refuses it; REST says so itself"

NOT_SERVED: Final[Mapping[str, str]] = {
    "segments/describe": _NO_RPC,
    "quotacenter/describe": _NO_RPC,
    "jobs/import/create": _NO_IMPORT,
    "jobs/import/list": _NO_IMPORT,
    "jobs/import/get_progress": _NO_IMPORT,
    "jobs/import/describe": _NO_IMPORT,
    "jobs/import/commit": _NO_IMPORT,
    "jobs/import/abort": _NO_IMPORT,
}
"""Endpoints that refuse every authenticated caller, and why."""

NAMING_STORAGE: Final = frozenset({"file_resources/add", "jobs/snapshot/export", "jobs/snapshot/restore_external"})
"""Endpoints whose requests cannot but name storage outside, which is refused to every authenticated caller."""


def _restore_external(draw: Draw) -> Pair:
    target = draw.new_collection()
    body = {"targetCollectionName": target, "snapshotMetadataURI": "s3://there"}
    rpc_calls = once(
        "RestoreExternalSnapshot",
        lambda response: {"jobId": response.job_id},
        target_collection_name=target,
        snapshot_metadata_uri="s3://there",
    )
    return Pair(body, rpc_calls, tuple(body))


def _export(draw: Draw) -> Pair:
    given = draw.of(({}, {"collectionName": draw.collection()}))
    rpc_calls = once(
        "ExportSnapshot",
        lambda response: {"jobId": response.job_id, "snapshotMetadataURI": response.snapshot_metadata_uri},
        name="s",
        target_s3_path="s3://there",
        collection_name=given.get("collectionName", ""),
    )
    body = {"snapshotName": "s", "targetS3Path": "s3://there", **given}
    return Pair(body, rpc_calls, ("snapshotName", "targetS3Path"))


def _job(operation: str, field: str) -> Counterpart:
    def counterpart(draw: Draw) -> Pair:
        number = draw.number()
        rpc_calls = once(operation, lambda response: {"jobId": getattr(response, field).job_id}, job_id=number)
        return Pair({"jobId": draw.of((number, str(number)))}, rpc_calls, ("jobId",))

    return counterpart


def _jobs(operation: str) -> Counterpart:
    def counterpart(draw: Draw) -> Pair:
        given = draw.of(({}, {"collectionName": draw.collection()}))
        rpc_calls = once(
            operation,
            lambda response: {"records": [{"jobId": each.job_id} for each in response.jobs]},
            collection_name=given.get("collectionName", ""),
        )
        return Pair(given, rpc_calls, ())

    return counterpart


def _refresh(draw: Draw) -> Pair:
    name = draw.collection()
    body, fields = draw.of((({}, {}), ({"externalSource": "s3://there"}, {"external_source": "s3://there"})))
    rpc_calls = once(
        "RefreshExternalCollection", lambda response: {"jobId": response.job_id}, collection_name=name, **fields
    )
    return Pair({"collectionName": name, **body}, rpc_calls)


def _group(operation: str, extract: Any = lambda _: {}) -> Counterpart:
    def counterpart(draw: Draw) -> Pair:
        name = draw.of(("rg", "rg2"))
        return Pair({"name": name}, once(operation, extract, resource_group=name), ("name",))

    return counterpart


def _groups_alter(draw: Draw) -> Pair:
    number = draw.number()
    body = {"resource_groups": {"rg": {"limits": {"node_num": number}}}}
    # Both parts of the configuration are always there: REST sends the one that was not given as zero.
    config = {"requests": {"node_num": 0}, "limits": {"node_num": number}, "node_filter": {}}
    return Pair(body, once("UpdateResourceGroups", resource_groups={"rg": config}), ("resource_groups",))


def _transfer(draw: Draw) -> Pair:
    name, number = draw.collection(), draw.number()
    body = {"sourceRgName": "rg", "targetRgName": "rg2", "collectionName": name, "replicaNum": number}
    rpc_calls = once(
        "TransferReplica",
        source_resource_group="rg",
        target_resource_group="rg2",
        collection_name=name,
        num_replica=number,
    )
    return Pair(body, rpc_calls, tuple(body))


def _analyzer(draw: Draw) -> Pair:
    given = draw.of(({}, {"collectionName": draw.collection(), "fieldName": "text"}))
    rpc_calls = once(
        "RunAnalyzer",
        lambda response: [{"tokens": [{"token": each.token} for each in one.tokens]} for one in response.results],
        placeholder=[b"some text"],
        collection_name=given.get("collectionName", ""),
        field_name=given.get("fieldName", ""),
    )
    return Pair({"text": ["some text"], **given}, rpc_calls, ("text",))


def _file_added(draw: Draw) -> Pair:
    body = {"name": draw.of(("f1", "f2")), "path": "s3://there"}
    return Pair(body, once("AddFileResource", **body), tuple(body))


def _file_removed(draw: Draw) -> Pair:
    body = {"name": draw.of(("f1", "f2"))}
    return Pair(body, once("RemoveFileResource", **body), tuple(body))


def _files(_: Draw) -> Pair:
    return Pair({}, once("ListFileResources", lambda response: [{"name": each.name} for each in response.resources]))


COUNTERPARTS: Final[Mapping[str, Counterpart]] = {
    "jobs/snapshot/restore_external": _restore_external,
    "jobs/snapshot/export": _export,
    "jobs/snapshot/describe": _job("GetRestoreSnapshotState", "info"),
    "jobs/snapshot/list": _jobs("ListRestoreSnapshotJobs"),
    "jobs/external_collection/refresh": _refresh,
    "jobs/external_collection/describe": _job("GetRefreshExternalCollectionProgress", "job_info"),
    "jobs/external_collection/list": _jobs("ListRefreshExternalCollectionJobs"),
    "resource_groups/list": lambda _: Pair(
        {}, once("ListResourceGroups", lambda response: list(response.resource_groups))
    ),
    "resource_groups/describe": _group(
        "DescribeResourceGroup",
        lambda response: {"name": response.resource_group.name, "capacity": response.resource_group.capacity},
    ),
    "resource_groups/create": _group("CreateResourceGroup"),
    "resource_groups/drop": _group("DropResourceGroup"),
    "resource_groups/alter": _groups_alter,
    "resource_groups/transfer_replica": _transfer,
    "common/run_analyzer": _analyzer,
    "file_resources/add": _file_added,
    "file_resources/remove": _file_removed,
    "file_resources/list": _files,
    **dict.fromkeys(NOT_SERVED, lambda _: Pair({"jobId": "7"}, not_served())),
}
