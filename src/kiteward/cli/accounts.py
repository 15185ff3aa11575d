"""`kiteward init`, `users` and `keys`: administration on the store itself, without a server.

Each command sends one of Kiteward's own operations through a gateway, as the operator of this machine.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from kiteward.bootstrap.local_gateway import local_client, open_local
from kiteward.cli.options import add_configuration, exit_status_of, read_secret, settings_of
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, ROOT, Secret
from kiteward.gateway.gateway import Gateway
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.base import plain
from kiteward.iam.passwords import generated_password

_DAYS: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        word: the name of the command.
        operation: the operation that it calls.
        help: its help text, one line.
        names: the field of the request that its positional argument fills, if it has one.
        options: its options, as keys of `_OPTIONS`.
        lists: the member of the response that holds the rows, for commands that list.
    """

    word: str
    operation: str
    help: str
    names: str = ""
    options: tuple[str, ...] = ()
    lists: str = ""


USERS: Final = (
    Command("list", "ListUserAccounts", "list users", options=("prefix",), lists="users"),
    Command("describe", "DescribeUserAccount", "describe a user", names="userName"),
    Command(
        "create",
        "CreateUserAccount",
        "create a user; without --password-file, generate a password and print it",
        names="userName",
        options=("password", "oneTime", "description", "roles"),
    ),
    Command(
        "reset-password",
        "ResetPassword",
        "set a password without the old one; without --password-file, generate and print one",
        names="userName",
        options=("newPassword", "oneTime", "keepOldFor"),
    ),
    Command(
        "end-old-password", "EndOldPassword", "stop accepting the password from before the last reset", names="userName"
    ),
    Command("disable", "DisableUser", "disable a user", names="userName"),
    Command("enable", "EnableUser", "enable a disabled user", names="userName"),
    Command("unlock", "UnlockUser", "unlock a user after too many wrong passwords", names="userName"),
    Command("delete", "DeleteUserAccount", "delete a user with its API keys", names="userName"),
)

KEYS: Final = (
    Command("list", "ListApiKeys", "list API keys", options=("userName",), lists="keys"),
    Command("describe", "DescribeApiKey", "describe an API key", names="keyId"),
    Command(
        "create",
        "CreateApiKey",
        "create an API key and print it",
        names="userName",
        options=("description", "expiresIn", "roles", "networks"),
    ),
    Command(
        "rotate", "RotateApiKey", "give an API key a new secret and print it", names="keyId", options=("keepOldFor",)
    ),
    Command("disable", "DisableApiKey", "disable an API key", names="keyId"),
    Command("enable", "EnableApiKey", "enable a disabled API key", names="keyId"),
    Command("revoke", "RevokeApiKey", "permanently revoke an API key", names="keyId"),
)

_SECRETS: Final = ("password", "newPassword")
_OPTIONS: Final[Mapping[str, tuple[tuple[str, ...], dict[str, Any]]]] = {
    "prefix": (("--prefix",), {"help": "only names with this prefix"}),
    "userName": (("--user",), {"help": "only keys of this user"}),
    "password": (("--password-file",), {"metavar": "FILE", "help": "read the password from a file, or from - "}),
    "newPassword": (("--password-file",), {"metavar": "FILE", "help": "read the password from a file, or from - "}),
    "oneTime": (
        ("--one-time",),
        {"action": "store_true", "help": "require the user to set another password first"},
    ),
    "description": (("--description",), {"help": "free text"}),
    "roles": (("--role",), {"action": "append", "metavar": "ROLE", "help": "a role; can be repeated"}),
    "networks": (
        ("--network",),
        {"action": "append", "metavar": "CIDR", "help": "a network; can be repeated"},
    ),
    "keepOldFor": (
        ("--keep-old-for",),
        {"type": int, "metavar": "SECONDS", "help": "how long the old one remains valid"},
    ),
    "expiresIn": (
        ("--expires-in-days",),
        {"type": float, "metavar": "DAYS", "help": "days until it expires"},
    ),
}


def add_parsers(commands: Any) -> None:
    """Add the commands to the command line."""
    for word, table, text in (
        ("users", USERS, "manage users, directly in the store"),
        ("keys", KEYS, "manage API keys, directly in the store"),
    ):
        group = commands.add_parser(word, help=text).add_subparsers(required=True, metavar="COMMAND")
        for command in table:
            parser = group.add_parser(command.word, help=command.help, description=command.help.capitalize() + ".")
            if command.names:
                parser.add_argument(command.names, metavar="NAME" if command.names == "userName" else "ID")
            for option in command.options:
                flags, how = _OPTIONS[option]
                parser.add_argument(*flags, dest=option, **how)
            parser.add_argument("--json", action="store_true", help="print JSON")
            add_configuration(parser)
            parser.set_defaults(run=_run, command=command)
    parser = commands.add_parser("init", help="create a new data directory with an administrator")
    parser.add_argument("--admin", required=True, metavar="NAME", help="the administrator, for example db_admin")
    add_configuration(parser)
    parser.set_defaults(run=_init)


def _run(arguments: argparse.Namespace) -> int:
    command: Command = arguments.command
    return exit_status_of(lambda: asyncio.run(_carry_out(command, arguments, settings_of(arguments))))


async def _carry_out(command: Command, arguments: argparse.Namespace, settings: Settings) -> None:
    request = _request(command, arguments)
    async with open_local(settings) as gateway:
        answer = await call(gateway, command.operation, request)
        while command.lists and answer["next"]:
            page = await call(gateway, command.operation, {**request, "after": answer["next"]})
            answer = {command.lists: answer[command.lists] + page[command.lists], "next": page["next"]}
    if command.lists:
        answer = answer[command.lists]
    print(json.dumps(answer, indent=2, ensure_ascii=False) if arguments.json else _text(answer))


def _request(command: Command, arguments: argparse.Namespace) -> dict[str, Any]:
    request = {}
    for field in (*([command.names] if command.names else []), *command.options):
        value = getattr(arguments, field)
        if value is None:
            continue
        if field in _SECRETS:
            value = read_secret(value)
        elif field == "expiresIn":
            value = int(value * _DAYS)
        request[field] = value
    return request


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


def _text(answer: Any) -> str:
    """Return a response as text: a line for each member, or a table."""
    if isinstance(answer, list):
        return _table(answer)
    return "\n".join(f"{_words(name)}: {_cell(value)}" for name, value in answer.items() if value is not None) or "done"


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "none"
    lines = [list(map(_words, rows[0])), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _words(name: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value)) or "none"
        case _:
            return str(value)
