"""`kiteward backup`: make backups of a data directory while it is served, verify them, and restore them."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kiteward.cli.options import add_configuration, exit_status_of, settings_of
from kiteward.cli.output import note, print_json, say
from kiteward.cli.progress import Progress, add_progress

if TYPE_CHECKING:
    from kiteward.domain.identity import Secret

_WARNING: Final = (
    "users, passwords, second factors, roles, grants and keys are those of {made}: what was revoked, changed or "
    "deleted later is undone"
)


def add_parsers(commands: Any) -> None:
    """Add the command to the command line."""
    group = commands.add_parser("backup", help="back up a data directory while it is served, and restore it")
    group = group.add_subparsers(required=True, metavar="COMMAND")
    _add_create(group)
    _add_list(group)
    _add_verify(group)
    _add_restore(group)
    parser = group.add_parser(
        "key",
        help="make a key file for sealed backups",
        description="Write a new random key to a new file, for --key-file. Whoever has it can read the backups; "
        "without it, nobody can.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the file; must not exist")
    parser.set_defaults(run=_running(_key))


def _add_create(group: Any) -> None:
    parser = group.add_parser(
        "create",
        help="make a backup, while a server runs or not",
        description="Write store, audit trail and the embedded engine's data, as they are at one moment, to one file. "
        "Writes wait for a moment.",
    )
    parser.add_argument(
        "--to",
        required=True,
        type=_target,
        metavar="PATH",
        help="a new file; or a directory, for a file named by its time",
    )
    parser.add_argument(
        "--without-rows",
        action="store_true",
        help="where the rows are in a Milvus behind: back up store and audit trail alone",
    )
    _add_key(parser)
    add_configuration(parser)
    parser.set_defaults(run=_running(_create))


def _target(given: str) -> Path:
    """Return where a backup is written. Raises ArgumentTypeError for a directory that there is not."""
    if given.endswith("/") and not Path(given).is_dir():
        raise argparse.ArgumentTypeError(f"there is no directory {given}")
    return Path(given)


def _add_list(group: Any) -> None:
    parser = group.add_parser(
        "list",
        help="list the backups in a directory",
        description="List the backups in a directory, oldest first, as they describe themselves; `verify` proves it.",
    )
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="the directory")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_running(_list))


def _add_verify(group: Any) -> None:
    parser = group.add_parser(
        "verify",
        help="check that a backup is whole",
        description="Check every byte against the digests, the store, the references of the engine's data and the "
        "audit trail's chain. Exit status 1 if anything is wrong.",
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="the backup")
    _add_key(parser)
    parser.set_defaults(run=_running(_verify))


def _add_restore(group: Any) -> None:
    parser = group.add_parser(
        "restore",
        help="restore a backup to a new data directory",
        description="Restore a backup to a new or empty directory. Sessions, sign-ins in progress and keys from token "
        "exchange end, and tokens of identity providers issued before now count no longer.",
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="the backup")
    parser.add_argument("--data-dir", required=True, type=Path, metavar="NEW", help="a new or empty directory")
    parser.add_argument(
        "--disable-keys", action="store_true", help="disable every API key: one may have been revoked since the backup"
    )
    parser.add_argument(
        "--disable-users",
        action="store_true",
        help="disable every user except root: one may have been disabled or deleted since the backup",
    )
    _add_key(parser)
    parser.set_defaults(run=_running(_restore))


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="the key of a sealed backup, as `kiteward backup key FILE` makes it",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_progress(parser)


def _running(work: Callable[[argparse.Namespace], int | None]) -> Callable[[argparse.Namespace], int]:
    return lambda arguments: exit_status_of(lambda: work(arguments))


def _key_of(arguments: argparse.Namespace) -> "Secret | None":
    """Return the key that the command line names, None without one.

    Raises:
        ConfigurationError: the file holds no key.
    """
    from kiteward.bootstrap.backup.sealed_file import read_key_file  # noqa: PLC0415  other commands do not load it

    return None if arguments.key_file is None else read_key_file(arguments.key_file)


def _create(arguments: argparse.Namespace) -> None:
    from kiteward.bootstrap.backup.making import Order, make_backup  # noqa: PLC0415  other commands do not load it

    order = Order(settings_of(arguments), arguments.to, _key_of(arguments), rows=not arguments.without_rows)
    made = make_backup(order, Progress(asked=arguments.progress))
    if arguments.json:
        return _print_json(made)
    say(f"{made.file}: {made.bytes:,} bytes, {made.files:,} files, as of {made.made}", f"sha256: {made.sha256}")
    note(f"Writes waited for {made.paused_ms:g} ms.")
    if not made.sealed:
        note(
            "The backup holds password hashes, rows and the key of authenticator apps, and is not sealed: keep it "
            "where only you may read, or use --key-file."
        )
    return None


def _list(arguments: argparse.Namespace) -> None:
    from kiteward.bootstrap.backup.reading import list_backups  # noqa: PLC0415  other commands do not load it

    found = list_backups(arguments.directory)
    if arguments.json:
        return _print_json(found)
    for each in found:
        sealed = "  sealed" if each.sealed else ""
        state = (
            f"unusable: {each.fault}" if each.fault else f"{each.made}  {each.bytes:,} bytes  Kiteward {each.version}"
        )
        say(f"{each.file}  {state}{sealed}")
    if not found:
        say("none")
    return None


def _verify(arguments: argparse.Namespace) -> int:
    from kiteward.bootstrap.backup.reading import verify_backup  # noqa: PLC0415  other commands do not load it

    verified = verify_backup(arguments.path, _key_of(arguments), Progress(asked=arguments.progress))
    if arguments.json:
        _print_json(verified)
    else:
        for finding in verified.findings:
            say(finding)
        if not verified.findings:
            say(f"{verified.file} is whole: {verified.files:,} files, {verified.bytes:,} bytes, as of {verified.made}")
    return 1 if verified.findings else 0


def _restore(arguments: argparse.Namespace) -> None:
    from kiteward.bootstrap.backup.restoring import Order, restore_backup  # noqa: PLC0415  other commands do not load it

    order = Order(
        arguments.path,
        arguments.data_dir,
        _key_of(arguments),
        disable_keys=arguments.disable_keys,
        disable_users=arguments.disable_users,
    )
    restored = restore_backup(order, Progress(asked=arguments.progress))
    for finding in restored.findings:
        note(f"warning: {finding}")
    note(f"warning: {_WARNING.format(made=restored.made)}")
    if restored.enabled_keys:
        note(
            f"warning: API keys that are enabled: {restored.enabled_keys:,}, also those that were revoked since; "
            "--disable-keys disables all"
        )
    if arguments.json:
        return _print_json(restored)
    say(f"restored to {restored.directory}: {restored.files:,} files, as of {restored.made}")
    return None


def _key(arguments: argparse.Namespace) -> None:
    from kiteward.bootstrap.backup.sealed_file import make_key_file  # noqa: PLC0415  other commands do not load it
    from kiteward.domain.errors import ConfigurationError  # noqa: PLC0415  as above

    try:
        make_key_file(arguments.file)
    except FileExistsError:
        raise ConfigurationError(f"{arguments.file} exists: choose another name") from None
    note(f"{arguments.file}: keep a copy of this key apart from the backups")


def _print_json(value: Any) -> None:
    import msgspec  # noqa: PLC0415  as above

    print_json(msgspec.to_builtins(value))
