"""HTTP/2 (RFC 9113) for servers and clients: connections, and the streams on them.

The public face is what this module exports: `Http2Server` serves connections, calls its application with a `Stream`
and a `Head` for each request, and gets an `Exchange` back; `Http2Limits` bounds what a client may take. Others import
nothing else of this folder.

As a client: `Http2Client` sends each `ClientStream` to an `Address`, on connections that it keeps by `ClientSettings`.
`client_link.py` makes one connection again and again, `client_connection.py` is one of them, `dialing.py` makes it.

Frames, header compression and the states of streams are libnghttp2's (`session.py`). What a client may take, and how
connections live and end, is here; gRPC and every other application is not.
"""

from kiteward.net.http2.client import ClientState, Http2Client
from kiteward.net.http2.client_settings import ClientLimits, ClientSettings
from kiteward.net.http2.client_stream import ClientStream
from kiteward.net.http2.deadlines import Deadlines
from kiteward.net.http2.dialing import Address
from kiteward.net.http2.limits import Http2Limits
from kiteward.net.http2.server import Http2Server
from kiteward.net.http2.session import PREFACE, Header, NeverIndexedHeader
from kiteward.net.http2.streams import IGNORED, Exchange, Head, Stream

__all__ = [
    "IGNORED",
    "PREFACE",
    "Address",
    "ClientLimits",
    "ClientSettings",
    "ClientState",
    "ClientStream",
    "Deadlines",
    "Exchange",
    "Head",
    "Header",
    "Http2Client",
    "Http2Limits",
    "Http2Server",
    "NeverIndexedHeader",
    "Stream",
]
