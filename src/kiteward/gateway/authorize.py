"""Authenticates, resolves and authorizes requests: every request passes here, and none is executed without the result.

`Authorizer.authorize` alone makes an `AuthorizedRequest`, which each executor takes as its argument. It is called again
before a change that has waited for its turn, so that a decision is never older than the wait.
"""

from collections.abc import Iterable
from time import perf_counter
from typing import Any, Final, NamedTuple, Self

from kiteward.authz.policy import Decision, PolicySnapshot, decide, listed_databases
from kiteward.domain.errors import AccessDenied, DatabaseNotFound, NotReady, OperationRefused, OperationUnknown
from kiteward.domain.identity import Principal
from kiteward.domain.naming import DEFAULT_DATABASE, NamingRules
from kiteward.engine import metadata as engine_metadata
from kiteward.gateway import outbound
from kiteward.gateway.audit_recorder import Recording
from kiteward.gateway.call import Call
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.instrumentation import InstrumentedAuthenticator
from kiteward.gateway.large_requests import require_reach
from kiteward.gateway.operations import Operation
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.gateway.resolve import check_new_names, resolve_request
from kiteward.gateway.resolved_request import NOTHING_RESOLVED, ResolvedRequest
from kiteward.gateway.rows import Row
from kiteward.iam.json_api.base import AdminOperation
from kiteward.telemetry.telemetry import Telemetry

_PROOF: Final = object()


class _Fields(NamedTuple):
    row: Row
    call: Call
    principal: Principal
    snapshot: PolicySnapshot
    resolved: ResolvedRequest
    hides_database: bool


class AuthorizedRequest(_Fields):
    """A request that its caller may make, as of now. Only `Authorizer.authorize` can make one.

    Attributes:
        row: its row.
        call: the request as it came.
        principal: who calls.
        snapshot: the policy it was allowed by.
        resolved: what it is about.
        hides_database: whether the principal may not know whether its database exists, so that its list is empty.
    """

    __slots__ = ()

    def __new__(cls, proof: object, *fields: Any) -> Self:
        """Refuse to be made elsewhere. A tuple, because one is made for every request.

        Raises:
            TypeError: `proof` is not what this module keeps to itself.
        """
        if proof is not _PROOF:
            raise _unproven()
        return super().__new__(cls, *fields)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]  # noqa: ARG003  nothing is made by it
        raise _unproven()

    def _replace(self, **changes: Any) -> Self:  # noqa: ARG002  named tuples have it
        raise _unproven()

    @property
    def operation(self) -> Operation:
        """Its row, of a request to an RPC.

        Raises:
            TypeError: it is to an operation of our own.
        """
        if not isinstance(self.row, Operation):
            raise TypeError(f"{self.row.name} is no RPC")
        return self.row

    @property
    def admin_operation(self) -> AdminOperation:
        """Its row, of a request to an operation of our own.

        Raises:
            TypeError: it is to an RPC.
        """
        if not isinstance(self.row, AdminOperation):
            raise TypeError(f"{self.row.name} is an RPC")
        return self.row


def _unproven() -> TypeError:
    return TypeError("an AuthorizedRequest is made by Authorizer.authorize alone")


def require_authorized(request: AuthorizedRequest) -> None:
    """Refuse to execute anything but an authorized request.

    Raises:
        TypeError: it is something else.
    """
    if type(request) is not AuthorizedRequest:
        raise TypeError(f"only an AuthorizedRequest is executed, not {type(request).__name__}")


class Authorizer:
    """Decides who may do what."""

    def __init__(
        self,
        authenticator: InstrumentedAuthenticator,
        policy_cache: PolicyCache,
        catalog: Catalog,
        *,
        naming: NamingRules,
        telemetry: Telemetry,
    ) -> None:
        self._authenticator = authenticator
        self._policy_cache = policy_cache
        self._catalog = catalog
        self._naming = naming
        self._telemetry = telemetry

    async def authenticate(self, recording: Recording) -> Principal:
        """Return who calls.

        Raises:
            AuthenticationError: that is not established.
            AccessDenied: the caller has a one-time password, and has to set another one first.
        """
        call, row = recording.call, recording.row
        principal = await self._authenticator.authenticate(call.credential, address=call.address)
        recording.principal = principal
        if principal.one_time and not (row is not None and row.one_time_password):
            raise AccessDenied(
                f"the password of {principal.user_name} is a one-time password: set another one first (update_password)"
            )
        return principal

    async def authorize(self, recording: Recording, *, again: bool = False) -> AuthorizedRequest:
        """Authenticate, resolve and authorize a request, by the policy and the catalog as they are now.

        Args:
            recording: of the request.
            again: whether this repeats the decision before a change that has waited: the policy and the catalog are taken
                as they are, because loading them there would wait for the change itself. Otherwise they are loaded
                first where they are missing or out of date.

        Raises:
            OperationUnknown: there is no such operation.
            AuthenticationError: who calls is not established.
            AccessDenied, OperationRefused: the principal is not allowed to, or nobody is.
            RequestRefused, PayloadMalformed: the request is wrong.
            DatabaseNotFound: its database does not exist for this caller.
            EngineUnavailable, StoreUnavailable: the catalog or the policy cannot be loaded.
            NotReady: there is no policy, and this is `again`.
        """
        principal = await self.authenticate(recording)
        row = recording.operation
        if row is not None and row.closed:
            raise _closed(row)
        while not (again or self._is_ready(row)):
            await self._load(row)
            # The user may have been deleted, or have lost a role, while they were loaded.
            principal = await self.authenticate(recording)
        if row is None:
            return self._authorize_admin(recording, principal)
        snapshot = self._policy_cache.current()
        resolved = recording.resolved = resolve_request(row, recording.call, self._catalog)
        begun = perf_counter()
        decision = decide(principal, resolved.conditions, snapshot, credential=row.credential)
        self._require_allowed(recording, decision, begun)
        hides_database = row.handler is None and self._require_possible(row, resolved, principal, snapshot)
        return AuthorizedRequest(_PROOF, row, recording.call, principal, snapshot, resolved, hides_database)

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
            raise OperationUnknown(f"unknown method {call.operation}")
        snapshot = self._policy_cache.current()
        begun = perf_counter()
        self._require_allowed(recording, row.decide(principal), begun)
        return AuthorizedRequest(_PROOF, row, call, principal, snapshot, NOTHING_RESOLVED, False)

    async def require_reach(self, recording: Recording, *, size: int) -> Principal:
        """Return who calls, if some request of this kind and of more than a few kilobytes could be allowed that caller.

        Args:
            recording: of the request, of which nothing has been read.
            size: its bytes.

        Raises:
            AuthenticationError, AccessDenied: the caller may send no such request.
            NotReady, StoreUnavailable: there is no policy.
        """
        principal = await self.authenticate(recording)
        snapshot, row = await self.policy(), recording.operation
        try:
            if row is not None:
                require_reach(principal, row.privilege, snapshot, visibility_is_enough=row.visibility_is_enough)
            else:
                require_reach(principal, None, snapshot)
        except AccessDenied:
            recording.details = {"request_bytes": size}
            raise
        return principal

    async def policy(self) -> PolicySnapshot:
        """Return the policy in force; load it again where it could not follow a change.

        Raises:
            StoreUnavailable: it cannot be loaded.
        """
        try:
            return self._policy_cache.current()
        except NotReady:
            await self._policy_cache.load()
            return self._policy_cache.current()

    def _require_allowed(self, recording: Recording, decision: Decision, begun: float) -> None:
        """Report a decision that began at `begun`, and keep to it.

        Raises:
            AccessDenied: it denies the request.
        """
        recording.decision = decision
        self._telemetry.observe_decision(begun, allowed=decision.allowed)
        decision.require_allowed()

    def _require_possible(
        self, row: Operation, resolved: ResolvedRequest, principal: Principal, snapshot: PolicySnapshot
    ) -> bool:
        """Refuse what no engine may be asked for, after the decision, so that it reveals nothing hidden.

        Returns:
            Whether the principal may not know whether the database of a list exists.

        Raises:
            InvalidArgument, AliasConflict: the request contradicts itself, or an alias is out of place.
            DatabaseNotFound: the database does not exist for this caller.
            RequestRefused: an illegal name, or an address, file or credential that comes with the request.
        """
        resolved.require_consistent()
        if not row.database:
            # Nobody has looked for this one: the operation is about no database, the connection names it all the same.
            if not engine_metadata.is_metadata_text(resolved.database):
                raise _no_database(resolved.database)
        elif row.exists and self._is_hidden(row, resolved, principal, snapshot):
            return True
        check_new_names(row, resolved, self._naming)
        outbound.check(row.places, resolved.fields)
        return False

    def _is_hidden(
        self, row: Operation, resolved: ResolvedRequest, principal: Principal, snapshot: PolicySnapshot
    ) -> bool:
        """Require that the database of an allowed request exists, as far as the caller may know.

        Callers to whom the database is visible, or whose privileges in it allow the request, get an error if it does
        not exist. Others get the same response, without the engine, whether it exists or not. `default` always exists.

        Returns:
            Whether the caller may not know, of an operation that lists: the list is empty.

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


def hidden_response(recording: Recording) -> bytes | None:
    """Return the response to a denied request whose object its caller may not know of: as if it did not exist.

    Returns:
        The response; None where a request is refused openly.
    """
    row, resolved, decision = recording.operation, recording.resolved, recording.decision
    if row is None or row.hidden_response is None or resolved is None:
        return None
    if decision is None or decision.allowed:
        return None
    return row.hidden_response(resolved)


def _closed(row: Operation) -> OperationRefused:
    return OperationRefused(f"{row.name} is not supported here: {row.closed}")


def _no_database(name: str) -> DatabaseNotFound:
    return DatabaseNotFound(f"database not found[database={name}]")
