"""Replaces the model providers that Milvus Lite would call (decision 0026)."""

from collections.abc import Mapping, Sequence
from typing import Any

import milvus_lite.embedding.factory
import milvus_lite.rerank.factory
from milvus_lite.embedding.protocol import EmbeddingProvider
from milvus_lite.exceptions import SchemaValidationError
from milvus_lite.rerank.protocol import RerankProvider


class ClosedProvider(EmbeddingProvider, RerankProvider):  # type: ignore[misc]  # milvus_lite carries no types
    """A provider that is never called.

    A collection of an earlier version may hold an embedding function, with an address and a key that a caller chose. It
    opens, and answers whatever needs no embedding.
    """

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        """Accept the parameters of a provider, and keep none of them."""

    @property
    def dimension(self) -> int:
        """Raise `SchemaValidationError`: only a provider knows its dimension."""
        raise _closed()

    def embed_documents(self, _texts: Sequence[str]) -> Any:
        """Raise `SchemaValidationError`: providers are not called."""
        raise _closed()

    def embed_query(self, _text: str) -> Any:
        """Raise `SchemaValidationError`: providers are not called."""
        raise _closed()

    def rerank(self, _query: str, _documents: Sequence[str], **_how: Any) -> Any:
        """Raise `SchemaValidationError`: providers are not called."""
        raise _closed()


def close_providers() -> None:
    """Make Milvus Lite build closed providers for the whole process."""
    milvus_lite.embedding.factory.create_embedding_provider = ClosedProvider
    milvus_lite.rerank.factory.create_rerank_provider = ClosedProvider


def _closed() -> SchemaValidationError:
    return SchemaValidationError("functions that call a provider are not supported")
