"""How an operation of Kiteward's own is declared, which no RPC of the protocol stands for.

These operations pass `Gateway.handle` like every request. Their requests and answers are JSON; the types below say of
what. gRPC serves methods of the protocol only, so that none of them can be called there.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from kiteward.audit.events import DETAILS_LIMIT, Event
from kiteward.authz.policy import Decision, PolicySnapshot, decide_administrator, decide_authenticated
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument, LimitReached
from kiteward.domain.identity import CredentialReach, Principal, Secret
from kiteward.iam.services import Services
from kiteward.store.transaction import Transaction

MOST_LISTED: Final = 1_000
"""Most entries of one page of a list."""


class Arguments(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of what a request holds. A field without a default is required, and must not be empty.

    INVARIANT: unknown fields are refused. A limit that is misspelt, such as `role` or `expiresin` of an API key, would
    otherwise make a key without that limit.
    """


class Outcome(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=False):
    """Base of what an answer holds."""


class Done(Outcome):
    """`{}`, the answer of a change that has nothing to tell."""


class Request:
    """One request, whose caller may make it.

    Attributes:
        principal: who calls; after `change` has been entered, as of then.
        snapshot: the policy it was allowed by.
        root_bypass: whether `root` needs no roles.
        record: takes, by keyword, what the audit trail is to hold of what came of a change, beside the request and the
            outcome; never a secret.
    """

    def __init__(
        self,
        principal: Principal,
        snapshot: PolicySnapshot,
        change: Callable[[Callable[[], Awaitable[None]]], AbstractAsyncContextManager[Transaction]],
        caller_now: Callable[[], Awaitable[Principal]],
        *,
        begin_session: Callable[[str], Awaitable[Secret]],
        root_bypass: bool,
        record: Callable[..., None],
    ) -> None:
        self.principal = principal
        self.snapshot = snapshot
        self._change = change
        self._caller_now = caller_now
        self.root_bypass = root_bypass
        self.record = record
        self._begin_session = begin_session

    async def begin_session(self, description: str) -> Secret:
        """Begin a session of the console for the caller, and return its token.

        Raises:
            AccessDenied: the caller did not come by a password.
            LimitReached: there are too many sessions.
        """
        return await self._begin_session(description)

    @contextlib.asynccontextmanager
    async def change(self) -> AsyncIterator[Transaction]:
        """Open the transaction of a change.

        The caller is authenticated and authorized again when the transaction has begun; `principal` is as of then.
        """

        async def again() -> None:
            self.principal = await self._caller_now()

        async with self._change(again) as transaction:
            yield transaction


Run = Callable[[Services, Request, Any], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class AdminOperation:
    """One operation of our own.

    Attributes:
        name: the operation; no RPC has it.
        path: topic and action under `/v2/kiteward/`.
        arguments: what its request holds.
        outcome: what its answer holds.
        run: does it; raises AccessDenied where the caller is not allowed to.
        summary: one sentence for readers of the document.
        administrators: whether administrators alone may call it; others check in `run` whose the objects are.
        credential: where users may call it, with which credentials; see `CredentialReach`.
        changes: whether it changes anything; such work goes on to its end when its caller is gone.
        rest: whether REST offers it too; the console has all of them.
        event: the kind of audit event; None for what is recorded only when refused.
        details_limit: bytes of a request that are recorded in full; a larger change is refused.
        unrecorded_results: fields of the outcome that are not recorded: what the change did not make.
        one_time_password: whether a one-time password may call it.
    """

    name: str
    path: str
    arguments: type[Arguments]
    outcome: type[Outcome]
    run: Run
    summary: str
    administrators: bool = True
    credential: CredentialReach = CredentialReach.FULL
    changes: bool = True
    rest: bool = True
    event: Event | None = Event.ADMINISTRATIVE_READ
    details_limit: int = DETAILS_LIMIT
    unrecorded_results: frozenset[str] = frozenset()
    one_time_password: bool = False

    def decide(self, principal: Principal) -> Decision:
        """Decide whether a principal may call this, with the credential that it came by."""
        return (
            decide_administrator(principal) if self.administrators else decide_authenticated(principal, self.credential)
        )

    def read(self, payload: bytes) -> Arguments:
        """Return what a request holds.

        Raises:
            InvalidArgument: it is not JSON of the declared type, or a required field is empty; it names the field.
        """
        try:
            arguments = msgspec.json.decode(payload or b"{}", type=self.arguments, dec_hook=_read_secret)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidArgument(f"{self.path}: {error}") from None
        for field in msgspec.structs.fields(self.arguments):
            if field.required and not getattr(arguments, field.name):
                raise InvalidArgument(
                    f"{self.path}: `{field.encode_name}` is empty",
                    ErrorDetail(ErrorCode.ARGUMENT_MISSING, {"name": field.encode_name}),
                    field=field.encode_name,
                )
        return arguments

    def answered(self, answer: bytes) -> Any:
        """Return what an answer of the gateway holds, as `outcome`."""
        return msgspec.json.decode(answer, type=self.outcome, dec_hook=_read_secret)


def encoded(value: Arguments | Outcome | Mapping[str, object]) -> bytes:
    """Return a request or an answer as JSON, secrets included."""
    return msgspec.json.encode(value, enc_hook=_write_secret)


def page(limit: int) -> int:
    """Return how many entries a page holds.

    Raises:
        LimitReached: more than a page may hold.
        InvalidArgument: none at all.
    """
    if limit < 1:
        raise InvalidArgument("`limit` must be at least 1")
    if limit > MOST_LISTED:
        raise LimitReached(f"`limit` must be at most {MOST_LISTED}: request the next page with `after`")
    return limit


def _read_secret(kind: type, value: object) -> Secret:
    if kind is not Secret or not isinstance(value, str):
        raise ValueError("expected text")
    return Secret(value)


def _write_secret(value: object) -> str:
    if not isinstance(value, Secret):
        raise NotImplementedError(f"{type(value).__name__} does not travel")
    return value.reveal()
