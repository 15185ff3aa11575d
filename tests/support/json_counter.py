"""Counts how often JSON is read and written, so that no request is decoded or encoded twice."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from kiteward.api.rest import bodies


class JsonCounter:
    """What was read and written, in order.

    Attributes:
        read: the type of each value that was decoded.
        written: the type of each value that was encoded.
    """

    def __init__(self) -> None:
        self.read: list[Any] = []
        self.written: list[Any] = []

    def clear(self) -> None:
        """Forget what was counted so far."""
        self.read.clear()
        self.written.clear()


@contextmanager
def counted_json() -> Iterator[JsonCounter]:
    """Count calls of `msgspec.json` and `json` for as long as the block lasts."""
    counter = JsonCounter()
    decode, encode, decoder = msgspec.json.decode, msgspec.json.encode, msgspec.json.Decoder
    loads, dumps = json.loads, json.dumps

    def counted_decode(raw: Any, **how: Any) -> Any:
        counter.read.append(how.get("type", Any))
        return decode(raw, **how)

    def counted_encode(value: Any, **how: Any) -> bytes:
        counter.written.append(type(value))
        return encode(value, **how)

    def counted_loads(raw: Any, **how: Any) -> Any:
        counter.read.append(Any)
        return loads(raw, **how)

    def counted_dumps(value: Any, **how: Any) -> str:
        counter.written.append(type(value))
        return dumps(value, **how)

    class CountedDecoder:
        def __init__(self, kind: Any = Any, **how: Any) -> None:
            self.kind = kind
            self.decoder: Any = decoder(kind, **how)

        def decode(self, raw: Any) -> Any:
            counter.read.append(self.kind)
            return self.decoder.decode(raw)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(msgspec.json, "decode", counted_decode)
        patch.setattr(msgspec.json, "encode", counted_encode)
        patch.setattr(msgspec.json, "Decoder", CountedDecoder)
        patch.setattr(json, "loads", counted_loads)
        patch.setattr(json, "dumps", counted_dumps)
        bodies._decoder.cache_clear()
        try:
            yield counter
        finally:
            bodies._decoder.cache_clear()
