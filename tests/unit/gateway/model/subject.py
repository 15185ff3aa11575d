"""The gateway under test over a real store, and what one of its answers says in the reference's form."""

import base64
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Self

from tests.support.gateway import SteppingClock
from tests.unit.gateway.model.engine import FakeEngine
from tests.unit.gateway.model.passing import subject
from tests.unit.gateway.model.reference import Outcome, Step

from kiteward.api.grpc.status import GrpcStatus, failure_of
from kiteward.audit.writer import NullAuditSink
from kiteward.authn.authenticator import Authenticator
from kiteward.authn.hashing import TESTING, PasswordHasher
from kiteward.authn.password_policy import POLICIES
from kiteward.authn.throttle import Throttle
from kiteward.authz.model import BUILT_IN_ROLES, Role
from kiteward.domain.errors import KitewardError
from kiteward.domain.identity import PasswordCredential, Secret
from kiteward.filters import Dialect
from kiteward.gateway.audit_recorder import Recorder
from kiteward.gateway.call import Call
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.collection_definitions import CollectionDefinitions
from kiteward.gateway.collection_sizes import CollectionSizes
from kiteward.gateway.ddl import DdlExecutor
from kiteward.gateway.gateway import Gateway
from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.gateway.row_access.counting import RowCounter
from kiteward.iam.services import Services
from kiteward.milvus import messages
from kiteward.store.sql import SqlStore

ROOT_PASSWORD: Final = "Milvus"


class Subject:
    """A gateway with its store and its engine."""

    def __init__(self, stack: AsyncExitStack, gateway: Gateway, engine: FakeEngine) -> None:
        self._stack = stack
        self._gateway = gateway
        self.engine = engine

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Start on a fresh store that holds `root` and the built-in roles."""
        async with AsyncExitStack() as stack:
            store = await SqlStore.open(path)
            stack.push_async_callback(store.close)
            hasher = PasswordHasher(TESTING)
            stack.callback(hasher.close)
            # Days pass between requests, so that the wrong passwords of the workload make nobody wait.
            authenticator = Authenticator(store, hasher, throttle=Throttle(SteppingClock(2 * 86_400.0)))
            recorder = Recorder(NullAuditSink())
            policy_cache = PolicyCache(store, authenticator, recorder)
            await policy_cache.load()
            async with policy_cache.change() as transaction:
                for name in BUILT_IN_ROLES:
                    await transaction.roles.put(Role(name))
                await transaction.users.add("root", await hasher.hash(Secret(ROOT_PASSWORD)))
            engine = FakeEngine()
            catalog = Catalog(engine)
            await catalog.refresh()
            ddl = DdlExecutor(engine, catalog, policy_cache, recorder)
            await ddl.recover()
            services = Services(
                store,
                engine,
                catalog,
                CollectionDefinitions(engine, ddl, shared=False),
                RowCounter(engine, Dialect.EMBEDDED),
                CollectionSizes(engine, catalog.ids),
                hasher,
                POLICIES["standard"],
                OPERATIONS,
                factors=authenticator.factors,
            )
            gateway = Gateway(
                authenticator,
                policy_cache,
                engine=engine,
                catalog=catalog,
                ddl=ddl,
                services=services,
                recorder=recorder,
                dialect=Dialect.EMBEDDED,
            )
            stack.push_async_callback(gateway.drain)
            return cls(stack.pop_all(), gateway, engine)

    async def close(self) -> None:
        """Stop."""
        await self._stack.aclose()

    async def answer(self, step: Step) -> Outcome:
        """Send a request and return what came of it."""
        self.engine.take_calls()
        call = Call(
            step.operation,
            step.message.SerializeToString(),
            PasswordCredential(step.caller, Secret(step.password)),
            database=step.database,
        )
        try:
            answer = await self._gateway.handle(call)
        except KitewardError as error:
            told = failure_of(step.operation, error)
            if isinstance(told, GrpcStatus):
                return Outcome(told.code.name, forwarded=self._forwarded(step))
            answer = told
        except Exception as error:  # noqa: BLE001  a crash is an outcome too, and the run that led to it is wanted
            return Outcome(f"raised {error!r}", forwarded=self._forwarded(step))
        return _outcome(step.operation, answer, self._forwarded(step))

    def _forwarded(self, step: Step) -> tuple[str, ...] | None:
        """Return what reached the engine; the catalog asks it for itself, and first."""
        calls = [call for call in self.engine.take_calls() if call[0] == step.operation]
        if not calls:
            return None
        _, database, request = calls[-1]
        return (database, *subject(step.operation, request))


def encoded(password: str) -> str:
    """Return a password as SDKs send it."""
    return base64.b64encode(password.encode()).decode()


def _outcome(operation: str, answer: bytes, forwarded: tuple[str, ...] | None) -> Outcome:
    method = messages.METHODS[operation]
    message = method.response.FromString(answer)
    status: Any = getattr(message, method.status_field) if method.status_field else message
    if status.code or status.error_code:
        return Outcome("status", status.code, status.error_code, forwarded=forwarded)
    tells = _CONTENT.get(operation)
    return Outcome("ok", content=tells(message) if tells else None, forwarded=forwarded)


def _grants(entities: Iterable[Any]) -> list[tuple[str, ...]]:
    return [
        (
            each.role.name,
            each.object.name,
            each.db_name,
            each.object_name,
            each.grantor.privilege.name,
            each.grantor.user.name,
        )
        for each in entities
    ]


def _groups(infos: Iterable[Any]) -> list[tuple[str, frozenset[str]]]:
    return [(info.group_name, frozenset(member.name for member in info.privileges)) for info in infos]


def _names(entities: Iterable[Any]) -> list[str]:
    return [entity.name for entity in entities]


def _backup(message: Any) -> dict[str, Any]:
    meta = message.RBAC_meta
    return {
        "users": [(user.user, _names(user.roles)) for user in meta.users],
        "roles": _names(meta.roles),
        "grants": _grants(meta.grants),
        "groups": _groups(meta.privilege_groups),
    }


def _collections(message: Any) -> list[tuple[str, int, int, int]]:
    columns = (message.collection_ids, message.created_timestamps, message.created_utc_timestamps)
    return list(zip(message.collection_names, *columns, strict=True))


_CONTENT: Final[Mapping[str, Callable[[Any], Any]]] = {
    "HasCollection": lambda message: message.value,
    "DescribeCollection": lambda message: message.collection_name,
    "DescribeAlias": lambda message: (message.alias, message.collection),
    "ListAliases": lambda message: list(message.aliases),
    "ShowCollections": _collections,
    "ListDatabases": lambda message: list(zip(message.db_names, message.created_timestamp, strict=True)),
    "SelectGrant": lambda message: _grants(message.entities),
    "SelectRole": lambda message: [(result.role.name, _names(result.users)) for result in message.results],
    "SelectUser": lambda message: [
        (result.user.name, result.description, _names(result.roles)) for result in message.results
    ],
    "ListCredUsers": lambda message: list(message.usernames),
    "ListPrivilegeGroups": lambda message: _groups(message.privilege_groups),
    "BackupRBAC": _backup,
}
"""What the answers of operations tell, where they tell something."""
