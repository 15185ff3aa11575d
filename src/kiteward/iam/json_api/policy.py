"""Policy as code: export the policy as a file, plan a file and apply it."""

from collections.abc import Sequence
from typing import Final

import msgspec

from kiteward.audit.events import Event
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.identity import Secret
from kiteward.iam.json_api.base import AdminOperation, Arguments, Outcome, Request
from kiteward.iam.policy_files import service
from kiteward.iam.policy_files.document import SECTIONS, PolicyDocument, plain
from kiteward.iam.policy_files.doubts import Doubt
from kiteward.iam.policy_files.exporting import exported
from kiteward.iam.policy_files.work import Fault, ObjectChange
from kiteward.iam.services import Services

LARGEST: Final = 16 * 1024 * 1024
"""Most bytes of a file that is applied, as the audit trail counts them."""


class ExportedSections(Arguments):
    """Selects sections of the file; without any, all of them."""

    sections: list[str] = msgspec.field(default_factory=list)


class PolicyGiven(Arguments):
    """A file to be planned."""

    policy: PolicyDocument


class PolicyToApply(Arguments):
    """A file to be applied, and on what terms.

    Without `allowDeletions`, a file that would delete a user, role, privilege group or row policy is refused. `expect`
    is the digest of a plan: the file is refused unless it changes exactly what that plan said. With `oneTimePasswords`,
    new users who could sign in with a password alone get one, which is returned once; others get none.
    """

    policy: PolicyDocument
    allow_deletions: bool = False
    expect: str = ""
    one_time_passwords: bool = False


class PolicyExport(Outcome):
    """The policy as a file."""

    policy: PolicyDocument


class PolicyDifference(Outcome):
    """A part of an object that differs: `action` is add, change or remove; the values are texts for people."""

    action: str
    what: str
    before: str
    after: str


class PolicyChange(Outcome):
    """What changes of one object; `deletion` says that something with a name is deleted, which has to be allowed."""

    action: str
    kind: str
    name: str
    differences: list[PolicyDifference]
    deletion: bool

    @classmethod
    def of(cls, change: ObjectChange) -> "PolicyChange":
        """Return a change in the form of a response."""
        return cls(
            action=change.action.value,
            kind=change.kind.value,
            name=change.name,
            differences=[
                PolicyDifference(action=each.action.value, what=each.what, before=each.before, after=each.after)
                for each in change.differences
            ],
            deletion=change.deletion,
        )


class PolicyFault(Outcome):
    """Why a file cannot be applied: the place in it, such as `roles.reader.grants[2]`, what is wrong, and a code."""

    path: str
    message: str
    reason: str


class PolicyWarning(Outcome):
    """Something in a file that has no effect: the place in it, and why."""

    path: str
    message: str


class PolicyPlan(Outcome):
    """What a file would change, or why it cannot be applied; `digest` stands for these changes and no others.

    `warnings` are about what has no effect, such as grants on collections that do not exist.
    """

    changes: list[PolicyChange]
    digest: str
    faults: list[PolicyFault]
    warnings: list[PolicyWarning]


class OneTimePassword(Outcome):
    """The one-time password of a new user, returned only once."""

    user_name: str
    password: Secret


class PolicyApplied(Outcome):
    """What a file has changed, and the one-time passwords of new users."""

    changes: list[PolicyChange]
    digest: str
    passwords: list[OneTimePassword]
    warnings: list[PolicyWarning]


async def export(services: Services, request: Request, arguments: ExportedSections) -> PolicyExport:
    """Export the policy as a file."""
    unknown = sorted(set(arguments.sections) - set(SECTIONS))
    if unknown:
        raise InvalidArgument(
            f"no such section: {unknown[0]}; there are {', '.join(SECTIONS)}",
            ErrorDetail(ErrorCode.INVALID_ARGUMENT),
            field="sections",
        )
    document = await exported(services, request.snapshot)
    if arguments.sections:
        document = msgspec.convert(plain(document, arguments.sections), PolicyDocument)
    return PolicyExport(policy=document)


async def planned(services: Services, request: Request, arguments: PolicyGiven) -> PolicyPlan:
    """Return what a file would change."""
    found = await service.plan(services, request, arguments.policy)
    return PolicyPlan(
        changes=_changes(found.changes),
        digest=found.digest,
        faults=list(map(_fault, found.faults)),
        warnings=_warnings(found.doubts),
    )


async def applied(services: Services, request: Request, arguments: PolicyToApply) -> PolicyApplied:
    """Apply a file."""
    terms = service.Terms(arguments.allow_deletions, arguments.expect, arguments.one_time_passwords)
    done = await service.apply(services, request, arguments.policy, terms)
    return PolicyApplied(
        changes=_changes(done.plan.changes),
        digest=done.plan.digest,
        passwords=[OneTimePassword(user_name=name, password=text) for name, text in done.passwords.items()],
        warnings=_warnings(done.plan.doubts),
    )


def _warnings(doubts: Sequence[Doubt]) -> list[PolicyWarning]:
    return [PolicyWarning(path=each.path, message=each.message) for each in doubts]


def _changes(changes: Sequence[ObjectChange]) -> list[PolicyChange]:
    return list(map(PolicyChange.of, changes))


def _fault(fault: Fault) -> PolicyFault:
    return PolicyFault(path=fault.path, message=fault.message, reason=fault.details[0].code.value)


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "ExportPolicy",
        "policy/export",
        ExportedSections,
        PolicyExport,
        export,
        "Return users, roles, grants, privilege groups, row policies and roles of groups as a file, without secrets.",
        changes=False,
        long=True,
    ),
    AdminOperation(
        "PlanPolicy",
        "policy/plan",
        PolicyGiven,
        PolicyPlan,
        planned,
        "Return what applying a file would change, and why it would be refused.",
        changes=False,
        long=True,
    ),
    AdminOperation(
        "ApplyPolicy",
        "policy/apply",
        PolicyToApply,
        PolicyApplied,
        applied,
        "Make the policy what a file says, all of it or nothing.",
        event=Event.POLICY_CHANGE,
        details_limit=LARGEST,
        long=True,
        # Each change has an event of its own; passwords are never recorded.
        unrecorded_results=frozenset({"changes", "passwords", "warnings"}),
    ),
)
