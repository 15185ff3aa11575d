"""A gateway put together as `runtime` does it: real store, real hashing at test cost, fake engine."""

import asyncio
import base64
import contextlib
import dataclasses
import math
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from tests.support.engine import FakeEngine

from kiteward.api.grpc.status import failure_of
from kiteward.audit.events import AuditEvent, shortened
from kiteward.audit.writer import AuditState
from kiteward.authn.authenticator import Authenticator
from kiteward.authn.console_sign_in import SignInRules
from kiteward.authn.hashing import TESTING, PasswordHasher
from kiteward.authn.oidc.authentication import TokenAuthenticator
from kiteward.authn.oidc.fetching import IssuerClient
from kiteward.authn.oidc.key_sets import KeySet
from kiteward.authn.oidc.tokens import TokenVerifier
from kiteward.authn.second_factor.factors import SecondFactors
from kiteward.authn.second_factor.sealing import FactorKey
from kiteward.authn.shared_throttle import OwnLimits
from kiteward.authn.throttle import Throttle
from kiteward.authz.model import Policy
from kiteward.bootstrap.first_start import bootstrap
from kiteward.bootstrap.sharing import Sharing, servers_of
from kiteward.config.settings import Settings
from kiteward.domain.errors import AuditUnavailable, RequestRefused
from kiteward.domain.identity import PasswordCredential, PresentedCredential, Secret
from kiteward.filters import Dialect
from kiteward.gateway.admission import Admission
from kiteward.gateway.audit_recorder import Recorder
from kiteward.gateway.call import Call
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.collection_definitions import CollectionDefinitions
from kiteward.gateway.collection_sizes import CollectionSizes
from kiteward.gateway.ddl import DdlExecutor
from kiteward.gateway.gateway import Gateway
from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.gateway.replicas.lease import Lease
from kiteward.gateway.request_entry import RequestEntry
from kiteward.gateway.request_limiter import RequestLimiter
from kiteward.gateway.row_access.counting import RowCounter
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.base import Arguments
from kiteward.iam.json_api.identities import MappedRole
from kiteward.iam.json_api.scim import PatchOperation
from kiteward.iam.policy_files.document import PolicyDocument
from kiteward.iam.services import Services
from kiteward.milvus import messages
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.records import ReplicaRecord, UserRecord
from kiteward.store.sql import SqlStore

ROOT_PASSWORD: Final = "Milvus"
PASSWORD: Final = "Password-1"
"""Of every other user, unless a test says otherwise."""


def encoded(password: str) -> str:
    """Return a password as SDKs send it in requests."""
    return base64.b64encode(password.encode()).decode()


class RecordedEvents:
    """An audit trail in memory, which can be made to fail."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.working = True

    def record(self, event: AuditEvent, *, whole: bool = False) -> None:
        self.events.append(event if whole else shortened(event)[0])

    async def record_durably(self, event: AuditEvent) -> None:
        if not self.working:
            raise AuditUnavailable("it cannot be recorded")
        self.events.append(event)

    def state(self) -> AuditState:
        return AuditState(working=self.working)

    async def close(self) -> None:
        pass


class SteppingClock:
    """A clock that is later by a step, in seconds, each time it is read."""

    def __init__(self, step: float) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class MovableClock:
    """The time of day, which a test can move by `ahead` seconds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class GatewayHarness:
    """A gateway with its store, a fake engine and its own audit trail.

    Attributes:
        services: the dependencies of the handlers; tests replace parts of it before they call.
        trail: the recorded events.
        limiter: limits requests; a test of its clock replaces it before `configure`.
        engine_places: how many reads, and how many writes, are worked on at once; likewise.
        me: this server, as it is listed.
        issuer_clients: ask the identity providers of the settings.
        key_sets: the keys of the identity providers of the settings.
        clock: the time by which tokens are accepted.
        throttle_clock: advances by an hour at each reading, so that wrong passwords in a test cause no waits; a test of
            waits sets its `step`.
        later: seconds by which the clock of second factors is ahead.
    """

    def __init__(
        self,
        store: SqlStore,
        hasher: PasswordHasher,
        engine: FakeEngine,
        settings: Settings,
        catalog: Catalog | None = None,
    ) -> None:
        self.store = store
        self.hasher = hasher
        self.engine = engine
        self.throttle_clock = SteppingClock(3600.0)
        self.issuer_clients = [IssuerClient(each) for each in settings.issuers]
        self.key_sets = [KeySet(client.issuer, client) for client in self.issuer_clients]
        self.clock = MovableClock()
        self.later = 0.0
        self.authenticator = Authenticator(
            store,
            hasher,
            root_bypass=settings.root_bypass,
            local=True,
            throttle=Throttle(self.throttle_clock),
            tokens=self._tokens(settings) if self.key_sets else None,
            sign_in=SignInRules(
                factors=SecondFactors(
                    store,
                    settings.console.factors,
                    key=FactorKey(Secret("a key for tests, of 32 characters")),
                    limits=OwnLimits(Throttle(self.throttle_clock)),
                    clock=lambda: time.time() + self.later,
                ),
            ),
        )
        self.trail = RecordedEvents()
        self.recorder = Recorder(self.trail)
        self.policy_cache = PolicyCache(store, self.authenticator, self.recorder)
        self.catalog = catalog or Catalog(engine)
        self.ddl = DdlExecutor(engine, self.catalog, self.policy_cache, self.recorder)
        self.me = ReplicaRecord("", "this server", math.inf, started_at=1.0, version="1.2.3")
        self.services = Services(
            store,
            engine,
            self.catalog,
            CollectionDefinitions(engine, self.ddl, shared=False),
            RowCounter(engine, Dialect.EMBEDDED),
            CollectionSizes(engine, self.catalog.ids),
            hasher,
            settings.passwords,
            OPERATIONS,
            own_operations=ADMIN_OPERATIONS,
            factors=self.authenticator.factors,
            naming=settings.naming,
            limits=settings.limits,
            super_users=settings.super_users,
            root_bypass=settings.root_bypass,
            key_rules=settings.key_rules,
            sessions=self.authenticator.sessions,
            servers=servers_of(Sharing(lease=Lease.unlimited(), me=self.me), self.policy_cache),
            issuers={each.name: each for each in settings.issuers},
            refusals=self.recorder.refusals,
        )
        self.admission = Admission()
        self.limiter = RequestLimiter()
        self.engine_places = 0
        self.gateway = self._gateway()

    def _tokens(self, settings: Settings) -> TokenAuthenticator:
        verifier = TokenVerifier(self.key_sets, clock=self.clock)
        rules: dict[str, Any] = {"naming": settings.naming, "most_users": settings.limits.users}
        return TokenAuthenticator(verifier, self.store, clock=self.clock, **rules)

    def _gateway(self) -> Gateway:
        return Gateway(
            self.authenticator,
            self.policy_cache,
            engine=self.engine,
            catalog=self.catalog,
            ddl=self.ddl,
            services=self.services,
            recorder=self.recorder,
            admission=self.admission,
            dialect=Dialect.EMBEDDED,
            entry=RequestEntry(self.limiter, self.engine_places),
        )

    def configure(self, **parts: Any) -> None:
        """Replace parts of the tools, such as the limits."""
        self.services = dataclasses.replace(self.services, **parts)
        self.gateway = self._gateway()

    async def call(
        self,
        method: str,
        *,
        by: Any = "root",
        database: Any = "",
        payload: Any = None,
        address: Any = "",
        **fields: Any,
    ) -> Any:
        """Send a request through the gateway and return the response message.

        Args:
            method: RPC name.
            by: who calls: a user name, with the usual password, or what a transport made of the header.
            database: the database of the connection.
            payload: the request's bytes; without it they are made of the fields.
            address: where the caller is, as `host:port`.
            fields: fields of the request.

        Raises:
            KitewardError: as the gateway does.
        """
        rpc = messages.METHODS.get(method)
        if payload is None:
            payload = rpc.request(**fields).SerializeToString() if rpc else b""
        credential = presented(by) if isinstance(by, str) else by
        answer = await self.gateway.handle(Call(method, payload, credential, database=database, address=address))
        assert rpc is not None
        return rpc.response.FromString(answer)

    async def status(self, method: str, **arguments: Any) -> Any:
        """Send a request and return the `Status` that a gRPC client sees, of success as of a refusal."""
        try:
            response = await self.call(method, **arguments)
        except RequestRefused as error:
            told = failure_of(method, error)
            assert isinstance(told, bytes)
            response = messages.method_of(method).response.FromString(told)
        field = messages.method_of(method).status_field
        return getattr(response, field) if field else response

    async def succeed(self, method: str, **arguments: Any) -> Any:
        """Send a request that must succeed and return the response message."""
        response = await self.call(method, **arguments)
        field = messages.method_of(method).status_field
        status = getattr(response, field) if field else response
        assert (status.code, status.error_code) == (0, 0), f"{method}: {status}"
        return response

    async def state(self) -> tuple[Policy, Sequence[UserRecord]]:
        """Return everything that is stored, so that a test can tell whether anything changed."""
        return await self.store.policy(), await self.store.users()

    # What tests are about to happen on

    async def user(self, name: str, *roles: str, password: str = PASSWORD) -> None:
        """Create a user and bind roles to it."""
        await self.succeed("CreateCredential", username=name, password=encoded(password))
        for role in roles:
            await self.succeed("OperateUserRole", username=name, role_name=role)

    async def role(self, name: str, *grants: tuple[str, str, str]) -> None:
        """Create a role with grants, each a privilege, a database and a collection."""
        await self.succeed("CreateRole", entity={"name": name})
        for grant in grants:
            await self.grant(name, *grant)

    async def grant(self, role: str, privilege: str, database: str = "default", collection: str = "*") -> None:
        """Grant a privilege or group by V2."""
        await self.succeed("OperatePrivilegeV2", **v2(role, privilege, database, collection))

    async def revoke(self, role: str, privilege: str, database: str = "default", collection: str = "*") -> None:
        """Revoke a privilege or group by V2."""
        await self.succeed("OperatePrivilegeV2", **v2(role, privilege, database, collection), type=1)

    async def group(self, name: str, *privileges: str) -> None:
        """Create a custom privilege group."""
        await self.succeed("CreatePrivilegeGroup", group_name=name)
        if privileges:
            members = [{"name": privilege} for privilege in privileges]
            await self.succeed("OperatePrivilegeGroup", group_name=name, privileges=members)

    async def grants(self, role: str, database: str = "*") -> list[tuple[str, str, str, str]]:
        """Return the grants of a role as SelectGrant lists them: object type, database, object name, privilege."""
        listed = await self.succeed("SelectGrant", entity={"role": {"name": role}, "db_name": database})
        return [
            (each.object.name, each.db_name, each.object_name, each.grantor.privilege.name) for each in listed.entities
        ]


def presented(user: str, password: str | None = None) -> PasswordCredential:
    """Return the credential of a user, with the usual password unless given."""
    usual = ROOT_PASSWORD if user == "root" else PASSWORD
    return PasswordCredential(user, Secret(usual if password is None else password))


def own_call(
    operation: str, by: str | PresentedCredential = "root", /, *, address: str = "", **arguments: Any
) -> Call[Arguments]:
    """Return a call of one of our own operations.

    Args:
        operation: its name.
        by: a user with the usual password, or a credential.
        address: where from.
        arguments: its arguments, as JSON spells them.
    """
    credential = presented(by) if isinstance(by, str) else by
    return Call(operation, ADMIN_OPERATIONS[operation].arguments_of(arguments), credential, address=address)


def least_arguments(operation: str) -> Arguments:
    """Return arguments of one of our own operations, whose required fields alone are given."""
    row = ADMIN_OPERATIONS[operation]
    values: dict[Any, Any] = {
        int: 1,
        datetime: datetime.now(UTC),
        list[str]: ["Query"],
        dict[str, str]: {"x": "x"},
        dict[str, Any]: {"x": "x"},
    }
    values[list[PatchOperation]] = [{"op": "remove", "path": "x"}]
    values[list[MappedRole]] = [{"issuer": "x", "group": "x", "roleName": "x"}]
    values[PolicyDocument] = {"version": 1}
    required = (field for field in msgspec.structs.fields(row.arguments) if field.required)
    return row.arguments_of({field.encode_name: values.get(field.type, "x") for field in required})


def v1(role: str, privilege: str, object_type: str, object_name: str, database: str = "") -> dict[str, Any]:
    """Return the fields of OperatePrivilege."""
    return {
        "entity": {
            "role": {"name": role},
            "object": {"name": object_type},
            "object_name": object_name,
            "db_name": database,
            "grantor": {"privilege": {"name": privilege}},
        }
    }


def v2(role: str, privilege: str, database: str = "default", collection: str = "*") -> dict[str, Any]:
    """Return the fields of OperatePrivilegeV2."""
    return {
        "role": {"name": role},
        "grantor": {"privilege": {"name": privilege}},
        "db_name": database,
        "collection_name": collection,
    }


@contextlib.contextmanager
def quick_directory() -> Iterator[Path]:
    """Make a directory in memory where the system has such a place: stores of unit tests need not outlive anything."""
    memory = Path("/dev/shm")  # noqa: S108  a directory of our own is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield Path(directory)


def bootstrapped(path: Path) -> Path:
    """Make a store as it is after the first start, closed, and return its path: other stores are copies of it."""

    async def bootstrap_once() -> None:
        async with opened(path):
            pass

    asyncio.run(bootstrap_once())
    return path


def empty(path: Path) -> Path:
    """Make a store that has its tables and no rows, closed, and return its path: other stores are copies of it."""

    async def make_tables() -> None:
        await (await SqlStore.open(path)).close()

    asyncio.run(make_tables())
    return path


@contextlib.asynccontextmanager
async def opened(
    store_path: Path | PostgresqlSettings,
    engine: FakeEngine | None = None,
    settings: Settings | None = None,
    *,
    catalog: Catalog | None = None,
) -> AsyncIterator[GatewayHarness]:
    """Open a store with a gateway before it, as a start of the server does."""
    settings = settings or Settings()
    engine = engine or FakeEngine()
    hasher = PasswordHasher(TESTING)
    store = await SqlStore.open(store_path)
    try:
        harness = GatewayHarness(store, hasher, engine, settings, catalog)
        await harness.policy_cache.load()
        await bootstrap(settings, harness.policy_cache, hasher, harness.recorder)
        await harness.catalog.start()
        await harness.ddl.recover()
        yield harness
        await harness.gateway.drain()
        await harness.catalog.close()
        await harness.authenticator.close()
        for client in harness.issuer_clients:
            await client.close()
    finally:
        await store.close()
        hasher.close()
