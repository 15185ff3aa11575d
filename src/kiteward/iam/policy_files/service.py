"""Plans and applies a file: all of it or nothing. It is worked out in a draft, which no other change waits for."""

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Final

from msgspec import UnsetType

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument, StoreUnreachable
from kiteward.domain.identity import Secret
from kiteward.iam.grants import stored_key
from kiteward.iam.passwords import hash_new_password
from kiteward.iam.policy_files import accounts, roles, rows
from kiteward.iam.policy_files.checking import read, text_of
from kiteward.iam.policy_files.document import PolicyDocument, given, plain
from kiteward.iam.policy_files.doubts import Doubt, doubts_of
from kiteward.iam.policy_files.work import Difference, Fault, ObjectChange, PolicyCaller, Work
from kiteward.iam.row_policies import resolved
from kiteward.iam.services import Services

_DIGEST: Final = 32
"""Hexadecimal digits of the digest of a plan."""

_ATTEMPTS: Final = 10
"""How often a file is drafted before it is refused, because others have changed what it depends on each time."""

_MOST_TOLD: Final = 20
"""Most faults that the text of one error lists."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file would change, or why it cannot be applied.

    Attributes:
        changes: what it would change; as far as it was found where there are faults.
        faults: why it cannot be applied.
        doubts: what of the file has no effect.
    """

    changes: Sequence[ObjectChange]
    faults: Sequence[Fault] = ()
    doubts: Sequence[Doubt] = ()

    @property
    def deletions(self) -> Sequence[ObjectChange]:
        """The changes by which something with a name is deleted."""
        return [change for change in self.changes if change.deletion]

    @property
    def digest(self) -> str:
        """A digest of the changes: the same for the same changes, and for no others."""
        text = json.dumps(list(map(_fields, self.changes)), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]


def _fields(change: ObjectChange) -> dict[str, object]:
    """Return a change as `asdict` does, in a quarter of the time: a plan may have many thousand."""
    shown = {each.name: getattr(change, each.name) for each in fields(change)}
    names = [each.name for each in fields(Difference)]
    return {**shown, "differences": [{name: getattr(each, name) for name in names} for each in change.differences]}


@dataclass(frozen=True, slots=True)
class Applied:
    """What was changed by a file.

    Attributes:
        plan: the changes.
        passwords: user name -> one-time password, of new users, where they got one.
    """

    plan: Plan
    passwords: Mapping[str, Secret] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a file is applied.

    Attributes:
        allow_deletions: whether it may delete users, roles, privilege groups and row policies.
        expect: the digest of the plan that was reviewed; empty for any.
        one_time_passwords: whether new users who could sign in with a password alone get one, for one use.
    """

    allow_deletions: bool = False
    expect: str = ""
    one_time_passwords: bool = False


async def plan(services: Services, caller: PolicyCaller, document: PolicyDocument) -> Plan:
    """Return what a file would change now. It is found by making the changes in a draft.

    Raises:
        EngineError, StoreError: the state could not be read.
    """
    faults = _faults_of_form(document)
    if faults:
        return Plan((), faults)
    async with services.store.draft() as draft:
        work = Work(services, caller, draft)
        await _carry_out(work, document, None)
        found = Plan(work.changes(), work.faults)
    return found if found.faults else replace(found, doubts=await doubts_of(services, document))


async def apply(services: Services, caller: PolicyCaller, document: PolicyDocument, terms: Terms) -> Applied:
    """Make the state what a file says, all of it or nothing.

    Raises:
        InvalidArgument: something of it is refused, it would delete something and may not, or it would change something
            else than was reviewed.
        StoreUnreachable: each time it was about to be written, others had changed what it depends on.
        EngineError, StoreError: it could not be done.
    """
    _require_none(_faults_of_form(document))
    passwords, hashes = await _passwords(services, document) if terms.one_time_passwords else ({}, None)
    done = None
    for _ in range(_ATTEMPTS):
        async with services.store.draft() as draft:
            work = Work(services, caller, draft)
            await _carry_out(work, document, hashes)
            done = await _written(work, caller, terms, hold=not isinstance(document.row_policies, UnsetType))
        if done is not None:
            break
    else:
        raise StoreUnreachable(
            "nothing was changed: others change users and roles all the time, so apply the file again later",
            ErrorDetail(ErrorCode.STORE_BUSY),
        )
    done = replace(done, doubts=await doubts_of(services, document))
    made = {change.name for change in done.changes if change.action == "add" and change.kind == "user"}
    return Applied(done, {name: password for name, password in passwords.items() if name in made})


async def _written(work: Work, caller: PolicyCaller, terms: Terms, *, hold: bool) -> Plan | None:
    """Write what was drafted, in the turn of a writer; None, and nothing is written, where something else has changed.

    Args:
        work: the work.
        caller: who applies it.
        terms: on what terms.
        hold: whether collections are held, because the file is about their row policies.

    Raises:
        As `apply`.
    """
    found = Plan(work.changes(), work.faults)
    drafted = await work.draft.result()
    async with work.collections.unseen.held() if hold else contextlib.nullcontext():
        if not (await _unmoved(work) and await _same_aliases(work)):
            return None
        async with caller.change() as transaction:
            _require_agreed(found, terms)
            if not (await _same_aliases(work) and await transaction.carry_out(drafted)):
                return None
            for record in work.records:
                caller.record_change(record)
            await rows.warn(work, caller, found.changes)
    return found


async def _unmoved(work: Work) -> bool:
    """Return whether names still stand for the collections that row policies were checked against."""
    places = [await resolved(work.services, named) == place for named, place in work.places.items()]
    return all(places) and await work.collections.unchanged()


async def _same_aliases(work: Work) -> bool:
    """Return whether aliases still stand for the collections on which their grants are stored. Raises EngineError.

    In the turn of a writer it takes no time unless the catalog was read again meanwhile. Other names are not looked up:
    those of nothing would be each time.
    """
    stored = [await stored_key(work.services, work.caller, named) == key for named, key in work.aliased.items()]
    return all(stored)


def _require_agreed(found: Plan, terms: Terms) -> None:
    """Require that a file can be applied, and changes what was agreed.

    Raises:
        InvalidArgument: it cannot, or changes more.
    """
    _require_none(found.faults)
    if found.deletions and not terms.allow_deletions:
        raise _deletions(found.deletions)
    if terms.expect and terms.expect != found.digest:
        raise InvalidArgument(
            "this would change something else than the plan that was reviewed: plan and review it again",
            ErrorDetail(ErrorCode.POLICY_PLAN_OUTDATED),
            field="expect",
        )


async def _carry_out(work: Work, document: PolicyDocument, hashes: Mapping[str, str] | None) -> None:
    """Make all changes of a file: what is added first, so that it can be named, and what is removed last."""
    groups = {**work.caller.snapshot.groups}
    held = {record.name: record for record in work.draft.users}
    named_roles, named_users = given(document.roles, {}), given(document.users, {})
    whole = not isinstance(document.users, UnsetType)
    unwanted = await accounts.unwanted_users(work, named_users, held) if whole else {}
    if not isinstance(document.privilege_groups, UnsetType):
        await roles.put_groups(work, document.privilege_groups, groups)
    await roles.put_roles(work, named_roles)
    await accounts.put_users(work, named_users, held, hashes)
    await roles.put_grants(work, named_roles)
    if not isinstance(document.row_policies, UnsetType):
        await rows.put_rows(work, document.row_policies)
    if not isinstance(document.group_roles, UnsetType):
        await roles.put_group_roles(work, document.group_roles)
    await accounts.reduce_users(work, named_users, held)
    await accounts.remove_users(work, unwanted, held)
    if not isinstance(document.roles, UnsetType):
        await roles.remove_roles(work, named_roles)
    if not isinstance(document.privilege_groups, UnsetType):
        await roles.remove_groups(work, document.privilege_groups, groups)


async def _passwords(services: Services, document: PolicyDocument) -> tuple[dict[str, Secret], dict[str, str]]:
    """Return one-time passwords and their hashes for the users of a file that do not exist. No transaction is open."""
    there = set(await services.store.user_names())
    passwords: dict[str, Secret] = {}
    hashes: dict[str, str] = {}
    for name, user in given(document.users, {}).items():
        if name not in there and accounts.has_no_other_sign_in(user):
            hashed = await hash_new_password(services, name, None)
            hashes[name] = hashed.stored
            if hashed.generated is not None:
                passwords[name] = hashed.generated
    return passwords, hashes


def _faults_of_form(document: PolicyDocument) -> list[Fault]:
    """Return what no reader of JSON checks, such as the version."""
    code = ErrorDetail(ErrorCode.INVALID_ARGUMENT)
    return [Fault(text_of(each.path), each.message, (code,)) for each in read(plain(document))[1]]


def _require_none(faults: Sequence[Fault]) -> None:
    if not faults:
        return
    told = [f"`{fault.path}`: {fault.message}" for fault in faults[:_MOST_TOLD]]
    more = [f"and {len(faults) - _MOST_TOLD} more"] if len(faults) > _MOST_TOLD else []
    raise InvalidArgument(
        f"nothing was changed: {'; '.join([*told, *more])}",
        *(detail for fault in faults[:_MOST_TOLD] for detail in fault.details),
        field=f"policy.{faults[0].path}",
    )


def _deletions(found: Sequence[ObjectChange]) -> InvalidArgument:
    names = ", ".join(f"{change.kind} {change.name}" for change in found[:_MOST_TOLD])
    return InvalidArgument(
        f"nothing was changed: this would delete {len(found)}, which has to be allowed: {names}",
        ErrorDetail(ErrorCode.POLICY_DELETIONS, {"number": len(found)}),
        field="allowDeletions",
    )
