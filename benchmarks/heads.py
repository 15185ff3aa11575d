"""`python -m benchmarks.heads`: what reading the head of a call costs, the same each time and another each time.

Load generators send the same head with each call. pymilvus sends the time with it. Neither is cached here.
"""

import base64
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Final

from kiteward.api.grpc.service import caller_of
from kiteward.net.http2 import Head, Header, Http2Limits
from kiteward.net.http2.session import Configuration, Connection, RequestReceived, Role

_CALLS: Final = 5_000
_AT_ONCE: Final = 10
_ROUNDS: Final = 5
_OF_THE_CLIENT: Final[tuple[Header, ...]] = (
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/milvus.proto.milvus.MilvusService/ListCredUsers"),
    (b":authority", b"127.0.0.1:19530"),
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc"),
    (b"user-agent", b"grpc-python/1.76.0 grpc-c/51.0.0 (linux; chttp2)"),
    (b"grpc-accept-encoding", b"identity, deflate, gzip"),
)


def _sent(*, changing: bool) -> list[bytes]:
    """Return what a client sends: its preface, and then the heads of ten calls at a time."""
    client = Connection(Role.CLIENT, Configuration(peer_max_concurrent_streams=_CALLS))
    client.initiate_connection()
    token = base64.b64encode(b"root:Milvus")
    sent = [client.data_to_send()]
    for number in range(_CALLS):
        now = b"%d" % (1_790_000_000_000 + number * changing)
        own = ((b"authorization", token), (b"dbname", b"default"), (b"client-request-unixmsec", now))
        client.send_request((*_OF_THE_CLIENT, *own))
        if number % _AT_ONCE == _AT_ONCE - 1:
            sent.append(client.data_to_send())
    return sent


def measure(sent: Sequence[bytes]) -> float:
    """Return microseconds of processor time for each head, the median of a few rounds."""
    limit = Http2Limits().header_list
    taken = []
    for _ in range(_ROUNDS):
        server = Connection(Role.SERVER)
        server.initiate_connection()
        server.receive_data(sent[0])
        heads = 0
        start = time.process_time_ns()
        for data in sent[1:]:
            server.receive_data(data)
            for event in server.events():
                if isinstance(event, RequestReceived):
                    caller_of(Head(event.headers, limit))
                    heads += 1
        taken.append((time.process_time_ns() - start) / heads / 1e3)
    return statistics.median(taken)


def main() -> int:
    """Measure and print."""
    print(f"the same head each time: {measure(_sent(changing=False)):6.2f} µs a call")
    print(f"another each time:       {measure(_sent(changing=True)):6.2f} µs a call")
    return 0


if __name__ == "__main__":
    sys.exit(main())
