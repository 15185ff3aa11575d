"""Entities, and what is computed from them; segments, compactions, imports."""

from typing import Final

from kiteward.gateway import object_ids
from kiteward.gateway.operations.declare import ANY_CREDENTIAL, ONE_COLLECTION, defines, reads, writes
from kiteward.gateway.operations.message_fields import NAMESPACE
from kiteward.gateway.operations.row import RowUse

ROWS: Final = (
    *writes(
        "Insert",
        "Insert",
        rows=RowUse.WRITTEN,
        collections=ONE_COLLECTION,
        forwarded="partition_name fields_data hash_keys num_rows schema_timestamp",
        refused={"namespace": NAMESPACE},
    ),
    *writes(
        "BatchUpdateManifest",
        "Insert",
        rows=RowUse.WHOLE,
        collections=ONE_COLLECTION,
        forwarded="field_names items",
    ),
    *writes(
        "Upsert",
        "Upsert",
        rows=RowUse.WRITTEN,
        collections=ONE_COLLECTION,
        forwarded="partition_name fields_data hash_keys num_rows schema_timestamp partial_update field_ops",
        refused={"namespace": NAMESPACE},
    ),
    *writes(
        "Delete",
        "Delete",
        rows=RowUse.WRITTEN,
        collections=ONE_COLLECTION,
        forwarded="partition_name expr hash_keys consistency_level expr_template_values",
        refused={"namespace": NAMESPACE},
    ),
    *reads(
        "Query",
        "Query",
        rows=RowUse.FILTERED,
        collections=ONE_COLLECTION,
        forwarded=(
            "expr output_fields partition_names travel_timestamp guarantee_timestamp query_params "
            "not_return_all_meta consistency_level use_default_consistency expr_template_values"
        ),
        refused={"namespace": NAMESPACE},
    ),
    *reads(
        "Search",
        "Search",
        rows=RowUse.FILTERED,
        collections=ONE_COLLECTION,
        forwarded=(
            "partition_names dsl placeholder_group ids dsl_type output_fields search_params "
            "travel_timestamp guarantee_timestamp nq not_return_all_meta consistency_level "
            "use_default_consistency search_by_primary_keys sub_reqs expr_template_values "
            "function_score highlighter search_aggregation function_chains"
        ),
        refused={"namespace": NAMESPACE},
    ),
    *reads(
        "HybridSearch",
        "Search",
        rows=RowUse.FILTERED,
        collections=ONE_COLLECTION,
        must_match=("requests.collection_name",),
        database_must_match=("requests.db_name",),
        forwarded=(
            "partition_names requests rank_params travel_timestamp guarantee_timestamp "
            "not_return_all_meta output_fields consistency_level use_default_consistency "
            "function_score function_chains"
        ),
        refused={"namespace": NAMESPACE},
    ),
    *defines(
        "Flush",
        "Flush",
        rows=RowUse.NONE,
        collections=("collection_names",),
        beside_writes=True,
        response_ids=object_ids.of_flushed_segments,
    ),
    *reads(
        "GetFlushState",
        "GetFlushState",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        ids=("segmentIDs",),
        if_named=True,
        credential=ANY_CREDENTIAL,
        forwarded="flush_ts",
    ),
    *defines(
        "LoadBalance",
        "LoadBalance",
        rows=RowUse.NONE,
        collections=("collectionName",),
        beside_writes=True,
        forwarded="src_nodeID dst_nodeIDs sealed_segmentIDs",
    ),
    *defines(
        "ManualCompaction",
        "Compaction",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        beside_writes=True,
        ids=("collectionID",),
        response_ids=object_ids.of_compaction,
        forwarded="timetravel majorCompaction partition_id channel segment_ids l0Compaction target_size",
    ),
    *reads("GetCompactionState", "Compaction", rows=RowUse.NONE, database="", ids=("compactionID",)),
    *reads(
        "GetCompactionStateWithPlans",
        "Compaction",
        rows=RowUse.WHOLE,
        collections=ONE_COLLECTION,
        ids=("compactionID", "collection_id"),
    ),
    *writes(
        "Import",
        "Import",
        rows=RowUse.WHOLE,
        collections=ONE_COLLECTION,
        forwarded="partition_name channel_names row_based options clustering_info",
    ),
    *reads(
        "ListImportTasks",
        "Import",
        rows=RowUse.WHOLE,
        collections=ONE_COLLECTION,
        forwarded="limit",
    ),
    *reads("GetImportState", "Import", rows=RowUse.WHOLE, database="", ids=("task",)),
    *reads(
        "GetPersistentSegmentInfo",
        "GetStatistics",
        rows=RowUse.WHOLE,
        database="dbName",
        collections=("collectionName",),
        response_ids=object_ids.of_persistent_segments,
        forwarded="states",
    ),
    *reads(
        "GetQuerySegmentInfo",
        "GetStatistics",
        rows=RowUse.WHOLE,
        database="dbName",
        collections=("collectionName",),
        response_ids=object_ids.of_query_segments,
    ),
    *reads(
        "GetReplicas",
        "GetLoadState",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        ids=("collectionID",),
        forwarded="with_shard_nodes",
    ),
    *reads(
        "ListIndexedSegment DescribeSegmentIndexData",
        "IndexDetail",
        rows=RowUse.WHOLE,
        database="",
        collections=ONE_COLLECTION,
        forwarded="index_name segmentsIDs",
    ),
    *reads("DescribePrewarmTask", "Load", rows=RowUse.NONE, database="", ids=("taskID",)),
    *reads("GetRestoreSnapshotState", "RestoreSnapshot", rows=RowUse.WHOLE, database="", ids=("job_id",)),
    *reads(
        "GetRefreshExternalCollectionProgress",
        "RefreshExternalCollection",
        rows=RowUse.WHOLE,
        database="",
        ids=("job_id",),
    ),
    # Running an analyzer on given text reveals nothing stored. If a collection is named, its analyzer is used.
    *reads(
        "RunAnalyzer",
        "DescribeCollection",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        visibility_is_enough=True,
        if_named=True,
        credential=ANY_CREDENTIAL,
        forwarded="placeholder with_detail with_hash field_name analyzer_names",
    ),
    *reads(
        "ComputePhraseMatchSlop AllocTimestamp",
        None,
        rows=RowUse.NONE,
        database="",
        credential=ANY_CREDENTIAL,
        forwarded="analyzer_params query_text data_texts",
    ),
)
