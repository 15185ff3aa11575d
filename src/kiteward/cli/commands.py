"""Commands of the command line that call one of Kiteward's own operations each."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kiteward.cli.options import read_secret
from kiteward.domain.errors import ConfigurationError

_DAYS: Final = 24 * 3600
_SECRETS: Final = ("password", "newPassword")
_HOLDERS: Final = ("userName", "keyId", "roleName")
"""The options that name a holder."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        word: the name of the command.
        operation: the operation that it calls.
        help: its help text, one line.
        names: the fields of the request that its positional arguments fill, in their order.
        options: its options, as keys of `OPTIONS`.
        needs_holder: whether one of the options that name a holder must be given.
        lists: the member of the response that holds the rows, for commands that list.
    """

    word: str
    operation: str
    help: str
    names: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    needs_holder: bool = False
    lists: str = ""


OPTIONS: Final[Mapping[str, tuple[tuple[str, ...], dict[str, Any]]]] = {
    "prefix": (("--prefix",), {"help": "only names with this prefix"}),
    "userName": (("--user",), {"metavar": "NAME", "help": "of this user"}),
    "password": (("--password-file",), {"metavar": "FILE", "help": "read the password from a file, or from - "}),
    "newPassword": (("--password-file",), {"metavar": "FILE", "help": "read the password from a file, or from - "}),
    "oneTime": (
        ("--one-time",),
        {"action": "store_true", "help": "require the user to set another password first"},
    ),
    "description": (("--description",), {"help": "free text"}),
    "roles": (("--role",), {"action": "append", "metavar": "ROLE", "help": "a role; can be repeated"}),
    "issuer": (("--issuer",), {"metavar": "URL", "help": "of this identity provider"}),
    "subject": (("--subject",), {"metavar": "TEXT", "help": "only this subject (`sub`) of it"}),
    "notBefore": (
        ("--not-before",),
        {"metavar": "TIME", "help": "the moment, as 2026-11-29T12:00:00Z (default: now)"},
    ),
    "pattern": (
        ("--pattern",),
        {"action": "store_true", "help": "GROUP is a pattern, in which * stands for any text"},
    ),
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
    "keyId": (("--key",), {"metavar": "ID", "help": "of this API key"}),
    "roleName": (("--role",), {"metavar": "ROLE", "help": "of this role, for each of its users"}),
    "requestsPerSecond": (("--requests-per-second",), {"type": float, "metavar": "RATE", "help": "requests a second"}),
    "burst": (("--burst",), {"type": int, "metavar": "NUMBER", "help": "requests at once after a pause"}),
    "concurrentRequests": (
        ("--concurrent-requests",),
        {"type": int, "metavar": "NUMBER", "help": "requests at the same time"},
    ),
    "dbName": (("--database",), {"metavar": "NAME", "help": "the database (default: default)"}),
    "policyType": (
        ("--restrictive",),
        {"action": "store_const", "const": "RESTRICTIVE", "help": "rows need this policy besides a permissive one"},
    ),
    "actions": (
        ("--action",),
        {
            "action": "append",
            "required": True,
            "metavar": "ACTION",
            "help": "Query, Search, Insert, Delete or Upsert; can be repeated",
        },
    ),
    "usingExpr": (("--using",), {"metavar": "EXPRESSION", "help": "the stored rows that it allows"}),
    "checkExpr": (("--check",), {"metavar": "EXPRESSION", "help": "the written rows that it allows"}),
    "force": (
        ("--force",),
        {"action": "store_true", "help": "also on administrators and holders of SkipRLS"},
    ),
    "action": (("--action",), {"metavar": "ACTION", "help": "Query, Search, Delete or Upsert (default: Query)"}),
    "primaryKeys": (
        ("--primary-key",),
        {"action": "append", "metavar": "KEY", "help": "whether this row is reached; can be repeated"},
    ),
}

_NAMES: Final[Mapping[str, dict[str, Any]]] = {
    "userName": {"metavar": "NAME"},
    "keyId": {"metavar": "ID"},
    "issuer": {"metavar": "ISSUER"},
    "group": {"metavar": "GROUP"},
    "roleName": {"metavar": "ROLE"},
    "collectionName": {"metavar": "COLLECTION"},
    "policyName": {"metavar": "POLICY"},
    "tags": {"metavar": "KEY=VALUE", "nargs": "+"},
    "keys": {"metavar": "KEY", "nargs": "+"},
    "key": {"metavar": "KEY"},
    "value": {"metavar": "VALUE"},
}


def add_command(group: Any, command: Command) -> argparse.ArgumentParser:
    """Add a command to a group of the command line, and return its parser."""
    parser: argparse.ArgumentParser = group.add_parser(
        command.word, help=command.help, description=command.help[:1].upper() + command.help[1:] + "."
    )
    for name in command.names:
        parser.add_argument(name, **_NAMES[name])
    for option in command.options:
        flags, how = OPTIONS[option]
        parser.add_argument(*flags, dest=option, **how)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=command)
    return parser


def request_of(command: Command, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of the operation, by the names of the fields in JSON.

    Raises:
        ConfigurationError: a tag has no value or no holder, or a file with a secret cannot be read.
    """
    request = {}
    for field in (*command.names, *command.options):
        value = getattr(arguments, field)
        if value is None:
            continue
        if field in _SECRETS:
            value = read_secret(value)
        elif field == "expiresIn":
            value = int(value * _DAYS)
        elif field == "tags":
            value = dict(map(_tag, value))
        request[field] = value
    if command.needs_holder and not any(request.get(name) for name in _HOLDERS):
        named = [f"{flags[0]} {how['metavar']}" for flags, how in map(OPTIONS.__getitem__, _holders_of(command))]
        raise ConfigurationError(f"give {' or '.join(named)}")
    return request


def _holders_of(command: Command) -> list[str]:
    return [name for name in _HOLDERS if name in command.options]


def _tag(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign:
        raise ConfigurationError(f"a tag is given as KEY=VALUE, not as {text}")
    return key, value


def text_of(answer: Any) -> str:
    """Return a response as text: a line for each member, or a table."""
    if isinstance(answer, list):
        return table(answer)
    return "\n".join(f"{_words(name)}: {_cell(value)}" for name, value in answer.items() if value is not None) or "done"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table; `none` without any."""
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
        case dict():
            return ", ".join(f"{key}={_cell(each)}" for key, each in value.items()) or "none"
        case list():
            mark = "; " if value and isinstance(value[0], dict) else ", "
            return mark.join(map(_cell, value)) or "none"
        case _:
            return str(value)
