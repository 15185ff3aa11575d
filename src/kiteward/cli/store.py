"""`kiteward store`: move the store to another database."""

import argparse
import asyncio
import sys
import time
from typing import Any, Final

from kiteward.cli.options import add_configuration, exit_status_of, read_secret, settings_of
from kiteward.domain.identity import Secret

_SECONDS: Final = 1.0
"""Seconds between two lines about the same table."""


class _Progress:
    """Prints how far a move is: a line for each table when it is done, and one a second while it is not."""

    def __init__(self) -> None:
        self._printed = 0.0

    def __call__(self, table: str, rows: int, total: int) -> None:
        now = time.monotonic()
        if rows == total or now - self._printed >= _SECONDS:
            self._printed = now
            print(f"{table}: {rows:,} of {total:,}", file=sys.stderr, flush=True)


def add_parsers(commands: Any) -> None:
    """Add the command to the command line."""
    group = commands.add_parser("store", help="move the store to another database")
    parser = group.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "migrate",
        help="move the store from a data directory to PostgreSQL, or back",
        description=(
            "Copy everything that the store of a data directory holds to an empty PostgreSQL database, or back, and "
            "compare both. No server may be running on either. The source is not changed. The embedded engine's data "
            "and the audit trail stay in the data directory."
        ),
    )
    for option, what in (("--from", "the store to be moved"), ("--to", "where to; must be empty")):
        parser.add_argument(
            option,
            dest=option.strip("-"),
            required=True,
            metavar="STORE",
            help=f"{what}: sqlite:PATH of a data directory, or postgresql://USER@HOST:PORT/DATABASE",
        )
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        help="read the password of the user in PostgreSQL from a file, or from - (default: kiteward.store.password)",
    )
    add_configuration(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    return exit_status_of(lambda: asyncio.run(_move(arguments)))


async def _move(arguments: argparse.Namespace) -> None:
    from kiteward.bootstrap.store_move import move_store  # noqa: PLC0415  loaded when it runs, not to print its help

    source, target = getattr(arguments, "from"), arguments.to
    moved = await move_store(source, target, password=_password(arguments), progress=_Progress())
    print(f"moved {sum(moved.values()):,} rows of {len(moved)} tables; both stores hold the same")
    print("The source is unchanged. Let kiteward.store.url name the store that servers shall use.", file=sys.stderr)


def _password(arguments: argparse.Namespace) -> Secret:
    """Return the password that the command line gives, else that of the configuration; empty without either."""
    if arguments.password_file is not None:
        return Secret(read_secret(arguments.password_file))
    store = settings_of(arguments).store
    return Secret("") if store is None else store.password
