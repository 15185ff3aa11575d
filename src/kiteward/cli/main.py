"""The entry point of the command line: parses arguments and calls the module of the command."""

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from kiteward import __version__
from kiteward.cli.parser import CommandParser

COMMANDS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "serve": {"serve": "run the server"},
        "health": {"health": "ask the server on this machine whether it is ready"},
        "doctor": {"doctor": "print the configuration, and what is unsafe in it"},
        "login": {
            "login": "sign in to a server, so that other commands go there",
            "logout": "end the login that is kept",
            "whoami": "show who commands act as, and where",
        },
        "accounts": {
            "users": "manage users",
            "keys": "manage API keys",
            "sessions": "list and end sessions of the console",
            "tags": "manage tags of users and API keys",
            "limits": "limit requests of users, API keys and roles",
            "issuers": "show the configured identity providers, with their cut-offs",
            "identities": "manage users of identity providers",
            "group-roles": "manage the roles that groups of identity providers give",
            "scim": "hand users over to SCIM, or take them back",
            "servers": "show the servers that share a store",
        },
        "roles": {
            "roles": "manage roles and their members",
            "grants": "list, grant and revoke privileges of roles",
            "groups": "manage privilege groups",
        },
        "collections": {"collections": "list and describe collections, with who may access them"},
        "init": {"init": "create a new data directory with an administrator"},
        "row_policies": {"row-policies": "manage and preview row policies, on a running server"},
        "policy": {"policy": "export, plan and apply the policy as a file"},
        "import_policy": {"import": "import users, roles, grants and groups from a running Milvus"},
        "store": {"store": "move the store to another database"},
        "backup": {"backup": "back up a data directory while it is served, and restore it"},
        "audit": {"audit": "verify, read and export the audit trail"},
        "access": {
            "explain": "explain whether a user or API key may do something, and why",
            "access": "list who has access to a collection, or what a user or API key has access to",
        },
        "completion": {"completion": "print a script that completes the command line in a shell"},
    }
)
"""Module of `kiteward.cli` -> its commands with a line of help each.

A module is imported only when one of its commands is called, so that other commands do not load its dependencies.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    given = sys.argv[1:] if argv is None else argv
    called = _called(given)
    parser = _parser(called)
    if "policy" in called:
        parser.wrong = 1  # as of its commands, of which one ends with 2 where a file would change something
    arguments = parser.parse_args(given)
    status: int = arguments.run(arguments)
    return status


def whole_parser() -> argparse.ArgumentParser:
    """Return the parser with the arguments of all commands."""
    return _parser(_words())


def _called(given: Sequence[str]) -> set[str]:
    """Return the command that is called, as it is spelt; only its arguments are defined.

    Behind an option that is in the wrong place, it is the first word that is one: others are values of the option.
    """
    misplaced = bool(given) and given[0].startswith("-")
    words = (word for word in given if (word in _words() if misplaced else not word.startswith("-")))
    return {next(words, "")}


def _words() -> set[str]:
    return {word for helps in COMMANDS.values() for word in helps}


def _parser(called: set[str]) -> CommandParser:
    parser = CommandParser(prog="kiteward", description="A secure Milvus endpoint.")
    parser.add_argument("--version", action="version", version=f"kiteward {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module, helps in COMMANDS.items():
        if not called.isdisjoint(helps):
            importlib.import_module(f"kiteward.cli.{module}").add_parsers(commands)
            continue
        for name, text in helps.items():
            commands.add_parser(name, help=text)
    return parser
