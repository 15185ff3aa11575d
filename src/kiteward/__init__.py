"""Kiteward: a secure Milvus endpoint."""

__version__ = "0.1.0"
