"""Entities, and what is computed from them; segments, compactions, imports."""

from typing import Final

from kiteward.gateway import object_ids
from kiteward.gateway.operations.declare import ANY_CREDENTIAL, ONE_COLLECTION, defines, reads, writes

ROWS: Final = (
    *writes("Insert BatchUpdateManifest", "Insert", collections=ONE_COLLECTION),
    *writes("Upsert", "Upsert", collections=ONE_COLLECTION),
    *writes("Delete", "Delete", collections=ONE_COLLECTION),
    *reads("Query", "Query", collections=ONE_COLLECTION),
    *reads("Search", "Search", collections=ONE_COLLECTION),
    *reads(
        "HybridSearch",
        "Search",
        collections=ONE_COLLECTION,
        must_match=("requests.collection_name",),
        database_must_match=("requests.db_name",),
    ),
    *defines("Flush", "Flush", collections=("collection_names",), response_ids=object_ids.of_flushed_segments),
    *reads(
        "GetFlushState",
        "GetFlushState",
        collections=ONE_COLLECTION,
        ids=("segmentIDs",),
        if_named=True,
        credential=ANY_CREDENTIAL,
    ),
    *defines("LoadBalance", "LoadBalance", collections=("collectionName",)),
    *defines(
        "ManualCompaction",
        "Compaction",
        collections=ONE_COLLECTION,
        ids=("collectionID",),
        response_ids=object_ids.of_compaction,
    ),
    *reads("GetCompactionState", "Compaction", database="", ids=("compactionID",)),
    *reads(
        "GetCompactionStateWithPlans", "Compaction", collections=ONE_COLLECTION, ids=("compactionID", "collection_id")
    ),
    *writes("Import", "Import", collections=ONE_COLLECTION),
    *reads("ListImportTasks", "Import", collections=ONE_COLLECTION),
    *reads("GetImportState", "Import", database="", ids=("task",)),
    *reads(
        "GetPersistentSegmentInfo",
        "GetStatistics",
        database="dbName",
        collections=("collectionName",),
        response_ids=object_ids.of_persistent_segments,
    ),
    *reads(
        "GetQuerySegmentInfo",
        "GetStatistics",
        database="dbName",
        collections=("collectionName",),
        response_ids=object_ids.of_query_segments,
    ),
    *reads("GetReplicas", "GetLoadState", collections=ONE_COLLECTION, ids=("collectionID",)),
    *reads("ListIndexedSegment DescribeSegmentIndexData", "IndexDetail", database="", collections=ONE_COLLECTION),
    *reads("DescribePrewarmTask", "Load", database="", ids=("taskID",)),
    *reads("GetRestoreSnapshotState", "RestoreSnapshot", database="", ids=("job_id",)),
    *reads("GetRefreshExternalCollectionProgress", "RefreshExternalCollection", database="", ids=("job_id",)),
    # Running an analyzer on given text reveals nothing stored. If a collection is named, its analyzer is used.
    *reads(
        "RunAnalyzer",
        "DescribeCollection",
        collections=ONE_COLLECTION,
        visibility_is_enough=True,
        if_named=True,
        credential=ANY_CREDENTIAL,
    ),
    *reads("ComputePhraseMatchSlop AllocTimestamp", None, database="", credential=ANY_CREDENTIAL),
)
