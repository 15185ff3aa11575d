"""RPCs that Kiteward executes itself: users, roles, grants, privilege groups, backup, and about the server."""

from typing import Final

from kiteward.audit.events import Event
from kiteward.domain.request_limits import Counted
from kiteward.gateway.audit_details import Elements
from kiteward.gateway.operations.declare import (
    CONFIDENTIAL,
    ONE_COLLECTION,
    RESOLVED,
    UNUSED,
    changes,
    shows,
    tells,
)
from kiteward.iam.milvus_rpc import backup, grants, privilege_groups, roles, row_policies, server, tags, users

_TIMESTAMPS: Final = {"created_utc_timestamps": UNUSED, "modified_utc_timestamps": UNUSED}

_SERVER: Final = (
    *tells(
        "Connect",
        server.connect,
        counted=Counted.NOBODY,
        one_time_password=True,
        introduces_client=True,
        used="client_info",
    ),
    *tells("GetVersion", server.get_version, counted=Counted.NOBODY, one_time_password=True),
    *tells("CheckHealth", server.check_health, counted=Counted.NOBODY),
)

_USERS: Final = (
    *changes(
        "CreateCredential",
        "CreateOwnership",
        users.create,
        event=Event.USER_CHANGE,
        recorded={"user": "username", "description": "description"},
        left_out={"password": CONFIDENTIAL, **_TIMESTAMPS},
        failure="CreateCredentialFailure",
    ),
    *changes(
        "UpdateCredential",
        "UpdateUser",
        users.update,
        event=Event.USER_CHANGE,
        user="username",
        one_time_password=True,
        recorded={"user": "username", "description": "description"},
        left_out={"oldPassword": CONFIDENTIAL, "newPassword": CONFIDENTIAL, **_TIMESTAMPS},
        failure="UpdateCredentialFailure",
    ),
    *changes(
        "DeleteCredential",
        "DropOwnership",
        users.delete,
        event=Event.USER_CHANGE,
        recorded={"user": "username"},
        failure="DeleteCredentialFailure",
    ),
    *shows("ListCredUsers", "SelectOwnership", users.list_names, failure="ListCredUsersFailure"),
    *shows(
        "SelectUser",
        "SelectUser",
        users.select,
        user="user.name",
        recorded={"user": "user.name", "roles": "include_role_info"},
        failure="SelectUserFailure",
    ),
)

_ROLES: Final = (
    *changes(
        "CreateRole",
        "CreateOwnership",
        roles.create,
        event=Event.ROLE_CHANGE,
        recorded={"role": "entity.name", "description": "entity.description"},
        failure="CreateRoleFailure",
    ),
    *changes(
        "AlterRole",
        "CreateOwnership",
        roles.alter,
        event=Event.ROLE_CHANGE,
        recorded={"role": "role_name", "description": "description"},
    ),
    *changes(
        "DropRole",
        "DropOwnership",
        roles.drop,
        event=Event.ROLE_CHANGE,
        recorded={"role": "role_name", "force": "force_drop"},
        failure="DropRoleFailure",
    ),
    *changes(
        "OperateUserRole",
        "ManageOwnership",
        roles.operate_binding,
        event=Event.USER_CHANGE,
        recorded={"user": "username", "role": "role_name", "removed": "type"},
        failure="OperateUserRoleFailure",
    ),
    *shows(
        "SelectRole",
        "SelectOwnership",
        roles.select,
        own_role="role.name",
        recorded={"role": "role.name", "users": "include_user_info"},
        left_out={"role.description": UNUSED},
        failure="SelectRoleFailure",
    ),
)

_GRANTS: Final = (
    *changes(
        "OperatePrivilege",
        "ManageOwnership",
        grants.operate_v1,
        event=Event.GRANT_CHANGE,
        needs_catalog=True,
        recorded={
            "role": "entity.role.name",
            "privilege": "entity.grantor.privilege.name",
            "object_type": "entity.object.name",
            "object": "entity.object_name",
            "database": "entity.db_name",
            "revoked": "type",
        },
        left_out={"entity.role.description": UNUSED, "entity.grantor.user.name": UNUSED, "version": UNUSED},
        failure="OperatePrivilegeFailure",
    ),
    *changes(
        "OperatePrivilegeV2",
        "ManageOwnership",
        grants.operate_v2,
        event=Event.GRANT_CHANGE,
        needs_catalog=True,
        recorded={
            "role": "role.name",
            "privilege": "grantor.privilege.name",
            "database": "db_name",
            "object": "collection_name",
            "revoked": "type",
        },
        left_out={"role.description": UNUSED, "grantor.user.name": UNUSED},
        failure="OperatePrivilegeFailure",
    ),
    *shows(
        "SelectGrant",
        "SelectOwnership",
        grants.select,
        own_role="entity.role.name",
        needs_catalog=True,
        recorded={
            "role": "entity.role.name",
            "object_type": "entity.object.name",
            "object": "entity.object_name",
            "database": "entity.db_name",
        },
        left_out={
            "entity.role.description": UNUSED,
            "entity.grantor.user.name": UNUSED,
            "entity.grantor.privilege.name": UNUSED,
        },
        failure="SelectGrantFailure",
    ),
)

_PRIVILEGE_GROUPS: Final = (
    *changes(
        "CreatePrivilegeGroup",
        "CreatePrivilegeGroup",
        privilege_groups.create,
        event=Event.GROUP_CHANGE,
        recorded={"group": "group_name"},
        failure="CreatePrivilegeGroupFailure",
    ),
    *changes(
        "DropPrivilegeGroup",
        "DropPrivilegeGroup",
        privilege_groups.drop,
        event=Event.GROUP_CHANGE,
        recorded={"group": "group_name"},
        failure="DropPrivilegeGroupFailure",
    ),
    *changes(
        "OperatePrivilegeGroup",
        "OperatePrivilegeGroup",
        privilege_groups.operate,
        event=Event.GROUP_CHANGE,
        recorded={"group": "group_name", "privileges": "privileges.name", "removed": "type"},
        failure="OperatePrivilegeGroupFailure",
    ),
    *shows(
        "ListPrivilegeGroups", "ListPrivilegeGroups", privilege_groups.list_all, failure="ListPrivilegeGroupsFailure"
    ),
)

_BACKUP: Final = (
    *shows("BackupRBAC", "BackupRBAC", backup.backup),
    *changes(
        "RestoreRBAC",
        "RestoreRBAC",
        backup.restore,
        event=Event.POLICY_CHANGE,
        details_limit=64 * 1024 * 1024,
        most_fields=0,
        recorded={
            "users": Elements("RBAC_meta.users", {"user": "user", "roles": "roles.name"}),
            "roles": Elements("RBAC_meta.roles", {"role": "name", "description": "description"}),
            "groups": Elements("RBAC_meta.privilege_groups", {"group": "group_name", "privileges": "privileges.name"}),
            "grants": Elements(
                "RBAC_meta.grants",
                {
                    "role": "role.name",
                    "privilege": "grantor.privilege.name",
                    "object_type": "object.name",
                    "object": "object_name",
                    "database": "db_name",
                    "granted_by": "grantor.user.name",
                },
            ),
        },
        left_out={
            "RBAC_meta.users.password": CONFIDENTIAL,
            "RBAC_meta.users.roles.description": UNUSED,
            "RBAC_meta.grants.role.description": UNUSED,
        },
        failure="OperatePrivilegeFailure",
    ),
)

_POLICY_NAMED: Final = {"collection": "collection_name", "policy": "policy_name"}

_ROW_POLICIES: Final = (
    *changes(
        "CreateRowPolicy",
        "ManageRLS",
        row_policies.create,
        event=Event.ROW_POLICY_CHANGE,
        database="db_name",
        collections=ONE_COLLECTION,
        recorded={
            **_POLICY_NAMED,
            "actions": "actions",
            "roles": "roles",
            "using_expr": "using_expr",
            "check_expr": "check_expr",
            "description": "description",
        },
        left_out={"db_name": RESOLVED},
    ),
    *changes(
        "DropRowPolicy",
        "ManageRLS",
        row_policies.drop,
        event=Event.ROW_POLICY_CHANGE,
        database="db_name",
        collections=ONE_COLLECTION,
        recorded=_POLICY_NAMED,
        left_out={"db_name": RESOLVED},
    ),
    *shows(
        "ListRowPolicies",
        "ViewRLS",
        row_policies.list_all,
        database="db_name",
        collections=ONE_COLLECTION,
        recorded={"collection": "collection_name"},
        left_out={"db_name": RESOLVED},
    ),
)

_TAGS: Final = (
    *changes(
        "AddUserTags",
        "UpdateUser",
        tags.add,
        event=Event.TAG_CHANGE,
        user="user_name",
        not_oneself=True,
        recorded={"user": "user_name", "tags": Elements("tags", {"key": "key", "value": "value"})},
    ),
    *changes(
        "DeleteUserTags",
        "UpdateUser",
        tags.delete,
        event=Event.TAG_CHANGE,
        user="user_name",
        not_oneself=True,
        recorded={"user": "user_name", "keys": "tag_keys"},
    ),
    *shows("GetUserTags", "SelectUser", tags.get, user="user_name", recorded={"user": "user_name"}),
    *shows("ListUsersWithTag", "SelectUser", tags.list_users, recorded={"key": "tag_key", "value": "tag_value"}),
)

ROWS: Final = (
    *_SERVER,
    *_USERS,
    *_ROLES,
    *_GRANTS,
    *_PRIVILEGE_GROUPS,
    *_BACKUP,
    *_ROW_POLICIES,
    *_TAGS,
)
