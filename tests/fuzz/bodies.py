"""Broken and odd JSON for every REST endpoint: whatever comes, the answer is JSON with a code."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from tests.access.equivalence.random_values import Draw
from tests.fuzz import identities, json_mutations, valid_requests
from tests.fuzz.corpus import Corpus
from tests.fuzz.requests import Answer, Sent, parsed
from tests.fuzz.targets import Target

from kiteward.api.rest.endpoint_table import TABLE

_UNKNOWN: Final = "somebody unknown"
_FIELDS: Final = (
    ("Accept-Type-Allow-Int64", "true"),
    ("Accept-Type-Allow-Int64", "maybe"),
    ("Request-Timeout", "30"),
    ("Request-Timeout", "soon"),
    ("DB-Name", "default"),
    ("DB-Name", "missing"),
    ("Content-Type", "text/plain"),
    ("Accept", "text/html"),
)


class Bodies:
    """Implements `running.Fuzzer`."""

    name = "bodies"
    callers: Sequence[str] = ("root", identities.HOLDER, identities.NOBODY)
    guarded = False

    def __init__(self) -> None:
        self._paths = tuple(TABLE)
        self._corpus = Corpus()

    async def prepare(self, draw: Draw) -> None:
        """Nothing has to be ready."""

    def draw(self, draw: Draw) -> Sent:
        path = draw.of(self._paths)
        caller = draw.of(("root", "root", "root", identities.HOLDER, identities.NOBODY, _UNKNOWN))
        known = self._corpus.draw(draw, path)
        payload = json_mutations.mutated(draw, parsed(known) if known else valid_requests.body(draw, path))
        return Sent(caller, path, payload, (draw.of(_FIELDS),) if draw.chance(0.3) else ())

    def learn(self, sent: Sent, answer: Answer) -> None:
        self._corpus.add(sent, answer)

    def fault(self, _target: Target, sent: Sent, answer: Answer) -> str:
        if answer.status < 0:
            return "was not answered"
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return f"failed: {answer.body!r}"
        if b"Traceback" in answer.data:
            return "disclosed a traceback"
        document = parsed(answer.body)
        if not isinstance(document, dict) or type(document.get("code")) is not int:
            return f"was answered with something that is not JSON or has no code: {answer.body[:100]!r}"
        if sent.caller == _UNKNOWN and answer.status not in (
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        ):
            return f"served an unauthenticated caller: {answer.body[:100]!r}"
        return ""
