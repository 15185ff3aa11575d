"""Authenticates, resolves and authorizes requests. No request is executed without the result.

Only `Authorizer.authorize` creates an `AuthorizedRequest`, which each executor takes as its argument. It is called
again before a change that has waited in a queue, so that a decision is never older than the wait.
"""

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any, Final, NamedTuple, Self

from kiteward.authz.policy import Decision, PolicySnapshot, decide, holds_anywhere, listed_databases
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, DatabaseNotFound, OperationRefused, OperationUnknown
from kiteward.domain.identity import Principal
from kiteward.domain.naming import DEFAULT_DATABASE, NamingRules
from kiteward.engine import metadata as engine_metadata
from kiteward.engine.base import EngineHealth
from kiteward.filters import Dialect
from kiteward.gateway import outbound, providers, unheeded
from kiteward.gateway.admission import Admission
from kiteward.gateway.call import AnyCall, rpc_call
from kiteward.gateway.catalog import AsGiven, Catalog, NamesUnknown
from kiteward.gateway.instrumentation import InstrumentedAuthenticator
from kiteward.gateway.large_requests import require_reach
from kiteward.gateway.operations import Operation
from kiteward.gateway.parameters import check_parameters
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.gateway.recording import Recording
from kiteward.gateway.request_entry import RequestEntry
from kiteward.gateway.resolve import check_new_names, resolve_request
from kiteward.gateway.resolved_request import NOTHING_RESOLVED, ResolvedRequest
from kiteward.gateway.row_access.access import RowAccess, row_access
from kiteward.gateway.rows import Row
from kiteward.gateway.sign_in_steps import require_signed_in
from kiteward.iam.json_api.base import AdminOperation
from kiteward.telemetry.telemetry import Telemetry

_PROOF: Final = object()


class _Fields(NamedTuple):
    row: Row
    call: AnyCall
    principal: Principal
    snapshot: PolicySnapshot
    resolved: ResolvedRequest
    hides_database: bool
    row_access: RowAccess | None


class AuthorizedRequest(_Fields):
    """A request that its caller is allowed to make. Only `Authorizer.authorize` can create one.

    Attributes:
        row: its row.
        call: the request as it was received.
        principal: the authenticated caller.
        snapshot: the policy by which it was allowed.
        resolved: the resolved request.
        hides_database: whether the principal may not know whether its database exists, so that its list is empty.
        row_access: how row policies bear on it; None where they do not, or where the principal bypasses them to read.
    """

    __slots__ = ()

    def __new__(cls, proof: object, *fields: Any) -> Self:
        """Create one, with the proof of this module. It is a tuple because one is created for every request.

        Raises:
            TypeError: `proof` is not the private object of this module.
        """
        if proof is not _PROOF:
            raise _unproven()
        return tuple.__new__(cls, fields)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]  # noqa: ARG003  nothing is made by it
        raise _unproven()

    def _replace(self, **changes: Any) -> Self:  # noqa: ARG002  named tuples have it
        raise _unproven()

    @property
    def operation(self) -> Operation:
        """The row of a request to an RPC.

        Raises:
            TypeError: the request is to an operation of our own.
        """
        if not isinstance(self.row, Operation):
            raise TypeError(f"{self.row.name} is no RPC")
        return self.row

    @property
    def admin_operation(self) -> AdminOperation:
        """The row of a request to an operation of our own.

        Raises:
            TypeError: the request is to an RPC.
        """
        if not isinstance(self.row, AdminOperation):
            raise TypeError(f"{self.row.name} is an RPC")
        return self.row


def _unproven() -> TypeError:
    return TypeError("an AuthorizedRequest is made by Authorizer.authorize alone")


def require_authorized(request: AuthorizedRequest) -> None:
    """Require that an argument is an authorized request.

    Raises:
        TypeError: it is something else.
    """
    if type(request) is not AuthorizedRequest:
        raise TypeError(f"only an AuthorizedRequest is executed, not {type(request).__name__}")


class Authorizer:
    """Authenticates callers, resolves requests, and decides whether they are allowed."""

    def __init__(
        self,
        authenticator: InstrumentedAuthenticator,
        policy_cache: PolicyCache,
        catalog: Catalog,
        *,
        engine: Callable[[], EngineHealth],
        naming: NamingRules,
        admission: Admission,
        telemetry: Telemetry,
        dialect: Dialect,
        entry: RequestEntry,
    ) -> None:
        self._authenticator = authenticator
        self._policy_cache = policy_cache
        self._catalog = catalog
        self._engine = engine
        self._naming = naming
        self._admission = admission
        self._telemetry = telemetry
        self._dialect = dialect
        self._entry = entry

    async def authenticate(self, recording: Recording) -> Principal:
        """Return the authenticated caller.

        Raises:
            LeaseOver: this server may not authenticate anybody now.
            AuthenticationError: the caller is not authenticated.
            AccessDenied: as `require_signed_in`.
        """
        self._policy_cache.require_lease()
        call, row = recording.call, recording.row
        # A request that is authenticated again may hold the transaction that a first sign-in would wait for.
        first = recording.principal is None
        principal = await self._authenticator.authenticate(call.credential, address=call.address, sign_up=first)
        recording.principal = principal
        require_signed_in(principal, row)
        return principal

    async def authorize(
        self, recording: Recording, *, again: bool = False, since: float | None = None
    ) -> AuthorizedRequest:
        """Authenticate, resolve and authorize a request, by the current policy and catalog.

        Args:
            recording: of the request.
            again: whether this repeats the decision of a queued change at the head of the queue. Policy and catalog are
                then used as they are, because loading them would wait for the change itself. Otherwise they are
                loaded first if they are missing or out of date. Names that the catalog does not hold are looked up.
            since: the time since which names have been looked up for this request, if any have.

        Raises:
            OperationUnknown: there is no such operation.
            AuthenticationError: the caller is not authenticated.
            AccessDenied, OperationRefused: the principal is not allowed to, or the operation is closed.
            RequestRefused, PayloadMalformed: the request is wrong.
            DatabaseNotFound: its database does not exist for this caller.
            EngineUnavailable, StoreUnavailable: the catalog or the policy cannot be loaded.
            LimitReached: the caller has named too many objects that the catalog does not hold.
            RequestsLimited, CapacityExceeded: as of `RequestEntry.admit`.
            NotReady: there is no policy, and this is `again`.
        """
        principal, row = await self._entered(recording, again=again), recording.operation
        if row is None:
            return self._authorize_admin(recording, principal)
        if again and row.needs_catalog:
            self._catalog.require_usable()
        try:
            return self._authorize_rpc(row, recording, principal, since)
        except NamesUnknown as unknown:
            since = self._catalog.now if since is None else since
            await self._catalog.ensure(unknown.database, *unknown.names, caller=principal.user_name)
        return await self.authorize(recording, again=again, since=since)

    async def _entered(self, recording: Recording, *, again: bool) -> Principal:
        """Return the caller of an admitted request, with what it is decided by up to date. Raises as `authorize`.

        The user may be deleted, or lose a role, while something is loaded or the request waits for its turn.
        """
        row = recording.operation
        while True:
            principal = await self.authenticate(recording)
            if row is not None and row.closed:
                raise _closed(row)
            if not (again or self._is_ready(row)):
                await self._load(row)
            elif recording.admitted or not await self._entry.admit(recording, principal, self._policy_cache.current()):
                return principal

    def _authorize_rpc(
        self, row: Operation, recording: Recording, principal: Principal, since: float | None
    ) -> AuthorizedRequest:
        """Resolve and authorize a request to an RPC. Raises NamesUnknown, and as `authorize`."""
        snapshot = self._policy_cache.current()
        try:
            resolved = resolve_request(row, rpc_call(recording.call), self._catalog, self._admission.check)
        except NamesUnknown:
            given = self._as_given(row, recording, principal, snapshot)
            if given is None:
                raise
            resolved = given
        recording.resolved = resolved
        begun = perf_counter()
        decision = decide(principal, resolved.conditions, snapshot, credential=row.credential)
        self._require_allowed(recording, decision, begun)
        if self._catalog.unproven(resolved.database, resolved.named, since):
            raise NamesUnknown(resolved.database, resolved.named)
        hides_database = row.handler is None and self._require_possible(row, resolved, principal, snapshot)
        access = row_access(recording, resolved, principal, snapshot, dialect=self._dialect)
        if access is not None and access.read is not None:
            # What is forwarded is written from `access.read`, never the payload as it came.
            resolved = resolved._replace(payload=b"")
        return AuthorizedRequest(_PROOF, row, recording.call, principal, snapshot, resolved, hides_database, access)

    def _as_given(
        self, row: Operation, recording: Recording, principal: Principal, snapshot: PolicySnapshot
    ) -> ResolvedRequest | None:
        """Return a request as if each name were that of a collection, if its outcome does not depend on them.

        Returns:
            None if it does, so that the names that the catalog does not hold have to be looked up.
        """
        resolved = resolve_request(row, rpc_call(recording.call), AsGiven(), self._admission.check)
        if not resolved.conditions:
            seen = row.handler is not None or listed_databases(principal, [resolved.database], snapshot)[0]
            return None if seen else resolved
        visible = row.visibility_is_enough
        if any(
            holds_anywhere(principal, condition.privilege, snapshot, visibility_is_enough=visible)
            for condition in resolved.conditions
        ):
            return None
        allowed = decide(principal, resolved.conditions, snapshot, credential=row.credential).allowed
        return None if allowed else resolved

    def _is_ready(self, row: Operation | None) -> bool:
        """Return whether the policy and the catalog that the decision is made by are up to date."""
        if row is not None and row.needs_catalog and not self._catalog.fresh:
            return False
        return self._policy_cache.revision() is not None

    async def _load(self, row: Operation | None) -> None:
        if row is not None and row.needs_catalog:
            await self._catalog.refresh()
        await self.policy()

    def _authorize_admin(self, recording: Recording, principal: Principal) -> AuthorizedRequest:
        """Authorize a request to an operation of our own, which resolves its objects itself."""
        row, call = recording.row, recording.call
        if not isinstance(row, AdminOperation):
            raise unknown_operation(call.operation)
        snapshot = self._policy_cache.current()
        begun = perf_counter()
        self._require_allowed(recording, row.decide(principal, snapshot), begun)
        recording.undecided = row.decided_by_run
        return AuthorizedRequest(_PROOF, row, call, principal, snapshot, NOTHING_RESOLVED, False, None)

    async def require_reach(self, recording: Recording, *, size: int) -> Principal:
        """Return the caller, if some large request of this kind could be allowed to that caller.

        Args:
            recording: of the request, which has not been read yet.
            size: its bytes.

        Raises:
            AuthenticationError, AccessDenied: no such request could be allowed.
            NotReady, StoreUnavailable: there is no policy.
        """
        principal = await self.authenticate(recording)
        snapshot, row = await self.policy(), recording.operation
        try:
            if row is not None:
                require_reach(principal, row.privilege, snapshot, visibility_is_enough=row.visibility_is_enough)
            else:
                own = recording.row
                require_reach(principal, own.privilege if isinstance(own, AdminOperation) else None, snapshot)
        except AccessDenied:
            recording.details = {"request_bytes": size}
            raise
        return principal

    async def policy(self) -> PolicySnapshot:
        """Return the policy in force, after loading it if it could not follow a change.

        Raises:
            StoreUnavailable: it cannot be loaded.
            LeaseOver: this server may not decide now.
        """
        if self._policy_cache.revision() is None:
            await self._policy_cache.load()
        return self._policy_cache.current()

    def _require_allowed(self, recording: Recording, decision: Decision, begun: float) -> None:
        """Report a decision to telemetry and enforce it.

        Raises:
            AccessDenied: it denies the request.
        """
        recording.decision = decision
        self._telemetry.observe_decision(begun, allowed=decision.allowed)
        decision.require_allowed()

    def _require_possible(
        self, row: Operation, resolved: ResolvedRequest, principal: Principal, snapshot: PolicySnapshot
    ) -> bool:
        """Refuse requests that nobody may make. It follows the decision, so as not to reveal what is not visible.

        Returns:
            Whether the principal may not know whether the database of a list exists.

        Raises:
            InvalidArgument, AliasConflict: the request contradicts itself, or an alias is not allowed.
            DatabaseNotFound: the database does not exist for this caller.
            RequestRefused: an illegal name; an address, file or credential that comes with the request; or a field that
                the engine would ignore.
        """
        resolved.require_consistent()
        if not row.database:
            # The operation uses no database, so nothing has checked the name that the connection gives.
            if not engine_metadata.is_metadata_text(resolved.database):
                raise _no_database(resolved.database)
        elif row.exists and self._is_hidden(row, resolved, principal, snapshot):
            return True
        check_new_names(row, resolved, self._naming)
        apart = providers.check(row.name, row.functions, resolved, self._admission.providers)
        outbound.check(row.places, resolved.fields, functions=not apart)
        check_parameters(row.parameters, resolved.fields, unknown=self._admission.unknown_parameters)
        unheeded.check(row.unheeded_places, resolved.fields, self._engine)
        return False

    def _is_hidden(
        self, row: Operation, resolved: ResolvedRequest, principal: Principal, snapshot: PolicySnapshot
    ) -> bool:
        """Require that the database of an allowed request exists, as far as the caller may know.

        Callers who see the database, or whose privileges have allowed the request in it, get the true answer. Others
        get the same response whether or not it exists, without a call of the engine. Everybody may know that `default`
        exists.

        Returns:
            For a list, whether the caller may not know, so that the list is empty.

        Raises:
            DatabaseNotFound: it does not exist for this caller.
        """
        database, lists = resolved.database, row.filter_response is not None
        if lists or not (resolved.conditions or database == DEFAULT_DATABASE):
            shown = listed_databases(principal, [database], snapshot)[0]
            if lists and not shown:
                return True
            if not shown:
                raise _no_database(database)
        if not self._catalog.has_database(database):
            raise _no_database(database)
        return False


def unknown_operation(name: str) -> OperationUnknown:
    """Return the refusal of an operation that has no row."""
    return OperationUnknown(f"unknown method {name}", ErrorDetail(ErrorCode.OPERATION_UNKNOWN, {"name": name}))


def _closed(row: Operation) -> OperationRefused:
    return OperationRefused(f"{row.name} is not supported here: {row.closed}", *row.closed_details())


def _no_database(name: str) -> DatabaseNotFound:
    return DatabaseNotFound(
        f"database not found[database={name}]", ErrorDetail(ErrorCode.DATABASE_NOT_FOUND, {"name": name})
    )
