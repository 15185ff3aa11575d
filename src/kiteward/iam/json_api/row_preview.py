"""Previews of row policies: how many rows somebody sees, and through which policies."""

from typing import Final

import msgspec

from kiteward.authz.policy import Condition
from kiteward.authz.privileges import PRIVILEGES
from kiteward.domain.error_codes import ErrorDetail
from kiteward.domain.identity import CredentialReach
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.iam.access import Who
from kiteward.iam.json_api.base import AdminOperation, Arguments, Outcome, Request
from kiteward.iam.row_policies import Place
from kiteward.iam.row_preview import preview
from kiteward.iam.services import Services


class PreviewRequest(Arguments):
    """Asks which rows a user or an API key reaches; the caller, without `userName` and `keyId`.

    `action` is Query, Search, Delete or Upsert. For each of `primaryKeys`, at most 100, it is said whether its row is
    reached.
    """

    collection_name: str
    db_name: str = DEFAULT_DATABASE
    user_name: str = ""
    key_id: str = ""
    action: str = "Query"
    primary_keys: list[int | str] = msgspec.field(default_factory=list)


class PreviewedPolicy(Outcome):
    """A row policy that applies.

    `rows` is how many rows a PERMISSIVE policy shows, or how many a RESTRICTIVE one takes away. It is null where more
    than 50 policies apply, for those after them.
    """

    policy_name: str
    policy_type: str
    rows: int | None


class PreviewedKey(Outcome):
    """Whether the row of a primary key is reached.

    `shownBy` are the permissive policies that allow it, `hiddenBy` the restrictive ones that do not.
    """

    primary_key: str
    stored: bool
    visible: bool
    shown_by: list[str]
    hidden_by: list[str]


class PreviewedRows(Outcome):
    """Which rows a user or an API key reaches by an action.

    Unless the policies are `enabled`, it is as if they were. `bypassed` says that they do not apply to the user.
    `refusal` are the reasons why the action is refused altogether, such as a privilege that is missing, as codes with
    parameters.
    """

    db_name: str
    collection_name: str
    user_name: str
    key_id: str | None
    action: str
    enabled: bool
    bypassed: bool
    total_rows: int
    visible_rows: int
    policies: list[PreviewedPolicy]
    keys: list[PreviewedKey]
    refusal: list[ErrorDetail]


async def previewed(services: Services, request: Request, arguments: PreviewRequest) -> PreviewedRows:
    """Preview row policies."""
    found = await preview(
        services,
        request,
        Place(arguments.db_name, arguments.collection_name),
        Who(arguments.user_name, arguments.key_id),
        action=arguments.action,
        keys=list(map(str, arguments.primary_keys)),
    )
    return PreviewedRows(
        db_name=found.target.database,
        collection_name=found.target.collection,
        user_name=found.user_name,
        key_id=found.key_id,
        action=found.action.value,
        enabled=found.enabled,
        bypassed=found.bypassed,
        total_rows=found.total,
        visible_rows=found.visible,
        policies=[
            PreviewedPolicy(policy_name=each.policy.name, policy_type=each.policy.policy_type.value, rows=each.rows)
            for each in found.policies
        ],
        keys=[
            PreviewedKey(
                primary_key=each.key,
                stored=each.stored,
                visible=each.visible,
                shown_by=list(each.shown_by),
                hidden_by=list(each.hidden_by),
            )
            for each in found.keys
        ],
        refusal=list(found.refusal),
    )


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "PreviewRows",
        "row_policies/preview",
        PreviewRequest,
        PreviewedRows,
        previewed,
        "Tell how many rows of a collection somebody sees under its row policies, and through which.",
        administrators=False,
        on_objects=(Condition(PRIVILEGES["ManageRLS"]), Condition(PRIVILEGES["Query"])),
        credential=CredentialReach.ANY,
        changes=False,
    ),
)
