"""Explanations of access, by the function that decides requests."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from kiteward.authn.principals import AccessBlock, PrincipalState
from kiteward.authz.explanation import (
    Explanation,
    Remedy,
    condition_of,
    explain,
    explain_with_remedies,
    held_privileges,
    named_as_given,
    rows_of,
)
from kiteward.authz.model import Grant
from kiteward.authz.policy import PolicySnapshot, decide, decide_administrator
from kiteward.authz.privileges import PRIVILEGES, Level, Privilege
from kiteward.authz.row_policies import CHECK_ACTIONS, USING_ACTIONS, BoundPolicy, RowAction
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import NotFound
from kiteward.domain.identity import FederatedName, Principal
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.filters import Constant
from kiteward.iam.api_keys import manages_key
from kiteward.iam.caller import Caller, is_administrator, require_owner
from kiteward.iam.lookup import stored_user
from kiteward.iam.needed_access import Needed, needed_for, not_exactly_one
from kiteward.iam.object_lookup import behind_alias, exists
from kiteward.iam.row_policies import Place
from kiteward.iam.services import Services


@dataclass(frozen=True, slots=True)
class Who:
    """A user or an API key; without either, the caller."""

    user_name: str = ""
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class AccessQuestion:
    """The question whether a user or API key is allowed something.

    Attributes:
        who: the user or API key.
        privilege: the privilege in question, or empty.
        operation: the RPC or the operation of our own in question, or empty; exactly one of both is given.
        collection: the collection, or a user for privileges on users and what belongs to users; empty or `*` for all.
        database: the database, empty for `default`.
    """

    who: Who
    privilege: str = ""
    operation: str = ""
    collection: str = ""
    database: str = ""


@dataclass(frozen=True, slots=True)
class RowAccess:
    """Which rows of a protected collection a request may touch.

    Attributes:
        bypassed: whether row policies do not apply to the principal; the others are then empty.
        using: the policies that apply to stored rows, with the values of the principal.
        check: likewise those that apply to written rows.
        every_row: whether the policies allow every row.
        no_row: whether they allow none.
    """

    bypassed: bool
    using: Sequence[BoundPolicy] = ()
    check: Sequence[BoundPolicy] = ()
    every_row: bool = False
    no_row: bool = False


@dataclass(frozen=True, slots=True)
class AccessExplanation:
    """A decision with its explanation.

    Attributes:
        user_name: the user.
        key_id: its API key, or None.
        actor: the service that acts with the API key for the user, by token exchange; empty for none.
        privilege: the required privilege, or None where none is required.
        database: the database.
        collection: the collection: administrators get the one behind an alias, others the name that they gave.
        exists: whether the collection exists; None where that is not known, or not shown to this caller.
        explanation: what the roles allow, whether or not the user or key is blocked.
        block: why the user or key cannot authenticate, or None.
        rows: the rows that it may touch, where its roles allow it, and row policies are enforced; else None.
        identity: who the user is at an identity provider, or None.
    """

    user_name: str
    key_id: str | None
    actor: str
    privilege: str | None
    database: str
    collection: str
    exists: bool | None
    explanation: Explanation
    block: AccessBlock | None
    rows: RowAccess | None = None
    identity: FederatedName | None = None

    @property
    def allowed(self) -> bool:
        """Whether a request would be allowed now."""
        return self.explanation.decision.allowed and self.block is None

    @property
    def reason(self) -> str:
        """The reason why it would be allowed or refused."""
        return self.explanation.decision.reason if self.block is None else self.block.reason

    @property
    def details(self) -> tuple[ErrorDetail, ...]:
        """The same reason as codes."""
        if self.block is not None:
            return self.block.details
        detail = self.explanation.decision.detail
        return () if detail is None else (detail,)


@dataclass(frozen=True, slots=True)
class HeldAccess:
    """All access of a user or API key. An administrator may do everything, which is not listed.

    Attributes:
        state: its principal, and why it cannot authenticate.
        key_id: the API key, or None.
        administrator: whether it is an administrator.
        collections: (database, collection) -> privileges on it; either part may be `*`.
        cluster: cluster-level privileges.
    """

    state: PrincipalState
    key_id: str | None
    administrator: bool
    collections: Sequence[tuple[tuple[str, str], tuple[str, ...]]] = ()
    cluster: Sequence[str] = ()


async def explain_access(services: Services, caller: Caller, question: AccessQuestion) -> AccessExplanation:
    """Explain whether a user or API key may do something.

    Administrators may ask about any user or key, and also get what would allow it.

    Raises:
        InvalidArgument: there is no such privilege or operation, or not exactly one of both is given.
        AccessDenied, NotFound: as of `find_principal`.
    """
    (state, key_id), administrator = await find_principal(services, caller, question.who), is_administrator(caller)
    database, given = question.database or DEFAULT_DATABASE, question.collection or ANY
    needed = needed_for(services, question.privilege, question.operation, question.collection)
    on_collection = not needed.on_user and any(
        condition.privilege.level is not Level.CLUSTER for condition in needed.conditions
    )
    name = given if needed.on_user else await behind_alias(services.catalog, database, given)
    privilege, explanation = await _explanation(needed, state.principal, caller, Place(database, name), given=given)
    return AccessExplanation(
        user_name=state.principal.user_name,
        key_id=key_id,
        actor=state.principal.actor,
        privilege=privilege.name if privilege is not None else None,
        database=database,
        collection=name if administrator else given,
        exists=await exists(services.catalog, database, name) if administrator and on_collection else None,
        explanation=explanation,
        block=state.closed,
        rows=row_access(state.principal, privilege, Place(database, name), caller.snapshot)
        if privilege is not None and explanation.decision.allowed
        else None,
        identity=state.principal.identity,
    )


async def _explanation(
    needed: Needed, principal: Principal, caller: Caller, place: Place, *, given: str
) -> tuple[Privilege | None, Explanation]:
    """Explain what is needed on an object: the first privilege that is missing, or else the first."""
    administrator = is_administrator(caller)
    if needed.rule is not None:
        decision = needed.rule(principal, caller.snapshot)
        roles = needed.roles if administrator and not decision.allowed else ()
        return None, Explanation(decision, remedies=tuple(map(Remedy, roles)))
    found: list[tuple[Privilege, Explanation]] = []
    for each in needed.conditions:
        condition = condition_of(each.privilege, place.database, place.collection)._replace(
            visibility_is_enough=each.visibility_is_enough, not_oneself=each.not_oneself
        )
        # In a thread: a principal may hold tens of thousands of grants, and remedies evaluate every role.
        explained_by = explain_with_remedies if administrator else explain
        explanation = await asyncio.to_thread(explained_by, principal, condition, caller.snapshot)
        if not administrator:
            explanation = named_as_given(explanation, principal, condition, given)
        if not explanation.decision.allowed:
            return each.privilege, explanation
        found.append((each.privilege, explanation))
    return found[0]


def row_access(principal: Principal, privilege: Privilege, target: Place, snapshot: PolicySnapshot) -> RowAccess | None:
    """Return which rows a principal may touch with a privilege on a collection.

    Returns:
        None where the privilege is not about rows, or no row policies are enforced on the collection.
    """
    rules = snapshot.protected(target.database, target.collection)
    if rules is None or privilege.name not in frozenset(RowAction):
        return None
    if rules.bypassed_by(principal, snapshot):
        return RowAccess(bypassed=True)
    action = RowAction(privilege.name)
    found = [rules.using(principal, action)] if action in USING_ACTIONS else []
    found += [rules.check(principal, action)] if action in CHECK_ACTIONS else []
    return RowAccess(
        bypassed=False,
        using=found[0].parts if action in USING_ACTIONS else (),
        check=found[-1].parts if action in CHECK_ACTIONS else (),
        every_row=all(rule.expression == Constant(True) for rule in found),
        no_row=any(rule.expression == Constant(False) for rule in found),
    )


async def held_access(services: Services, caller: Caller, who: Who) -> HeldAccess:
    """Return all access of a user or API key.

    Raises:
        InvalidArgument, AccessDenied, NotFound: as of `find_principal`.
    """
    state, key_id = await find_principal(services, caller, who)
    principal, snapshot = state.principal, caller.snapshot
    if decide_administrator(principal).allowed:
        return HeldAccess(state, key_id, administrator=True)
    return HeldAccess(
        state,
        key_id,
        administrator=False,
        collections=await asyncio.to_thread(_held_by_object, principal, snapshot),
        cluster=[
            privilege.name
            for privilege in PRIVILEGES.values()
            if privilege.level is Level.CLUSTER
            and decide(principal, (condition_of(privilege, ANY, ANY),), snapshot).allowed
        ],
    )


async def find_principal(services: Services, caller: Caller, who: Who) -> tuple[PrincipalState, str | None]:
    """Return the principal of a user or API key, and the id of the key; without either, the caller's own.

    Raises:
        InvalidArgument: both are given.
        AccessDenied: for another user, the caller is not an administrator.
        NotFound: the user does not exist, or the caller manages no such key.
    """
    if who.user_name and who.key_id:
        raise not_exactly_one("userName", "keyId")
    if who.key_id:
        state = await services.principals.key(who.key_id)
        if state is None or not manages_key(caller, await services.store.lineage(who.key_id)):
            raise NotFound(
                f"API key not found: {who.key_id}",
                ErrorDetail(ErrorCode.API_KEY_NOT_FOUND, {"name": who.key_id}),
                field="keyId",
            )
        return state, who.key_id
    if not who.user_name:
        key = caller.principal.key
        return PrincipalState(caller.principal), key.key_id if key is not None else None
    require_owner(caller, who.user_name)
    return await services.principals.of_user(await stored_user(services, who.user_name)), None


def grants_of(principal: Principal, snapshot: PolicySnapshot) -> list[Grant]:
    """Return the grants of a principal's roles, without those of the implicit `public`."""
    held = [snapshot.roles[name] for name in sorted(principal.roles) if name in snapshot.roles]
    return [grant for role in held for grant in role.grants]


def _held_by_object(principal: Principal, snapshot: PolicySnapshot) -> list[tuple[tuple[str, str], tuple[str, ...]]]:
    """Return the privileges of a principal on every object that its grants name."""
    held = ((row, held_privileges(principal, *row, snapshot)) for row in rows_of(snapshot.held_by(principal)))
    return [(row, privileges) for row, privileges in held if privileges]
