"""HTTP/2 sessions without I/O: frames, HPACK, flow control and the rules of RFC 9113, by libnghttp2.

The only module that imports `ngh2`, the binding of libnghttp2. Its tests are the contract with that library: what both
ends of a connection rely on, and which fault of a peer ends a stream and which one the connection.
"""

from ngh2 import (
    Configuration,
    Connection,
    ConnectionClosed,
    DataReceived,
    GoAwayReceived,
    PingAcknowledged,
    PingReceived,
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
    "GoAwayReceived",
    "PingAcknowledged",
    "PingReceived",
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
