"""`kiteward import`: import users, roles, grants and groups from a running Milvus."""

import argparse
import getpass
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiteward.cli.options import add_configuration, exit_status_of, read_secret, settings_of
from kiteward.cli.output import print_json, say
from kiteward.cli.password_files import deliver, reserved
from kiteward.cli.progress import Progress, add_progress
from kiteward.cli.running import run_async
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret

if TYPE_CHECKING:  # loaded when it runs, not to print its help
    from kiteward.gateway.import_policy import ImportReport


def add_parsers(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "import",
        help="import users, roles, grants and groups from a running Milvus",
        description="Import what does not exist here yet. Existing objects and the source are not changed.",
    )
    parser.add_argument("--from", dest="source", required=True, metavar="URI", help="for example http://milvus:19530")
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="user:password of an administrator there, in a file or from - (default: asked for)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be imported, and change nothing")
    parser.add_argument(
        "--passwords-file", type=Path, metavar="FILE", help="write new passwords to this file instead of printing them"
    )
    parser.add_argument("--verbose", action="store_true", help="print a line for each object")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_progress(parser)
    add_configuration(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    def work() -> None:
        from kiteward.bootstrap.policy_import import import_from  # noqa: PLC0415  as above

        dry_run = arguments.dry_run
        with reserved(None if dry_run else arguments.passwords_file) as file:
            report = run_async(
                import_from(
                    settings_of(arguments),
                    arguments.source,
                    Secret(_token(arguments)),
                    dry_run=dry_run,
                    progress=Progress(asked=arguments.progress),
                )
            )
            if report.passwords and not dry_run and not (arguments.json and file is None):
                deliver(report.passwords, file)
        if arguments.json:
            _print_json(report, dry_run=dry_run, with_passwords=not dry_run and file is None)
        else:
            _print(report, dry_run=dry_run, verbose=arguments.verbose)

    return exit_status_of(work)


def _token(arguments: argparse.Namespace) -> str:
    if arguments.token_file is not None:
        return read_secret(arguments.token_file, what="credential")
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "there is no terminal to prompt for the credential: give --token-file FILE, or - for standard input"
        )
    return getpass.getpass("user:password of an administrator there: ")


def _print_json(report: "ImportReport", *, dry_run: bool, with_passwords: bool) -> None:
    """Print what was imported; new passwords too, where no file takes them."""
    answer: dict[str, Any] = {
        "dryRun": dry_run,
        "users": report.users,
        "roles": report.roles,
        "grants": report.grants,
        "privilegeGroups": report.groups,
        "leftOut": report.left,
        "newPasswords": sorted(report.passwords),
    }
    if with_passwords:
        answer["passwords"] = {name: password.reveal() for name, password in report.passwords.items()}
    print_json(answer)


def _print(report: "ImportReport", *, dry_run: bool, verbose: bool) -> None:
    verb = "would import" if dry_run else "imported"
    for kind, names in (
        ("role", report.roles),
        ("privilege group", report.groups),
        ("grant", report.grants),
        ("user", report.users),
    ):
        _lines(f"{verb} {kind}", names if verbose else ())
    _lines("left", report.left if verbose else ())
    counts = (len(report.users), len(report.roles), len(report.grants), len(report.groups), len(report.left))
    print(
        f"{verb}: {counts[0]} users, {counts[1]} roles, {counts[2]} grants, {counts[3]} groups; left out: {counts[4]}"
        f"{'; --verbose says what' if report.left and not verbose else ''}"
    )
    if dry_run and report.passwords:
        print(f"{len(report.passwords)} users would get a new password, because the source returns no password hashes")


def _lines(prefix: str, names: Iterable[str]) -> None:
    for name in names:
        say(f"{prefix} {name}")
