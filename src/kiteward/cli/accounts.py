"""`kiteward users`, `keys`, `tags`, `limits`, `identities` and others: administration of users, near and far."""

from typing import Any, Final

from kiteward.cli.commands import Command, Demand, add_group, changed, of_existing
from kiteward.cli.output import text_of

_DESCRIBE_USER: Final = "kiteward/users/describe"
_UPDATE_USER: Final = "vectordb/users/update_password"


def _deleted_tags(answer: Any) -> str:
    return text_of(answer) if answer["keys"] else "nothing was changed: there are no such tags"


USERS: Final = (
    Command(
        "list",
        "kiteward/users/list",
        "list users",
        options=("prefix", "contains", "userState", "ofRole"),
        lists="users",
        columns=("userName", "roles", "enabled", "locked", "signedInAt", "description"),
    ),
    Command("describe", _DESCRIBE_USER, "describe a user", names=("userName",)),
    Command(
        "view",
        "kiteward/users/view",
        "show what a user holds, and which databases and collections lists show to it",
        names=("userName",),
        needs_server=True,
    ),
    Command(
        "create",
        "kiteward/users/create",
        "create a user; without --password-file, generate a password and print it",
        names=("userName",),
        options=("password", "oneTime", "description", "roles"),
    ),
    Command(
        "set-description",
        _UPDATE_USER,
        "set the description of a user; without TEXT, clear it",
        names=("userName", "description"),
        work=of_existing("userName", _DESCRIBE_USER, _UPDATE_USER),
        also=(_DESCRIBE_USER,),
    ),
    Command(
        "reset-password",
        "kiteward/users/reset_password",
        "set a password without the old one; without --password-file, generate and print one",
        names=("userName",),
        options=("newPassword", "oneTime", "keepOldFor"),
    ),
    Command(
        "end-old-password",
        "kiteward/users/end_old_password",
        "stop accepting the password from before the last reset",
        names=("userName",),
    ),
    Command(
        "disable",
        "kiteward/users/disable",
        "disable a user",
        names=("userName",),
        text=changed("the user is disabled already"),
    ),
    Command(
        "enable",
        "kiteward/users/enable",
        "enable a disabled user",
        names=("userName",),
        text=changed("the user is not disabled"),
    ),
    Command(
        "unlock",
        "kiteward/users/unlock",
        "unlock a user after too many wrong passwords",
        names=("userName",),
        text=changed("the user is not locked"),
    ),
    Command(
        "reset-factors",
        "kiteward/users/reset_factors",
        "remove the second factors of a user who has lost them, and end the user's sessions",
        names=("userName",),
    ),
    Command("delete", "kiteward/users/delete", "delete a user with its API keys", names=("userName",)),
)

KEYS: Final = (
    Command(
        "list",
        "kiteward/api_keys/list",
        "list API keys",
        options=("userName", "contains", "keyState"),
        lists="keys",
        columns=("keyId", "userName", "roles", "state", "expiresAt", "usedAt", "description"),
    ),
    Command("describe", "kiteward/api_keys/describe", "describe an API key", names=("keyId",)),
    Command(
        "set-description",
        "kiteward/api_keys/alter",
        "set the description of an API key; without TEXT, clear it",
        names=("keyId", "description"),
    ),
    Command(
        "create",
        "kiteward/api_keys/create",
        "create an API key of the user OWNER and print it",
        names=("owner",),
        options=("description", "expiresIn", "roles", "networks"),
    ),
    Command(
        "rotate",
        "kiteward/api_keys/rotate",
        "give an API key a new secret and print it",
        names=("keyId",),
        options=("keepOldFor",),
    ),
    Command(
        "disable",
        "kiteward/api_keys/disable",
        "disable an API key",
        names=("keyId",),
        text=changed("the API key is disabled already"),
    ),
    Command(
        "enable",
        "kiteward/api_keys/enable",
        "enable a disabled API key",
        names=("keyId",),
        text=changed("the API key is not disabled"),
    ),
    Command("revoke", "kiteward/api_keys/revoke", "permanently revoke an API key", names=("keyId",)),
)

_HOLDER: Final = ("userName", "keyId")
_ONE_HOLDER: Final = (Demand(_HOLDER),)

TAGS: Final = (
    Command(
        "get", "kiteward/tags/describe", "show the tags of a user or API key", options=_HOLDER, demands=_ONE_HOLDER
    ),
    Command(
        "set",
        "kiteward/tags/set",
        "set tags of a user or API key; its other tags stay",
        names=("tags",),
        options=_HOLDER,
        demands=_ONE_HOLDER,
    ),
    Command(
        "delete",
        "kiteward/tags/delete",
        "delete tags of a user or API key",
        names=("keys",),
        options=_HOLDER,
        demands=_ONE_HOLDER,
        text=_deleted_tags,
    ),
    Command("users", "kiteward/tags/list_users", "list the users with a tag", names=("key", "value")),
)

_LIMITED: Final = (*_HOLDER, "roleName")
_ONE_LIMITED: Final = (Demand(_LIMITED),)

LIMITS: Final = (
    Command("list", "kiteward/limits/list", "list users, API keys and roles with limits of requests", lists="limits"),
    Command(
        "get",
        "kiteward/limits/describe",
        "show the limits of a user, an API key or a role",
        options=_LIMITED,
        demands=_ONE_LIMITED,
    ),
    Command(
        "set",
        "kiteward/limits/set",
        "set the limits of a user, an API key or a role; those that are left out are removed",
        options=(*_LIMITED, "requestsPerSecond", "burst", "concurrentRequests"),
        demands=(*_ONE_LIMITED, Demand(("requestsPerSecond", "concurrentRequests"), most=2)),
    ),
    Command(
        "delete",
        "kiteward/limits/delete",
        "remove the limits of a user, an API key or a role",
        options=_LIMITED,
        demands=_ONE_LIMITED,
        text=changed("there are no limits"),
    ),
)

ISSUERS: Final = (
    Command(
        "list", "kiteward/issuers/list", "list the configured identity providers, without secrets", lists="issuers"
    ),
)

IDENTITIES: Final = (
    Command(
        "list", "kiteward/identities/list", "list users of identity providers", options=("issuer",), lists="identities"
    ),
    Command(
        "invite",
        "kiteward/identities/invite",
        "create a user who signs in by an identity provider",
        names=("issuer", "userName"),
        options=("subject", "description", "roles"),
    ),
    Command(
        "unbind",
        "kiteward/identities/unbind",
        "let another subject of the identity provider sign in as a user",
        names=("userName",),
    ),
    Command(
        "cut-off",
        "kiteward/identities/cutoff",
        "refuse tokens of a user or an identity provider that were issued before now, or another moment",
        options=("userName", "issuer", "notBefore"),
        demands=(Demand(("userName", "issuer")),),
    ),
)

_MAPPED: Final = ("issuer", "group", "roleName")

GROUP_ROLES: Final = (
    Command(
        "list", "kiteward/group_roles/list", "list the roles that groups give", options=("issuer",), lists="groupRoles"
    ),
    Command("grant", "kiteward/group_roles/grant", "let a group give a role", names=_MAPPED, options=("pattern",)),
    Command(
        "revoke",
        "kiteward/group_roles/revoke",
        "let a group no longer give a role",
        names=_MAPPED,
        options=("pattern",),
        text=changed("the group does not give the role"),
    ),
)

SCIM: Final = (
    Command(
        "hand-over",
        "kiteward/scim/hand_over",
        "let SCIM manage an existing user",
        names=("userName",),
        options=("scimUserName",),
    ),
    Command("take-back", "kiteward/scim/take_back", "let SCIM no longer manage a user", names=("userName",)),
)

SERVERS: Final = (
    Command(
        "describe",
        "kiteward/server/describe",
        "describe the server that answers: version, engine, store, audit trail",
        needs_server=True,
    ),
    Command("list", "kiteward/server/list", "list the servers that share a store, with their leases", lists="servers"),
)


SESSIONS: Final = (
    Command(
        "list",
        "kiteward/sessions/list",
        "list the console sessions of a user; without --user, your own",
        options=("userName",),
        lists="sessions",
        columns=("sessionId", "userName", "address", "beganAt", "usedAt", "endsAt", "current"),
        needs_server=True,
    ),
    Command("end", "kiteward/sessions/end", "end a console session", names=("sessionId",), needs_server=True),
    Command(
        "end-all",
        "kiteward/sessions/end_all",
        "end all console sessions of a user; without --user, your own",
        options=("userName",),
        needs_server=True,
    ),
)

GROUPS: Final = (
    ("users", USERS, "manage users"),
    ("keys", KEYS, "manage API keys"),
    ("sessions", SESSIONS, "list and end sessions of the console"),
    ("tags", TAGS, "manage tags of users and API keys"),
    ("limits", LIMITS, "limit requests of users, API keys and roles"),
    ("issuers", ISSUERS, "show the configured identity providers, with their cut-offs"),
    ("identities", IDENTITIES, "manage users of identity providers"),
    ("group-roles", GROUP_ROLES, "manage the roles that groups of identity providers give"),
    ("scim", SCIM, "hand users over to SCIM, or take them back"),
    ("servers", SERVERS, "show the servers that share a store"),
)
"""The groups of commands: word, commands, help."""


def add_parsers(commands: Any) -> None:
    """Add the commands to the command line."""
    for word, table, text in GROUPS:
        add_group(commands, word, table, text)
