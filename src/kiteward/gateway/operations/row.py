"""The columns of the operation table."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from kiteward.audit.events import DETAILS_LIMIT, NO_DETAILS, Event
from kiteward.authz.policy import PolicySnapshot
from kiteward.authz.privileges import Privilege
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.identity import CredentialReach, Principal
from kiteward.domain.request_limits import Counted
from kiteward.engine.base import Access
from kiteward.gateway import outbound, unheeded
from kiteward.gateway.audit_details import Json, Readers, Recorded, read_details
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.object_ids import IdsOf
from kiteward.gateway.parameters import ParameterPlace
from kiteward.gateway.resolved_request import ResolvedRequest
from kiteward.gateway.rule_places import Place
from kiteward.iam.milvus_rpc.base import Request
from kiteward.iam.services import Services
from kiteward.milvus import messages
from kiteward.milvus.request_reader import RequestReader
from kiteward.store.intent_records import Intent

Handler = Callable[[Services, Request], Awaitable[bytes]]
IntentOf = Callable[[Principal, ResolvedRequest], Intent]
ResponseFilter = Callable[[bytes, Principal, PolicySnapshot, ResolvedRequest, Catalog], bytes]
HiddenResponse = Callable[[ResolvedRequest], bytes]
ShowsAlias = Callable[[bytes, ResolvedRequest], bool]


class Executor(StrEnum):
    """What executes an allowed request."""

    ENGINE = "engine"
    DDL = "ddl"
    HERE = "here"
    NOBODY = "nobody"

    __hash__ = str.__hash__


class RowUse(StrEnum):
    """What an RPC does with the rows of a collection, as far as row policies are concerned (decision 0044)."""

    NONE = "none"
    """It reads and writes no rows, and its response reveals nothing about them."""
    FILTERED = "filtered"
    """It returns rows: those that the caller may see."""
    WRITTEN = "written"
    """It writes or deletes rows: those that the caller may write."""
    WHOLE = "whole"
    """It is about all rows at once, so that only who bypasses the policies may make it."""
    DEFINITION = "definition"
    """It changes fields: never one that a policy reads."""
    COUNTS = "counts"
    """Its response counts all rows; who does not bypass the policies gets zeros."""
    MOVED = "moved"
    """Its rows get another name, whose grants then decide who bypasses the policies: it needs ManageRLS as well."""

    __hash__ = str.__hash__


REQUEST_BUDGET: Final = 16_384
"""Most fields that a request may hold, enough for 1,024 searches in one. Bulk data is in a few large fields; a request
with more can only be meant to exhaust the server."""

_READS: Final = (Event.ADMINISTRATIVE_READ, Event.DATA_READ, None)


@dataclass(frozen=True, slots=True)
class Operation:
    """One RPC with all of its rules.

    Attributes:
        name: RPC name, unique over the services on the port.
        rows: what it does with rows, for collections that have row policies.
        executor: what executes it: the engine; the engine through `gateway.ddl`, because the catalog changes;
            Kiteward's `handler`; or nothing, because it is closed on purpose.
        closed: for NOBODY, why, as the message of the refusal says it.
        closed_code: for NOBODY, the same as a code.
        privilege: the required privilege; None allows every authenticated principal, and the response is filtered where
            it lists objects.
        database: field that names the database, or empty where the request has none.
        collections: fields that name collections, by name or alias, singly or as lists; each needs the privilege.
        new_collections: fields that name a collection to be created; authorized as given, without resolving aliases.
        aliases: fields that name an alias; authorized as the collection that it names, or as given where it is not an
            alias.
        creates: fields that give a name to a new collection or alias; checked against the naming rule.
        creates_database: field that gives a name to a new database; checked against the naming rule.
        creates_partitions: fields that give a name to a new partition; checked against its naming rule.
        creates_fields: fields that give a name to a new field, or to one inside it; checked against its naming rule.
        creates_indexes: fields that give a name to a new index, or leave it to the engine; checked against its naming
            rule.
        properties: fields with the properties of a collection. One about row policies needs ManageRLS as well, is kept
            here, and is not forwarded.
        shows_properties: whether its response describes collections, with those properties.
        must_match: fields inside sub-requests that must name the same collection, or none.
        database_must_match: fields inside sub-requests that must name the same database, or none.
        target_database: field that names a second database; when it differs, the privilege is needed on every database.
        ids: fields that select by id; if set, the privilege is needed on `*`, unless the collection of the id is known.
        user: field that names a user, for privileges of type User.
        not_oneself: whether only administrators call it for their own user; else no privilege is needed for that.
        own_role: field that names a role whose holders need no privilege.
        visibility_is_enough: whether any privilege on the collection suffices.
        if_named: whether the privilege is needed only when a collection is named.
        credential: which credentials are accepted where no privilege is needed, or where the principal is exempt as the
            user or a holder of the role that it is about. Holders of the privilege may use any credential.
        counted: whose requests count against the limits of their caller.
        one_time_password: whether it may be called with a one-time password.
        not_by_alias: the sentence that refuses an alias in `collections`, with `{alias}`; empty where one is allowed.
        not_while_aliased: the sentence that refuses a collection that has aliases, with `{collection}` and `{aliases}`;
            empty where they do not matter.
        beside_writes: of a change by the engine that names collections, whether writes to them may be executed at the
            same time, because it changes neither their rows nor their fields.
        exists: whether the resolved database must exist.
        needs_catalog: whether databases and aliases must be up to date before it is resolved or executed.
        handler: for HERE, the function that executes it.
        introduces_client: whether its request and response describe the client's software.
        intent: for DDL, returns which grants must follow; None where none depend on the object.
        event: the kind of audit event; None for an RPC that is recorded only when refused.
        recorded: name of a recorded value -> field of the request; None where no details are recorded.
        left_out: field that is not recorded -> why; with `recorded`, it covers every field but `base`.
        details_limit: bytes of a request that are recorded in full; a larger change is refused.
        filter_response: reduces a response that lists objects to those the principal may see; None for no such list.
        hidden_response: the response for a collection that the principal may not know of; None reports the refusal.
        shows_alias: returns whether a response shows that the name in the forwarded request is an alias, so that it is
            about another collection than the one that was authorized; None where responses do not show that.
        response_ids: the ids that a response contains: their kind, the id, and the collection it belongs to.
        failure_code: the legacy `Status.error_code` of a failure (contract appendix A).
        unimplemented_by_grpc: whether SDKs expect the gRPC status UNIMPLEMENTED where it is not offered.
        creates_names: whether it gives a name to anything new.
        parameters: the fields with key-value parameters, found by `parameters`.
        places: the fields to which the rules about addresses and files apply, found by `outbound`.
        functions: the fields that hold functions. One that calls a provider needs CallProvider as well.
        unheeded_places: the fields that an engine may ignore, found by `unheeded`.
        forwarded: fields that the engine alone interprets.
        refused: field -> why a request that sets it is refused.
        used: of an RPC that is executed here, further fields that the handler reads.
        most_fields: how many fields a request may hold, nested ones included; 0 stands for any number.
        reader: reads the fields of the rules above; None where nothing is read, because it is closed.
        readers: read the recorded values.
    """

    name: str
    executor: Executor
    privilege: Privilege | None = None
    rows: RowUse = RowUse.NONE
    closed: str = ""
    closed_code: ErrorCode | None = None
    database: str = ""
    collections: tuple[str, ...] = ()
    new_collections: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    creates: tuple[str, ...] = ()
    creates_database: str = ""
    creates_partitions: tuple[str, ...] = ()
    creates_fields: tuple[str, ...] = ()
    creates_indexes: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    shows_properties: bool = False
    must_match: tuple[str, ...] = ()
    database_must_match: tuple[str, ...] = ()
    target_database: str = ""
    ids: tuple[str, ...] = ()
    user: str = ""
    not_oneself: bool = False
    own_role: str = ""
    visibility_is_enough: bool = False
    if_named: bool = False
    credential: CredentialReach = CredentialReach.FULL
    counted: Counted = Counted.EVERYBODY
    one_time_password: bool = False
    not_by_alias: str = ""
    not_while_aliased: str = ""
    beside_writes: bool = False
    exists: bool = True
    needs_catalog: bool = False
    handler: Handler | None = None
    introduces_client: bool = False
    intent: IntentOf | None = None
    event: Event | None = None
    recorded: Mapping[str, Recorded] | None = field(default=None, compare=False)
    left_out: Mapping[str, str] = field(default_factory=dict, compare=False)
    details_limit: int = DETAILS_LIMIT
    filter_response: ResponseFilter | None = None
    hidden_response: HiddenResponse | None = None
    shows_alias: ShowsAlias | None = None
    response_ids: IdsOf | None = None
    failure_code: messages.ErrorCode.ValueType = messages.ErrorCode.UnexpectedError
    unimplemented_by_grpc: bool = False
    creates_names: bool = field(default=False, repr=False, compare=False)
    parameters: tuple[ParameterPlace, ...] = field(default=(), repr=False, compare=False)
    places: tuple[Place[outbound.Rule], ...] = field(default=(), repr=False, compare=False)
    functions: tuple[str, ...] = field(default=(), repr=False, compare=False)
    unheeded_places: tuple[Place[unheeded.Rule], ...] = field(default=(), repr=False, compare=False)
    forwarded: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict, compare=False)
    used: tuple[str, ...] = ()
    most_fields: int = REQUEST_BUDGET
    reader: RequestReader | None = field(default=None, repr=False, compare=False)
    readers: Readers = field(default=(), repr=False, compare=False)

    @property
    def by_engine(self) -> bool:
        """Whether the engine executes it, directly or as a change of the catalog."""
        return self.executor in (Executor.ENGINE, Executor.DDL)

    def closed_details(self) -> tuple[ErrorDetail, ...]:
        """Return what a refusal of a closed operation reports: that it is closed, and why."""
        because = () if self.closed_code is None else (ErrorDetail(self.closed_code),)
        return ErrorDetail(ErrorCode.OPERATION_CLOSED, {"name": self.name}), *because

    @property
    def changes(self) -> bool:
        """Whether it changes anything: objects, data, users or the policy."""
        return self.event not in _READS

    @property
    def excludes_writes(self) -> bool:
        """Whether nothing is written to its collections while it is executed. A write is not one of these itself."""
        named = self.collections or self.new_collections
        return bool(self.by_engine and self.changes and named) and not (
            self.beside_writes or self.rows is RowUse.WRITTEN
        )

    @property
    def access(self) -> Access:
        """What it does to stored data."""
        if self.executor is Executor.DDL:
            return Access.CATALOG_CHANGE
        return Access.WRITE if self.changes else Access.READ

    def fields(self) -> tuple[str, ...]:
        """Return every field that selects or names an object."""
        single = (self.database, self.creates_database, self.target_database, self.user, self.own_role)
        judged = (
            *self.collections,
            *self.new_collections,
            *self.aliases,
            *self.must_match,
            *self.database_must_match,
            *self.ids,
        )
        return tuple(dict.fromkeys(path for path in (*single, *judged, *self.creates) if path))

    def content(self) -> tuple[str, ...]:
        """Return every field of the request's content that is checked; it selects nothing, and may be refused."""
        named = (*self.creates_partitions, *self.creates_fields, *self.creates_indexes)
        texts = (path for place in self.parameters for path in (place.keys, place.values) if path)
        return tuple(dict.fromkeys((*named, *self.properties, *(place.path for place in self.places), *texts)))

    def rewritten(self) -> tuple[str, ...]:
        """Return the fields that are forwarded with another value, where the resolved one differs from the given."""
        if not self.by_engine:
            return ()
        return tuple(path for path in (self.database, self.target_database, *self.collections) if path)

    def details(self, payload: bytes, message: messages.ProtocolMessage | None = None) -> Mapping[str, Json]:
        """Return the details of a request for the audit trail, without values that are the protocol's defaults.

        Args:
            payload: the request; it has no details if it cannot be decoded.
            message: the decoded request, where it exists already.
        """
        return read_details(self.name, self.readers, payload, message) if self.readers else NO_DETAILS
