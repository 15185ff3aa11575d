"""Rewrites reads of a collection with row policies, so that they find only rows that the caller may see.

The caller's filter is parsed by the grammar of the engine, its templates are replaced by values, and the request gets a
filter that is written from both trees: `(policy) and (filter)`. No text of the request reaches the engine as a filter.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kiteward.authz.row_policies import BoundRule
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied
from kiteward.engine.base import Engine
from kiteward.filters import (
    Constant,
    Dialect,
    Expression,
    Field,
    ListOf,
    Literal,
    Membership,
    TemplateValue,
    conjoin,
    fill,
    parse,
    write,
)
from kiteward.gateway.row_access.read_rules import check_read, refused
from kiteward.gateway.row_access.stored_rows import StoredRows
from kiteward.milvus import messages
from kiteward.milvus.messages import common_pb2, schema_pb2

_SCALARS: Final = frozenset({"bool_val", "int64_val", "float_val", "string_val"})
_LISTS: Final = frozenset({"bool_data", "long_data", "double_data", "string_data"})
_COUNT: Final = "count(*)"


@dataclass(frozen=True, slots=True)
class _Part:
    """A message with a filter: the request, or a search in it.

    Attributes:
        message: the message; its filter is overwritten.
        filter: the caller's filter; None for none.
    """

    message: Any
    filter: Expression | None

    def select(self, policy: Expression, dialect: Dialect) -> None:
        """Write the filter that joins the policy and the caller's."""
        both = conjoin(policy, self.filter)
        # Without a filter, Milvus finds all rows; it has no filter that says so.
        text = "" if dialect is Dialect.MILVUS and both == Constant(True) else write(both, dialect)
        if isinstance(self.message, messages.QueryRequest):
            self.message.expr = text
        else:
            self.message.dsl = text
            self.message.dsl_type = common_pb2.DslType.BoolExprV1
        self.message.ClearField("expr_template_values")


@dataclass(frozen=True, slots=True)
class FilteredRead:
    """A read that was checked and whose filters are parsed, with the rows that its caller may see.

    Attributes:
        message: the request.
        parts: what has a filter in it.
        rule: the rows that the caller may see.
        ids: the keys of rows whose vectors are searched for, each once.
    """

    message: messages.ProtocolMessage
    parts: tuple[_Part, ...]
    rule: BoundRule
    ids: tuple[int | str, ...]

    @classmethod
    def of(cls, method: str, payload: bytes, rule: BoundRule, *, dialect: Dialect) -> "FilteredRead":
        """Check a read and parse its filters.

        Args:
            method: Query, Search or HybridSearch.
            payload: the request, aliases resolved.
            rule: the rows that the caller may see.
            dialect: the engine's language of filters.

        Raises:
            PayloadMalformed: it is no message of that type.
            AccessDenied: it contains something that is not accepted in such reads.
            FilterSyntaxError: a filter cannot be parsed, or a template has no value.
        """
        message = messages.decode(method, payload)
        check_read(message)
        parts = tuple(_Part(each, _filter_of(each, dialect)) for each in _with_filters(message))
        return cls(message, parts, rule, tuple(dict.fromkeys(_ids_of(message))))

    def needs_primary_key(self, dialect: Dialect) -> bool:
        """Return whether `payload` needs the name of the primary key: Milvus has no filter that is always false."""
        return bool(self.ids) or (dialect is Dialect.MILVUS and self.rule.expression == Constant(False))

    def payload(self, dialect: Dialect, *, primary_key: str = "") -> bytes:
        """Return the request to forward.

        Args:
            dialect: the engine's language of filters.
            primary_key: the name of the primary key, where `needs_primary_key`.

        Raises:
            FilterSyntaxError: the joined filter is too long, or nested too deep.
        """
        policy = self.rule.expression
        if dialect is Dialect.MILVUS and policy == Constant(False):
            policy = Membership(Field(primary_key), ListOf(()))
        for part in self.parts:
            part.select(policy, dialect)
        return bytes(self.message.SerializeToString())


class FilteredReads:
    """Prepares filtered reads for an engine."""

    def __init__(self, engine: Engine, dialect: Dialect) -> None:
        self._engine = engine
        self._dialect = dialect

    async def payload(
        self, read: FilteredRead, *, database: str, collection: str, metadata: Mapping[str, str], timeout: float | None
    ) -> bytes:
        """Return the request to forward, after the rows whose vectors are searched for have been found to be visible.

        Args:
            read: the read.
            database: the resolved database.
            collection: the collection, aliases resolved.
            metadata: what is sent to the engine with the request.
            timeout: seconds until the caller's deadline; None for no deadline.

        Raises:
            AccessDenied: an id is not that of a row that the caller may see.
            EngineError: the engine does not answer as it should.
        """
        if not read.needs_primary_key(self._dialect):
            return read.payload(self._dialect)
        stored = StoredRows(self._engine, self._dialect, database, collection)
        key = (await stored.fields(timeout=timeout)).key.name
        if read.ids:
            wanted = Membership(Field(key), ListOf(tuple(Literal(each) for each in read.ids)))
            request = messages.QueryRequest(db_name=database, collection_name=collection, output_fields=[_COUNT])
            counting = FilteredRead(request, (_Part(request, wanted),), read.rule, ())
            question = counting.payload(self._dialect, primary_key=key)
            answer = await self._engine.call("Query", question, metadata=metadata, timeout=timeout)
            if _counted(messages.read_response(messages.QueryResults, answer)) != len(read.ids):
                raise _not_visible()
        return read.payload(self._dialect, primary_key=key)


def _not_visible() -> AccessDenied:
    return AccessDenied(
        "the ids to search by must be those of rows that you may see",
        ErrorDetail(ErrorCode.ROW_POLICIES_IDS_NOT_VISIBLE),
    )


def _counted(results: messages.QueryResults) -> int:
    """Return the number of rows that were counted; -1 if the engine has reported a failure."""
    if results.status.code or results.status.error_code:
        return -1
    counts = [count for column in results.fields_data for count in column.scalars.long_data.data]
    return counts[0] if len(counts) == 1 else -1


def _with_filters(message: Any) -> Iterator[Any]:
    """Yield the messages in a request that have a filter."""
    if isinstance(message, messages.HybridSearchRequest):
        searches = list(message.requests)
    else:
        yield message
        searches = [message] if isinstance(message, messages.SearchRequest) else []
    for search in searches:
        if search is not message:
            yield search
        yield from search.sub_reqs


def _ids_of(message: Any) -> Iterator[int | str]:
    for search in message.requests if isinstance(message, messages.HybridSearchRequest) else (message,):
        if isinstance(search, messages.SearchRequest) and search.HasField("ids"):
            yield from search.ids.int_id.data
            yield from search.ids.str_id.data


def _filter_of(message: Any, dialect: Dialect) -> Expression | None:
    """Return the filter of a message with the values of its templates, or None if it is blank."""
    text = message.expr if isinstance(message, messages.QueryRequest) else message.dsl
    if not text.strip():
        return None
    if not isinstance(message, messages.QueryRequest) and message.dsl_type != common_pb2.DslType.BoolExprV1:
        raise refused("dsl_type", "a `dsl_type` other than BoolExprV1")
    return fill(parse(text, dialect), template_values(message))


def template_values(message: Any) -> Mapping[str, TemplateValue]:
    """Return the values that a message has for the templates of its filter.

    Raises:
        AccessDenied: one is of a type that no filter can hold.
    """
    return {name: _value_of(name, value) for name, value in message.expr_template_values.items()}


def _value_of(name: str, value: schema_pb2.TemplateValue) -> TemplateValue:
    kind = value.WhichOneof("val")
    if kind in _SCALARS:
        scalar: TemplateValue = getattr(value, str(kind))
        return scalar
    held = value.array_val.WhichOneof("data") if kind == "array_val" else None
    if kind != "array_val" or held not in (*_LISTS, None):
        raise refused(name[:64], f"the value of the template `{name[:64]}`, which no filter can hold")
    return [] if held is None else list(getattr(value.array_val, held).data)
