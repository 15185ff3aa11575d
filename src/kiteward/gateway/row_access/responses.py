"""Removes from responses what would say something about rows that their reader may not see, or about the policies."""

import re
from typing import Final

from kiteward.gateway.operations import RowUse
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2

_TOLD: Final = frozenset(
    {
        8,  # the rate limit is reached
        100,  # the collection does not exist
        101,  # it is not loaded
        103,  # its load is in progress
        106,  # no replica of it is available
        200,  # the partition does not exist
        700,  # there is no index
        800,  # the database does not exist
        6,  # Milvus Lite: an argument is wrong, found before any row is read
        1100,  # Milvus: the same
    }
)
"""Codes of failures whose texts are about the request or the collection. Texts of others may repeat values of rows."""

HIDDEN_FAILURE: Final = (
    "the engine could not answer; its message is not shown, because it may be about rows that you may not see"
)
"""The text of a failure whose own text is not shown."""

HIDDEN_FILTER: Final = (
    "the engine does not accept the filter; its message is not shown, because it repeats the row policies, which are "
    "joined with it"
)
"""The text of a failure whose own text repeats the filter within a line."""

_NO_CONDITION: Final = re.compile(r"^operands of 'and' must be boolean, got (?P<kind>\w+)$")
"""How Milvus Lite refuses a condition that is none, also where only the row policies are joined with it by `and`."""

_NO_CONDITION_TOLD: Final = (
    r"a condition of the filter must be true or false, and one is a value of type \g<kind>: compare it, as `n == 1`"
)

_COLUMN: Final = re.compile(r" at column \d+$")
_REPEATED: Final = re.compile(r"\bexpr", re.IGNORECASE)
"""How Milvus announces the filter that it repeats: `cannot parse expression: `, `invalid expression: `."""

_OF_SEARCHES: Final = ("all_search_count", "recalls", "agg_buckets", "agg_topks", "highlight_results")
_COUNTS: Final = ("indexed_rows", "total_rows", "pending_index_rows")


def shown(method: str, answer: bytes, use: RowUse) -> bytes:
    """Return a response as a caller may see it who does not bypass the row policies of the collection.

    Args:
        method: the RPC.
        answer: the engine's response.
        use: what the RPC does with rows: FILTERED or COUNTS.

    Raises:
        EngineResponseUnreadable: it is no response of that RPC.
    """
    message = messages.read_response(messages.method_of(method).response, answer)
    message.DiscardUnknownFields()
    _tell_status(message)
    if use is RowUse.COUNTS:
        _clear_counts(message)
    elif isinstance(message, messages.SearchResults):
        _tell_search(message)
    return bytes(message.SerializeToString())


def _tell_status(message: messages.ProtocolMessage) -> None:
    """Replace the text of a failure, and remove further facts, such as how much was read."""
    status: messages.Status = getattr(message, "status")  # noqa: B009  every response that is given here has one
    status.ClearField("extra_info")
    code = status.code or status.error_code
    if not code:
        return
    for name in ("reason", "detail"):
        text = _without_filter(getattr(status, name)) if code in _TOLD else HIDDEN_FAILURE
        setattr(status, name, text)


def _without_filter(text: str) -> str:
    """Return a text about a request without the filter that was forwarded, because policies are a part of it.

    Milvus Lite shows it in the lines after the first, with a position in it.
    """
    if _REPEATED.search(text):
        return HIDDEN_FILTER
    first, shown_filter, _ = text.partition("\n")
    told = _COLUMN.sub("", first) if shown_filter else text
    return _NO_CONDITION.sub(_NO_CONDITION_TOLD, told)


def _tell_search(message: milvus_pb2.SearchResults) -> None:
    """Remove what depends on the number of all rows: the sizes of pages, and the form of a page that is empty."""
    results = message.results
    for name in _OF_SEARCHES:
        results.ClearField(name)
    results.top_k = max(results.topks, default=0)
    if results.HasField("search_iterator_v2_results") and not any(results.topks):
        page = results.search_iterator_v2_results
        message.results.CopyFrom(
            type(results)(
                num_queries=1,
                topks=[0],
                search_iterator_v2_results=type(page)(token=page.token, last_bound=page.last_bound),
            )
        )


def _clear_counts(message: messages.ProtocolMessage) -> None:
    for holder in (message, *getattr(message, "index_descriptions", ())):
        for name in _COUNTS:
            if name in holder.DESCRIPTOR.fields_by_name:
                holder.ClearField(name)
        for name in ("index_state_fail_reason", "fail_reason"):
            if getattr(holder, name, ""):
                setattr(holder, name, HIDDEN_FAILURE)
