"""Row policies of a file, by the services that change them one by one."""

from collections.abc import Mapping, Sequence

from kiteward.audit.events import Event
from kiteward.authz.row_policies import ProtectedCollection, RowPolicy
from kiteward.domain.errors import InvalidArgument
from kiteward.iam.caller import Caller
from kiteward.iam.policy_files.document import PolicyRowRule, PolicyRows, given
from kiteward.iam.policy_files.exporting import protected, rule_of
from kiteward.iam.policy_files.work import Action, Difference, Kind, ObjectChange, Work, of_values
from kiteward.iam.recorded_states import recorded_policy
from kiteward.iam.row_policies import (
    Place,
    PropertyChange,
    change_policy,
    create_policy,
    drop_policy,
    logged,
    resolved,
    set_properties,
    warnings_of,
)
from kiteward.iam.row_policy_forms import PolicyForm


async def put_rows(work: Work, wanted: Sequence[PolicyRows]) -> None:
    """Give collections the row policies of a file, and take those of all others."""
    held = {(each.database, each.collection): each for each in protected(work.caller.snapshot)}
    named: set[tuple[str, str]] = set()
    for position, rows in enumerate(wanted):
        with work.at("rowPolicies", position):
            named_so = Place(rows.database, rows.collection)
            place = await resolved(work.services, named_so)
            key = (place.database, place.collection)
            if key in named:
                raise InvalidArgument(f"the collection {_name_of(place)} is in the file already: join both entries")
            named.add(key)
            work.places[named_so] = place
            before = held.get(key) or ProtectedCollection(
                database=place.database, collection=place.collection, enabled=False, force=False
            )
            await _put(work, position, place, rows, before)
            changed = work.object(Kind.ROW_POLICIES, _name_of(place))
            if key not in held and changed.differences:
                changed.action = Action.ADD
    for key in sorted(held.keys() - named):
        await _clear(work, held[key])


async def warn(work: Work, caller: Caller, changes: Sequence[ObjectChange]) -> None:
    """Log and record what the operator of a changed collection should know about its row policies."""
    changed = {change.name for change in changes if change.kind is Kind.ROW_POLICIES}
    found = []
    for place in work.places.values():
        held = await work.transaction.row_policies.get(place.database, place.collection)
        if held is not None and _name_of(place) in changed:
            warnings = warnings_of(held, shared=work.services.collections.shared)
            found += [f"{_name_of(place)}: {code}" for code in (logged(held, warnings) if warnings else [])]
    if found:
        caller.record(warnings=found)


async def _put(work: Work, position: int, place: Place, rows: PolicyRows, before: ProtectedCollection) -> None:
    policies = given(rows.policies, {policy.name: rule_of(policy) for policy in before.policies})
    for policy in before.policies:
        if policy.name not in policies:
            with work.at("rowPolicies", position, "policies"):
                await _drop(work, place, policy)
    held = {policy.name: policy for policy in before.policies}
    for name, rule in sorted(policies.items()):
        with work.at("rowPolicies", position, "policies", name):
            await _put_policy(work, place, _policy(name, rule), held)
    await _enforce(
        work, place, before, PropertyChange(given(rows.enforced, before.enabled), given(rows.force, before.force))
    )


async def _put_policy(work: Work, place: Place, policy: RowPolicy, held: Mapping[str, RowPolicy]) -> None:
    before = held.get(policy.name)
    if before is not None and recorded_policy(before) == recorded_policy(policy):
        return
    operation, put = ("MakeRowPolicy", create_policy) if before is None else ("ChangeRowPolicy", change_policy)
    async with work.recorded(Event.ROW_POLICY_CHANGE, operation, **_named(place), **_told(policy)):
        await put(work.services, work.caller, place, _form(policy))
    shown = work.object(Kind.ROW_POLICIES, _name_of(place)).differences
    if before is None:
        shown.append(Difference(Action.ADD, f"policy {policy.name}", "", _shown(policy)))
    else:
        shown.append(Difference(Action.CHANGE, f"policy {policy.name}", _shown(before), _shown(policy)))


async def _drop(work: Work, place: Place, policy: RowPolicy) -> None:
    async with work.recorded(Event.ROW_POLICY_CHANGE, "RemoveRowPolicy", **_named(place), policyName=policy.name):
        await drop_policy(work.services, work.caller, place, policy.name)
    changed = work.object(Kind.ROW_POLICIES, _name_of(place))
    changed.deletion = True
    changed.differences.append(Difference(Action.REMOVE, f"policy {policy.name}", _shown(policy)))


async def _enforce(work: Work, place: Place, before: ProtectedCollection, change: PropertyChange) -> None:
    after = change.of(before)
    if after == before:
        return
    operation = "EnableRowPolicies" if after.enabled else "DisableRowPolicies"
    async with work.recorded(Event.ROW_POLICY_CHANGE, operation, **_named(place), force=after.force):
        await set_properties(work.services, work.caller, place, change)
    shown = work.object(Kind.ROW_POLICIES, _name_of(place)).differences
    shown += of_values("enforced", _yes(before.enabled), _yes(after.enabled))
    shown += of_values("force", _yes(before.force), _yes(after.force))


async def _clear(work: Work, before: ProtectedCollection) -> None:
    place = Place(before.database, before.collection)
    with work.at("rowPolicies"):
        for policy in before.policies:
            await _drop(work, place, policy)
        await _enforce(work, place, before, PropertyChange(False, False))
        gone = work.object(Kind.ROW_POLICIES, _name_of(place))
        gone.action, gone.deletion = Action.REMOVE, True


def _policy(name: str, rule: PolicyRowRule) -> RowPolicy:
    return RowPolicy(
        name,
        rule.type,
        frozenset(rule.actions),
        tuple(sorted(set(rule.roles))),
        rule.using,
        rule.check,
        rule.description,
    )


def _form(policy: RowPolicy) -> PolicyForm:
    return PolicyForm(
        name=policy.name,
        policy_type=policy.policy_type,
        actions=policy.actions,
        roles=policy.roles,
        using_expr=policy.using_expr,
        check_expr=policy.check_expr,
        description=policy.description,
    )


def _told(policy: RowPolicy) -> dict[str, object]:
    """Return a policy as the operation that makes it alone records it."""
    return {
        "policyName": policy.name,
        "policyType": policy.policy_type.value,
        "actions": sorted(policy.actions),
        "roles": list(policy.roles),
        "usingExpr": policy.using_expr,
        "checkExpr": policy.check_expr,
        "description": policy.description,
    }


def _shown(policy: RowPolicy) -> str:
    """Return a row policy as a sentence: all of it but its name."""
    parts = [
        policy.policy_type.value.lower(),
        f"on {', '.join(sorted(policy.actions))}",
        f"for {', '.join(policy.roles) or 'everybody'}",
        *([f"using `{policy.using_expr}`"] if policy.using_expr else []),
        *([f"check `{policy.check_expr}`"] if policy.check_expr else []),
        *([f"({policy.description})"] if policy.description else []),
    ]
    return " ".join(parts)


def _named(place: Place) -> dict[str, str]:
    return {"dbName": place.database, "collectionName": place.collection}


def _name_of(place: Place) -> str:
    return f"{place.database}.{place.collection}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
