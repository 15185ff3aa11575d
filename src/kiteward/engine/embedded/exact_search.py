"""Searches that may miss no row: with a filter, with an inner bound of a range, page by page.

An index of Milvus Lite finds fewer rows the fewer a filter leaves. FAISS walks a graph as if there were no filter and
ends after `ef` rows, most of which the filter has left out; of an IVF index it reads `nprobe` lists. Here such a search
compares the vectors of all rows that the filter leaves. That costs less for a row than Milvus Lite's own look at each
row, so that there is no share of rows from which on an index would be worth its errors (decision 0051).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import milvus_lite.engine.collection
import milvus_lite.index.factory
import milvus_lite.search.executor_indexed
import numpy as np
import numpy.typing as npt
from milvus_lite.engine.collection import _internal_distance_to_milvus_distance as scores_of
from milvus_lite.index.brute_force import BruteForceIndex
from milvus_lite.index.protocol import VectorIndex
from milvus_lite.storage.segment import Segment

EXACT: Final = "exact"
"""Among the parameters of a search: whether it may miss no row. Callers cannot give it: it is refused as unknown."""

_INNER: Final = "range_filter"
_AT_ONCE: Final = 2**22
"""How many numbers a temporary array holds at most, as far as one row or one vector does not need more."""

_EPSILON: Final = np.float32(2**-23)
_TINY: Final = np.float32(2**-126)
_SHORTEST: Final = np.float32(1e-12)
"""The length of a vector below which its square is imprecise with 32 bits."""

_Numbers = npt.NDArray[np.float32]
_Precise = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.int64]


def search_parameters(given: Mapping[str, Any] | None, *, filtered: bool, inner: float | None) -> dict[str, Any]:
    """Return the parameters with which the indexes are searched.

    Args:
        given: as the request has them.
        filtered: whether the request has a filter.
        inner: the better bound of a range, as a score; its rows are left out before the nearest are chosen.
    """
    exact = {EXACT: True, _INNER: inner} if filtered or inner is not None else {}
    return {**(given or {}), **exact}


class ExactIndex(BruteForceIndex):  # type: ignore[misc]  # milvus_lite carries no types
    """Compares a vector with every row.

    Distances are computed with 64 bits. Rows at the same distance are ordered by their positions, so that the answer
    for a limit is the beginning of the answer for a larger one.
    """

    __slots__ = ()

    def search(
        self,
        queries: _Numbers,
        top_k: int,
        valid_mask: npt.NDArray[np.bool_] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> tuple[_Rows, _Precise]:
        """Return the nearest rows of each vector, and their distances. See `VectorIndex.search`."""
        rows = np.arange(self.num_vectors) if valid_mask is None else np.flatnonzero(valid_mask)
        found = np.full((len(queries), top_k), -1, dtype=np.int64)
        distances = np.full((len(queries), top_k), np.inf)
        inner = (params or {}).get(_INNER)
        step = max(1, _AT_ONCE // max(1, len(rows)))
        for start in range(0, len(queries), step):
            asked = queries[start : start + step]
            products, lengths = self._products(asked, rows)
            for number, each in enumerate(products, start):
                lower, upper = self._bounds(queries[number], each, lengths)
                nearest, at = self._nearest(queries[number], rows, lower, upper, top_k, inner)
                found[number, : len(nearest)] = nearest
                distances[number, : len(nearest)] = at
        return found, distances

    def _nearest(
        self, query: _Numbers, rows: _Rows, lower: _Numbers, upper: _Numbers, top_k: int, inner: float | None
    ) -> tuple[_Rows, _Precise]:
        """Return the nearest rows of one vector, chosen among those whose bounds do not exclude that they are."""
        certain = upper
        if inner is not None:
            bound = {"L2": inner, "IP": -inner}.get(self.metric, 1 - inner)
            certain, possible = upper[lower >= bound], upper >= bound
            rows, lower = rows[possible], lower[possible]
        if len(certain) > top_k:
            rows = rows[lower <= np.partition(certain, top_k - 1)[top_k - 1]]
        distances = self._distances(query, rows)
        if inner is not None:
            scores = scores_of(distances, self.metric)
            within = scores >= inner if self.metric == "L2" else scores <= inner
            rows, distances = rows[within], distances[within]
        order = np.argsort(distances, kind="stable")[:top_k]
        return rows[order], distances[order]

    def _products(self, queries: _Numbers, rows: _Rows) -> tuple[_Numbers, _Numbers]:
        """Return the products of vectors and rows, and the rows' lengths, infinite if 32 bits cannot hold them."""
        products = np.empty((len(queries), len(rows)), dtype=np.float32)
        lengths = np.empty(len(rows), dtype=np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for part, held in self._blocks(rows):
                np.matmul(queries, held.T, out=products[:, part])
                lengths[part] = np.sqrt(np.vecdot(held, held))
        return products, lengths

    def _bounds(self, query: _Numbers, products: _Numbers, lengths: _Numbers) -> tuple[_Numbers, _Numbers]:
        """Return for each row the bounds of something that orders rows as their distances do.

        Products with 32 bits are fast and inexact. The bounds allow for their error, which is at most dimension x
        epsilon x the lengths of both vectors. Nothing bounds vectors whose length 32 bits do not hold.
        """
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            own = np.sqrt(np.vecdot(query, query))
            scale = lengths * own
            if self.metric == "L2":
                keys = np.square(lengths) + np.square(own) - 2 * products
                scale = np.square(lengths + own)
            elif self.metric == "IP":
                keys = -products
            else:
                keys = 1 - products / scale
                scale = np.where((lengths < _SHORTEST) | (own < _SHORTEST) | (scale == np.inf), np.float32(np.inf), 4)
            slack = np.float32(self.dim + 8) * (_EPSILON * scale + _TINY)
            lower, upper = keys - slack, keys + slack
        unknown = ~np.isfinite(slack)
        if unknown.any():
            lower[unknown], upper[unknown] = -np.inf, np.inf
        return lower, upper

    def _distances(self, query: _Numbers, rows: _Rows) -> _Precise:
        """Return the distances of rows, as Milvus Lite defines them: the smaller the nearer."""
        asked, found = query.astype(np.float64), np.empty(len(rows))
        for part, held in self._blocks(rows):
            precise = held.astype(np.float64)
            if self.metric == "L2":
                found[part] = np.sqrt(np.square(precise - asked).sum(axis=1))
                continue
            products = (precise * asked).sum(axis=1)
            if self.metric == "COSINE":
                lengths = np.sqrt(np.square(precise).sum(axis=1) * np.square(asked).sum())
                products = np.minimum(products / np.where(lengths == 0, 1, lengths), 1) - 1
            found[part] = -products
        return found

    def _blocks(self, rows: _Rows) -> Iterator[tuple[slice, _Numbers]]:
        """Yield the vectors of rows, in parts, each with its place among the rows."""
        step = max(1, _AT_ONCE // self.dim)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            yield part, self._vectors[part if len(rows) == self.num_vectors else rows[part]]


class ServedIndex:
    """An index of a segment for searches that may miss rows, and the rows themselves for all others."""

    __slots__ = ("_approximate", "_exact")

    def __init__(self, approximate: VectorIndex, exact: ExactIndex) -> None:
        self._approximate = approximate
        self._exact = exact

    def search(
        self,
        queries: _Numbers,
        top_k: int,
        valid_mask: npt.NDArray[np.bool_] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> tuple[_Rows, npt.NDArray[Any]]:
        """Return the nearest rows of each vector, and their distances. See `VectorIndex.search`."""
        index = self._exact if (params or {}).get(EXACT) else self._approximate
        found: tuple[_Rows, npt.NDArray[Any]] = index.search(queries, top_k, valid_mask, params)
        return found


class ServedSegment(Segment):  # type: ignore[misc]  # as above
    """A segment whose approximate indexes can be passed over."""

    __slots__ = ()

    def attach_index(self, index: VectorIndex, field_name: str | None = None) -> None:
        """Attach an index to a vector field, the first one for None."""
        if not isinstance(index, ExactIndex):
            vectors, _ = self.vector_data(field_name or self._vector_field)
            index = ServedIndex(index, ExactIndex.build(vectors, index.metric))
        super().attach_index(index, field_name)


def adopt() -> None:
    """Make Milvus Lite search exactly where it compares all rows, and where `search_parameters` asks for it."""
    milvus_lite.engine.collection.Segment = ServedSegment
    milvus_lite.index.factory.BruteForceIndex = ExactIndex
    milvus_lite.search.executor_indexed.BruteForceIndex = ExactIndex
