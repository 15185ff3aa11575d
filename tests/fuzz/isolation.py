"""Callers without rights, or with rights on one collection, ask for what is hidden from them in every way there is."""

from collections.abc import Sequence
from typing import Final

from tests.access.equivalence.random_values import Draw
from tests.fuzz import canaries, identities, json_mutations, protobuf_mutations, valid_requests
from tests.fuzz.corpus import Corpus
from tests.fuzz.requests import Answer, Sent, parsed
from tests.fuzz.targets import Target

from kiteward.api.rest.endpoint_table import TABLE
from kiteward.api.rest.endpoints import OWN_PREFIX
from kiteward.milvus import messages

_EACH: Final = 12
_BY_REST: Final = 0.3
_MUTATED: Final = 0.7
"""The others go as they were drawn: what is refused for its form never reaches the decision."""
_INTERNAL: Final = (2, 13)
_SERVER_ERROR: Final = 500
_PATHS: Final = (*TABLE, *(path for path in TABLE if path.startswith(OWN_PREFIX)))
"""Every endpoint; those of our own twice, as no RPC stands for them."""

_PLAIN: Final = tuple(name for name in canaries.NAMES if name.isprintable() and name == name.strip())
"""Names that a header field can hold."""


class Isolation:
    """Requests of every RPC and every endpoint; implements `running.Fuzzer`.

    Args:
        name: of the fuzzer.
        callers: who sends.
        operations: RPCs that are called.
        paths: REST endpoints that are asked.
    """

    guarded = True

    def __init__(
        self,
        name: str = "isolation",
        callers: Sequence[str] = (identities.NOBODY, identities.HOLDER),
        *,
        operations: Sequence[str] = tuple(messages.METHODS),
        paths: Sequence[str] = _PATHS,
        by_rest: float = _BY_REST,
    ) -> None:
        self.name = name
        self.callers = callers
        self._operations = operations
        self._paths = paths
        self._by_rest = by_rest
        self._corpus = Corpus()
        self._calls: dict[str, list[bytes]] = {}

    async def prepare(self, draw: Draw) -> None:
        if self._calls:
            return
        known = await valid_requests.known_calls(draw, _EACH)
        for operation in self._operations:
            random = [valid_requests.message(draw, operation) for _ in range(_EACH)]
            self._calls[operation] = [*random, *known.get(operation, ())]

    def draw(self, draw: Draw) -> Sent:
        caller = draw.of(self.callers)
        if draw.chance(self._by_rest):
            path = draw.of(self._paths)
            known = self._corpus.draw(draw, path)
            body = parsed(known) if known else valid_requests.body(draw, path)
            payload = json_mutations.mutated(draw, body) if draw.chance(_MUTATED) else canaries.body(body)
            return Sent(caller, path, payload, _fields(draw, "DB-Name"))
        operation = draw.of(self._operations)
        path = valid_requests.rpc_path(operation)
        payload = self._corpus.draw(draw, path) or draw.of(self._calls[operation])
        if draw.chance(_MUTATED):
            payload = protobuf_mutations.mutated(draw, payload)
        return Sent(caller, path, payload, _fields(draw, "dbname"))

    def learn(self, sent: Sent, answer: Answer) -> None:
        self._corpus.add(sent, answer)

    def fault(self, target: Target, sent: Sent, answer: Answer) -> str:
        word = canaries.leaked(answer.data, said=sent.text, own=target.own_names)
        if word:
            return f"disclosed a hidden name: {word}"
        if any(secret in answer.data for secret in target.secrets):
            return "disclosed a secret"
        if (sent.rest and answer.status >= _SERVER_ERROR) or (not sent.rest and answer.status in _INTERNAL):
            return f"failed: {answer.data[-300:]!r}"
        return ""


def administration() -> Isolation:
    """Return the same for RPCs and endpoints about users, roles, grants and keys; restricted keys call too."""
    return Isolation(
        "administration",
        (identities.NOBODY, identities.HOLDER, identities.READER_KEY, identities.EMPTY_KEY, identities.ROOT_KEY),
        operations=[name for name in messages.METHODS if any(word in name for word in valid_requests.IDENTITY_WORDS)],
        paths=[path for path in TABLE if _is_identity(path)],
        by_rest=0.6,
    )


def _is_identity(path: str) -> bool:
    return "/kiteward/" in path or any(word in path for word in ("/users/", "/roles/", "/privilege_groups/"))


def _fields(draw: Draw, name: str) -> tuple[tuple[str, str], ...]:
    """Return a database beside the message, or several, or none."""
    number = draw.of((0, 0, 1, 1, 2))
    return tuple((name, draw.of(_PLAIN)) for _ in range(number))
