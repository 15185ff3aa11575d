"""What is sent, what comes back, and how a request is cut down to what is needed."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from tests.fuzz import protobuf_mutations

from kiteward.api.rest import oauth
from kiteward.api.rest.endpoint_table import TABLE
from kiteward.milvus import messages

_READS: Final = re.compile("get|has|describe|list|query|(hybrid_|advanced_)?search|explain|show|select", re.IGNORECASE)
_LONGEST_SHOWN: Final = 2_000
_OK: Final = 200
_CONTENT_TYPE: Final = "Content-Type"


@dataclass(frozen=True, slots=True)
class Sent:
    """One request.

    Attributes:
        caller: who sends it; the name of a credential that the target has.
        path: of the RPC or the REST endpoint.
        payload: the message or the body.
        fields: header fields beside the credential; over gRPC these are metadata.
    """

    caller: str
    path: str
    payload: bytes
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def rest(self) -> bool:
        """Whether it goes to the REST API."""
        return self.path.startswith("/v2/")

    @property
    def oauth(self) -> bool:
        """Whether it goes to an endpoint that takes a form and answers as OAuth 2.0 does."""
        return self.path in TABLE and TABLE[self.path].oauth

    @property
    def text(self) -> bytes:
        """All that the caller has sent, in which a name of a response may occur."""
        return b"\n".join((self.payload, *(value.encode() for _, value in self.fields)))

    @property
    def writes(self) -> bool:
        """Whether it may store what it says."""
        operation = self.path.rpartition("/")[2]
        return not _READS.match(operation)

    def __str__(self) -> str:
        shown = self.payload.decode(errors="replace") if self.rest else f"hex {self.payload.hex()} {self._message()}"
        fields = "".join(f" {name}: {value!r}" for name, value in self.fields)
        return f"{self.caller} sends {self.path}{fields} {shown[:_LONGEST_SHOWN]}"

    def _message(self) -> str:
        rpc = messages.METHODS.get(self.path.rpartition("/")[2])
        try:
            return "{" + " ".join(str(rpc.request.FromString(self.payload)).split()) + "}" if rpc else ""
        except ValueError:
            return "(unreadable)"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: the HTTP status over REST, `grpc-status` over gRPC; -1 where the stream or connection was broken off.
        data: everything of it: header fields, message or body, trailers.
        body: the body over REST, the message over gRPC.
    """

    status: int
    data: bytes
    body: bytes = b""


def carried_out(sent: Sent, answer: Answer) -> bool:
    """Return whether a request was carried out: a refusal may come with a status of success and a code inside."""
    if sent.rest:
        document = parsed(answer.body)
        return answer.status == _OK and isinstance(document, dict) and (sent.oauth or document.get("code") == 0)
    operation = sent.path.rpartition("/")[2]
    return answer.status == 0 and operation in messages.METHODS and not messages.status_code(operation, answer.body)


def parsed(body: bytes) -> Any:
    """Return what JSON says, None where it is none."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def as_form(sent: Sent) -> Sent:
    """Return a request with its JSON object written as a form, where its endpoint takes one; else as it is.

    A body that is no object, and a request that says of which type its body is, are sent as they are.
    """
    document = parsed(sent.payload) if sent.oauth else None
    if not isinstance(document, dict) or any(name == _CONTENT_TYPE for name, _ in sent.fields):
        return sent
    pairs = {name: value if isinstance(value, str) else json.dumps(value) for name, value in document.items()}
    payload = urlencode(pairs, errors="replace").encode()
    return replace(sent, payload=payload, fields=((_CONTENT_TYPE, oauth.FORM), *sent.fields))


BROKEN_OFF: Final = Answer(-1, b"")


def smaller(sent: Sent) -> Iterator[Sent]:
    """Return the requests that lack one part of this one."""
    for number in range(len(sent.fields)):
        yield replace(sent, fields=sent.fields[:number] + sent.fields[number + 1 :])
    for payload in _smaller_body(sent.payload) if sent.rest else protobuf_mutations.smaller(sent.payload):
        yield replace(sent, payload=payload)


def _smaller_body(payload: bytes) -> Iterator[bytes]:
    document = parsed(payload)
    if isinstance(document, dict):
        for name in document:
            yield json.dumps({key: value for key, value in document.items() if key != name}).encode()
