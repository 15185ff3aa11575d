"""What every service of identity management works with, and what it needs from the layers above."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from kiteward.audit.reader import AuditReader
from kiteward.audit.refusals import RefusalCounts
from kiteward.audit.writer import AuditState
from kiteward.authn.hashing import PasswordHasher
from kiteward.authn.oidc.issuers import Issuer
from kiteward.authn.password_policy import PasswordPolicy
from kiteward.authn.principals import PrincipalLookup
from kiteward.authn.second_factor.factors import SecondFactors
from kiteward.authn.sessions import MemorySessions, Sessions
from kiteward.authz.policy import Condition, Decision, PolicySnapshot
from kiteward.authz.privileges import Privilege
from kiteward.authz.row_policies import BoundRule
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import EngineUnavailable, OperationRefused
from kiteward.domain.identity import CredentialReach, Principal
from kiteward.domain.naming import NamingRules
from kiteward.domain.request_limits import RequestLimits
from kiteward.engine.base import Engine
from kiteward.iam.first_steps import FirstSteps
from kiteward.iam.scim.settings import ScimSettings
from kiteward.iam.settings import ExchangeRules, KeyRules, Limits
from kiteward.store.base import Store
from kiteward.store.records import ListedReplica
from kiteward.telemetry.activity import Activity

if TYPE_CHECKING:  # only servers that share a store have it
    from kiteward.audit.shared import SharedTrail


class Catalog(Protocol):
    """The engine's databases, collections and aliases; implemented by the gateway."""

    @property
    def fresh(self) -> bool:
        """Whether databases and aliases in memory are those of the engine."""
        ...

    @property
    def fault(self) -> EngineUnavailable | None:
        """Why requests that need databases and aliases are refused, or None."""
        ...

    async def refresh(self) -> None:
        """Load databases and aliases unless they are fresh; raises EngineUnavailable."""
        ...

    async def ensure(self, database: str, *names: str, caller: str = "") -> None:
        """Make memory hold a database and names in it; raises EngineUnavailable, LimitReached."""
        ...

    def has_database(self, name: str) -> bool:
        """Return whether the database exists, according to memory."""
        ...

    def resolve(self, database: str, name: str) -> str:
        """Return the collection that an alias names; any other name unchanged."""
        ...

    async def database_names(self) -> list[str]:
        """Return the engine's databases, sorted; raises EngineError."""
        ...

    async def collection_names(self, database: str) -> list[str]:
        """Return the engine's collections of a database, sorted; raises EngineError."""
        ...

    async def has_collection(self, database: str, name: str) -> bool:
        """Return whether a collection exists in the engine; raises EngineError."""
        ...


@dataclass(frozen=True, slots=True)
class CollectionField:
    """A field that the schema of a collection declares.

    Attributes:
        name: its name.
        kind: its type, as the protocol spells it: `VarChar`, `Int64`, `Array`.
        element: the type of the elements of an array, else empty.
        nullable: whether it may have no value.
        generated: whether the engine gives rows its values.
    """

    name: str
    kind: str
    element: str = ""
    nullable: bool = False
    generated: bool = False


class Collections(Protocol):
    """The collections of the engine while a change of what belongs to them is made; implemented by the gateway."""

    @property
    def shared(self) -> bool:
        """Whether others than Kiteward can change them: the engine is a remote one."""
        ...

    def held(self) -> AbstractAsyncContextManager[None]:
        """Keep collections and aliases from being created, dropped, renamed or moved here until the block ends.

        A transaction is opened inside such a block, never around one. It raises EngineError, StoreError where an
        earlier change cannot be completed.
        """
        ...

    async def fields(self, database: str, name: str) -> Mapping[str, CollectionField]:
        """Return the fields that a collection declares, by name.

        Raises:
            CollectionNotFound: there is none of this name, which is no alias.
            EngineError: the engine does not respond, or refuses.
        """
        ...


class Rows(Protocol):
    """The rows of collections, as a rule of row policies lets them be read; implemented by the gateway."""

    async def count(self, database: str, name: str, rule: BoundRule) -> int:
        """Return how many rows of a collection a rule allows.

        Raises:
            CollectionNotFound: there is none of this name, which is no alias.
            InvalidArgument: it is not loaded.
            EngineError: the engine does not respond, or refuses.
        """
        ...

    async def keys(self, database: str, name: str, rule: BoundRule, wanted: Sequence[str]) -> frozenset[str]:
        """Return which primary keys are those of rows that a rule allows.

        Args:
            database: its database.
            name: the collection.
            rule: the rows that are allowed.
            wanted: primary keys; those that are integers in decimal.

        Raises:
            InvalidArgument: also where a key is no integer and the primary key of the collection is one.
            Others as of `count`.
        """
        ...


CollectionName = tuple[str, str]
"""The database and the name of a collection."""


@dataclass(frozen=True, slots=True)
class CollectionSize:
    """The size of a collection.

    Attributes:
        rows: how many rows it has, as the engine counts them.
        vector_bytes: what the dense vectors of these rows take, by their types and dimensions; indexes are not counted.
        description: what it was created with.
    """

    rows: int
    vector_bytes: int
    description: str = ""


class Sizes(Protocol):
    """The sizes of collections; implemented by the gateway."""

    async def of(self, names: Sequence[CollectionName], *, within: float) -> Mapping[CollectionName, CollectionSize]:
        """Return the sizes of these collections that the engine tells within so many seconds."""
        ...


class OperationRules(Protocol):
    """The columns of an operation's row that explanations and reviews need; implemented by the operation table."""

    @property
    def privilege(self) -> Privilege | None: ...
    @property
    def visibility_is_enough(self) -> bool: ...
    @property
    def credential(self) -> CredentialReach: ...
    @property
    def closed(self) -> str: ...
    def closed_details(self) -> tuple[ErrorDetail, ...]: ...


class OwnOperationRules(Protocol):
    """The columns of the row of an operation of our own that explanations need; implemented by `AdminOperation`."""

    @property
    def privilege(self) -> Privilege | None: ...
    @property
    def on_objects(self) -> tuple[Condition, ...]: ...
    @property
    def own(self) -> bool: ...
    @property
    def administrators(self) -> bool: ...
    def decide(self, principal: Principal, snapshot: PolicySnapshot) -> Decision: ...


class ReceivedCall(Protocol):
    """The parts of a request that are read here; the gateway's `Call` implements it."""

    @property
    def operation(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def database(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """The health of a component.

    Attributes:
        ready: whether it can be used.
        reason: one sentence for the operator when it cannot, else empty.
        details: the same as codes, for programs and translations.
    """

    ready: bool = True
    reason: str = ""
    details: tuple[ErrorDetail, ...] = ()


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers that work with the store, and which of them this process is.

    Attributes:
        listed: the servers, sorted by name and id.
        own_id: the id of this one; empty if this process is no server.
    """

    listed: Sequence[ListedReplica]
    own_id: str = ""


async def unknown_servers() -> Servers:
    """Refuse: this process is a command, and a store in a file says nothing of the server that holds it.

    Raises:
        OperationRefused: always.
    """
    raise OperationRefused(
        "the store is a file, which says nothing of the one server that may use it: ask that server by --server "
        "URL, or set kiteward.store.url to the store of several servers",
        ErrorDetail(ErrorCode.SERVERS_NOT_LISTED),
    )


class ResponseCache:
    """Caches responses that are the same for every caller at one revision of the policy."""

    CAPACITY: Final = 16 * 1024 * 1024
    """Most bytes of requests and responses in the cache. Beyond, nothing more is cached until the next revision."""

    def __init__(self) -> None:
        self._revision = -1
        self._bytes = 0
        self._answers: dict[tuple[str, bytes], bytes] = {}

    def get(self, call: ReceivedCall, revision: int) -> bytes | None:
        """Return the cached response to the same request at this revision, or None."""
        return self._answers.get((call.operation, call.payload)) if revision == self._revision else None

    def put(self, call: ReceivedCall, revision: int, answer: bytes) -> bytes:
        """Cache a response and return it; a response of an earlier revision is only returned."""
        if revision > self._revision:
            self._revision, self._bytes = revision, 0
            self._answers.clear()
        size = self._bytes + len(call.payload) + len(answer)
        if revision == self._revision and size <= self.CAPACITY:
            self._bytes = size
            self._answers[call.operation, call.payload] = answer
        return answer


@dataclass(frozen=True, slots=True)
class Services:
    """What services work with.

    Attributes:
        store: users and everything else that is stored.
        engine: for its health only.
        catalog: databases and aliases.
        collections: holds and describes collections.
        rows: counts and finds rows.
        sizes: tells the sizes of collections.
        hasher: hashes new passwords.
        passwords: the password policy.
        operations: the rules of every RPC by its name.
        own_operations: likewise of every operation of our own.
        factors: the second factors of the console's sign-in, shared with the authenticator.
        naming: the naming rules.
        limits: the limits of users and roles.
        request_limits: the limits of the requests of each user that has no others, by the settings.
        super_users: callers who change a password without the old one (`common.security.superUsers`).
        root_bypass: whether `root` needs no roles (`common.security.rootShouldBindRole` false).
        key_rules: the rules for new API keys.
        exchange_rules: the rules for exchanging credentials for API keys.
        sessions: the console's sessions, shared with the authenticator.
        response_cache: responses of the current revision.
        trail: reads the audit trail; None where there is none.
        shared_trail: reads what replicas share of theirs; None where no other shares the store.
        audit: reports the state of the audit trail.
        servers: returns the servers that work with the store.
        issuers: the identity providers whose tokens are accepted, by name.
        activity: what this process did in the last hour and day.
        refusals: whose requests it refused.
        first_steps: what is left to do on a new server.
    """

    store: Store
    engine: Engine
    catalog: Catalog
    collections: Collections
    rows: Rows
    sizes: Sizes
    hasher: PasswordHasher
    passwords: PasswordPolicy
    operations: Mapping[str, OperationRules]
    factors: SecondFactors
    own_operations: Mapping[str, OwnOperationRules] = field(default_factory=dict)
    naming: NamingRules = field(default_factory=NamingRules)
    limits: Limits = field(default_factory=Limits)
    request_limits: RequestLimits = field(default_factory=RequestLimits)
    super_users: frozenset[str] = frozenset()
    root_bypass: bool = True
    key_rules: KeyRules = field(default_factory=KeyRules)
    scim: ScimSettings = field(default_factory=ScimSettings)
    exchange_rules: ExchangeRules = field(default_factory=ExchangeRules)
    sessions: Sessions = field(default_factory=MemorySessions)
    response_cache: ResponseCache = field(default_factory=ResponseCache)
    trail: AuditReader | None = None
    shared_trail: "SharedTrail | None" = None
    audit: Callable[[], AuditState] = AuditState
    servers: Callable[[], Awaitable[Servers]] = unknown_servers
    issuers: Mapping[str, Issuer] = field(default_factory=dict)
    activity: Activity = field(default_factory=Activity)
    refusals: RefusalCounts = field(default_factory=RefusalCounts)
    first_steps: FirstSteps = field(default_factory=FirstSteps)

    @property
    def principals(self) -> PrincipalLookup:
        """Looks up the principals of users and API keys."""
        return PrincipalLookup(self.store, root_bypass=self.root_bypass, issuers=self.issuers)
