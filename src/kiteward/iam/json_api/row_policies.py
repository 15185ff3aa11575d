"""Row policies of a collection: create, change, drop, list, and whether they are enforced."""

from datetime import datetime
from typing import Final

import msgspec

from kiteward.audit.events import Event
from kiteward.authz.policy import Condition
from kiteward.authz.privileges import PRIVILEGES
from kiteward.authz.row_policies import RowAction, RowPolicy
from kiteward.domain.error_codes import ErrorDetail
from kiteward.domain.identity import CredentialReach
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.iam import row_policies
from kiteward.iam.json_api.base import AdminOperation, Arguments, Outcome, Request
from kiteward.iam.json_api.shapes import moment
from kiteward.iam.row_policy_forms import PolicyForm
from kiteward.iam.services import Services


class PolicyGiven(Arguments):
    """A row policy: new, or in place of the one of its name.

    `policyType` is PERMISSIVE (a row needs one of these) or RESTRICTIVE (a row needs all of these too). `actions` are
    Query, Search, Insert, Delete and Upsert. Without `roles` it is for everybody. `usingExpr` is about stored rows
    (Query, Search, Delete, Upsert), `checkExpr` about written ones (Insert, Upsert).
    """

    collection_name: str
    policy_name: str
    actions: list[str]
    db_name: str = DEFAULT_DATABASE
    policy_type: str = "PERMISSIVE"
    roles: list[str] = msgspec.field(default_factory=list)
    using_expr: str = ""
    check_expr: str = ""
    description: str = ""


class PolicyNamed(Arguments):
    """Names a row policy of a collection."""

    collection_name: str
    policy_name: str
    db_name: str = DEFAULT_DATABASE


class CollectionNamed(Arguments):
    """Names a collection, also by an alias."""

    collection_name: str
    db_name: str = DEFAULT_DATABASE


class Enabling(Arguments):
    """Names a collection; with `force` the policies also apply to administrators and holders of SkipRLS."""

    collection_name: str
    db_name: str = DEFAULT_DATABASE
    force: bool = False


class Policy(Outcome):
    """A row policy. `fault` says why it allows nothing, if an expression of it cannot be read any more; else empty."""

    policy_name: str
    policy_type: str
    actions: list[str]
    roles: list[str]
    using_expr: str
    check_expr: str
    description: str
    created_at: datetime | None
    fault: str


class Protection(Outcome):
    """The row policies of a collection, sorted by name.

    They are enforced if `enabled`, and with `force` on administrators too. `warnings` are reasons as codes with
    parameters: what is allowed and perhaps not meant. `changeable` is whether the caller may change them.
    """

    db_name: str
    collection_name: str
    enabled: bool
    force: bool
    policies: list[Policy]
    warnings: list[ErrorDetail]
    changeable: bool


async def created(services: Services, request: Request, arguments: PolicyGiven) -> Protection:
    """Create a policy."""
    return _shown(request, await row_policies.create_policy(services, request, _place(arguments), form_of(arguments)))


async def changed(services: Services, request: Request, arguments: PolicyGiven) -> Protection:
    """Replace a policy."""
    return _shown(request, await row_policies.change_policy(services, request, _place(arguments), form_of(arguments)))


async def dropped(services: Services, request: Request, arguments: PolicyNamed) -> Protection:
    """Drop a policy."""
    return _shown(request, await row_policies.drop_policy(services, request, _place(arguments), arguments.policy_name))


async def listed(services: Services, request: Request, arguments: CollectionNamed) -> Protection:
    """List the policies of a collection."""
    return _shown(request, await row_policies.describe_protection(services, request, _place(arguments)))


async def enabled(services: Services, request: Request, arguments: Enabling) -> Protection:
    """Enforce the policies."""
    change = row_policies.PropertyChange(enabled=True, force=arguments.force)
    return _shown(request, await row_policies.set_properties(services, request, _place(arguments), change))


async def disabled(services: Services, request: Request, arguments: CollectionNamed) -> Protection:
    """Stop enforcing the policies."""
    change = row_policies.PropertyChange(enabled=False, force=False)
    return _shown(request, await row_policies.set_properties(services, request, _place(arguments), change))


def _place(arguments: PolicyGiven | PolicyNamed | CollectionNamed | Enabling) -> row_policies.Place:
    return row_policies.Place(arguments.db_name, arguments.collection_name)


def form_of(arguments: PolicyGiven) -> PolicyForm:
    """Return what a request says of a row policy."""
    return PolicyForm(
        name=arguments.policy_name,
        policy_type=arguments.policy_type,
        actions=arguments.actions,
        roles=arguments.roles,
        using_expr=arguments.using_expr,
        check_expr=arguments.check_expr,
        description=arguments.description,
    )


def _shown(request: Request, protection: row_policies.Protection) -> Protection:
    held = protection.collection
    return Protection(
        db_name=held.database,
        collection_name=held.collection,
        enabled=held.enabled,
        force=held.force,
        policies=[_policy(policy, protection.faults.get(policy.name, "")) for policy in held.policies],
        warnings=list(protection.warnings),
        changeable=row_policies.may_change(request, protection.collection),
    )


def _policy(policy: RowPolicy, fault: str) -> Policy:
    return Policy(
        policy_name=policy.name,
        policy_type=policy.policy_type.value,
        actions=[action.value for action in RowAction if action in policy.actions],
        roles=list(policy.roles),
        using_expr=policy.using_expr,
        check_expr=policy.check_expr,
        description=policy.description,
        created_at=moment(policy.created_at),
        fault=fault,
    )


def _row(name: str, action: str, arguments: type[Arguments], run: object, summary: str) -> AdminOperation:
    """Return a row that any user may call with any credential: the service requires the privilege."""
    changes = action != "list"
    return AdminOperation(
        name,
        f"row_policies/{action}",
        arguments,
        Protection,
        run,  # type: ignore[arg-type]  # handlers have their own types of arguments
        summary,
        administrators=False,
        on_objects=(Condition(PRIVILEGES["ManageRLS" if changes else "ViewRLS"]),),
        credential=CredentialReach.ANY,
        changes=changes,
        event=Event.ROW_POLICY_CHANGE if changes else Event.ADMINISTRATIVE_READ,
        # The recorded request says what changed, and the service adds what was there before.
        unrecorded_results=frozenset({"policies", "warnings"}) if changes else frozenset(),
    )


ADMIN_OPERATIONS: Final = (
    _row("MakeRowPolicy", "create", PolicyGiven, created, "Create a row policy of a collection."),
    _row("ChangeRowPolicy", "update", PolicyGiven, changed, "Replace a row policy of a collection."),
    _row("RemoveRowPolicy", "drop", PolicyNamed, dropped, "Drop a row policy of a collection."),
    _row("DescribeRowPolicies", "list", CollectionNamed, listed, "List the row policies of a collection."),
    _row(
        "EnableRowPolicies",
        "enable",
        Enabling,
        enabled,
        "Enforce the row policies of a collection, with `force` also on those who bypass them otherwise.",
    ),
    _row(
        "DisableRowPolicies", "disable", CollectionNamed, disabled, "Stop enforcing the row policies of a collection."
    ),
)
