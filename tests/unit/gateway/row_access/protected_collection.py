"""A protected collection in memory, and an engine that has it."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from pymilvus.grpc_gen import common_pb2, milvus_pb2
from tests.unit.gateway.row_access import collections
from tests.unit.gateway.row_access.collections import Type, column

from kiteward.authz.row_policies import CompiledRowRules, PolicyType, ProtectedCollection, RowAction, RowPolicy
from kiteward.domain.identity import Principal
from kiteward.engine.base import EngineHealth
from kiteward.filters import Dialect, matches, parse

ANN = Principal("ann", roles=frozenset({"writer"}), tags={"team": "red"})
BOTH = (RowAction.INSERT, RowAction.UPSERT)
EVERYTHING = tuple(RowAction)
OWN = "owner == $current_principal"


def policy(
    using: str = OWN,
    check: str | None = None,
    *,
    name: str = "own",
    actions: Any = EVERYTHING,
    kind: str = "PERMISSIVE",
) -> RowPolicy:
    """Return a policy; without a second expression, of one for both."""
    return RowPolicy(
        name, PolicyType(kind), frozenset(actions), using_expr=using, check_expr=using if check is None else check
    )


def rules(*policies: RowPolicy, **facts: Any) -> CompiledRowRules:
    """Return the rules of the collection `docs`."""
    return CompiledRowRules.compile(
        ProtectedCollection(
            database="default",
            collection="docs",
            enabled=True,
            force=False,
            policies=tuple(policies or (policy(),)),
            **facts,
        )
    )


class CollectionEngine:
    """An engine with one collection of documents. It answers queries for keys, and takes what it is given.

    Attributes:
        rows: the stored rows by key.
        described: what it says of the collection.
        calls: the names and payloads of the calls that it has got.
        status: RPC -> the code of the failure that it answers with.
        copies: how many rows it has with each key.
        answers_empty: whether its answer without rows has columns.
        before: called before each answer, with the RPC's name.
    """

    generation = 1

    def __init__(self, *rows: Mapping[str, Any], **facts: Any) -> None:
        self.rows = {row["id"]: {"owner": "ann", "state": "draft", "readers": (), "level": 0, **row} for row in rows}
        self.described = collections.documents(**facts)
        self.calls: list[tuple[str, bytes]] = []
        self.status: dict[str, int] = {}
        self.copies = 1
        self.answers_empty = True
        self.before: Callable[[str], Any] = lambda _method: asyncio.sleep(0)

    def called(self, method: str) -> list[bytes]:
        """Return the payloads of the calls of one RPC."""
        return [payload for name, payload in self.calls if name == method]

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:  # noqa: ARG002
        """Answer a call. See `kiteward.engine.base.Engine.call`."""
        self.calls.append((method, payload))
        assert metadata["dbname"] == "default"
        await self.before(method)
        status = common_pb2.Status(code=self.status.get(method, 0))
        if method == "DescribeCollection":
            answer = milvus_pb2.DescribeCollectionResponse(status=status)
            answer.schema.CopyFrom(self.described.schema)
            return bytes(answer.SerializeToString())
        if method == "Query":
            return bytes(self._found(milvus_pb2.QueryRequest.FromString(payload), status).SerializeToString())
        return bytes(milvus_pb2.MutationResult(status=status).SerializeToString())

    def _found(self, request: milvus_pb2.QueryRequest, status: common_pb2.Status) -> milvus_pb2.QueryResults:
        assert request.consistency_level == common_pb2.ConsistencyLevel.Strong
        assert not request.query_params
        tree = parse(request.expr, Dialect.EMBEDDED)
        found = [row for row in self.rows.values() if matches(tree, row)]
        if list(request.output_fields) == ["count(*)"]:
            counted = column("count(*)", Type.Int64, [len(found) * self.copies])
            return milvus_pb2.QueryResults(status=status, fields_data=[counted])
        kinds = {each.name: each for each in self.described.schema.fields}
        columns = []
        for name in request.output_fields:
            values = [row[name] for row in found]
            given = ["" if value is None else value for value in values]
            columns.append(column(name, kinds[name].data_type, given, elements=kinds[name].element_type))
            if None in values:
                columns[-1].valid_data.extend(value is not None for value in values)
        return milvus_pb2.QueryResults(status=status, fields_data=columns if found or self.answers_empty else [])

    def health(self) -> EngineHealth:
        """Return that it is ready."""
        return EngineHealth(ready=True)

    async def close(self) -> None:
        """Do nothing."""
