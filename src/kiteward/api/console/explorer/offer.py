"""What the forms of the explorer offer: the types of fields, of indexes and the metrics that the engine in use has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from kiteward.milvus.collection_fields import DataType, Field

AUTOINDEX: Final = "AUTOINDEX"
_SIMILAR: Final = ("COSINE", "L2", "IP")
_BM25: Final = "BM25"


@dataclass(frozen=True, slots=True)
class Searched:
    """How vectors of one type can be searched.

    Attributes:
        indexes: the types of index, the usual one first.
        metrics: the metrics, the usual one first.
    """

    indexes: Sequence[str]
    metrics: Sequence[str]


@dataclass(frozen=True, slots=True)
class Offer:
    """What an engine can do.

    Attributes:
        vectors: type of a vector, as the protocol names it -> how it can be searched.
    """

    vectors: Mapping[str, Searched]

    @property
    def indexes(self) -> list[str]:
        """The types of index of any vector, each once."""
        return list(dict.fromkeys(name for each in self.vectors.values() for name in each.indexes))

    @property
    def metrics(self) -> list[str]:
        """The metrics of any vector, each once."""
        return list(dict.fromkeys(name for each in self.vectors.values() for name in each.metrics))

    def metrics_of(self, field: Field) -> Sequence[str]:
        """Return the metrics that a field without a known index may be searched with."""
        if field.text:
            return (_BM25,)
        found = self.vectors.get(DataType(field.kind).name)
        return found.metrics if found is not None else ()


_DENSE: Final = Searched((AUTOINDEX, "FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8", "DISKANN"), _SIMILAR)
_SPARSE: Final = Searched((AUTOINDEX, "SPARSE_INVERTED_INDEX"), ("IP",))

MILVUS: Final = Offer(
    MappingProxyType(
        {
            "FloatVector": _DENSE,
            "Float16Vector": _DENSE,
            "BFloat16Vector": _DENSE,
            "Int8Vector": Searched((AUTOINDEX, "HNSW"), _SIMILAR),
            "BinaryVector": Searched((AUTOINDEX, "BIN_FLAT", "BIN_IVF_FLAT"), ("HAMMING", "JACCARD")),
            "SparseFloatVector": _SPARSE,
        }
    )
)
"""A remote Milvus."""

EMBEDDED: Final = Offer(
    MappingProxyType(
        {
            "FloatVector": Searched((AUTOINDEX, "FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8"), _SIMILAR),
            "SparseFloatVector": _SPARSE,
        }
    )
)
"""The embedded engine. It takes further names of indexes for the sake of programs, and builds another one for them."""


def offer_of(*, embedded: bool) -> Offer:
    """Return what the engine in use can do."""
    return EMBEDDED if embedded else MILVUS
