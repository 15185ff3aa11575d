"""Entities, and what is computed from them; segments, compactions, imports."""

from typing import Final

from kiteward.gateway import object_ids
from kiteward.gateway.operations.declare import ANY_CREDENTIAL, ONE_COLLECTION, defines, reads, writes
from kiteward.gateway.operations.row import RowUse

ROWS: Final = (
    *writes("Insert", "Insert", rows=RowUse.WRITTEN, collections=ONE_COLLECTION),
    *writes("BatchUpdateManifest", "Insert", rows=RowUse.WHOLE, collections=ONE_COLLECTION),
    *writes("Upsert", "Upsert", rows=RowUse.WRITTEN, collections=ONE_COLLECTION),
    *writes("Delete", "Delete", rows=RowUse.WRITTEN, collections=ONE_COLLECTION),
    *reads("Query", "Query", rows=RowUse.FILTERED, collections=ONE_COLLECTION),
    *reads("Search", "Search", rows=RowUse.FILTERED, collections=ONE_COLLECTION),
    *reads(
        "HybridSearch",
        "Search",
        rows=RowUse.FILTERED,
        collections=ONE_COLLECTION,
        must_match=("requests.collection_name",),
        database_must_match=("requests.db_name",),
    ),
    *defines(
        "Flush",
        "Flush",
        rows=RowUse.NONE,
        collections=("collection_names",),
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
    ),
    *defines("LoadBalance", "LoadBalance", rows=RowUse.NONE, collections=("collectionName",)),
    *defines(
        "ManualCompaction",
        "Compaction",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        ids=("collectionID",),
        response_ids=object_ids.of_compaction,
    ),
    *reads("GetCompactionState", "Compaction", rows=RowUse.NONE, database="", ids=("compactionID",)),
    *reads(
        "GetCompactionStateWithPlans",
        "Compaction",
        rows=RowUse.WHOLE,
        collections=ONE_COLLECTION,
        ids=("compactionID", "collection_id"),
    ),
    *writes("Import", "Import", rows=RowUse.WHOLE, collections=ONE_COLLECTION),
    *reads("ListImportTasks", "Import", rows=RowUse.WHOLE, collections=ONE_COLLECTION),
    *reads("GetImportState", "Import", rows=RowUse.WHOLE, database="", ids=("task",)),
    *reads(
        "GetPersistentSegmentInfo",
        "GetStatistics",
        rows=RowUse.WHOLE,
        database="dbName",
        collections=("collectionName",),
        response_ids=object_ids.of_persistent_segments,
    ),
    *reads(
        "GetQuerySegmentInfo",
        "GetStatistics",
        rows=RowUse.WHOLE,
        database="dbName",
        collections=("collectionName",),
        response_ids=object_ids.of_query_segments,
    ),
    *reads("GetReplicas", "GetLoadState", rows=RowUse.NONE, collections=ONE_COLLECTION, ids=("collectionID",)),
    *reads(
        "ListIndexedSegment DescribeSegmentIndexData",
        "IndexDetail",
        rows=RowUse.WHOLE,
        database="",
        collections=ONE_COLLECTION,
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
    ),
    *reads("ComputePhraseMatchSlop AllocTimestamp", None, rows=RowUse.NONE, database="", credential=ANY_CREDENTIAL),
)
