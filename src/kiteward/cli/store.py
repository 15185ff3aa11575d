"""`kiteward store`: move the store to another database."""

import argparse
from typing import Any

from kiteward.cli.options import add_configuration, exit_status_of, read_secret, settings_of
from kiteward.cli.output import note, print_json
from kiteward.cli.progress import Progress, add_progress
from kiteward.cli.running import run_async
from kiteward.domain.identity import Secret


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
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_progress(parser)
    add_configuration(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    return exit_status_of(lambda: run_async(_move(arguments)))


async def _move(arguments: argparse.Namespace) -> None:
    from kiteward.bootstrap.store_move import move_store  # noqa: PLC0415  loaded when it runs, not to print its help

    source, target = getattr(arguments, "from"), arguments.to
    moved = await move_store(source, target, password=_password(arguments), progress=Progress(asked=arguments.progress))
    if arguments.json:
        print_json({"tables": dict(moved), "rows": sum(moved.values())})
    else:
        print(f"moved {sum(moved.values()):,} rows of {len(moved)} tables; both stores hold the same")
    note("The source is unchanged. Let kiteward.store.url name the store that servers shall use.")


def _password(arguments: argparse.Namespace) -> Secret:
    """Return the password that the command line gives, else that of the configuration; empty without either."""
    if arguments.password_file is not None:
        return Secret(read_secret(arguments.password_file))
    store = settings_of(arguments).store
    return Secret("") if store is None else store.password
