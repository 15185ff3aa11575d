"""`python -m benchmarks.heads`: what reading the head of a call costs, the same each time and another each time.

Load generators send the same bytes with each call, and the server finds them again. pymilvus sends the time, so that
its heads are read again.
"""

import base64
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Final

import hpack

from kiteward.api.grpc.service import caller_of
from kiteward.net.http2.fields import FieldDecoder, encoded
from kiteward.net.http2.limits import Http2Limits

_CALLS: Final = 5_000
_ROUNDS: Final = 5
_OF_THE_CLIENT: Final = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/milvus.proto.milvus.MilvusService/ListCredUsers"),
    (":authority", "127.0.0.1:19530"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
    ("user-agent", "grpc-python/1.76.0 grpc-c/51.0.0 (linux; chttp2)"),
    ("grpc-accept-encoding", "identity, deflate, gzip"),
)
"""What gRPC's C core lets the table remember; metadata of its user it writes out each time."""


def _heads(*, changing: bool) -> list[bytes]:
    encoder = hpack.Encoder()
    token = base64.b64encode(b"root:Milvus").decode()
    blocks = []
    for number in range(_CALLS + 1):
        now = str(1_790_000_000_000 + number * changing)
        own = (("authorization", token), ("dbname", "default"), ("client-request-unixmsec", now))
        blocks.append(encoder.encode(_OF_THE_CLIENT, huffman=False) + encoded(own))
    return blocks


def measure(blocks: Sequence[bytes]) -> float:
    """Return microseconds of processor time for each head but the first, the median of a few rounds."""
    taken = []
    for _ in range(_ROUNDS):
        decoder = FieldDecoder(Http2Limits().section)
        decoder.head(blocks[0])
        start = time.process_time_ns()
        for block in blocks[1:]:
            head = decoder.head(block)
            head.kept = head.kept or caller_of(head)
        taken.append((time.process_time_ns() - start) / _CALLS / 1e3)
    return statistics.median(taken)


def main() -> int:
    """Measure and print."""
    print(f"the same head each time: {measure(_heads(changing=False)):6.2f} µs a call")
    print(f"another each time:       {measure(_heads(changing=True)):6.2f} µs a call")
    return 0


if __name__ == "__main__":
    sys.exit(main())
