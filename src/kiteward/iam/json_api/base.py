"""Declares operations of Kiteward's own, which no RPC of the protocol has.

They pass `Gateway.handle` like every request, as values of the types below. JSON is only read and written by the APIs:
REST decodes a body into `Arguments` and encodes the `Outcome`, each once. gRPC serves methods of the protocol only, so
that none of them can be called there.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kiteward.audit.events import DETAILS_LIMIT, Event
from kiteward.authn.exchanges import Accepted
from kiteward.authn.sign_in import BegunSignIn
from kiteward.authz.policy import (
    Condition,
    Decision,
    PolicySnapshot,
    decide,
    decide_administrator,
    decide_authenticated,
)
from kiteward.authz.privileges import Privilege
from kiteward.authz.refusals import on_object
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument, LimitReached
from kiteward.domain.identity import CredentialReach, PresentedCredential, Principal, Secret, SignInStep
from kiteward.domain.naming import can_be_stored
from kiteward.domain.request_limits import Counted
from kiteward.domain.second_factors import FactorProof
from kiteward.iam.passwords import VerifyPassword
from kiteward.iam.services import Services
from kiteward.store.transaction import Transaction

if TYPE_CHECKING:  # few operations have any of them
    from kiteward.iam.policy_files.work import RecordedChange
    from kiteward.iam.second_factors import VerifyFactor

MOST_LISTED: Final = 1_000
"""Most entries of one page of a list."""

_PAGE_SIZE: Final = ErrorDetail(ErrorCode.PAGE_SIZE_OUT_OF_RANGE, {"limit": MOST_LISTED})

_VALUE: Final = 8
"""Bytes that count for each value of a request besides its text."""


class Arguments(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of requests. A field without a default is required, and must not be empty.

    INVARIANT: unknown fields are refused. A misspelt limit, such as `role` or `expiresin` of an API key, would
    otherwise create a key without that limit.
    """


class Outcome(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=False):
    """Base of responses."""


class Done(Outcome):
    """`{}`, the response to a change that has nothing to return."""


class Request:
    """One request that its caller is allowed to make.

    Attributes:
        principal: the caller; after `change` has been entered, as it is then.
        snapshot: the policy by which it was allowed; likewise.
        root_bypass: whether `root` needs no roles.
        verify_password: verifies a password of a user; see `VerifyPassword`.
        verify_factor: verifies a second factor of a user; see `VerifyFactor`.
        record: adds keyword arguments to the recorded result of a change in the audit trail, besides request and
            outcome; never a secret.
        tentative: false: a change is made when its transaction ends.
        record_change: adds a change to those that are recorded one by one when a change of several has succeeded.
    """

    def __init__(
        self,
        principal: Principal,
        snapshot: PolicySnapshot,
        change: Callable[[Callable[[], Awaitable[None]]], AbstractAsyncContextManager[Transaction]],
        caller_now: Callable[[], Awaitable[tuple[Principal, PolicySnapshot]]],
        *,
        begin_session: Callable[[str], Awaitable[BegunSignIn]],
        finish_sign_in: Callable[[FactorProof], Awaitable[Secret]],
        verify_password: VerifyPassword,
        verify_factor: "VerifyFactor",
        end_by_provider: Callable[[], Awaitable[Sequence[str]]],
        accept: Callable[[PresentedCredential | None, bool], Awaitable[Accepted]],
        root_bypass: bool,
        record: Callable[..., None],
        note_decision: Callable[[Condition, Decision], None],
        record_change: "Callable[[RecordedChange], None]",
    ) -> None:
        self.principal = principal
        self.snapshot = snapshot
        self._change = change
        self._caller_now = caller_now
        self.root_bypass = root_bypass
        self.record = record
        self._note_decision = note_decision
        self.record_change = record_change
        self.tentative = False
        self.verify_password = verify_password
        self.verify_factor = verify_factor
        self._begin_session = begin_session
        self._finish_sign_in = finish_sign_in
        self._end_by_provider = end_by_provider
        self._accept = accept

    def enforce(self, condition: Condition, decision: Decision, *, given: str) -> None:
        """Enforce a decision, with a message that names the object; see `Caller.enforce`."""
        self._note_decision(condition, decision)
        on_object(decision, self.principal, condition, given).require_allowed()

    async def begin_session(self, description: str) -> BegunSignIn:
        """Begin a session of the console for the caller, unless a second factor is to be presented too.

        Raises:
            AccessDenied: the caller authenticated otherwise than with a password or at an identity provider, or may not
                sign in with a password.
            LimitReached: there are too many sessions already.
        """
        return await self._begin_session(description)

    async def finish_sign_in(self, proof: FactorProof) -> Secret:
        """Begin a session of the console for the caller, who presents a second factor, and return its token.

        Raises:
            AccessDenied: the caller did not authenticate with a ticket.
            FactorRejected: the second factor is not accepted.
            SessionEnded: the ticket has ended meanwhile.
            LimitReached: there are too many sessions already.
        """
        return await self._finish_sign_in(proof)

    async def end_by_provider(self) -> Sequence[str]:
        """End the sessions that the notice is about by which the caller authenticated, and return their users.

        Raises:
            AccessDenied: the caller is no identity provider.
        """
        return await self._end_by_provider()

    async def accept(self, presented: PresentedCredential | None = None, *, sign_up: bool = False) -> Accepted:
        """Return another credential that is presented from the same address, or the caller's own, if it is accepted.

        Args:
            presented: the credential; None for the caller's.
            sign_up: whether a token may make somebody a user, which takes a transaction: not while one is open.

        Raises:
            AuthenticationError: it is not accepted.
        """
        return await self._accept(presented, sign_up)

    @contextlib.asynccontextmanager
    async def change(self) -> AsyncIterator[Transaction]:
        """Open the transaction of a change.

        The caller is authenticated and authorized again when the transaction has begun. `principal` and `snapshot` are
        then updated.
        """

        async def again() -> None:
            self.principal, self.snapshot = await self._caller_now()

        async with self._change(again) as transaction:
            yield transaction


Run = Callable[[Services, Request, Any], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class AdminOperation:
    """One operation of our own.

    Attributes:
        name: the operation; no RPC has it.
        path: topic and action under `/v2/kiteward/`.
        arguments: the type of its request.
        outcome: the type of its response.
        run: executes it; raises AccessDenied where the caller is not allowed to.
        summary: one sentence for the API document.
        administrators: whether only administrators may call it; otherwise `run` checks the owner of the objects.
        credential: which credentials of a user are accepted; see `CredentialReach`.
        changes: whether it changes anything; a change continues to its end when its caller is gone.
        rest: whether REST offers it too; the console has all of them.
        event: the kind of audit event; None for what is recorded only when refused.
        details_limit: bytes of a request that are recorded in full; a larger change is refused.
        unrecorded_results: fields of the outcome that are not recorded because they do not report the change itself.
        privilege: the privilege of the cluster that callers need, whose holders may send a large request too, and which
            administrators have; None where `administrators`, or `run`, decides.
        counted: whose requests count against the limits of their caller.
        one_time_password: whether it may be called with a one-time password.
        steps: the steps of an incomplete sign-in to the console that it is a part of; nothing else may be called then.
        while_unrecorded: whether this administrative read is answered while the audit trail cannot be written, because
            it reports that very state.
        own: whether `run` allows administrators everything, and others what is about themselves or theirs.
        on_objects: what `run` requires on the collection or the user that the request names, without its name.
        continues_after: the argument from which a read that is repeated to follow what is new continues. While it
            does, it is recorded once a minute (decision 0086). Empty for none.
        long: whether it may take as long as what it is given wants, so that the usual timeout does not end it.
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
    privilege: Privilege | None = None
    counted: Counted = Counted.EVERYBODY
    one_time_password: bool = False
    steps: frozenset[SignInStep] = frozenset()
    while_unrecorded: bool = False
    own: bool = False
    on_objects: tuple[Condition, ...] = ()
    continues_after: str = ""
    long: bool = False

    @property
    def decided_by_run(self) -> bool:
        """Whether `run` decides; that any user may call this says nothing then."""
        return self.own or bool(self.on_objects)

    def decide(self, principal: Principal, snapshot: PolicySnapshot) -> Decision:
        """Decide whether a principal may call this, with the credential of its request, by the policy in force."""
        if self.privilege is not None:
            return decide(principal, (Condition(self.privilege),), snapshot, credential=self.credential)
        return (
            decide_administrator(principal) if self.administrators else decide_authenticated(principal, self.credential)
        )

    def arguments_of(self, given: Mapping[str, object]) -> Arguments:
        """Return typed arguments made from plain values by the names of the fields in JSON, such as `userName`.

        Raises:
            InvalidArgument: a field is unknown, missing or of another type; it names the field.
        """
        try:
            return msgspec.convert(given, self.arguments, dec_hook=_read_secret)
        except msgspec.ValidationError as error:
            raise InvalidArgument(f"{self.path}: {error}") from None

    def complete(self, arguments: object) -> Arguments:
        """Return the arguments of a request, whose required fields must not be empty. All texts can be stored.

        Raises:
            InvalidArgument: a required field is empty, or a text cannot be stored; it names the field.
            TypeError: they are of another type than `arguments`.
        """
        if type(arguments) is not self.arguments:
            raise TypeError(f"{self.name} takes {self.arguments.__name__}, not {type(arguments).__name__}")
        for field in msgspec.structs.fields(self.arguments):
            if field.required and not getattr(arguments, field.name):
                raise InvalidArgument(
                    f"{self.path}: `{field.encode_name}` is empty",
                    ErrorDetail(ErrorCode.ARGUMENT_MISSING, {"name": field.encode_name}),
                    field=field.encode_name,
                )
            if not all(map(can_be_stored, _texts_in(getattr(arguments, field.name)))):
                raise text_not_stored(field.encode_name)
        return arguments


def text_not_stored(field: str) -> InvalidArgument:
    """Return the refusal of a field with a text that no database can hold."""
    return InvalidArgument(
        f"`{field}` holds a character that cannot be stored, such as NUL",
        ErrorDetail(ErrorCode.ARGUMENT_CHARACTER, {"name": field}),
        field=field,
    )


def encoded(outcome: Outcome) -> bytes:
    """Encode a response as JSON, secrets included."""
    return msgspec.json.encode(outcome, enc_hook=_write_secret)


def plain(outcome: Outcome) -> dict[str, Any]:
    """Return a response as the plain values that its JSON stands for, secrets included."""
    values: dict[str, Any] = msgspec.to_builtins(outcome, enc_hook=_write_secret)
    return values


def size_of_arguments(arguments: Arguments, most: int) -> int:
    """Return about how many bytes the JSON of a request would have.

    Args:
        arguments: the request.
        most: counting ends beyond this size.
    """
    size = 0
    for value in _values_in(arguments):
        size += _VALUE
        if isinstance(value, str):
            size += len(value)
        elif isinstance(value, Secret):
            size += len(value.reveal())
        if size > most:
            break
    return size


def _texts_in(value: object) -> Iterator[str]:
    """Yield a value that is a text, or the texts that it holds; no secret is one."""
    return (each for each in _values_in(value) if isinstance(each, str))


def _values_in(value: object) -> Iterator[object]:
    """Yield a value, and those that it holds at any depth."""
    left: list[Any] = [value]
    while left:
        each = left.pop()
        yield each
        if isinstance(each, msgspec.Struct):
            left += [getattr(each, name) for name in each.__struct_fields__]
        elif isinstance(each, list):
            left += each
        elif isinstance(each, dict):
            left += [*each.keys(), *each.values()]


def page(limit: int, *, more: str = "request the next page with `after`") -> int:
    """Return the number of entries of a page.

    Args:
        limit: the number that is asked for.
        more: how one gets at what is beyond the largest page, for messages; empty where one does not.

    Raises:
        LimitReached: it is more than a page may have.
        InvalidArgument: it is not positive.
    """
    if limit < 1:
        raise InvalidArgument("`limit` must be at least 1", _PAGE_SIZE, field="limit")
    if limit > MOST_LISTED:
        told = f"`limit` must be at most {MOST_LISTED}"
        raise LimitReached(f"{told}: {more}" if more else told, _PAGE_SIZE, field="limit")
    return limit


def _read_secret(kind: type, value: object) -> Secret:
    if kind is not Secret or not isinstance(value, str):
        raise ValueError("expected text")
    return Secret(value)


def _write_secret(value: object) -> str:
    if not isinstance(value, Secret):
        raise NotImplementedError(f"{type(value).__name__} cannot be encoded as JSON")
    return value.reveal()
