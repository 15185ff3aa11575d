"""`kiteward policy`: the policy as a file: export, plan and apply it, and its JSON Schema."""

import argparse
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kiteward.cli.connection import Connection, add_connection, connected
from kiteward.cli.options import UsageError, exit_status_of
from kiteward.cli.output import json_of, note, print_json, say
from kiteward.cli.parser import CommandParser
from kiteward.cli.password_files import deliver, reserved
from kiteward.cli.policy_text import has_colours, lines_of, summary
from kiteward.cli.running import run_async
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret
from kiteward.iam.policy_files import checking
from kiteward.iam.policy_files.document import SCHEMA_FILE, SECTIONS, plain, schema

if TYPE_CHECKING:  # YAML is loaded where a file is read or written
    from kiteward.cli.policy_yaml import YamlFile

WOULD_CHANGE: Final = 2
"""The exit status of `plan` when the file would change something."""

_MOST_TOLD: Final = 100
"""Most faults or warnings of a file that are printed."""

_PATH: Final = "kiteward/policy/"
"""Where the endpoints are, below `/v2/`."""


class _Parser(CommandParser):
    """Ends with 1 where the options are wrong: 2 says that a file would change something."""

    wrong = 1


def add_parsers(commands: Any) -> None:
    """Add the commands to the command line."""
    policy = commands.add_parser("policy", help="export, plan and apply the policy as a file")
    policy.wrong = _Parser.wrong
    group = policy.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    _add_export(group)
    plan = group.add_parser(
        "plan",
        help="print what a file would change",
        description="Print what applying a file would change. It ends with 0 if nothing would change, with 2 if "
        "something would, and with 1 if the file cannot be applied.",
    )
    _add_file(plan)
    plan.set_defaults(run=_running(_plan))
    _add_apply(group)
    printed = group.add_parser("schema", help="print the JSON Schema of a file, for editors")
    printed.set_defaults(run=lambda _: exit_status_of(lambda: print_json(schema())))


def _add_export(group: Any) -> None:
    parser = group.add_parser("export", help="print the policy as a file", description="Print the policy as a file.")
    parser.add_argument("--output", "-o", type=Path, metavar="FILE", help="write it to this file instead")
    parser.add_argument(
        "--section", action="append", choices=SECTIONS, default=[], help="only this section; can be repeated"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_connection(parser)
    parser.set_defaults(run=_running(_export))


def _add_apply(group: Any) -> None:
    parser = group.add_parser(
        "apply",
        help="make the policy what a file says",
        description="Make the policy what a file says: all of it, or nothing where something of it is refused.",
    )
    _add_file(parser)
    parser.add_argument(
        "--expect", default="", metavar="DIGEST", help="apply only what the plan with this digest has said"
    )
    passwords = parser.add_mutually_exclusive_group()
    passwords.add_argument(
        "--passwords-file", type=Path, metavar="FILE", help="give new users one-time passwords, and write them here"
    )
    passwords.add_argument(
        "--print-passwords", action="store_true", help="give new users one-time passwords, and print them once"
    )
    parser.set_defaults(run=_running(_apply))


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", "-f", required=True, metavar="FILE", help="the file, or - for standard input")
    parser.add_argument(
        "--allow-deletions",
        action="store_true",
        help="also delete users, roles, privilege groups and row policies that the file does not name",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_connection(parser)


def _running(run: Callable[[argparse.Namespace, Connection], Awaitable[int]]) -> Callable[[argparse.Namespace], int]:
    async def work(arguments: argparse.Namespace) -> int:
        try:
            async with connected(arguments) as connection:
                return await run(arguments, connection)
        except UsageError as error:  # its exit status is that of a plan which would change something
            raise ConfigurationError(str(error)) from None

    return lambda arguments: exit_status_of(lambda: run_async(work(arguments)))


async def _export(arguments: argparse.Namespace, connection: Connection) -> int:
    values = (await connection.ask(f"{_PATH}export", {"sections": arguments.section}))["policy"]
    if arguments.json:
        text = f"{json_of(values)}\n"
    else:
        from kiteward.cli.policy_yaml import write  # noqa: PLC0415  as above

        text = f"# yaml-language-server: $schema={SCHEMA_FILE}\n{write(values)}"
    if arguments.output is None:
        print(text, end="")
    else:
        arguments.output.write_text(text, encoding="utf-8")
    return 0


async def _plan(arguments: argparse.Namespace, connection: Connection) -> int:
    file, document = _document(arguments)
    planned = await _planned(arguments, connection, file, document)
    if arguments.json:
        print_json(planned)
    else:
        _print_changes(arguments, planned["changes"])
        say(f"digest: {planned['digest']}")
    _print_warnings(planned, file)
    return WOULD_CHANGE if planned["changes"] else 0


async def _apply(arguments: argparse.Namespace, connection: Connection) -> int:
    file, document = _document(arguments)
    planned = await _planned(arguments, connection, file, document)
    request = {
        "policy": document,
        "allowDeletions": arguments.allow_deletions,
        "expect": arguments.expect or planned["digest"],
        "oneTimePasswords": bool(arguments.passwords_file or arguments.print_passwords),
    }
    if any(change["deletion"] for change in planned["changes"]) and not arguments.allow_deletions:
        _print_changes(arguments, planned["changes"])
        raise ConfigurationError(
            "nothing was changed: it would delete what is marked; repeat it with --allow-deletions"
        )
    with reserved(arguments.passwords_file) as opened:
        done = await connection.ask(f"{_PATH}apply", request)
        made = {each["userName"]: Secret(each["password"]) for each in done["passwords"]}
        if made and not (arguments.json and opened is None):
            deliver(made, opened)
            done["passwords"] = []
    if arguments.json:
        print_json(done)
    else:
        _print_changes(arguments, done["changes"], done=True)
    _print_warnings(done, file)
    return 0


async def _planned(
    arguments: argparse.Namespace, connection: Connection, file: "YamlFile", document: Mapping[str, Any]
) -> Any:
    """Return the plan of a file.

    Raises:
        ConfigurationError: it cannot be applied; each fault is named with its line.
    """
    planned = await connection.ask(f"{_PATH}plan", {"policy": document})
    faults = planned["faults"]
    if faults:
        lines = {checking.text_of(path): line for path, line in file.lines.items()}
        raise _refused(
            arguments,
            ((lines.get(each["path"], 1), f"{each['path']}: {each['message']}") for each in faults),
        )
    return planned


def _document(arguments: argparse.Namespace) -> tuple["YamlFile", dict[str, Any]]:
    """Return the file, and what it says as plain values.

    Raises:
        ConfigurationError: it cannot be read; each fault is named with its line.
    """
    name = arguments.file
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the file {name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the file {name} is not UTF-8") from error
    from kiteward.cli.policy_yaml import read  # noqa: PLC0415  as above

    file = read(text)
    if file.faults:
        raise _refused(arguments, ((fault.line, fault.message) for fault in file.faults))
    document, faults = checking.read(file.values)
    if document is None:
        raise _refused(
            arguments,
            ((file.line_of(each.path), f"{checking.text_of(each.path)} {each.message}".strip()) for each in faults),
        )
    return file, plain(document)


def _refused(arguments: argparse.Namespace, faults: Iterable[tuple[int, str]]) -> ConfigurationError:
    """Return the error for a file with faults, which names each with its line; with `--json` they are printed too."""
    found, name = sorted(faults), arguments.file
    if arguments.json:
        print_json({"faults": [{"line": line, "message": message} for line, message in found]})
    shown = "standard input" if name == "-" else name
    told = [f"{shown}:{line}: {message}" for line, message in found[:_MOST_TOLD]]
    more = [f"and {len(found) - _MOST_TOLD} more"] if len(found) > _MOST_TOLD else []
    error = ConfigurationError("the policy cannot be applied; nothing was changed")
    for line in (*told, *more):
        error.add_note(line)
    return error


def _print_warnings(answer: Any, file: "YamlFile") -> None:
    lines = {checking.text_of(path): line for path, line in file.lines.items()}
    found = sorted((lines.get(each["path"], 1), each["message"]) for each in answer["warnings"])
    for line, message in found[:_MOST_TOLD]:
        note(f"kiteward: warning: line {line}: {message}")
    if len(found) > _MOST_TOLD:
        note(f"kiteward: and {len(found) - _MOST_TOLD} more warnings; --json prints all")


def _print_changes(arguments: argparse.Namespace, changes: Any, *, done: bool = False) -> None:
    for line in lines_of(changes, coloured=has_colours(sys.stdout), allow_deletions=arguments.allow_deletions):
        print(line)  # its texts are printable, and its colours are not
    print(summary(changes, done=done))
