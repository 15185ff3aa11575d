"""Collections with their fields, partitions, indexes and snapshots."""

from typing import Final

from kiteward.gateway import ddl_intents, object_ids, response_filter
from kiteward.gateway.audit_details import Converted, decoded_schema
from kiteward.gateway.operations.declare import (
    ANY_CREDENTIAL,
    ONE_COLLECTION,
    changes_catalog,
    defines,
    reads,
    writes,
)
from kiteward.gateway.operations.row import RowUse

_LIFECYCLE: Final = (
    *changes_catalog(
        "CreateCollection",
        "CreateCollection",
        new_collections=ONE_COLLECTION,
        creates=ONE_COLLECTION,
        creates_fields=(
            "schema.fields.name",
            "schema.struct_array_fields.name",
            "schema.struct_array_fields.fields.name",
        ),
        properties=("properties.key", "properties.value", "schema.properties.key"),
        intent=ddl_intents.create_collection,
        recorded={
            "collection": "collection_name",
            "schema": Converted("schema", bytes, decoded_schema),
            "shards": "shards_num",
            "consistency": "consistency_level",
            "partitions": "num_partitions",
            "properties": "properties",
        },
        forwarded="schema shards_num consistency_level properties num_partitions",
    ),
    *changes_catalog(
        "DropCollection",
        "DropCollection",
        collections=ONE_COLLECTION,
        not_by_alias="cannot drop the collection via alias = {alias}",
        not_while_aliased=(
            "unable to drop the collection [{collection}] because it has associated aliases [{aliases}], "
            "please remove all aliases before dropping the collection"
        ),
        intent=ddl_intents.drop_collection,
        recorded={"collection": "collection_name"},
    ),
    *changes_catalog(
        "RenameCollection",
        "RenameCollection",
        rows=RowUse.MOVED,
        collections=("oldName",),
        new_collections=("newName",),
        creates=("newName",),
        target_database="newDBName",
        not_by_alias="unsupported use an alias to rename collection, alias:{alias}",
        intent=ddl_intents.rename_collection,
        recorded={"collection": "oldName", "new_name": "newName", "new_database": "newDBName"},
    ),
    *writes("TruncateCollection", "DropCollection", rows=RowUse.WHOLE, collections=ONE_COLLECTION),
)

_DESCRIPTIONS: Final = (
    *reads(
        "HasCollection",
        "DescribeCollection",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        visibility_is_enough=True,
        hidden_response=response_filter.has_no_collection,
        forwarded="time_stamp",
    ),
    *reads(
        "DescribeCollection",
        "DescribeCollection",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        ids=("collectionID",),
        visibility_is_enough=True,
        hidden_response=response_filter.collection_not_found,
        shows_alias=response_filter.describes_behind_alias,
        shows_properties=True,
        response_ids=object_ids.of_described_collection,
        forwarded="time_stamp",
    ),
    *reads(
        "BatchDescribeCollection",
        "DescribeCollection",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        ids=("collectionID",),
        visibility_is_enough=True,
        shows_properties=True,
    ),
    # Every response is filtered to what the caller may see, so the list itself needs no privilege.
    *reads(
        "ShowCollections",
        None,
        rows=RowUse.NONE,
        credential=ANY_CREDENTIAL,
        filter_response=response_filter.collections,
        response_ids=object_ids.of_listed_collections,
        forwarded="time_stamp type collection_names",
    ),
    *reads(
        "GetCollectionStatistics GetPartitionStatistics",
        "GetStatistics",
        rows=RowUse.WHOLE,
        collections=ONE_COLLECTION,
        forwarded="partition_name",
    ),
)

_SCHEMAS: Final = (
    *defines(
        "AlterCollectionField",
        "CreateCollection",
        rows=RowUse.DEFINITION,
        collections=ONE_COLLECTION,
        forwarded="field_name properties delete_keys",
    ),
    # One at a time with drops and renames, whose protection by row policies it may change.
    *changes_catalog(
        "AlterCollection",
        "CreateCollection",
        collections=ONE_COLLECTION,
        ids=("collectionID",),
        properties=("properties.key", "properties.value", "delete_keys"),
        recorded={
            "collection": "collection_name",
            "id": "collectionID",
            "properties": "properties",
            "deleted": "delete_keys",
        },
        forwarded="properties delete_keys",
    ),
    *defines(
        "AddCollectionFunction AlterCollectionFunction DropCollectionFunction",
        "CreateCollection",
        rows=RowUse.DEFINITION,
        collections=ONE_COLLECTION,
        ids=("collectionID",),
        forwarded="functionSchema function_name",
    ),
    *defines(
        "AddCollectionField",
        "AddCollectionField",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        ids=("collectionID",),
        creates_fields=("schema.name",),
        forwarded="schema",
    ),
    *defines(
        "AddCollectionStructField",
        "AddCollectionField",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        ids=("collectionID",),
        creates_fields=("struct_array_field_schema.name", "struct_array_field_schema.fields.name"),
        forwarded="struct_array_field_schema",
    ),
    # The Node SDK recognises the gRPC status, and then calls `AddCollectionField`.
    *defines(
        "AlterCollectionSchema",
        "AlterCollectionSchema",
        rows=RowUse.DEFINITION,
        collections=ONE_COLLECTION,
        ids=("collectionID",),
        creates_fields=("action.add_request.field_infos.field_schema.name",),
        creates_indexes=("action.add_request.field_infos.index_name",),
        unimplemented_by_grpc=True,
        forwarded="action",
    ),
)

_LOADING: Final = (
    *defines(
        "LoadCollection LoadPartitions Prewarm",
        "Load",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        beside_writes=True,
        forwarded=(
            "replica_number resource_groups refresh load_fields skip_load_dynamic_field load_params "
            "partition_names namespace ttl_seconds priority"
        ),
    ),
    *defines(
        "ReleaseCollection ReleasePartitions",
        "Release",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        beside_writes=True,
        forwarded="partition_names",
    ),
    *reads(
        "GetLoadState GetLoadingProgress",
        "GetLoadState",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        forwarded="partition_names",
    ),
)

_PARTITIONS: Final = (
    *defines(
        "CreatePartition",
        "CreatePartition",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        beside_writes=True,
        creates_partitions=("partition_name",),
    ),
    *defines(
        "CreateNamespace",
        "CreatePartition",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        beside_writes=True,
        creates_partitions=("namespace_name",),
    ),
    *defines(
        "DropPartition DropNamespace",
        "DropPartition",
        rows=RowUse.WHOLE,
        collections=ONE_COLLECTION,
        forwarded="partition_name namespace_name",
    ),
    *reads(
        "HasPartition HasNamespace",
        "HasPartition",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        forwarded="partition_name namespace_name",
    ),
    *reads(
        "ShowPartitions",
        "ShowPartitions",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        ids=("collectionID",),
        forwarded="partition_names type",
    ),
    *reads(
        "DescribeNamespace ListNamespaces GetNamespaceStats",
        "ShowPartitions",
        rows=RowUse.WHOLE,
        collections=ONE_COLLECTION,
        forwarded="namespace_name prefix page_size page_token exact",
    ),
)

_INDEXES: Final = (
    *defines(
        "CreateIndex",
        "CreateIndex",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        beside_writes=True,
        creates_indexes=("index_name",),
        forwarded="field_name extra_params",
    ),
    *defines(
        "AlterIndex",
        "CreateIndex",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        beside_writes=True,
        forwarded="index_name extra_params delete_keys",
    ),
    *defines(
        "DropIndex",
        "DropIndex",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        beside_writes=True,
        forwarded="field_name index_name",
    ),
    *reads(
        "DescribeIndex GetIndexStatistics GetIndexState GetIndexBuildProgress",
        "IndexDetail",
        rows=RowUse.COUNTS,
        collections=ONE_COLLECTION,
        visibility_is_enough=True,
        forwarded="field_name index_name timestamp",
    ),
)

_SNAPSHOTS: Final = (
    *defines(
        "CreateSnapshot",
        "CreateSnapshot",
        rows=RowUse.WHOLE,
        collections=ONE_COLLECTION,
        beside_writes=True,
        creates=("name",),
        forwarded="description compaction_protection_seconds",
    ),
    *defines(
        "DropSnapshot",
        "DropSnapshot",
        rows=RowUse.WHOLE,
        collections=ONE_COLLECTION,
        beside_writes=True,
        forwarded="name",
    ),
    *reads("ListSnapshots", "ListSnapshots", rows=RowUse.WHOLE, collections=ONE_COLLECTION),
    *reads(
        "DescribeSnapshot",
        "DescribeSnapshot",
        rows=RowUse.WHOLE,
        collections=ONE_COLLECTION,
        forwarded="name",
    ),
    *changes_catalog(
        "RestoreSnapshot",
        "RestoreSnapshot",
        rows=RowUse.WHOLE,
        collections=ONE_COLLECTION,
        new_collections=("target_collection_name",),
        creates=("target_collection_name",),
        target_database="target_db_name",
        intent=ddl_intents.restore_snapshot,
        recorded={
            "snapshot": "name",
            "collection": "collection_name",
            "target": "target_collection_name",
            "target_database": "target_db_name",
            "rewritten": "rewrite_data",
        },
        forwarded="name rewrite_data",
    ),
    *reads("ListRestoreSnapshotJobs", "RestoreSnapshot", rows=RowUse.WHOLE, collections=ONE_COLLECTION),
    *defines("RefreshExternalCollection", "RefreshExternalCollection", rows=RowUse.WHOLE, collections=ONE_COLLECTION),
    *reads(
        "ListRefreshExternalCollectionJobs", "RefreshExternalCollection", rows=RowUse.WHOLE, collections=ONE_COLLECTION
    ),
)

ROWS: Final = (*_LIFECYCLE, *_DESCRIPTIONS, *_SCHEMAS, *_LOADING, *_PARTITIONS, *_INDEXES, *_SNAPSHOTS)
