"""An engine that answers about what it stores, and that fails with some collections on purpose."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from tests.access.equivalence import random_values
from tests.support.engine import Database, EngineCall, FakeEngine

from kiteward.domain.errors import (
    EngineDeadlineExceeded,
    EngineLacksOperation,
    EngineUnavailable,
    FilterSyntaxError,
    KitewardError,
)
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.filters import And, Constant, Dialect, Expression, Field, Membership, matches, parse
from kiteward.milvus import messages

_NO_COLLECTION: Final = 100
_NO_INDEX: Final = 700
_REFUSED: Final = 1105
_UNEXPECTED: Final = messages.ErrorCode.UnexpectedError

SCHEMA: Final[Any] = {
    "fields": [
        {"name": "id", "data_type": 5, "is_primary_key": True},
        {"name": "vector", "data_type": 101, "type_params": [{"key": "dim", "value": "2"}]},
    ]
}
_INDEX: Final = {"index_name": "vector", "field_name": "vector", "params": [{"key": "metric_type", "value": "COSINE"}]}
_STATS: Final = [{"key": "row_count", "value": "7"}]
_JOB: Final = {"job_id": 7, "collection_name": "c1"}
_GROUP: Final = {"name": "rg", "capacity": 3}
_KEYS: Final = (1, 4)
"""The primary keys of the rows that are stored in each collection."""

_COUNT: Final = "count(*)"

_RESPONSES: Final[Mapping[str, dict[str, Any]]] = {
    "GetLoadState": {"state": 3},
    "GetLoadingProgress": {"progress": 100},
    "DescribeIndex": {"index_descriptions": [_INDEX]},
    "GetCollectionStatistics": {"stats": _STATS},
    "GetPartitionStatistics": {"stats": _STATS},
    "ShowPartitions": {"partition_names": ["_default", "p1"], "partitionIDs": [1, 2]},
    "HasPartition": {"value": True},
    "ManualCompaction": {"compactionID": 7},
    "GetCompactionState": {"state": 2, "completedPlanNo": 5},
    "Insert": {"insert_cnt": 2, "IDs": {"int_id": {"data": [1, 2]}}},
    "Upsert": {"upsert_cnt": 2, "IDs": {"int_id": {"data": [1, 2]}}},
    "Delete": {"delete_cnt": 3},
    "Search": {
        "results": {"num_queries": 1, "top_k": 1, "topks": [1], "scores": [0.5], "ids": {"int_id": {"data": [4]}}}
    },
    "DescribeDatabase": {"dbID": 5},
    "RestoreExternalSnapshot": {"job_id": 7},
    "ExportSnapshot": {"job_id": 7, "snapshot_metadata_uri": "s3://resource"},
    "GetRestoreSnapshotState": {"info": _JOB},
    "ListRestoreSnapshotJobs": {"jobs": [_JOB]},
    "RefreshExternalCollection": {"job_id": 7},
    "GetRefreshExternalCollectionProgress": {"job_info": _JOB},
    "ListRefreshExternalCollectionJobs": {"jobs": [_JOB]},
    "ListResourceGroups": {"resource_groups": ["rg"]},
    "DescribeResourceGroup": {"resource_group": _GROUP},
    "RunAnalyzer": {"results": [{"tokens": [{"token": "told"}]}]},
    "ListFileResources": {"resources": [{"id": 7, "name": "resource", "path": "s3://resource"}]},
}
_ANSWERS: Final = {**_RESPONSES, "HybridSearch": _RESPONSES["Search"]}

_ABOUT_WHAT_THERE_IS: Final = frozenset(
    {
        "ListDatabases",
        "CreateDatabase",
        "DropDatabase",
        "CreateCollection",
        "DropCollection",
        "HasCollection",
        "DescribeCollection",
        "ShowCollections",
        "RenameCollection",
        "CreateAlias",
        "AlterAlias",
        "DropAlias",
        "ListAliases",
        "DescribeAlias",
    }
)
"""What the fake engine does by itself."""

_TROUBLES: Final[Mapping[str, Callable[[str], KitewardError]]] = {
    random_values.LACKING: lambda method: EngineLacksOperation(f"the engine does not implement {method}"),
    random_values.AWAY: lambda _: EngineUnavailable("the engine is away"),
    random_values.LATE: lambda _: EngineDeadlineExceeded("the engine is late"),
}


class PopulatedEngine(FakeEngine):
    """The fake engine with contents."""

    def __init__(self) -> None:
        super().__init__()
        self.reset_contents()

    def reset_contents(self) -> None:
        """Restore the initial objects, as a change from outside the server would."""
        self.databases.clear()
        for name in random_values.DATABASES:
            aliases = dict(random_values.ALIASES[name])
            self.databases[name] = Database([*random_values.COLLECTIONS, *random_values.TROUBLES], aliases)
        self.databases[random_values.EMPTY_DATABASE] = Database()
        self.restart()

    def contents(self) -> Mapping[str, tuple[list[str], dict[str, str]]]:
        """Return what there is, to be compared."""
        return {name: (held.collections, held.aliases) for name, held in self.databases.items()}

    def _answer(self, called: EngineCall) -> bytes:
        method = called.method
        if method == "DescribeCollection":
            return _with_schema(super()._answer(called))
        if method in _ABOUT_WHAT_THERE_IS:
            return super()._answer(called)
        request = called.request
        database = getattr(request, "db_name", "") or called.metadata.get("dbname") or DEFAULT_DATABASE
        held = self.databases.get(database, Database())
        for name in _collections(request):
            if name not in held.collections:
                return _failure(method, _NO_COLLECTION, f"collection not found[collection={name}]")
            if name in _TROUBLES:
                raise _TROUBLES[name](method)
            if name in (random_values.REFUSED, random_values.UNLUCKY):
                return _failure(method, _REFUSED, "the engine will not")
            if name == random_values.OLD_WORDS:
                return _failure(method, 0, "the engine will not, and knows no newer codes")
            if (method, name) == ("DescribeIndex", random_values.UNINDEXED):
                return _failure(method, _NO_INDEX, "index not found")
        return _answer_of(method, _found(request) if method == "Query" else _ANSWERS.get(method, {}))


def _answer_of(method: str, contents: Mapping[str, Any]) -> bytes:
    message = messages.method_of(method).response.FromString(messages.success(method))
    message.MergeFrom(messages.method_of(method).response(**contents))
    return bytes(message.SerializeToString())


def _found(request: Any) -> dict[str, Any]:
    """Return the rows that a query asks for by their keys, or how many they are; all rows for any other filter."""
    name, keys = "id", _selected(request.expr)
    if list(request.output_fields) == [_COUNT]:
        name, keys = _COUNT, [len(keys)]
    return {
        "output_fields": [name],
        "fields_data": [{"type": 5, "field_name": name, "scalars": {"long_data": {"data": keys}}}],
    }


def _selected(text: str) -> list[int]:
    try:
        tree = parse(text, Dialect.EMBEDDED) if text else Constant(True)
    except FilterSyntaxError:
        return list(_KEYS)
    operands = tree.operands if isinstance(tree, And) else (tree,)
    lists = [each for each in operands if isinstance(each, Constant) or _is_list_of_keys(each)]
    return [key for key in _KEYS if all(matches(each, {"id": key}) for each in lists)]


def _is_list_of_keys(operand: Expression) -> bool:
    return isinstance(operand, Membership) and operand.field == Field("id") and not operand.negated


def _failure(method: str, code: int, reason: str) -> bytes:
    return messages.failure(method, code=code, legacy_code=_UNEXPECTED, reason=reason)


def _with_schema(answer: bytes) -> bytes:
    message = messages.DescribeCollectionResponse.FromString(answer)
    if not message.status.code:
        message.MergeFrom(messages.DescribeCollectionResponse(schema=SCHEMA))
    return bytes(message.SerializeToString())


def _collections(request: Any) -> Iterable[str]:
    named = [getattr(request, "collection_name", ""), *getattr(request, "collection_names", ())]
    return [name for name in named if name]
