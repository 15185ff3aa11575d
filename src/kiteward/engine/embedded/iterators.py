"""Search iterators of the second kind, which Milvus Lite lacks: pages of a search, requested by their position.

A client sends the number `last_bound` of one page with the next, and keeps the token of the first for all. Milvus puts
the last distance there. Distances do not tell rows at the same distance apart, so here the position is put there.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from milvus_lite.exceptions import SchemaValidationError
from pymilvus.grpc_gen import common_pb2, milvus_pb2

from kiteward.engine.embedded.exact_search import EXACT

_ITERATOR: Final = "search_iter_v2"
_LAST_BOUND: Final = "search_iter_last_bound"
_TOKEN: Final = "position"  # noqa: S105  what clients call a token is the kind of iterator
_LAST_POSITION: Final = 2**24
"""The bound travels as a 32-bit float, which holds every whole number up to here."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of an iterator's search.

    Attributes:
        start: the position of its first row.
        size: how many rows it holds at most; none beyond the collection's last.
    """

    start: int
    size: int


def page_of(search: milvus_pb2.SearchRequest, rows: Callable[[], int]) -> Page | None:
    """Return the page that a search asks for, or None where no iterator asks.

    Args:
        search: the request.
        rows: counts the collection's rows. Milvus Lite is asked for no more, because it allocates their memory first.

    Raises:
        SchemaValidationError: the position is not valid.
    """
    given = _parameters(search)
    if str(given.get(_ITERATOR, "")).lower() != "true":
        return None
    try:
        start = float(given.get(_LAST_BOUND) or 0)
        size = int(given.get("topk") or 0)
    except (TypeError, ValueError):
        start, size = -1.0, 0
    if not start.is_integer() or not 0 <= start <= _LAST_POSITION or size < 0:
        raise SchemaValidationError(f"invalid {_LAST_BOUND}: expected the value that the previous page returned")
    return Page(int(start), max(0, min(size, rows() - int(start))))


def narrow(search: milvus_pb2.SearchRequest, page: Page) -> None:
    """Set offset and limit of a search to those of its page.

    It may miss no row: an index finds other rows for a larger limit, so that pages would repeat and miss some.
    """
    asked = {
        "topk": max(page.size, 1),
        "offset": page.start if page.size else 0,
        "params": json.dumps({**_nested(search), EXACT: True}),
    }
    kept = [pair for pair in search.search_params if pair.key not in asked]
    del search.search_params[:]
    search.search_params.extend(kept)
    search.search_params.extend(common_pb2.KeyValuePair(key=key, value=str(value)) for key, value in asked.items())


def finish(response: milvus_pb2.SearchResults, page: Page) -> None:
    """Put into an answer where the next page begins; a page beyond the last row is empty."""
    if not page.size:
        response.results.Clear()
        response.results.num_queries = 1
        response.results.topks.append(0)
    found = sum(response.results.topks)
    response.results.search_iterator_v2_results.token = _TOKEN
    response.results.search_iterator_v2_results.last_bound = page.start + found


def _parameters(search: milvus_pb2.SearchRequest) -> Mapping[str, Any]:
    """Return the parameters of a search, those within `params` among them, where Node puts an iterator's."""
    return {**_nested(search), **{pair.key: pair.value for pair in search.search_params}}


def _nested(search: milvus_pb2.SearchRequest) -> Mapping[str, Any]:
    """Return the parameters within `params`."""
    text = next((pair.value for pair in search.search_params if pair.key == "params"), "")
    try:
        nested = json.loads(text or "{}")
    except ValueError:
        return {}
    return nested if isinstance(nested, dict) else {}
