"""Row policies: create, change, drop, list, and whether they are enforced.

Each change is made while collections are held, so that it is on the collection that was looked up.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from kiteward.authz.policy import Condition, decide
from kiteward.authz.privileges import PRIVILEGES
from kiteward.authz.row_policies import (
    CompiledRowRules,
    PolicyType,
    ProtectedCollection,
    RowAction,
    RowPolicy,
)
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AlreadyExists, LimitReached, NotFound
from kiteward.domain.faults import Faults
from kiteward.iam.caller import Caller, require
from kiteward.iam.lookup import require_role
from kiteward.iam.object_lookup import behind_alias
from kiteward.iam.recorded_states import recorded_policy
from kiteward.iam.row_expressions import check_expression
from kiteward.iam.row_policy_forms import PolicyForm, check_form
from kiteward.iam.services import Services
from kiteward.store.transaction import Transaction

_log = logging.getLogger("kiteward.iam")

MOST_POLICIES: Final = 1_000
"""Most row policies of a collection."""

ENABLED: Final = "rls.enabled"
FORCE: Final = "rls.force"
PROPERTIES: Final = (ENABLED, FORCE)
"""The properties of a collection that are about row policies."""

_PREFIX: Final = "rls."


def is_row_property(key: str) -> bool:
    """Return whether a property of a collection is kept here and never reaches the engine, whatever it is called."""
    return key.strip().lower().startswith(_PREFIX)


@dataclass(frozen=True, slots=True)
class Place:
    """A collection as a request names it: its database, and its name or an alias."""

    database: str
    collection: str


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """New values of the properties of row policies; None where one stays as it is."""

    enabled: bool | None = None
    force: bool | None = None

    def of(self, held: ProtectedCollection) -> ProtectedCollection:
        """Return a collection with the new values."""
        enabled = held.enabled if self.enabled is None else self.enabled
        return replace(held, enabled=enabled, force=held.force if self.force is None else self.force)

    @property
    def tightening(self) -> "PropertyChange":
        """The part that allows less than before."""
        return PropertyChange(self.enabled or None, self.force or None)


@dataclass(frozen=True, slots=True)
class Protection:
    """A collection with its policies, and what its operator should know.

    Attributes:
        collection: the collection; without policies where it has none.
        faults: name of a policy -> why it allows nothing.
        warnings: what is allowed and perhaps not meant.
    """

    collection: ProtectedCollection
    faults: dict[str, str]
    warnings: Sequence[ErrorDetail] = ()


async def create_policy(services: Services, caller: Caller, place: Place, form: PolicyForm) -> Protection:
    """Create a row policy.

    Raises:
        AlreadyExists: the collection has a policy of this name.
        InvalidArgument, LimitReached, RoleNotFound: the policy breaks a rule.
        CollectionNotFound: there is no such collection.
        AccessDenied: the caller lacks ManageRLS on it.
        EngineError: the engine does not respond, or refuses.
    """
    return await _put(services, caller, place, form, new=True)


async def change_policy(services: Services, caller: Caller, place: Place, form: PolicyForm) -> Protection:
    """Replace the row policy of this name.

    Raises:
        NotFound: the collection has no policy of this name.
        Others as of `create_policy`.
    """
    return await _put(services, caller, place, form, new=False)


async def drop_policy(services: Services, caller: Caller, place: Place, name: str) -> Protection:
    """Drop a row policy; also of a collection that the engine no longer has.

    Raises:
        NotFound: the collection has no policy of this name.
        AccessDenied: the caller lacks ManageRLS on it.
    """
    async with _changing(services, caller, place) as (target, transaction):
        before = await _held(transaction, target)
        policy = before.policy(name)
        if policy is None:
            raise _no_policy(name, target)
        await transaction.row_policies.remove(target.database, target.collection, name)
        caller.record(before=recorded_policy(policy))
        return _reviewed(services, caller, await _held(transaction, target))


async def describe_protection(services: Services, caller: Caller, place: Place) -> Protection:
    """Return the row policies of a collection, and whether they are enforced.

    Raises:
        AccessDenied: the caller lacks ViewRLS on it.
        CollectionNotFound: it has no policies, and the engine has no such collection.
        EngineError: it has no policies, and the engine does not respond.
    """
    target = await resolved(services, place)
    require_on(caller, "ViewRLS", target, given=place)
    rules = caller.snapshot.row_rules.get((target.database, target.collection))
    if rules is None:
        await services.collections.fields(target.database, target.collection)
    return _with_warnings(services, rules.stored if rules is not None else _unprotected(target))


async def set_properties(services: Services, caller: Caller, place: Place, change: PropertyChange) -> Protection:
    """Set whether the row policies of a collection are enforced, and on whom. It is in force when this returns.

    Raises:
        CollectionNotFound: they are to be enforced, and there is no such collection.
        AccessDenied: the caller lacks ManageRLS on it.
        EngineError: they are to be enforced, and the engine does not respond.
    """
    async with _changing(services, caller, place, looked_up=bool(change.enabled)) as (target, transaction):
        before = await apply_properties(transaction, target, change)
        caller.record(before={"enabled": before.enabled, "force": before.force})
        return _reviewed(services, caller, await _held(transaction, target))


async def apply_properties(transaction: Transaction, target: Place, change: PropertyChange) -> ProtectedCollection:
    """Set the properties of a collection, and return it as it was before."""
    before = await _held(transaction, target)
    after = change.of(before)
    if after.enabled or after != before:
        await transaction.row_policies.protect(
            target.database, target.collection, enabled=after.enabled, force=after.force
        )
    return before


def warnings_of(held: ProtectedCollection, *, shared: bool) -> list[ErrorDetail]:
    """Return what the operator of a collection should know about its policies.

    Args:
        held: the collection.
        shared: whether others than Kiteward can write to it.
    """
    found: list[ErrorDetail] = []
    database, name = held.database, held.collection
    if held.policies and not held.enabled:
        found.append(ErrorDetail(ErrorCode.ROW_POLICIES_NOT_ENFORCED, {"database": database, "collection": name}))
    if held.enabled and not any(_shows(policy) for policy in held.policies):
        code = ErrorCode.ROW_POLICIES_HIDE_FROM_ALL if held.force else ErrorCode.ROW_POLICIES_HIDE_ALL
        found.append(ErrorDetail(code, {"database": database, "collection": name}))
    if held.enabled and shared:
        found.append(ErrorDetail(ErrorCode.ROW_POLICIES_SHARED_ENGINE, {"database": database, "collection": name}))
    return found


def _shows(policy: RowPolicy) -> bool:
    return policy.policy_type is PolicyType.PERMISSIVE and bool(policy.actions & {RowAction.QUERY, RowAction.SEARCH})


async def _put(services: Services, caller: Caller, place: Place, form: PolicyForm, *, new: bool) -> Protection:
    require_on(caller, "ManageRLS", await resolved(services, place), given=place)
    policy = check_form(services.naming, form)
    faults = Faults()
    async with _changing(services, caller, place, looked_up=True, of=(policy, faults)) as (target, transaction):
        before = await _held(transaction, target)
        present = before.policy(policy.name)
        if new and present is not None:
            with faults:
                raise AlreadyExists(
                    f"the row policy {policy.name} of {target.collection} exists already",
                    ErrorDetail(ErrorCode.ROW_POLICY_EXISTS, {"name": policy.name}),
                    field="policyName",
                )
        if not new and present is None:
            raise _no_policy(policy.name, target)
        if present is None and len(before.policies) >= MOST_POLICIES:
            raise LimitReached(
                f"a collection has at most {MOST_POLICIES} row policies",
                ErrorDetail(ErrorCode.ROW_POLICIES_LIMIT, {"limit": MOST_POLICIES}),
            )
        with faults:
            for role in policy.roles:
                await require_role(transaction, role, field="roles")
        faults.require_none()
        await transaction.row_policies.put(target.database, target.collection, policy)
        if present is not None:
            caller.record(before=recorded_policy(present))
        return _reviewed(services, caller, await _held(transaction, target))


@asynccontextmanager
async def _changing(
    services: Services,
    caller: Caller,
    place: Place,
    *,
    looked_up: bool = False,
    of: tuple[RowPolicy, Faults] | None = None,
) -> AsyncIterator[tuple[Place, Transaction]]:
    """Hold a collection, and open the transaction of a change of its policies.

    The caller's privilege is checked before anything is looked up, and by the policy in force in the transaction.

    Args:
        services: what services work with.
        caller: who changes them.
        place: the collection as named.
        looked_up: whether the collection must exist.
        of: a policy whose expressions are checked against the fields of the collection, and what gets their faults.
    """
    require_on(caller, "ManageRLS", await resolved(services, place), given=place)
    async with services.collections.held():
        target = await resolved(services, place)
        require_on(caller, "ManageRLS", target, given=place)
        if looked_up:
            fields = await services.collections.fields(target.database, target.collection)
            if of is not None:
                policy, faults = of
                for expression, text in (("using_expr", policy.using_expr), ("check_expr", policy.check_expr)):
                    with faults:
                        if text:
                            check_expression(expression, text, fields)
        async with caller.change() as transaction:
            require_on(caller, "ManageRLS", target, given=place)
            yield target, transaction


async def resolved(services: Services, place: Place) -> Place:
    """Return a collection as it is named in the engine, aliases resolved."""
    return replace(place, collection=await behind_alias(services.catalog, place.database, place.collection))


def require_on(caller: Caller, privilege: str, target: Place, *, given: Place) -> None:
    """Require a privilege on a collection.

    Args:
        caller: who needs it.
        privilege: the privilege.
        target: the collection, aliases resolved.
        given: the same as the caller named it.

    Raises:
        AccessDenied: the caller lacks it.
    """
    require(caller, Condition(PRIVILEGES[privilege], target.database, (target.collection,)), given=given.collection)


def may_change(caller: Caller, held: ProtectedCollection) -> bool:
    """Return whether the caller may change the row policies of a collection."""
    condition = Condition(PRIVILEGES["ManageRLS"], held.database, (held.collection,))
    return decide(caller.principal, (condition,), caller.snapshot).allowed


def compiled_rules(caller: Caller, target: Place) -> CompiledRowRules:
    """Return the row policies of a collection in force; none where it has none."""
    rules = caller.snapshot.row_rules.get((target.database, target.collection))
    return CompiledRowRules.compile(_unprotected(target)) if rules is None else rules


async def _held(transaction: Transaction, target: Place) -> ProtectedCollection:
    return await transaction.row_policies.get(target.database, target.collection) or _unprotected(target)


def _unprotected(target: Place) -> ProtectedCollection:
    return ProtectedCollection(database=target.database, collection=target.collection, enabled=False, force=False)


def _reviewed(services: Services, caller: Caller, held: ProtectedCollection) -> Protection:
    """Return a changed collection with its warnings, which are logged and recorded as well."""
    protection = _with_warnings(services, held)
    if protection.warnings and not caller.tentative:
        caller.record(warnings=logged(held, protection.warnings))
    return protection


def logged(held: ProtectedCollection, warnings: Sequence[ErrorDetail]) -> list[str]:
    """Log warnings about a collection, and return their codes, for the audit trail."""
    codes = [detail.code.value for detail in warnings]
    _log.warning("row policies of %s.%s: %s", held.database, held.collection, ", ".join(codes))
    return codes


def _with_warnings(services: Services, held: ProtectedCollection) -> Protection:
    warnings = warnings_of(held, shared=services.collections.shared)
    return Protection(held, dict(CompiledRowRules.compile(held).faults), warnings)


def _no_policy(name: str, target: Place) -> NotFound:
    return NotFound(
        f"row policy not found: {name} of {target.collection}",
        ErrorDetail(ErrorCode.ROW_POLICY_NOT_FOUND, {"name": name}),
        field="policyName",
    )
