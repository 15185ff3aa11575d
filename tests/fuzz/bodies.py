"""Broken and odd bodies for every REST endpoint: whatever comes, the answer is JSON with a code.

The token endpoint gets forms too, and answers with the codes of OAuth 2.0 (decision 0066).
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

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

_OAUTH_ERRORS: Final = (
    *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"),
    *("invalid_scope", "invalid_target", "temporarily_unavailable"),
)
"""Error codes of RFC 6749, 4.1.2.1 and 5.2, and of RFC 8693, 2.2.2, for requests that did not make the server fail."""


class Bodies:
    """Implements `running.Fuzzer`.

    Args:
        paths: REST endpoints that are asked.
    """

    name = "bodies"
    callers: Sequence[str] = ("root", identities.HOLDER, identities.NOBODY)
    guarded = False

    def __init__(self, paths: Sequence[str] = tuple(TABLE)) -> None:
        self._paths = paths
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
        if not (_is_oauth_answer(answer.status, document) if sent.oauth else _has_code(document)):
            return f"was answered with something that is not JSON or has no code: {answer.body[:100]!r}"
        if sent.caller == _UNKNOWN and answer.status not in (
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        ):
            return f"served an unauthenticated caller: {answer.body[:100]!r}"
        return ""


def _has_code(document: Any) -> bool:
    return isinstance(document, dict) and type(document.get("code")) is int


def _is_oauth_answer(status: int, document: Any) -> bool:
    """Return whether this is a token (RFC 8693, 2.2.1), or an error and nothing else (RFC 6749, 5.2)."""
    if not isinstance(document, dict):
        return False
    if status == HTTPStatus.OK:
        return isinstance(document.get("access_token"), str)
    return document.keys() == {"error", "error_description"} and document["error"] in _OAUTH_ERRORS
