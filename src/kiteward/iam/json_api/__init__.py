"""Kiteward's own operations: typed arguments and outcomes, for REST, console and command line.

Each operation is one row, whose function calls a service of `kiteward.iam`. No rule of identity management belongs
here. A module of rows is imported when one of its operations is first looked for: a command needs one of them, and a
server imports all when it starts. A test holds the contents below to the rows.
"""

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kiteward.domain.deferred import DeferredParts
from kiteward.iam.json_api.base import AdminOperation

CONTENTS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "access": {
            "ExplainAccess": "access/explain",
            "ListCollectionAccess": "access/collection",
            "DescribeUserAccess": "access/user",
        },
        "missing": {
            "ListMissingAccess": "access/missing",
        },
        "unused": {
            "ListUnusedAccess": "access/unused",
        },
        "accounts": {
            "WhoAmI": "whoami/describe",
            "DescribePasswordPolicy": "passwords/describe_policy",
            "ListUserAccounts": "users/list",
            "DescribeUserAccount": "users/describe",
            "CreateUserAccount": "users/create",
            "DeleteUserAccount": "users/delete",
            "ResetPassword": "users/reset_password",
            "EndOldPassword": "users/end_old_password",
            "DisableUser": "users/disable",
            "EnableUser": "users/enable",
            "UnlockUser": "users/unlock",
        },
        "audit": {
            "SearchAudit": "audit/search",
            "ExplainAuditLine": "audit/explain",
        },
        "grants": {
            "ChangeGrants": "roles/change_grants",
            "MakePrivilegeGroup": "privilege_groups/create",
            "ChangePrivilegeGroup": "privilege_groups/change",
        },
        "identities": {
            "ListIdentities": "identities/list",
            "InviteUser": "identities/invite",
            "UnbindIdentity": "identities/unbind",
            "CutOffTokens": "identities/cutoff",
            "ListGroupRoles": "group_roles/list",
            "GrantGroupRole": "group_roles/grant",
            "RevokeGroupRole": "group_roles/revoke",
            "ChangeGroupRoles": "group_roles/change",
        },
        "issuers": {
            "ListIssuers": "issuers/list",
        },
        "policy": {
            "ExportPolicy": "policy/export",
            "PlanPolicy": "policy/plan",
            "ApplyPolicy": "policy/apply",
        },
        "row_policies": {
            "MakeRowPolicy": "row_policies/create",
            "ChangeRowPolicy": "row_policies/update",
            "RemoveRowPolicy": "row_policies/drop",
            "DescribeRowPolicies": "row_policies/list",
            "EnableRowPolicies": "row_policies/enable",
            "DisableRowPolicies": "row_policies/disable",
        },
        "row_preview": {
            "PreviewRows": "row_policies/preview",
        },
        "tags": {
            "DescribeTags": "tags/describe",
            "SetTags": "tags/set",
            "DeleteTags": "tags/delete",
            "ListTaggedUsers": "tags/list_users",
        },
        "limits": {
            "DescribeLimits": "limits/describe",
            "SetLimits": "limits/set",
            "DeleteLimits": "limits/delete",
            "ListLimits": "limits/list",
        },
        "keys": {
            "CreateApiKey": "api_keys/create",
            "ListApiKeys": "api_keys/list",
            "DescribeApiKey": "api_keys/describe",
            "AlterApiKey": "api_keys/alter",
            "RotateApiKey": "api_keys/rotate",
            "DisableApiKey": "api_keys/disable",
            "EnableApiKey": "api_keys/enable",
            "RevokeApiKey": "api_keys/revoke",
        },
        "role_details": {
            "DescribeRole": "roles/describe",
            "CopyRole": "roles/copy",
            "CompareRoles": "roles/compare",
            "DeleteRole": "roles/delete",
            "ListGrants": "grants/list",
        },
        "roles": {
            "ListRoles": "roles/list",
        },
        "many": {
            "ChangeUsers": "users/change",
            "ChangeRoleMembers": "roles/change_members",
            "ChangeApiKeys": "api_keys/change",
        },
        "scim": {
            "ListScimUsers": "scim/list_users",
            "GetScimUser": "scim/get_user",
            "CreateScimUser": "scim/create_user",
            "ReplaceScimUser": "scim/replace_user",
            "PatchScimUser": "scim/patch_user",
            "DeleteScimUser": "scim/delete_user",
            "ListScimGroups": "scim/list_groups",
            "GetScimGroup": "scim/get_group",
            "CreateScimGroup": "scim/create_group",
            "ReplaceScimGroup": "scim/replace_group",
            "PatchScimGroup": "scim/patch_group",
            "DeleteScimGroup": "scim/delete_group",
            "HandOverToScim": "scim/hand_over",
            "TakeBackFromScim": "scim/take_back",
        },
        "token_exchange": {
            "ExchangeToken": "token",
        },
        "server": {
            "DescribeServer": "server/describe",
            "ListServers": "server/list",
        },
        "overview": {
            "DescribeActivity": "server/activity",
            "ReviewCredentials": "access/credentials",
            "ListCollectionSizes": "collections/sizes",
        },
        "sessions": {
            "BeginSession": "sessions/begin",
            "DescribeSignIn": "sessions/describe_sign_in",
            "FinishSignIn": "sessions/finish_sign_in",
            "ListSessions": "sessions/list",
            "EndSession": "sessions/end",
            "EndSessions": "sessions/end_all",
            "EndSessionsByProvider": "sessions/end_by_provider",
        },
        "second_factors": {
            "ListFactors": "second_factors/list",
            "StartApp": "second_factors/start_app",
            "ConfirmApp": "second_factors/confirm_app",
            "StartPasskey": "second_factors/start_passkey",
            "AddPasskey": "second_factors/add_passkey",
            "RemoveFactor": "second_factors/remove",
            "RenewRecoveryCodes": "second_factors/renew_recovery_codes",
            "ResetFactors": "users/reset_factors",
        },
        "views": {
            "ViewAsUser": "users/view",
        },
    }
)
"""Module that declares operations -> their names, with their paths."""

_TOPICS: Final = {name: topic for topic, names in CONTENTS.items() for name in names}


def rows_of(topic: str) -> Mapping[str, AdminOperation]:
    """Return the operations by name that a module of the contents declares."""
    module = importlib.import_module(f"kiteward.iam.json_api.{topic}")
    return {row.name: row for row in module.ADMIN_OPERATIONS}


ADMIN_OPERATIONS: Final[Mapping[str, AdminOperation]] = DeferredParts(CONTENTS, _TOPICS.get, rows_of)
"""Every operation by name. A test checks that names and paths are unique, and that no RPC has such a name."""
