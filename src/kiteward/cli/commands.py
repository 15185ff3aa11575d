"""Commands of the command line that send one request each, to the store of this machine or to a server."""

import argparse
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kiteward.cli.connection import Connection, add_connection, connected
from kiteward.cli.option_rows import NAMES, OPTIONS, Option
from kiteward.cli.options import UsageError, exit_status_of
from kiteward.cli.output import note, print_json, say, spelled_out, text_of
from kiteward.cli.running import run_async
from kiteward.domain.errors import ConfigurationError, InvalidArgument, KitewardError

_DAY: Final = 24 * 3600
_UNREADABLE: Final = "can only accept json format request, error: "
_MISSING: Final = "missing required parameters"
_CAPITAL: Final = re.compile("[A-Z]")
_SECONDS: Final = re.compile(r"from 1 to (?P<most>\d+) seconds")

Work = Callable[[Connection, dict[str, Any]], Awaitable[Any]]
"""Sends the requests of a command that are more than one, and returns what it answers."""


@dataclass(frozen=True, slots=True)
class Demand:
    """How many of some options must be given.

    Attributes:
        options: the options, as keys of `OPTIONS`.
        least: how many at least.
        most: how many at most.
    """

    options: tuple[str, ...]
    least: int = 1
    most: int = 1

    def check(self, given: Collection[str]) -> None:
        """Check what was given.

        Raises:
            UsageError: it is more or less than is demanded.
        """
        number = len([each for each in self.options if each in given])
        if not self.least <= number <= self.most:
            rows = [OPTIONS[each] for each in self.options]
            names = " or ".join(f"{row.flag} {row.how['metavar']}" for row in rows)
            raise UsageError(f"give {names}" if number < self.least else f"give only one of {names}")


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        word: the name of the command.
        path: the endpoint that it calls, below `/v2/`.
        help: its help text, one line.
        names: its positional arguments, as keys of `NAMES`, in their order.
        options: its options, as keys of `OPTIONS`.
        demands: how many of some options must be given.
        lists: the member of the response that holds the rows, for commands that list; `*` for the response itself.
        columns: the members that a table of the rows shows; the others are shown with `--wide`. Empty shows all.
        row: prepares a row for a table; None shows it as it is.
        needs_server: whether the store of a machine is not enough.
        work: sends its requests, if that takes more than one; None sends one, and further pages of a list.
        text: returns the response as text; None shows it as every response.
        status: returns the exit status for a response; None is 0.
        also: further endpoints that `work` calls.
        notes: more sentences for its help.
    """

    word: str
    path: str
    help: str
    names: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    demands: tuple[Demand, ...] = ()
    lists: str = ""
    columns: tuple[str, ...] = ()
    row: Callable[[Any], Any] | None = None
    needs_server: bool = False
    work: Work | None = None
    text: Callable[[Any], str] | None = None
    status: Callable[[Any], int] | None = None
    also: tuple[str, ...] = ()
    notes: str = ""

    @property
    def rows(self) -> list[Option]:
        """Its positional arguments and options."""
        return [*map(NAMES.__getitem__, self.names), *map(OPTIONS.__getitem__, self.options)]


def add_group(commands: Any, word: str, table: Sequence[Command], help: str) -> None:  # noqa: A002  as argparse has it
    """Add a group of commands to the command line."""
    group = commands.add_parser(word, help=help, description=f"{help[:1].upper()}{help[1:]}.")
    group = group.add_subparsers(required=True, metavar="COMMAND")
    for command in table:
        add_command(group, command)


def add_command(group: Any, command: Command) -> argparse.ArgumentParser:
    """Add a command to a group of the command line, and return its parser."""
    parser: argparse.ArgumentParser = group.add_parser(
        command.word, help=command.help, description=f"{command.help[:1].upper()}{command.help[1:]}. {command.notes}"
    )
    for key in command.names:
        parser.add_argument(key, **NAMES[key].how)
    for key in command.options:
        parser.add_argument(OPTIONS[key].flag, dest=key, **OPTIONS[key].how)
    parser.add_argument("--json", action="store_true", help="print JSON")
    if command.columns:
        parser.add_argument("--wide", action="store_true", help="show all columns, however wide")
    add_connection(parser)
    parser.set_defaults(command=command, run=run_command)
    return parser


def run_command(arguments: argparse.Namespace) -> int:
    """Carry out a command, print the response and return the exit status."""
    command: Command = arguments.command
    return exit_status_of(lambda: run_async(_carry_out(command, arguments)))


async def _carry_out(command: Command, arguments: argparse.Namespace) -> int:
    request = request_of(command, arguments)
    async with connected(arguments, needs_server=command.needs_server) as connection:
        try:
            answer = await (command.work or _asking(command))(connection, request)
        except KitewardError as error:
            faults = [InvalidArgument(in_words_of(command.rows, each, request)) for each in (error, *error.others)]
            faults[0].others = tuple(faults[1:])
            raise faults[0] from None
    if request.get("dryRun"):
        note("kiteward: nothing was changed: this is what would be without --dry-run")
    if arguments.json:
        print_json(answer)
    elif command.text is not None:
        say(*command.text(spelled_out(answer)).split("\n"))
    else:
        wide = getattr(arguments, "wide", False)
        rows = answer if command.row is None else [command.row(each) for each in answer]
        say(*text_of(rows, columns=() if wide else command.columns, whole=wide).split("\n"))
    return 0 if command.status is None else command.status(answer)


def _asking(command: Command) -> Work:
    async def ask(connection: Connection, request: dict[str, Any]) -> Any:
        return await every_page(connection, command.path, request, member=command.lists)

    return ask


def of_existing(named: str, describe: str, change: str) -> Work:
    """Return what changes an object by an RPC of Milvus, whose refusals of unknown objects are worded for its clients.

    Args:
        named: the member of the request that names the object.
        describe: the endpoint that describes it, which refuses an unknown one first.
        change: the endpoint that changes it.
    """

    async def ask(connection: Connection, request: dict[str, Any]) -> Any:
        await connection.ask(describe, {named: request[named]})
        return await connection.ask(change, request)

    return ask


def changed(otherwise: str) -> Callable[[Any], str]:
    """Return what tells whether a change has changed anything, and why not."""
    return lambda answer: "done" if answer["changed"] else f"nothing was changed: {otherwise}"


async def every_page(connection: Connection, path: str, request: Mapping[str, Any], *, member: str) -> Any:
    """Return the response to a request; for one that lists, the rows of all its pages.

    Args:
        connection: answers the request.
        path: the endpoint.
        request: the body.
        member: the member of the response that holds the rows; `*` for the response itself, empty for no list.

    Raises:
        KitewardError: as `Connection.ask`.
    """
    answer = await connection.ask(path, request)
    if member in ("", "*"):
        return answer
    rows = answer[member]
    after = None
    while answer.get("next"):
        if answer["next"] == after:
            raise ConfigurationError(f"{path} answers the same page without an end: is --server right?")
        after = answer["next"]
        answer = await connection.ask(path, {**request, "after": after})
        rows += answer[member]
    return rows


def request_of(command: Command, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the body of the request.

    Raises:
        UsageError: a tag has no value, a value is empty that must not be, or a demand is not met.
        ConfigurationError: a file with a secret cannot be read.
    """
    request, given = {}, set()
    for key, row in zip((*command.names, *command.options), command.rows, strict=True):
        value = getattr(arguments, key)
        if value is None:
            continue
        if not row.empty and "" in (value if isinstance(value, list) else [value]):
            raise UsageError(f"{row.shown} must not be empty")
        request[row.field] = row.read(value)
        given.add(key)
    for demand in command.demands:
        demand.check(given)
    return request


def in_words_of(rows: Sequence[Option], error: KitewardError, request: Mapping[str, Any]) -> str:
    """Return the message of an error with the options of the command line in place of the members of a request.

    Args:
        rows: the options and positional arguments of the command.
        error: what was raised.
        request: the request; what its members hold is not mistaken for the name of a member.
    """
    text = str(error).removeprefix(_UNREADABLE)
    by_field = {row.field: row for row in rows}
    if text.startswith(_MISSING) and error.field in by_field:
        return f"{by_field[error.field].shown} must not be empty"
    values = {value for value in request.values() if isinstance(value, str)}
    for row in rows:
        if row.field not in values:
            text = _named(row).sub(row.shown, text)
    if error.field in by_field and by_field[error.field].flag == OPTIONS["expiresIn"].flag:
        text = _SECONDS.sub(lambda found: f"more than 0, and at most {int(found['most']) // _DAY}", text)
    return text


def _named(row: Option) -> re.Pattern[str]:
    """Return what finds a member in a message: in backticks, or bare where its name is no English word.

    Milvus and its RPCs have names such as `using_expr` for what is `usingExpr` in JSON.
    """
    snake = _CAPITAL.sub(lambda found: f"_{found[0].lower()}", row.field)
    name = row.field if snake == row.field else f"(?:{row.field}|{snake})"
    quoted = rf"`(?:\$\.)?{name}(?:\[[^`]*)?`"
    return re.compile(quoted if row.field.islower() else rf"{quoted}|\b{name}\b")
