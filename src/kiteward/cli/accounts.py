"""`kiteward init`, `users`, `keys`, `tags`, `identities` and others: administration on the store, without a server.

Each command sends one of Kiteward's own operations through a gateway, as the operator of this machine.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from kiteward.bootstrap.local_gateway import local_client, open_local
from kiteward.cli.commands import Command, add_command, request_of, text_of
from kiteward.cli.options import add_configuration, exit_status_of, settings_of
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, ROOT, Secret
from kiteward.gateway.gateway import Gateway
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.base import plain
from kiteward.iam.passwords import generated_password

USERS: Final = (
    Command("list", "ListUserAccounts", "list users", options=("prefix",), lists="users"),
    Command("describe", "DescribeUserAccount", "describe a user", names=("userName",)),
    Command(
        "create",
        "CreateUserAccount",
        "create a user; without --password-file, generate a password and print it",
        names=("userName",),
        options=("password", "oneTime", "description", "roles"),
    ),
    Command(
        "reset-password",
        "ResetPassword",
        "set a password without the old one; without --password-file, generate and print one",
        names=("userName",),
        options=("newPassword", "oneTime", "keepOldFor"),
    ),
    Command(
        "end-old-password",
        "EndOldPassword",
        "stop accepting the password from before the last reset",
        names=("userName",),
    ),
    Command("disable", "DisableUser", "disable a user", names=("userName",)),
    Command("enable", "EnableUser", "enable a disabled user", names=("userName",)),
    Command("unlock", "UnlockUser", "unlock a user after too many wrong passwords", names=("userName",)),
    Command(
        "reset-factors",
        "ResetFactors",
        "remove the second factors of a user who has lost them, and end the user's sessions",
        names=("userName",),
    ),
    Command("delete", "DeleteUserAccount", "delete a user with its API keys", names=("userName",)),
)

KEYS: Final = (
    Command("list", "ListApiKeys", "list API keys", options=("userName",), lists="keys"),
    Command("describe", "DescribeApiKey", "describe an API key", names=("keyId",)),
    Command(
        "create",
        "CreateApiKey",
        "create an API key and print it",
        names=("userName",),
        options=("description", "expiresIn", "roles", "networks"),
    ),
    Command(
        "rotate", "RotateApiKey", "give an API key a new secret and print it", names=("keyId",), options=("keepOldFor",)
    ),
    Command("disable", "DisableApiKey", "disable an API key", names=("keyId",)),
    Command("enable", "EnableApiKey", "enable a disabled API key", names=("keyId",)),
    Command("revoke", "RevokeApiKey", "permanently revoke an API key", names=("keyId",)),
)

_HOLDER: Final = ("userName", "keyId")

TAGS: Final = (
    Command("get", "DescribeTags", "show the tags of a user or API key", options=_HOLDER, needs_holder=True),
    Command(
        "set",
        "SetTags",
        "set tags of a user or API key; its other tags stay",
        names=("tags",),
        options=_HOLDER,
        needs_holder=True,
    ),
    Command(
        "delete",
        "DeleteTags",
        "delete tags of a user or API key",
        names=("keys",),
        options=_HOLDER,
        needs_holder=True,
    ),
    Command("users", "ListTaggedUsers", "list the users with a tag", names=("key", "value")),
)

_LIMITED: Final = (*_HOLDER, "roleName")

LIMITS: Final = (
    Command("list", "ListLimits", "list users, API keys and roles with limits of requests", lists="limits"),
    Command(
        "get", "DescribeLimits", "show the limits of a user, an API key or a role", options=_LIMITED, needs_holder=True
    ),
    Command(
        "set",
        "SetLimits",
        "set the limits of a user, an API key or a role; those that are left out are removed",
        options=(*_LIMITED, "requestsPerSecond", "burst", "concurrentRequests"),
        needs_holder=True,
    ),
    Command(
        "delete",
        "DeleteLimits",
        "remove the limits of a user, an API key or a role",
        options=_LIMITED,
        needs_holder=True,
    ),
)

ISSUERS: Final = (
    Command("list", "ListIssuers", "list the configured identity providers, without secrets", lists="issuers"),
)

IDENTITIES: Final = (
    Command("list", "ListIdentities", "list users of identity providers", options=("issuer",), lists="identities"),
    Command(
        "invite",
        "InviteUser",
        "create a user who signs in by an identity provider",
        names=("issuer", "userName"),
        options=("subject", "description", "roles"),
    ),
    Command(
        "unbind",
        "UnbindIdentity",
        "let another subject of the identity provider sign in as a user",
        names=("userName",),
    ),
    Command(
        "cut-off",
        "CutOffTokens",
        "refuse tokens of a user or an identity provider that were issued before now, or another moment",
        options=("userName", "issuer", "notBefore"),
    ),
)

_MAPPED: Final = ("issuer", "group", "roleName")

GROUP_ROLES: Final = (
    Command("list", "ListGroupRoles", "list the roles that groups give", options=("issuer",), lists="groupRoles"),
    Command("grant", "GrantGroupRole", "let a group give a role", names=_MAPPED, options=("pattern",)),
    Command("revoke", "RevokeGroupRole", "let a group no longer give a role", names=_MAPPED, options=("pattern",)),
)

SCIM: Final = (
    Command(
        "hand-over",
        "HandOverToScim",
        "let SCIM manage an existing user",
        names=("userName",),
        options=("scimUserName",),
    ),
    Command("take-back", "TakeBackFromScim", "let SCIM no longer manage a user", names=("userName",)),
)

SERVERS: Final = (
    Command("list", "ListServers", "list the servers that use the store, with their leases", lists="servers"),
)


def add_parsers(commands: Any) -> None:
    """Add the commands to the command line."""
    for word, table, text in (
        ("users", USERS, "manage users, directly in the store"),
        ("keys", KEYS, "manage API keys, directly in the store"),
        ("tags", TAGS, "manage tags of users and API keys, directly in the store"),
        ("limits", LIMITS, "limit requests of users, API keys and roles, directly in the store"),
        ("issuers", ISSUERS, "show the configured identity providers, with their cut-offs in the store"),
        ("identities", IDENTITIES, "manage users of identity providers, directly in the store"),
        ("group-roles", GROUP_ROLES, "manage the roles that groups of identity providers give, directly in the store"),
        ("scim", SCIM, "hand users over to SCIM, or take them back, directly in the store"),
        ("servers", SERVERS, "show the servers that share a store"),
    ):
        group = commands.add_parser(word, help=text).add_subparsers(required=True, metavar="COMMAND")
        for command in table:
            parser = add_command(group, command)
            add_configuration(parser)
            parser.set_defaults(run=_run)
    parser = commands.add_parser("init", help="create a new data directory with an administrator")
    parser.add_argument("--admin", required=True, metavar="NAME", help="the administrator, for example db_admin")
    add_configuration(parser)
    parser.set_defaults(run=_init)


def _run(arguments: argparse.Namespace) -> int:
    command: Command = arguments.command
    return exit_status_of(lambda: asyncio.run(_carry_out(command, arguments, settings_of(arguments))))


async def _carry_out(command: Command, arguments: argparse.Namespace, settings: Settings) -> None:
    request = request_of(command, arguments)
    async with open_local(settings) as gateway:
        answer = await call(gateway, command.operation, request)
        while command.lists and answer.get("next"):
            page = await call(gateway, command.operation, {**request, "after": answer["next"]})
            answer = {command.lists: answer[command.lists] + page[command.lists], "next": page["next"]}
    if command.lists:
        answer = answer[command.lists]
    print(json.dumps(answer, indent=2, ensure_ascii=False) if arguments.json else text_of(answer))


def _init(arguments: argparse.Namespace) -> int:
    return exit_status_of(lambda: asyncio.run(_create(arguments.admin, settings_of(arguments))))


async def _create(admin: str, settings: Settings) -> None:
    # Checked before anything is created: a failure later would leave a directory without its administrator.
    settings.naming.check_user_name(admin)
    if admin == ROOT:
        raise ConfigurationError("root always exists: name another administrator, for example db_admin")
    closed = settings.default_root_password == Secret(DEFAULT_ROOT_PASSWORD)
    if closed:
        # `root` exists, as in every Milvus, with a random password that is never shown: the operator has to set one.
        settings = replace(settings, default_root_password=generated_password())
    async with open_local(settings, create=True) as gateway:
        made = await call(gateway, "CreateUserAccount", {"userName": admin, "roles": ["admin"]})
    print(f"user: {admin}\npassword: {made['password']}")
    print("This password is shown once and not stored in plain text. Keep it.", file=sys.stderr)
    if closed:
        print("root has a random password; set one with `kiteward users reset-password root`.", file=sys.stderr)


async def call(gateway: Gateway, operation: str, request: Mapping[str, Any]) -> Any:
    """Send a request as the operator of this machine and return the response as plain values.

    Args:
        gateway: handles it.
        operation: the operation of our own.
        request: its arguments, by the names of the fields in JSON.

    Raises:
        KitewardError: as `GatewayClient.invoke`; InvalidArgument also for arguments that the operation does not take.
    """
    row = ADMIN_OPERATIONS[operation]
    return plain(await local_client(gateway).invoke(operation, row.arguments_of(request), row.outcome))
