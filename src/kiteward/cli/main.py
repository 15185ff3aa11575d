"""The command line: parse, call, print. No logic lives here."""

import argparse
from collections.abc import Sequence

from kiteward import __version__
from kiteward.cli import access, accounts, audit, doctor, moving, serve


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(prog="kiteward", description="A secure Milvus endpoint.")
    parser.add_argument("--version", action="version", version=f"kiteward {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve.add_parser(commands)
    doctor.add_parser(commands)
    accounts.add_parsers(commands)
    moving.add_parser(commands)
    audit.add_parser(commands)
    access.add_parsers(commands)
    arguments = parser.parse_args(argv)
    status: int = arguments.run(arguments)
    return status
