"""`kiteward roles`, `grants` and `groups`: roles, what is granted to them, and privilege groups, near and far."""

from typing import Any, Final

from kiteward.cli.commands import Command, add_group, every_page, of_existing
from kiteward.cli.connection import Connection
from kiteward.cli.output import note, table
from kiteward.domain.errors import InvalidArgument, NotFound
from kiteward.domain.naming import ANY, DEFAULT_DATABASE

_CHANGE_GROUP: Final = "kiteward/privilege_groups/change"
_DROP: Final = "vectordb/privilege_groups/drop"
_GROUPS: Final = "vectordb/privilege_groups/list"
_CHANGE: Final = "kiteward/roles/change_grants"
_DESCRIBE_ROLE: Final = "kiteward/roles/describe"
_ALTER_ROLE: Final = "vectordb/roles/alter"
_LISTED: Final = "kiteward/grants/list"
_EVERYBODY: Final = "all users"


async def _list_grants(connection: Connection, request: dict[str, Any]) -> Any:
    place = request.keys() & {"dbName", "collectionName"}
    if place and (await connection.ask(_LISTED, {**request, "limit": 1}))["exists"] is False:
        database, collection = request.get("dbName", DEFAULT_DATABASE), request.get("collectionName")
        what = f"collection {database}.{collection}" if collection else f"database {database}"
        note(f"kiteward: the {what} does not exist; these grants would apply to it if it did")
    return await every_page(connection, _LISTED, request, member="grants")


async def _grant(connection: Connection, request: dict[str, Any]) -> Any:
    return await _change_grants(connection, request, "grant")


async def _revoke(connection: Connection, request: dict[str, Any]) -> Any:
    return await _change_grants(connection, request, "revoke")


async def _change_grants(connection: Connection, request: dict[str, Any], what: str) -> Any:
    place = {name: request[name] for name in ("dbName", "collectionName", "objectType") if name in request}
    change: dict[str, Any] = {"roleName": request["roleName"], "dryRun": request.get("dryRun", False)}
    change[what] = [{"privilege": privilege, **place} for privilege in request["privilege"]]
    answer = await connection.ask(_CHANGE, change)
    found = {each["privilege"] for done in ("granted", "revoked") for each in answer[done]}
    for privilege in dict.fromkeys(request["privilege"]):
        if privilege not in found:
            where = f"{place.get('dbName', DEFAULT_DATABASE)}.{place.get('collectionName', ANY)}"
            holds = "already holds" if what == "grant" else "does not hold"
            note(f"kiteward: the role {request['roleName']} {holds} {privilege} on {where}")
    return answer


def _changed_grants(answer: Any) -> str:
    for each in answer["granted"]:
        if each["allowsNothing"]:
            note(
                f"kiteward: {each['privilege']} on {each['dbName']}.{each['objectName']} allows nothing: it applies to "
                "the whole instance, so grant it with --database '*' and without --collection"
            )
        elif each["missing"]:
            where = f"{each['dbName']}.{each['objectName']}"
            note(f"kiteward: {each['privilege']} allows nothing yet: the collection {where} does not exist")
    lines = [
        f"{done} {each['privilege']} on {each['dbName']}.{each['objectName']}"
        for done in ("granted", "revoked")
        for each in answer[done]
    ]
    if lines and answer["users"]:
        lines.append(f"users whom this concerns: {', '.join(answer['users'])}")
    return "\n".join(lines) or "nothing was changed"


def _role(answer: Any) -> str:
    lines = [
        f"role name: {answer['roleName']}{' (built in)' if answer['builtIn'] else ''}",
        f"description: {answer['description'] or '-'}",
        f"users: {_EVERYBODY if answer['allUsers'] else ', '.join(answer['users']) or 'none'}",
    ]
    grants = [{name: each[name] for name in _GRANT if name != "role"} for each in answer["grants"]]
    return "\n".join([*lines, "grants:", table(grants)] if grants else [*lines, "grants: none"])


def _compared(answer: Any) -> str:
    if answer["same"]:
        return f"both roles have the same grants: {len(answer['grants'])}"
    lines = []
    for name, held in ((answer["roleName"], "held"), (answer["otherRoleName"], "heldByOther")):
        alone = [each for each in answer["grants"] if each[held] and not (each["held"] and each["heldByOther"])]
        lines.append(f"only {name}: {'' if alone else 'none'}".rstrip())
        for each in alone:
            by = " and ".join(f"{_granted(other)}" for other in each["coveredBy"])
            lines.append(f"  {_granted(each)}{f' (the other role has it by {by})' if by else ''}")
    both = sum(1 for each in answer["grants"] if each["held"] and each["heldByOther"])
    return "\n".join([*lines, f"in both: {both}"])


def _granted(grant: Any) -> str:
    return f"{grant['privilege']} on {grant['dbName']}.{grant['objectName']}"


def _members(answer: Any) -> str:
    rows = answer["rows"]
    return "\n".join(f"{each['name']}: {'changed' if each['changed'] else 'as it was'}" for each in rows)


def _listed_role(role: Any) -> Any:
    if role["allUsers"]:
        role["members"] = _EVERYBODY
    return role


async def _list_groups(connection: Connection, _request: dict[str, Any]) -> Any:
    found = await connection.ask(_GROUPS, {})
    return [
        {
            "privilegeGroupName": each["privilegeGroupName"],
            "privileges": sorted(filter(None, each["privileges"].split(","))),
        }
        for each in found["privilegeGroups"]
    ]


async def _describe_group(connection: Connection, request: dict[str, Any]) -> Any:
    name = request["privilegeGroupName"]
    for group in await _list_groups(connection, {}):
        if group["privilegeGroupName"] == name:
            return group
    raise NotFound(f"privilege group not found: {name}")


async def _add_to_group(connection: Connection, request: dict[str, Any]) -> Any:
    return await _change_group(connection, request, "add", otherwise="already has")


async def _remove_from_group(connection: Connection, request: dict[str, Any]) -> Any:
    return await _change_group(connection, request, "remove", otherwise="does not have")


async def _change_group(connection: Connection, request: dict[str, Any], what: str, *, otherwise: str) -> Any:
    from kiteward.authz.privileges import BUILT_IN_GROUPS  # noqa: PLC0415  loaded where a group is changed

    if request["privilegeGroupName"] in BUILT_IN_GROUPS:
        raise InvalidArgument(f"the privilege group {request['privilegeGroupName']} is built in and cannot be changed")
    name = (await _describe_group(connection, request))["privilegeGroupName"]
    answer = await connection.ask(_CHANGE_GROUP, {"privilegeGroupName": name, what: request["privileges"]})
    changed = {*answer["added"], *answer["removed"]}
    for privilege in dict.fromkeys(request["privileges"]):
        if privilege not in changed:
            note(f"kiteward: the privilege group {name} {otherwise} {privilege}")
    return answer


def _changed_group(answer: Any) -> str:
    lines = [f"{done} {privilege}" for done in ("added", "removed") for privilege in answer[done]]
    return "\n".join(lines) or "nothing was changed"


async def _delete_group(connection: Connection, request: dict[str, Any]) -> Any:
    # Milvus answers success for a group that does not exist, and for one that is built in.
    group = await _describe_group(connection, request)
    answer = await connection.ask(_DROP, request)
    if group in await _list_groups(connection, {}):
        raise InvalidArgument(f"the privilege group {group['privilegeGroupName']} is built in and cannot be deleted")
    return answer


_GRANT: Final = ("role", "privilege", "dbName", "objectName", "objectType")
_MEMBERS: Final = "kiteward/roles/change_members"

ROLES: Final = (
    Command(
        "list",
        "kiteward/roles/list",
        "list roles",
        options=("contains",),
        lists="roles",
        columns=("roleName", "members", "grants", "builtIn", "description"),
        row=_listed_role,
    ),
    Command(
        "describe",
        _DESCRIBE_ROLE,
        "describe a role: its users and grants",
        names=("roleName",),
        text=_role,
    ),
    Command("create", "vectordb/roles/create", "create a role", names=("roleName",), options=("description",)),
    Command(
        "copy",
        "kiteward/roles/copy",
        "create a role with the grants of another one; members and limits are not copied",
        names=("source", "roleName"),
        options=("description",),
    ),
    Command(
        "compare",
        "kiteward/roles/compare",
        "compare the grants of two roles: what each has that the other lacks, and what covers it there",
        names=("roleName", "otherRoleName"),
        text=_compared,
    ),
    Command(
        "set-description",
        _ALTER_ROLE,
        "set the description of a role; without TEXT, clear it",
        names=("roleName", "description"),
        work=of_existing("roleName", _DESCRIBE_ROLE, _ALTER_ROLE),
        also=(_DESCRIBE_ROLE,),
    ),
    Command(
        "delete",
        "kiteward/roles/delete",
        "delete a role, and unbind it from its users",
        names=("roleName",),
        options=("forceDelete",),
    ),
    Command(
        "add-member",
        _MEMBERS,
        "bind a role to users, all of them or none",
        names=("roleName", "add"),
        options=("dryRun",),
        text=_members,
    ),
    Command(
        "remove-member",
        _MEMBERS,
        "unbind a role from users, all of them or none",
        names=("roleName", "remove"),
        options=("dryRun",),
        text=_members,
    ),
)

_PLACE: Final = ("onDatabase", "onCollection")

GRANTS: Final = (
    Command(
        "list",
        _LISTED,
        "list grants",
        options=("ofRole", "ofPrivilege", "toDatabase", "toCollection", "contains"),
        lists="grants",
        columns=_GRANT,
        work=_list_grants,
    ),
    Command(
        "grant",
        _CHANGE,
        "grant privileges to a role, all of them or none",
        names=("roleName", "privilege"),
        options=(*_PLACE, "dryRun"),
        work=_grant,
        text=_changed_grants,
    ),
    Command(
        "revoke",
        _CHANGE,
        "revoke privileges from a role, all of them or none",
        names=("roleName", "privilege"),
        options=(*_PLACE, "objectType", "dryRun"),
        work=_revoke,
        text=_changed_grants,
    ),
)

_NAMED: Final = ("privilegeGroupName",)

PRIVILEGE_GROUPS: Final = (
    Command("list", _GROUPS, "list privilege groups", lists="*", work=_list_groups),
    Command("describe", _GROUPS, "describe a privilege group", names=_NAMED, work=_describe_group),
    Command(
        "create",
        "kiteward/privilege_groups/create",
        "create a privilege group",
        names=_NAMED,
        options=("privileges",),
    ),
    Command(
        "delete",
        _DROP,
        "delete a privilege group that is granted to no role",
        names=_NAMED,
        work=_delete_group,
        also=(_GROUPS,),
    ),
    Command(
        "add",
        _CHANGE_GROUP,
        "add privileges to a privilege group",
        names=(*_NAMED, "privileges"),
        work=_add_to_group,
        text=_changed_group,
        also=(_GROUPS,),
    ),
    Command(
        "remove",
        _CHANGE_GROUP,
        "remove privileges from a privilege group",
        names=(*_NAMED, "privileges"),
        work=_remove_from_group,
        text=_changed_group,
        also=(_GROUPS,),
    ),
)


def add_parsers(commands: Any) -> None:
    """Add the commands to the command line."""
    add_group(commands, "roles", ROLES, "manage roles and their members")
    add_group(commands, "grants", GRANTS, "list, grant and revoke privileges of roles")
    add_group(commands, "groups", PRIVILEGE_GROUPS, "manage privilege groups")
