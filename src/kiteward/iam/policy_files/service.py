"""Plans and applies a file, in one transaction: all of it or nothing."""

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from msgspec import UnsetType

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.identity import Secret
from kiteward.iam.passwords import hash_new_password
from kiteward.iam.policy_files import accounts, roles, rows
from kiteward.iam.policy_files.checking import read, text_of
from kiteward.iam.policy_files.document import PolicyDocument, given, plain
from kiteward.iam.policy_files.doubts import Doubt, doubts_of
from kiteward.iam.policy_files.work import Fault, ObjectChange, PolicyCaller, Work
from kiteward.iam.services import Services

_DIGEST: Final = 32
"""Hexadecimal digits of the digest of a plan."""

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
        text = json.dumps([asdict(change) for change in self.changes], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]


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


class _Undone(Exception):
    """Undoes the transaction in which a plan was made."""


async def plan(services: Services, caller: PolicyCaller, document: PolicyDocument) -> Plan:
    """Return what a file would change now. It is found by making the changes, which are then undone.

    Raises:
        EngineError, StoreError: the state could not be read.
    """
    faults = _faults_of_form(document)
    if faults:
        return Plan((), faults)
    found = Plan(())
    with contextlib.suppress(_Undone):
        async with _begun(services, caller, document) as work:
            await _carry_out(work, document, None)
            found = Plan(work.changes(), work.faults)
            raise _Undone
    return found if found.faults else replace(found, doubts=await doubts_of(services, document))


async def apply(services: Services, caller: PolicyCaller, document: PolicyDocument, terms: Terms) -> Applied:
    """Make the state what a file says, all of it or nothing.

    Raises:
        InvalidArgument: something of it is refused, it would delete something and may not, or it would change something
            else than was reviewed.
        EngineError, StoreError: it could not be done.
    """
    _require_none(_faults_of_form(document))
    passwords, hashes = await _passwords(services, document) if terms.one_time_passwords else ({}, None)
    async with _begun(services, caller, document) as work:
        await _carry_out(work, document, hashes)
        _require_none(work.faults)
        done = Plan(work.changes())
        if done.deletions and not terms.allow_deletions:
            raise _deletions(done.deletions)
        if terms.expect not in ("", done.digest):
            raise InvalidArgument(
                "this would change something else than the plan that was reviewed: plan and review it again",
                ErrorDetail(ErrorCode.POLICY_PLAN_OUTDATED),
                field="expect",
            )
        for record in work.records:
            caller.record_change(record)
        await rows.warn(work, caller, done.changes)
    done = replace(done, doubts=await doubts_of(services, document))
    made = {change.name for change in done.changes if change.action == "add" and change.kind == "user"}
    return Applied(done, {name: password for name, password in passwords.items() if name in made})


@contextlib.asynccontextmanager
async def _begun(services: Services, caller: PolicyCaller, document: PolicyDocument) -> AsyncIterator[Work]:
    """Open the transaction of a file; collections are held where it is about their row policies."""
    about_rows = not isinstance(document.row_policies, UnsetType)
    async with services.collections.held() if about_rows else contextlib.nullcontext(), caller.change() as transaction:
        yield Work(services, caller, transaction)


async def _carry_out(work: Work, document: PolicyDocument, hashes: Mapping[str, str] | None) -> None:
    """Make all changes of a file: what is added first, so that it can be named, and what is removed last."""
    groups = {**work.caller.snapshot.groups}
    held = {record.name: record for record in await work.services.store.users()}
    named_roles, named_users = given(document.roles, {}), given(document.users, {})
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
    if not isinstance(document.users, UnsetType):
        await accounts.remove_users(work, named_users, held)
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
