"""HTTP/2 sessions without I/O: frames, HPACK, flow control and the rules of RFC 9113, by libnghttp2.

The only module that imports `ngh2`, the binding of libnghttp2. Its tests are the contract with that library: what both
ends of a connection rely on, and which fault of a peer ends a stream and which one the connection.
"""

from typing import Final

from ngh2 import (
    Configuration,
    Connection,
    ConnectionClosed,
    DataReceived,
    DenialOfServiceError,
    ErrorCode,
    Event,
    GoAwayReceived,
    NeverIndexedHeader,
    PingAcknowledged,
    PingReceived,
    Priority,
    RequestReceived,
    ResponseReceived,
    Role,
    Setting,
    SettingsAcknowledged,
    SettingsReceived,
    StreamClosed,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from ngh2 import NGH2Error as SessionError

__all__ = [
    "Configuration",
    "Connection",
    "ConnectionClosed",
    "DataReceived",
    "DenialOfServiceError",
    "ErrorCode",
    "Event",
    "GoAwayReceived",
    "NeverIndexedHeader",
    "PingAcknowledged",
    "PingReceived",
    "Priority",
    "RequestReceived",
    "ResponseReceived",
    "Role",
    "SessionError",
    "Setting",
    "SettingsAcknowledged",
    "SettingsReceived",
    "StreamClosed",
    "StreamReset",
    "TrailersReceived",
    "WindowUpdated",
]

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""The first bytes of every client (RFC 9113, 3.4)."""

DEFAULT_WINDOW: Final = 65_535
"""Bytes of a flow-control window until it is changed (RFC 9113, 6.9.2)."""

Header = tuple[bytes, bytes]
"""Name and value of a field."""
