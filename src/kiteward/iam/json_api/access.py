"""Explanations of access, by the function that decides requests."""

from collections.abc import Sequence
from typing import Final

from kiteward.authn.principals import AccessBlock
from kiteward.authz.coverage import summed_up
from kiteward.authz.model import GrantKey
from kiteward.authz.request_limits import applying
from kiteward.authz.row_policies import BoundPolicy
from kiteward.domain.error_codes import ErrorDetail
from kiteward.domain.identity import CredentialReach
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.filters import Dialect, write
from kiteward.iam.access import AccessExplanation, AccessQuestion, RowAccess, Who, explain_access, held_access
from kiteward.iam.caller import is_administrator
from kiteward.iam.collection_access import list_holders
from kiteward.iam.json_api.base import AdminOperation, Arguments, Outcome, Request, page
from kiteward.iam.json_api.limits import Limit
from kiteward.iam.json_api.shapes import HeldGrant, issuer_of, subject_of
from kiteward.iam.services import Services


class ExplainRequest(Arguments):
    """Asks whether a user or an API key is allowed something; the caller, without `userName` and `keyId`.

    It names a `privilege`, or an `operation`: what that needs is meant. `collectionName` is a user for privileges on
    users, and for operations about what belongs to users.
    """

    user_name: str = ""
    key_id: str = ""
    privilege: str = ""
    operation: str = ""
    collection_name: str = ""
    db_name: str = ""


class Remedy(Outcome):
    """A change that would allow it: binding the role, or with `privilege` granting it to the role."""

    role: str
    db_name: str | None = None
    object_name: str | None = None
    privilege: str | None = None


class Opening(Outcome):
    """What unblocks a user or key that cannot authenticate: an operation, such as `EnableUser`, and its target."""

    operation: str
    name: str


class AppliedPolicy(Outcome):
    """A row policy that applies; `rows` are those that it allows, with the values of the user, for administrators."""

    policy_name: str
    policy_type: str
    rows: str


class RowsExplained(Outcome):
    """Which rows of a protected collection may be touched.

    `bypassed` says that row policies do not apply. Else `using` are the policies that apply to stored rows, and `check`
    those that apply to written rows.
    """

    bypassed: bool
    every_row: bool
    no_row: bool
    using: list[AppliedPolicy]
    check: list[AppliedPolicy]


class Explained(Outcome):
    """A decision, and the grants behind it. `closed` says why the user or key cannot authenticate.

    `details` is `reason` as codes with parameters, for programs and translations.
    `rows` says which row policies apply, null where none are enforced or it is refused.
    `held` says whether its roles allow it, whether or not it can authenticate; `ways` and `remedies` explain `held`.
    `advised` says whether the caller gets what would allow it. Only administrators get `remedies`,
    `opening`, whether the collection exists (null where that is not known), and the collection behind an alias; others
    get the name that they gave.
    `actor` is the service that acts with the API key for its owner, by token exchange; null for any other.
    `issuer` and `subject` say who a federated user is at its identity provider, null for others.
    """

    user_name: str
    key_id: str | None
    actor: str | None
    privilege: str | None
    db_name: str
    collection_name: str
    exists: bool | None
    allowed: bool
    held: bool
    reason: str
    details: list[ErrorDetail]
    ways: list[HeldGrant]
    advised: bool
    remedies: list[Remedy]
    closed: str
    opening: Opening | None
    rows: RowsExplained | None
    issuer: str | None = None
    subject: str | None = None


class OfCollection(Arguments):
    """Names a collection; `*` stands for all of the database."""

    collection_name: str
    db_name: str = ""
    after: str = ""
    limit: int = 100


class Holder(Outcome):
    """A user with privileges on the collection. `keyIds` are its API keys that hold some of them.

    `summary` are the same privileges in fewer names: privilege groups in the place of their members.

    `issuer` and `subject` say who a federated user is at its identity provider, null for others.
    """

    user_name: str
    administrator: bool
    privileges: list[str]
    summary: list[str]
    ways: list[HeldGrant]
    key_ids: list[str]
    closed: str
    issuer: str | None = None
    subject: str | None = None


class Holders(Outcome):
    """A page of holders. `next` is the value of `after` for the next page, empty at the end.

    `exists` says whether the collection exists, null where that is not known.
    """

    db_name: str
    collection_name: str
    exists: bool | None
    holders: list[Holder]
    next: str


class OfSomebody(Arguments):
    """Names a user or an API key; without either, the caller."""

    user_name: str = ""
    key_id: str = ""


class Reach(Outcome):
    """The privileges on a collection, or for `*` on all collections."""

    db_name: str
    collection_name: str
    privileges: list[str]


class Reaches(Outcome):
    """All access of a user or API key. An administrator may do everything, and has no rows.

    `limits` are all that its requests have to keep within. `actor` is the service that acts with the API key, or null.
    `issuer` and `subject` say who a federated user is at its identity provider, null for others.
    """

    user_name: str
    key_id: str | None
    actor: str | None
    administrator: bool
    collections: list[Reach]
    cluster: list[str]
    closed: str
    limits: list[Limit]
    issuer: str | None = None
    subject: str | None = None


async def explained(services: Services, request: Request, arguments: ExplainRequest) -> Explained:
    """Explain whether a user or API key may do something."""
    question = AccessQuestion(
        Who(arguments.user_name, arguments.key_id),
        privilege=arguments.privilege,
        operation=arguments.operation,
        collection=arguments.collection_name,
        database=arguments.db_name,
    )
    return explanation_shape(request, await explain_access(services, request, question))


async def holders(services: Services, request: Request, arguments: OfCollection) -> Holders:
    """List the users with access to a collection, with the grants."""
    found = await list_holders(
        services,
        request,
        database=arguments.db_name or DEFAULT_DATABASE,
        collection=arguments.collection_name,
        after=arguments.after,
        limit=page(arguments.limit),
    )
    groups = request.snapshot.groups.values()
    return Holders(
        db_name=found.database,
        collection_name=found.collection,
        exists=found.exists,
        holders=[
            Holder(
                user_name=holder.user_name,
                administrator=holder.administrator,
                privileges=list(holder.privileges),
                summary=summed_up(holder.privileges, groups),
                ways=[HeldGrant.of(grant) for grant in holder.grants],
                key_ids=list(holder.key_ids),
                closed=_reason(holder.block),
                issuer=issuer_of(holder.identity),
                subject=subject_of(holder.identity),
            )
            for holder in found.holders
        ],
        next=found.next,
    )


async def reaches(services: Services, request: Request, arguments: OfSomebody) -> Reaches:
    """Return all access of a user or API key."""
    found = await held_access(services, request, Who(arguments.user_name, arguments.key_id))
    limits = applying(found.state.principal, request.snapshot.role_limits, services.request_limits or None)
    return Reaches(
        user_name=found.state.principal.user_name,
        key_id=found.key_id,
        actor=found.state.principal.actor or None,
        administrator=found.administrator,
        collections=[
            Reach(db_name=row[0], collection_name=row[1], privileges=list(privileges))
            for row, privileges in found.collections
        ],
        cluster=list(found.cluster),
        closed=_reason(found.state.closed),
        limits=[Limit.by(by, each) for by, each in limits],
        issuer=issuer_of(found.state.principal.identity),
        subject=subject_of(found.state.principal.identity),
    )


def explanation_shape(request: Request, found: AccessExplanation) -> Explained:
    """Return an explanation in the form of a response."""
    return Explained(
        user_name=found.user_name,
        key_id=found.key_id,
        actor=found.actor or None,
        privilege=found.privilege,
        db_name=found.database,
        collection_name=found.collection,
        exists=found.exists,
        allowed=found.allowed,
        held=found.explanation.decision.allowed,
        reason=found.reason,
        details=list(found.details),
        ways=[HeldGrant.of(grant) for grant in found.explanation.ways],
        advised=is_administrator(request),
        remedies=[_remedy(remedy.role, remedy.grant) for remedy in found.explanation.remedies],
        closed=_reason(found.block),
        opening=_opening(found.block) if is_administrator(request) else None,
        rows=None if found.rows is None else _rows(found.rows, expressions=is_administrator(request)),
        issuer=issuer_of(found.identity),
        subject=subject_of(found.identity),
    )


def _rows(found: RowAccess, *, expressions: bool) -> RowsExplained:
    def shown(policies: Sequence[BoundPolicy]) -> list[AppliedPolicy]:
        return [
            AppliedPolicy(
                policy_name=policy.name,
                policy_type=policy.policy_type.value,
                rows=write(policy.expression, Dialect.POLICY) if expressions else "",
            )
            for policy in policies
        ]

    return RowsExplained(
        bypassed=found.bypassed,
        every_row=found.every_row,
        no_row=found.no_row,
        using=shown(found.using),
        check=shown(found.check),
    )


def _reason(block: AccessBlock | None) -> str:
    return "" if block is None else block.reason


def _opening(block: AccessBlock | None) -> Opening | None:
    return Opening(operation=block.opening, name=block.opened) if block is not None and block.opening else None


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
        "Explain whether a user or API key may do something: through which grants, or what would allow it.",
        administrators=False,
        own=True,
        credential=CredentialReach.ANY,
        changes=False,
    ),
    AdminOperation(
        "ListCollectionAccess",
        "access/collection",
        OfCollection,
        Holders,
        holders,
        "List everybody with access to a collection, with the grants.",
        changes=False,
    ),
    AdminOperation(
        "DescribeUserAccess",
        "access/user",
        OfSomebody,
        Reaches,
        reaches,
        "List everything that a user or an API key may do.",
        administrators=False,
        own=True,
        credential=CredentialReach.ANY,
        changes=False,
    ),
)
