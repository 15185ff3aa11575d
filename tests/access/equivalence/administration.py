"""Requests about users, roles and privilege groups (contract 5.2)."""

from collections.abc import Mapping
from typing import Any, Final

from tests.access.equivalence.random_values import PASSWORDS, Draw, usual_password
from tests.access.equivalence.request_pairs import Counterpart, GrpcClient, Pair, RpcCalls, answer_with, once
from tests.support.gateway import encoded

_ADD, _REMOVE = 0, 1


def _users_list(_: Draw) -> Pair:
    return Pair({}, once("ListCredUsers", lambda response: list(response.usernames)))


def _users_describe(draw: Draw) -> Pair:
    name = draw.user()

    async def call_rpcs(client: GrpcClient) -> dict[str, Any]:
        response = await client.call("SelectUser", user={"name": name}, include_role_info=True)
        roles = [role.name for result in response.results for role in result.roles]
        return answer_with(roles, description="".join(result.description for result in response.results))

    return Pair({"userName": name}, call_rpcs, ("userName",))


def _users_create(draw: Draw) -> Pair:
    name, password, text = draw.user(), draw.of((*PASSWORDS, "short")), draw.of(("", "told"))
    body = {"userName": name, "password": password, "description": text}
    rpc_calls = once("CreateCredential", username=name, password=encoded(password), description=text)
    return Pair(body, rpc_calls, ("userName", "password"))


def _users_update_password(draw: Draw) -> Pair:
    name = draw.user()
    old = usual_password(name) if draw.chance(0.8) else "wrong"
    # Setup calls are made as `root`, whose password must stay.
    new = usual_password(name) if name == "root" else draw.of((*PASSWORDS, "short"))
    body: dict[str, Any] = {"userName": name}
    fields: dict[str, Any] = {"username": name}
    if draw.chance(0.7):
        body |= {"password": old, "newPassword": new}
        fields |= {"oldPassword": encoded(old), "newPassword": encoded(new)}
    if draw.chance(0.4):
        body["description"] = fields["description"] = draw.of(("", "changed"))
    return Pair(body, once("UpdateCredential", **fields), ("userName",))


def _users_drop(draw: Draw) -> Pair:
    name = draw.user()
    return Pair({"userName": name}, once("DeleteCredential", username=name), ("userName",))


def _bind(kind: int) -> Counterpart:
    def counterpart(draw: Draw) -> Pair:
        user, role = draw.user(), draw.role()
        rpc_calls = once("OperateUserRole", username=user, role_name=role, type=kind)
        return Pair({"userName": user, "roleName": role}, rpc_calls, ("userName", "roleName"))

    return counterpart


def _roles_list(_: Draw) -> Pair:
    return Pair({}, once("SelectRole", lambda response: [result.role.name for result in response.results]))


def _roles_describe(draw: Draw) -> Pair:
    name = draw.role()

    async def call_rpcs(client: GrpcClient) -> dict[str, Any]:
        found = await client.call("SelectRole", role={"name": name})
        granted = await client.call("SelectGrant", entity={"role": {"name": name}, "db_name": client.database})
        grants = [
            {
                "objectType": each.object.name,
                "objectName": each.object_name,
                "privilege": each.grantor.privilege.name,
                "dbName": each.db_name,
                "grantor": each.grantor.user.name,
            }
            for each in granted.entities
        ]
        return answer_with(grants, description="".join(result.role.description for result in found.results))

    return Pair({"roleName": name}, call_rpcs, ("roleName",))


def _roles_create(draw: Draw) -> Pair:
    name, text = draw.role(), draw.of(("", "told"))
    rpc_calls = once("CreateRole", entity={"name": name, "description": text})
    return Pair({"roleName": name, "description": text}, rpc_calls, ("roleName",))


def _roles_alter(draw: Draw) -> Pair:
    name, given = draw.role(), draw.of(({}, {"description": "changed"}))
    rpc_calls = once("AlterRole", role_name=name, description=given.get("description", ""))
    return Pair({"roleName": name, **given}, rpc_calls, ("roleName",))


def _roles_drop(draw: Draw) -> Pair:
    name = draw.role()
    return Pair({"roleName": name}, once("DropRole", role_name=name), ("roleName",))


def _operate(kind: int) -> Counterpart:
    def counterpart(draw: Draw) -> Pair:
        role, (privilege, object_type, object_name, _) = draw.role(), draw.grant_v1()
        body = {"roleName": role, "objectType": object_type, "objectName": object_name, "privilege": privilege}

        async def call_rpcs(client: GrpcClient) -> dict[str, Any]:
            entity = {
                "role": {"name": role},
                "object": {"name": object_type},
                "object_name": object_name,
                "grantor": {"privilege": {"name": privilege}},
                "db_name": client.database,
            }
            await client.call("OperatePrivilege", entity=entity, type=kind)
            return answer_with({})

        return Pair(body, call_rpcs, tuple(body))

    return counterpart


def _operate_v2(kind: int) -> Counterpart:
    def counterpart(draw: Draw) -> Pair:
        role, (privilege, _, collection) = draw.role(), draw.grant_v2()
        given = {"collectionName": collection} if draw.chance(0.9) else {}
        rpc_calls: RpcCalls = once(
            "OperatePrivilegeV2",
            role={"name": role},
            grantor={"privilege": {"name": privilege}},
            collection_name=given.get("collectionName", ""),
            type=kind,
        )
        body = {"roleName": role, "privilege": privilege, **given}
        return Pair(body, rpc_calls, ("roleName", "privilege"), header_counts=False)

    return counterpart


def _groups_list(_: Draw) -> Pair:
    def extract(response: Any) -> Any:
        return {
            "privilegeGroups": [
                {
                    "privilegeGroupName": group.group_name,
                    "privileges": ",".join(privilege.name for privilege in group.privileges),
                }
                for group in response.privilege_groups
            ]
        }

    return Pair({}, once("ListPrivilegeGroups", extract))


def _group(operation: str) -> Counterpart:
    def counterpart(draw: Draw) -> Pair:
        name = draw.group()
        return Pair({"privilegeGroupName": name}, once(operation, group_name=name), ("privilegeGroupName",))

    return counterpart


def _members(kind: int) -> Counterpart:
    def counterpart(draw: Draw) -> Pair:
        name, members = draw.group(), [draw.privilege() for _ in range(draw.number(3))]
        given = {"privileges": members} if draw.chance(0.9) else {}
        sent = [{"name": member} for member in given.get("privileges", ())]
        rpc_calls = once("OperatePrivilegeGroup", group_name=name, privileges=sent, type=kind)
        return Pair({"privilegeGroupName": name, **given}, rpc_calls, ("privilegeGroupName",))

    return counterpart


COUNTERPARTS: Final[Mapping[str, Counterpart]] = {
    "users/list": _users_list,
    "users/describe": _users_describe,
    "users/create": _users_create,
    "users/update_password": _users_update_password,
    "users/drop": _users_drop,
    "users/grant_role": _bind(_ADD),
    "users/revoke_role": _bind(_REMOVE),
    "roles/list": _roles_list,
    "roles/describe": _roles_describe,
    "roles/create": _roles_create,
    "roles/alter": _roles_alter,
    "roles/drop": _roles_drop,
    "roles/grant_privilege": _operate(_ADD),
    "roles/revoke_privilege": _operate(_REMOVE),
    "roles/grant_privilege_v2": _operate_v2(_ADD),
    "roles/revoke_privilege_v2": _operate_v2(_REMOVE),
    "privilege_groups/list": _groups_list,
    "privilege_groups/create": _group("CreatePrivilegeGroup"),
    "privilege_groups/drop": _group("DropPrivilegeGroup"),
    "privilege_groups/add_privileges_to_group": _members(_ADD),
    "privilege_groups/remove_privileges_from_group": _members(_REMOVE),
}
