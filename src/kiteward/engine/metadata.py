"""Which metadata of a call is forwarded to the engine. Everything that is not named here is dropped."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

TRACE_KEYS: Final = frozenset({"traceparent", "tracestate"})
"""Which trace a call belongs to. Where tracing is on, the engine gets our span instead of the caller's."""

REQUEST_ID: Final = "kiteward-request-id"
"""The request that a call belongs to, for the log of the engine's process; set by us, never taken from a caller."""

ALLOWED_KEYS = frozenset(
    {
        "dbname",
        "client-request-id",
        "client_request_id",
        "client-request-unixmsec",
        *TRACE_KEYS,
    }
)

_TRACE_PARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_LONGEST_STATE: Final = 512


def allowed(metadata: Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """Return the part of a caller's metadata that an engine may see.

    The engine trusts us, not the caller: the caller's `authorization`, `sourceid` or anything unknown would make us a
    confused deputy. Of a repeated key the first value counts, as in Milvus. Binary values and values that gRPC could
    not carry are left out, and so is a trace that is not as W3C's Trace Context has it.

    Args:
        metadata: pairs in the order they came, or a mapping; keys in any case.

    Returns:
        Lower-case keys from `ALLOWED_KEYS` with printable ASCII values.
    """
    pairs = metadata.items() if isinstance(metadata, Mapping) else metadata
    kept: dict[str, str] = {}
    for key, value in pairs:
        name = key.lower()
        if name in ALLOWED_KEYS and name not in kept and isinstance(value, str) and is_metadata_text(value):
            kept[name] = value
    drop_malformed_trace(kept)
    return kept


def drop_malformed_trace(metadata: dict[str, str]) -> None:
    """Remove a trace that is not as W3C's Trace Context has it. Keys are in lower case."""
    parent, state = metadata.get("traceparent"), metadata.get("tracestate", "")
    if parent is None:
        metadata.pop("tracestate", None)
    elif not _TRACE_PARENT.fullmatch(parent) or len(state) > _LONGEST_STATE:
        for name in TRACE_KEYS:
            metadata.pop(name, None)


def is_metadata_text(value: str) -> bool:
    """Return whether gRPC can carry a text as a value of metadata."""
    return value.isascii() and value.isprintable()
