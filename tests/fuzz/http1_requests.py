"""HTTP/1 requests as bytes of a connection: unusual but valid ones, wrong ones, and the required outcome of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tests.access.equivalence.random_values import Draw

PATH: Final = "/asked/"
SMUGGLED: Final = "smuggled"
"""The id that only bodies and trailers hold: no request has it."""

_CLOSE: Final = "close"
_HOST: Final = "host: kiteward\r\n"
_REQUEST_IN_A_BODY: Final = f"GET {PATH}{SMUGGLED} HTTP/1.1\r\nhost: kiteward\r\n\r\n".encode()
_BODIES: Final = (
    b"",
    b"x",
    b"{}",
    b"0\r\n\r\n",
    b"\r\n",
    b"a" * 300,
    _REQUEST_IN_A_BODY,
    b"0\r\n\r\n" + _REQUEST_IN_A_BODY,
)


class Expected(StrEnum):
    """What must become of a request."""

    ANSWERED = "answered"
    REFUSED = "refused"
    EITHER = "answered or refused"
    UNFINISHED = "waited for"


@dataclass(frozen=True, slots=True)
class Http1Request:
    """One request.

    Attributes:
        kind: what is odd or wrong about it.
        number: its id.
        data: its bytes.
        expected: what must become of it.
        body: what its body is where it is answered.
        last: whether the connection may end with its answer.
    """

    kind: str
    number: str
    data: bytes
    expected: Expected = Expected.ANSWERED
    body: bytes = b""
    last: bool = False

    @property
    def closes(self) -> bool:
        """Whether the connection must end with its answer."""
        return self.kind == _CLOSE


def random_request(draw: Draw, number: str) -> Http1Request:
    """Return a request."""
    return draw.of(_VALID if draw.chance(0.85) else _INVALID)(draw, number)


def closing_request(number: str) -> Http1Request:
    """Return the request that ends a connection."""
    return Http1Request(_CLOSE, number, _head("GET", number, "connection: close\r\n"), last=True)


def chunked(draw: Draw, body: bytes, trailers: bytes = b"") -> bytes:
    """Return a body in chunks, each spelt in one of the ways there are."""
    out, start = bytearray(), 0
    while start < len(body):
        size = draw.number(max(1, len(body) - start))
        spelt = f"{size:{draw.of(('x', 'X', '04x'))}}{draw.of(('', '', ';a=b', ';name'))}"
        out += spelt.encode() + b"\r\n" + body[start : start + size] + b"\r\n"
        start += size
    return bytes(out) + draw.of((b"0\r\n", b"000\r\n")) + trailers + b"\r\n"


def _head(method: str, number: str, fields: str = "", *, version: str = "1.1", host: str = _HOST) -> bytes:
    return f"{method} {PATH}{number} HTTP/{version}\r\n{host}{fields}\r\n".encode("latin-1")


def _get(draw: Draw, number: str) -> Http1Request:
    odd = (
        "",
        "",
        "x-odd:\t value \t\r\n",
        "x-empty:\r\n",
        "accept: */*\r\naccept: text/html\r\n",
        f"x: {'y' * 900}\r\n",
    )
    return Http1Request("get", number, _head("GET", number, draw.of(odd)))


def _offer(draw: Draw, number: str) -> Http1Request:
    """Return a request that offers another protocol: whether the connection goes on is the server's choice."""
    fields = draw.of(("upgrade: h2c\r\nconnection: upgrade\r\n", "upgrade: nothing\r\n", "expect: nothing\r\n"))
    return Http1Request("offer", number, _head("GET", number, fields), last=True)


def _post(draw: Draw, number: str) -> Http1Request:
    body = draw.of(_BODIES)
    spelt = draw.of((f"{len(body)}", f"{len(body)}", f"00{len(body)}"))
    return Http1Request("post", number, _head("POST", number, f"content-length: {spelt}\r\n") + body, body=body)


def _chunked(draw: Draw, number: str) -> Http1Request:
    body = draw.of(_BODIES)
    name = draw.of(("transfer-encoding", "Transfer-Encoding"))
    data = _head("POST", number, f"{name}: {draw.of(('chunked', 'Chunked'))}\r\n") + chunked(draw, body)
    return Http1Request("chunked", number, data, body=body)


def _trailers(draw: Draw, number: str) -> Http1Request:
    body = draw.of(_BODIES)
    trailers = f"x-id: {SMUGGLED}\r\nx-id: {SMUGGLED}\r\n".encode()
    data = _head("POST", number, "transfer-encoding: chunked\r\n") + chunked(draw, body, trailers)
    return Http1Request("trailers", number, data, body=body)


def _absolute(_: Draw, number: str) -> Http1Request:
    return Http1Request("absolute", number, f"GET http://kiteward{PATH}{number} HTTP/1.1\r\n{_HOST}\r\n".encode())


def _older(_: Draw, number: str) -> Http1Request:
    data = _head("GET", number, "connection: keep-alive\r\n", version="1.0", host="")
    return Http1Request("1.0", number, data, last=True)


def _empty_line_first(_: Draw, number: str) -> Http1Request:
    return Http1Request("empty line first", number, b"\r\n" + _head("GET", number), Expected.EITHER)


def _refused(
    kind: str, make: Callable[[Draw, str], bytes], expected: Expected = Expected.REFUSED
) -> Callable[[Draw, str], Http1Request]:
    def request(draw: Draw, number: str) -> Http1Request:
        return Http1Request(kind, number, make(draw, number), expected, body=b"abcde")

    return request


def _lengths(*values: str) -> Callable[[Draw, str], bytes]:
    return lambda draw, number: _head("POST", number, f"content-length: {draw.of(values)}\r\n") + b"abcde"


def _encodings(*values: str) -> Callable[[Draw, str], bytes]:
    def make(draw: Draw, number: str) -> bytes:
        fields = f"transfer-encoding: {draw.of(values)}\r\n"
        return _head("POST", number, fields) + chunked(draw, b"abcde")

    return make


def _both(draw: Draw, number: str) -> bytes:
    fields = ["content-length: 5\r\n", "transfer-encoding: chunked\r\n"]
    draw.random.shuffle(fields)
    return _head("POST", number, "".join(fields)) + chunked(draw, b"abcde")


def _chunks(*values: bytes) -> Callable[[Draw, str], bytes]:
    return lambda draw, number: _head("POST", number, "transfer-encoding: chunked\r\n") + draw.of(values)


def _hosts(*values: str) -> Callable[[Draw, str], bytes]:
    return lambda draw, number: _head("GET", number, host=draw.of(values))


def _fields(*values: str) -> Callable[[Draw, str], bytes]:
    return lambda draw, number: _head("POST", number, draw.of(values)) + b"abcde"


def _begins(*values: str) -> Callable[[Draw, str], bytes]:
    return lambda draw, number: (
        draw.of(values).replace("ID", PATH + number).encode() + b"\r\n" + _HOST.encode() + b"\r\n"
    )


def _too_long(draw: Draw, number: str) -> Http1Request:
    held = _head("POST", number, f"content-length: {draw.of((1_000, 4_000))}\r\n") + _REQUEST_IN_A_BODY
    return Http1Request("length too large", number, held, Expected.UNFINISHED)


def _unfinished_chunks(draw: Draw, number: str) -> Http1Request:
    held = _head("POST", number, "transfer-encoding: chunked\r\n") + b"fff\r\n" + draw.of(_BODIES)
    return Http1Request("chunk too large", number, held, Expected.UNFINISHED)


_VALID: Final[Sequence[Callable[[Draw, str], Http1Request]]] = (
    *(_get, _get, _post, _post, _chunked, _chunked, _trailers),
    *(_absolute, _older, _offer, _empty_line_first),
)
_INVALID: Final[Sequence[Callable[[Draw, str], Http1Request]]] = (
    _too_long,
    _unfinished_chunks,
    _refused("length that is none", _lengths("-5", "+5", "0x5", "5a", "5 5", "five", "5;5", "1e1")),
    _refused("two lengths", _lengths("5\r\ncontent-length: 6", "5, 6", "6\r\nContent-Length: 5")),
    _refused("the same length twice", _lengths("5\r\ncontent-length: 5", "5, 5"), Expected.EITHER),
    _refused("length and encoding", _both, Expected.EITHER),
    _refused("encoding that is none", _encodings("xchunked", "chunked, nothing", "chunked;q=1")),
    _refused(
        "odd encoding",
        _encodings("gzip, chunked", "identity, chunked", "chunked, chunked", ",chunked"),
        Expected.EITHER,
    ),
    _refused(
        "chunk size that is none", _chunks(b"g\r\nabcde\r\n", b"-5\r\nabcde\r\n", b"0x5\r\nabcde\r\n", b"\r\nabcde\r\n")
    ),
    _refused("chunk longer than its size", _chunks(b"2\r\nabcde\r\n0\r\n\r\n", b"5\r\nabcdef\r\n0\r\n\r\n")),
    _refused("odd chunk size", _chunks(b"5 \r\nabcde\r\n0\r\n\r\n", b"5\nabcde\n0\n\n"), Expected.EITHER),
    _refused("no host", _hosts("")),
    _refused("two hosts", _hosts("host: kiteward\r\nhost: elsewhere\r\n", "host: kiteward\r\nHost: kiteward\r\n")),
    _refused("space before the colon", _fields("content-length : 5\r\n", "transfer-encoding : chunked\r\n")),
    _refused("name that is none", _fields("x id: 1\r\ncontent-length: 5\r\n", ": 1\r\ncontent-length: 5\r\n")),
    _refused("folded field", _fields("x-odd: 1\r\n 2\r\ncontent-length: 5\r\n"), Expected.EITHER),
    _refused("bare line ends", _begins("GET ID HTTP/1.1\n"), Expected.EITHER),
    _refused("version that is none", _begins("GET ID http/1.1", "GET ID HTTP/x.y", "GET ID HTTP/1.1 HTTP/1.1")),
    _refused("method that is none", _begins("GE T ID HTTP/1.1", "G\x01T ID HTTP/1.1", "(GET) ID HTTP/1.1")),
)
