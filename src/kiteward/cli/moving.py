"""`kiteward import`: bring users, roles, grants and groups from a running Milvus."""

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kiteward.cli.options import add_configuration, read_secret, settings_of, told
from kiteward.domain.identity import Secret
from kiteward.gateway.importing import Moved
from kiteward.runtime import import_from


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "import",
        help="bring users, roles, grants and groups from a running Milvus",
        description="Bring what is new here; what is here already stays as it is. Nothing is changed at the source.",
    )
    parser.add_argument("--from", dest="source", required=True, metavar="URI", help="for example http://milvus:19530")
    token = parser.add_mutually_exclusive_group()
    token.add_argument("--token-file", metavar="FILE", help="user:password of an administrator there, or - ")
    token.add_argument("--token", help="the same; other users of this machine can see it while the command runs")
    parser.add_argument("--dry-run", action="store_true", help="tell what would be brought, and change nothing")
    parser.add_argument("--passwords-file", type=Path, metavar="FILE", help="write new passwords there, not here")
    add_configuration(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    def work() -> None:
        moved = asyncio.run(
            import_from(settings_of(arguments), arguments.source, Secret(_token(arguments)), dry_run=arguments.dry_run)
        )
        _print(moved, dry_run=arguments.dry_run)
        if moved.passwords and not arguments.dry_run:
            _hand_over(moved.passwords, arguments.passwords_file)

    return told(work)


def _token(arguments: argparse.Namespace) -> str:
    if arguments.token is not None:
        return str(arguments.token)
    if arguments.token_file is not None:
        return read_secret(arguments.token_file)
    return getpass.getpass("user:password of an administrator there: ")


def _print(moved: Moved, *, dry_run: bool) -> None:
    verb = "would bring" if dry_run else "brought"
    for kind, names in (
        ("role", moved.roles),
        ("privilege group", moved.groups),
        ("grant", moved.grants),
        ("user", moved.users),
    ):
        _lines(f"{verb} {kind}", names)
    _lines("left", moved.left)
    counts = (len(moved.users), len(moved.roles), len(moved.grants), len(moved.groups), len(moved.left))
    print(f"{verb}: {counts[0]} users, {counts[1]} roles, {counts[2]} grants, {counts[3]} groups; left: {counts[4]}")
    if dry_run and moved.passwords:
        print(f"{len(moved.passwords)} users would get a new password, because theirs cannot be read there")


def _lines(prefix: str, names: Iterable[str]) -> None:
    for name in names:
        print(f"{prefix} {name}")


def _hand_over(passwords: Mapping[str, Secret], file: Path | None) -> None:
    text = "".join(f"{name}\t{password.reveal()}\n" for name, password in passwords.items())
    if file is None:
        print("new passwords, shown once:")
        print(text, end="")
        return
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
    print(f"new passwords are in {file}", file=sys.stderr)
