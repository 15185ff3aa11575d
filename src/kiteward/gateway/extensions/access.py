"""Who may do what, and why: explained by the function that decides requests."""

import asyncio
import difflib
from collections.abc import Iterable
from typing import Final

from kiteward.authn.principals import PrincipalState
from kiteward.authz.explanation import (
    Explanation,
    allowing_grants_of,
    condition_of,
    explain,
    explain_with_remedies,
    held_privileges,
    named_as_given,
    rows_of,
)
from kiteward.authz.model import Grant, GrantKey
from kiteward.authz.policy import PolicySnapshot, decide, decide_administrator
from kiteward.authz.privileges import PRIVILEGES, Level, ObjectType, Privilege
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument, NotFound
from kiteward.domain.identity import CredentialReach, Principal
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.gateway.administration.base import Services
from kiteward.gateway.extensions.base import AdminOperation, Arguments, Outcome, Request, page
from kiteward.gateway.extensions.objects import behind_alias, exists
from kiteward.gateway.operations import OPERATIONS
from kiteward.store.base import UserRecord

_EXAMINED: Final = 10_000
"""Users that one page of `access/collection` looks at, at most."""

_BATCH: Final = 500


class ExplainRequest(Arguments):
    """Whether somebody may do something: the caller without `userName` and `keyId`.

    What is a `privilege`, or the one that an `operation` needs; on a collection, or for privileges on users a user.
    """

    user_name: str = ""
    key_id: str = ""
    privilege: str = ""
    operation: str = ""
    collection_name: str = ""
    db_name: str = ""


class AllowingGrant(Outcome):
    """A grant that allows it."""

    role: str
    object_type: str
    db_name: str
    object_name: str
    privilege: str


class Remedy(Outcome):
    """What would allow it: binding the role, or with `privilege` granting it to the role."""

    role: str
    db_name: str | None = None
    object_name: str | None = None
    privilege: str | None = None


class Opening(Outcome):
    """What lets in a user or key that may not come in: an operation, such as `EnableUser`, and for whom."""

    operation: str
    name: str


class Explained(Outcome):
    """A decision, and what is behind it. `closed` says why the user or key may not even come in.

    `held` is what its roles allow, whether it may come in or not; `ways` and `remedies` are about that. Administrators
    are told `remedies`, `opening`, whether the collection exists (null where that is unknown), and the collection
    behind an alias; others read the name as they gave it.
    """

    user_name: str
    key_id: str | None
    privilege: str | None
    db_name: str
    collection_name: str
    exists: bool | None
    allowed: bool
    held: bool
    reason: str
    ways: list[AllowingGrant]
    remedies: list[Remedy]
    closed: str
    opening: Opening | None


class OfCollection(Arguments):
    """Names a collection; `*` stands for every one of the database."""

    collection_name: str
    db_name: str = ""
    after: str = ""
    limit: int = 100


class Holder(Outcome):
    """Somebody who can touch it. `keyIds` are API keys that can, too."""

    user_name: str
    administrator: bool
    privileges: list[str]
    ways: list[AllowingGrant]
    key_ids: list[str]
    closed: str


class Holders(Outcome):
    """A page of them; `next` is what to ask for as `after`, empty at the end.

    `exists` tells whether there is such a collection, null where that is unknown.
    """

    db_name: str
    collection_name: str
    exists: bool | None
    holders: list[Holder]
    next: str


class OfSomebody(Arguments):
    """Names a user or a key; without either, the caller."""

    user_name: str = ""
    key_id: str = ""


class Reach(Outcome):
    """What somebody may do with a collection, or with every one for `*`."""

    db_name: str
    collection_name: str
    privileges: list[str]


class Reaches(Outcome):
    """Everything somebody may do. An administrator may do everything, and has no rows."""

    user_name: str
    key_id: str | None
    administrator: bool
    collections: list[Reach]
    cluster: list[str]
    closed: str


async def explained(services: Services, request: Request, arguments: ExplainRequest) -> Explained:
    """Explain whether somebody may do something."""
    subject, key_id = await _subject(services, request, arguments.user_name, arguments.key_id)
    database, given = arguments.db_name or DEFAULT_DATABASE, arguments.collection_name or ANY
    privilege, visibility_is_enough = _needed(arguments)
    on_user = privilege is not None and privilege.object_type is ObjectType.USER
    on_collection = privilege is not None and not on_user and privilege.level is not Level.CLUSTER
    name = given if on_user else await behind_alias(services, database, given)
    if privilege is None:
        credential = OPERATIONS[arguments.operation].credential
        explanation = Explanation(decide(subject.principal, (), request.snapshot, credential=credential))
    else:
        condition = condition_of(privilege, database, name, visibility_is_enough=visibility_is_enough)
        # Off the loop: who asks may hold tens of thousands of grants, and remedies look at every role.
        way = explain_with_remedies if request.administrator else explain
        explanation = await asyncio.to_thread(way, subject.principal, condition, request.snapshot)
        if not request.administrator:
            explanation = named_as_given(explanation, subject.principal, condition, given)
    return Explained(
        user_name=subject.principal.user_name,
        key_id=key_id or None,
        privilege=privilege.name if privilege is not None else None,
        db_name=database,
        collection_name=name if request.administrator else given,
        exists=await exists(services, database, name) if request.administrator and on_collection else None,
        allowed=explanation.decision.allowed and subject.closed is None,
        held=explanation.decision.allowed,
        reason=explanation.decision.reason if subject.closed is None else subject.closed.reason,
        ways=[allowing_grant_of(grant) for grant in explanation.ways],
        remedies=[_remedy(remedy.role, remedy.grant) for remedy in explanation.remedies],
        closed=_reason(subject),
        opening=_opening(subject) if request.administrator else None,
    )


async def holders(services: Services, request: Request, arguments: OfCollection) -> Holders:
    """List everybody who can touch a collection, and how."""
    limit = page(arguments.limit)
    database = arguments.db_name or DEFAULT_DATABASE
    name = await behind_alias(services, database, arguments.collection_name)
    looking = _Looking(services, request.snapshot, database, name)
    found: list[Holder] = []
    after, examined, more = arguments.after, 0, True
    while more and len(found) < limit and examined < _EXAMINED:
        records = await services.store.users(after=after, limit=_BATCH)
        more = len(records) == _BATCH
        for record in records:
            after, examined = record.name, examined + 1
            holder = await looking.at(record)
            if holder is not None:
                found.append(holder)
                if len(found) == limit:
                    more = True
                    break
    there = await exists(services, database, name)
    return Holders(db_name=database, collection_name=name, exists=there, holders=found, next=after if more else "")


async def reaches(services: Services, request: Request, arguments: OfSomebody) -> Reaches:
    """Tell everything that somebody may do."""
    subject, key_id = await _subject(services, request, arguments.user_name, arguments.key_id)
    principal, snapshot = subject.principal, request.snapshot
    administrator = decide_administrator(principal).allowed
    found = [] if administrator else await asyncio.to_thread(_held_by_row, principal, snapshot)
    return Reaches(
        user_name=principal.user_name,
        key_id=key_id or None,
        administrator=administrator,
        collections=[
            Reach(db_name=row[0], collection_name=row[1], privileges=list(held)) for row, held in found if held
        ],
        cluster=[
            privilege.name
            for privilege in PRIVILEGES.values()
            if privilege.level is Level.CLUSTER
            and not administrator
            and decide(principal, (condition_of(privilege, ANY, ANY),), snapshot).allowed
        ],
        closed=_reason(subject),
    )


def _held_by_row(principal: Principal, snapshot: PolicySnapshot) -> list[tuple[tuple[str, str], tuple[str, ...]]]:
    """Return what a principal holds on everything that its grants are about."""
    return [(row, held_privileges(principal, *row, snapshot)) for row in rows_of(snapshot.held_by(principal))]


class _Looking:
    """Looks at users one after another; what the same roles allow is found out once."""

    def __init__(self, services: Services, snapshot: PolicySnapshot, database: str, name: str) -> None:
        self._services = services
        self._snapshot = snapshot
        self._database = database
        self._name = name
        self._known: dict[tuple[frozenset[str], bool], tuple[tuple[str, ...], list[AllowingGrant]]] = {}

    async def at(self, record: UserRecord) -> Holder | None:
        """Return how a user can touch it, or None."""
        subject = self._services.principals.of_user(record)
        privileges, ways = await self._held(subject)
        if not privileges:
            return None
        keys = await self._services.store.keys(owner=record.name)
        opening = [
            key.key_id
            for key in keys
            if (await self._held(PrincipalState(self._services.principals.of_key(key, record))))[0]
        ]
        return Holder(
            user_name=record.name,
            administrator=decide_administrator(subject.principal).allowed,
            privileges=list(privileges),
            ways=ways,
            key_ids=opening,
            closed=_reason(subject),
        )

    async def _held(self, subject: PrincipalState) -> tuple[tuple[str, ...], list[AllowingGrant]]:
        principal = subject.principal
        known = self._known.get((principal.roles, principal.unrestricted))
        if known is None:
            privileges = held_privileges(principal, self._database, self._name, self._snapshot)
            known = privileges, await asyncio.to_thread(self._ways, subject, privileges)
            self._known[principal.roles, principal.unrestricted] = known
        return known

    def _ways(self, subject: PrincipalState, privileges: tuple[str, ...]) -> list[AllowingGrant]:
        if decide_administrator(subject.principal).allowed:
            return []
        conditions = [condition_of(PRIVILEGES[name], self._database, self._name) for name in privileges]
        held = self._snapshot.held_by(subject.principal)
        grants = dict.fromkeys(grant for each in conditions for grant in allowing_grants_of(held, each, self._snapshot))
        return [allowing_grant_of(grant) for grant in grants]


async def _subject(services: Services, request: Request, user_name: str, key_id: str) -> tuple[PrincipalState, str]:
    """Return who is asked about: oneself, or for administrators anybody.

    Raises:
        AccessDenied: another one, by somebody who is no administrator.
        NotFound: there is none.
    """
    if user_name and key_id:
        raise InvalidArgument("give either `userName` or `keyId`")
    if not (user_name or key_id):
        return PrincipalState(request.principal), request.principal.key.key_id if request.principal.key else ""
    if key_id:
        subject = await services.principals.key(key_id)
        if subject is None or not request.reaches_key(await services.store.lineage(key_id)):
            raise NotFound(
                f"API key not found: {key_id}",
                ErrorDetail(ErrorCode.API_KEY_NOT_FOUND, {"name": key_id}),
                field="keyId",
            )
        return subject, key_id
    request.require_owner(user_name)
    subject = await services.principals.user(user_name)
    if subject is None:
        raise NotFound(
            f"user not found: {user_name}", ErrorDetail(ErrorCode.USER_NOT_FOUND, {"name": user_name}), field="userName"
        )
    return subject, ""


def _needed(arguments: ExplainRequest) -> tuple[Privilege | None, bool]:
    """Return the privilege that is asked about, None where none is needed, and whether visibility suffices.

    Raises:
        InvalidArgument: no such privilege or operation, or not exactly one of both.
    """
    if bool(arguments.privilege) == bool(arguments.operation):
        raise InvalidArgument("give either `privilege` or `operation`")
    if arguments.operation:
        row = OPERATIONS.get(arguments.operation)
        if row is None:
            raise _unknown("operation", ErrorCode.OPERATION_UNKNOWN, arguments.operation, OPERATIONS)
        if row.closed:
            raise InvalidArgument(f"{row.name} is not offered here: {row.closed}")
        return row.privilege, row.visibility_is_enough
    if arguments.privilege not in PRIVILEGES:
        raise _unknown("privilege", ErrorCode.PRIVILEGE_UNKNOWN, arguments.privilege, PRIVILEGES)
    return PRIVILEGES[arguments.privilege], False


def _unknown(field: str, code: ErrorCode, given: str, known: Iterable[str]) -> InvalidArgument:
    near = difflib.get_close_matches(given, list(known), n=1)
    message = f"no such {field}: {given}" + (f"; did you mean {near[0]}?" if near else "")
    hints = [ErrorDetail(ErrorCode.DID_YOU_MEAN, {"name": name}) for name in near]
    return InvalidArgument(message, ErrorDetail(code, {"name": given}), *hints, field=field)


def _reason(subject: PrincipalState) -> str:
    return "" if subject.closed is None else subject.closed.reason


def _opening(subject: PrincipalState) -> Opening | None:
    closed = subject.closed
    return Opening(operation=closed.opening, name=closed.opened) if closed is not None and closed.opening else None


def allowing_grant_of(grant: Grant) -> AllowingGrant:
    """Return a grant as answers hold it."""
    key = grant.key
    return AllowingGrant(
        role=grant.role,
        object_type=key.object_type.value,
        db_name=key.db_name,
        object_name=key.object_name,
        privilege=key.privilege,
    )


def _remedy(role: str, key: GrantKey | None) -> Remedy:
    if key is None:
        return Remedy(role=role)
    return Remedy(role=role, db_name=key.db_name, object_name=key.object_name, privilege=key.privilege)


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "ExplainAccess",
        "access/explain",
        ExplainRequest,
        Explained,
        explained,
        "Explain whether somebody may do something: through which grants, or what would allow it.",
        administrators=False,
        credential=CredentialReach.ANY,
        changes=False,
    ),
    AdminOperation(
        "ListCollectionAccess",
        "access/collection",
        OfCollection,
        Holders,
        holders,
        "List everybody who can touch a collection, and how.",
        changes=False,
    ),
    AdminOperation(
        "DescribeUserAccess",
        "access/user",
        OfSomebody,
        Reaches,
        reaches,
        "Tell everything that a user or an API key may do.",
        administrators=False,
        credential=CredentialReach.ANY,
        changes=False,
    ),
)
