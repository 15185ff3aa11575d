"""HTTP/2 for servers (RFC 9113): connections that a listener accepted, and the streams on them.

The public face is what this module exports: `Http2Server` serves connections, calls its application with a `Stream`
and a `Head` for each request, and gets an `Exchange` back; `Http2Limits` bounds what a client may take. Others import
nothing else of this folder.

Frames, header compression and the states of streams are libnghttp2's (`session.py`). What a client may take, and how
connections live and end, is here; gRPC and every other application is not.
"""

from kiteward.net.http2.limits import Http2Limits
from kiteward.net.http2.server import Http2Server
from kiteward.net.http2.session import PREFACE, Header
from kiteward.net.http2.streams import IGNORED, Exchange, Head, Stream

__all__ = ["IGNORED", "PREFACE", "Exchange", "Head", "Header", "Http2Limits", "Http2Server", "Stream"]
