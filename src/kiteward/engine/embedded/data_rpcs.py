"""RPCs about rows: inserting, replacing, deleting, querying and searching them."""

from collections.abc import Iterable

from google.protobuf.message import Message
from milvus_lite.adapter.grpc.servicer import MilvusServicer
from milvus_lite.exceptions import PartitionNotFoundError, SchemaValidationError
from pymilvus.grpc_gen import common_pb2, milvus_pb2

from kiteward.engine.embedded import iterators
from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.collection import ServedCollection
from kiteward.engine.embedded.filters import filled_in
from kiteward.engine.embedded.indexes import search_parameters_without_tuning
from kiteward.engine.embedded.metadata import next_timestamp
from kiteward.engine.embedded.parameters import TRUE, hybrid_refusal, query_refusal, search_refusal
from kiteward.engine.embedded.read_view import load_state_taken_for
from kiteward.engine.embedded.responses import answering, invalid_parameter, success


class DataServicer(MilvusServicer):  # type: ignore[misc]  # milvus_lite carries no types
    """Milvus Lite's RPCs about rows, with what it would ignore heeded or refused."""

    @answering(milvus_pb2.MutationResult)
    def Insert(self, request: milvus_pb2.InsertRequest, context: CallContext) -> milvus_pb2.MutationResult:
        """Insert as Milvus Lite does, and return the timestamp."""
        return _dated(self._without_rows(request, context) or super().Insert(request, context))

    @answering(milvus_pb2.MutationResult)
    def Upsert(self, request: milvus_pb2.UpsertRequest, context: CallContext) -> milvus_pb2.MutationResult:
        """Replace rows, and return the timestamp. Milvus Lite always keeps the values that a row does not name."""
        if request.partial_update:
            return _dated(self._without_rows(request, context) or super().Upsert(request, context))
        # An insert of a key that exists replaces the row.
        response = self.Insert(
            milvus_pb2.InsertRequest(
                db_name=request.db_name,
                collection_name=request.collection_name,
                partition_name=request.partition_name,
                fields_data=request.fields_data,
                num_rows=request.num_rows,
            ),
            context,
        )
        response.upsert_cnt, response.insert_cnt = response.insert_cnt, 0
        return response

    @answering(milvus_pb2.QueryResults)
    def Query(self, request: milvus_pb2.QueryRequest, context: CallContext) -> milvus_pb2.QueryResults:
        """Query as Milvus Lite does, with the filter's templates filled in, in the partitions and page it asks for."""
        request.expr = filled_in(request.expr, request.expr_template_values)
        refusal = query_refusal(request)
        if refusal:
            return milvus_pb2.QueryResults(status=invalid_parameter(refusal))
        self.require_partitions(request, context)
        if request.partition_names and not request.expr:
            # Without a filter Milvus Lite counts the rows of every partition.
            request.expr = "true"
        self._make_pages_heeded(request, context)
        response: milvus_pb2.QueryResults = super().Query(request, context)
        return response

    @answering(milvus_pb2.MutationResult)
    def Delete(self, request: milvus_pb2.DeleteRequest, context: CallContext) -> milvus_pb2.MutationResult:
        """Delete as Milvus Lite does, without marking the collection loaded for everyone meanwhile.

        The answer counts and lists nothing, as Milvus' does: clients take a list of keys for another kind of answer.
        """
        request.expr = filled_in(request.expr, request.expr_template_values)
        if not request.expr.strip():
            return milvus_pb2.MutationResult(status=invalid_parameter("invalid expression: a delete needs a filter"))
        with load_state_taken_for("loaded"):
            if request.partition_name:
                collection = self._get_collection(request, context)
                require_partitions(collection, [request.partition_name])
                deleted = collection.delete_matching(request.expr, request.partition_name)
                return _dated(milvus_pb2.MutationResult(status=success(), delete_cnt=deleted))
            response = super().Delete(request, context)
        response.ClearField("IDs")
        return _dated(response)

    @answering(milvus_pb2.SearchResults)
    def Search(self, request: milvus_pb2.SearchRequest, context: CallContext) -> milvus_pb2.SearchResults:
        """Search as Milvus Lite does, within the window that Milvus allows; for an iterator, page by page."""
        page = iterators.page_of(request, lambda: self._get_collection(request, context).num_entities)
        refusal = search_refusal(request)
        if refusal:
            return milvus_pb2.SearchResults(status=invalid_parameter(refusal))
        self.require_partitions(request, context)
        self._require_metric(request, self._get_collection(request, context))
        _prepare(request)
        if page is not None:
            iterators.narrow(request, page)
        response: milvus_pb2.SearchResults = super().Search(request, context)
        if not response.status.code:
            response.session_ts = next_timestamp()
            if page is not None:
                iterators.finish(response, page)
        return response

    @answering(milvus_pb2.SearchResults)
    def HybridSearch(self, request: milvus_pb2.HybridSearchRequest, context: CallContext) -> milvus_pb2.SearchResults:
        """Search as Milvus Lite does, within the window that Milvus allows, in each part and as a whole."""
        refusal = hybrid_refusal(request)
        if refusal:
            return milvus_pb2.SearchResults(status=invalid_parameter(refusal))
        self.require_partitions(request, context)
        collection = self._get_collection(request, context)
        for part in request.requests:
            require_partitions(collection, part.partition_names)
            self._require_metric(part, collection)
            _prepare(part)
        response: milvus_pb2.SearchResults = super().HybridSearch(request, context)
        _round(response, request.rank_params)
        return response

    def require_partitions(self, request: Message, context: CallContext) -> None:
        """Require that the partitions that a request names exist. See `require_partitions`."""
        names = getattr(request, "partition_names")  # noqa: B009  every request that this is called with has them
        if names:
            require_partitions(self._get_collection(request, context), names)

    @staticmethod
    def _require_metric(search: milvus_pb2.SearchRequest, collection: ServedCollection) -> None:
        """Require that a search names the metric of the index that it uses. Milvus Lite returns scores of neither.

        Raises:
            SchemaValidationError: it names another.
        """
        given = {pair.key: pair.value for pair in search.search_params}
        asked, field = given.get("metric_type", ""), given.get("anns_field", "")
        metrics = {
            record.field_name: record.parameters["metric_type"]
            for record in collection.index_records()
            if record.parameters.get("metric_type")
        }
        metric = metrics.get(field, "") if field or len(metrics) != 1 else next(iter(metrics.values()))
        if asked and metric and asked.upper() != metric.upper():
            raise SchemaValidationError(f"metric type not match: expected={metric}, actual={asked[:20]}")

    def _without_rows(
        self, request: milvus_pb2.InsertRequest | milvus_pb2.UpsertRequest, context: CallContext
    ) -> milvus_pb2.MutationResult | None:
        """Return the refusal of a write that says it has no rows; Milvus Lite would write none of those it has."""
        if request.num_rows:
            return None
        self._get_collection(request, context)
        return milvus_pb2.MutationResult(status=invalid_parameter("num_rows should be greater than 0"))

    def _make_pages_heeded(self, request: milvus_pb2.QueryRequest, context: CallContext) -> None:
        """Make Milvus Lite heed limit and offset for a list of keys, which it otherwise looks up one by one."""
        keys = {pair.key for pair in request.query_params}
        if keys.isdisjoint(("limit", "offset")) or "iterator" in keys:
            return
        if self._extract_pks_from_expr(request.expr, self._get_collection(request, context)) is not None:
            request.query_params.add(key="iterator", value="False")


def require_partitions(collection: ServedCollection, names: Iterable[str]) -> None:
    """Require that partitions exist.

    Raises:
        PartitionNotFoundError: one does not.
    """
    for name in names:
        if not collection.has_partition(name):
            raise PartitionNotFoundError(f"partition not found[partition={name}]")


def _round(response: milvus_pb2.SearchResults, parameters: Iterable[common_pb2.KeyValuePair]) -> None:
    """Round the scores of a response as the parameters, which have been checked, ask."""
    digits = int(next((pair.value for pair in parameters if pair.key == "round_decimal"), None) or -1)
    if digits >= 0:
        response.results.scores[:] = [round(score, digits) for score in response.results.scores]


def _dated(response: milvus_pb2.MutationResult) -> milvus_pb2.MutationResult:
    """Return the answer of a change with the time at which it was made."""
    if not response.status.code:
        response.timestamp = next_timestamp()
    return response


def _prepare(search: milvus_pb2.SearchRequest) -> None:
    """Fill in a search's templates, and remove parameters that tune an approximation that this engine does not make.

    Milvus Lite takes every text for true that JSON does not read as false, as the `False` of clients.
    """
    search.dsl = filled_in(search.dsl, search.expr_template_values)
    for pair in search.search_params:
        if pair.key == "params":
            pair.value = search_parameters_without_tuning(pair.value)
        elif pair.key == "strict_group_size":
            pair.value = "true" if pair.value in TRUE else "false"
