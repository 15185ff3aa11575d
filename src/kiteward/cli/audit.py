"""`kiteward audit`: verify, search, follow and export the audit trail. It changes nothing."""

import argparse
import difflib
import functools
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kiteward.audit.events import NOT_SHARED
from kiteward.audit.ocsf import VERSION, ocsf
from kiteward.audit.reader import KINDS, OUTCOMES, AuditQuery, Entry, Scope, shown
from kiteward.audit.verify import Anchor, Verified, unmatched, verify
from kiteward.audit.zilliz import zilliz
from kiteward.cli.audit_lines import FileLines, Lines, ServerLines, stored_lines
from kiteward.cli.commands import Command, add_command
from kiteward.cli.connection import add_connection, server_of
from kiteward.cli.option_rows import whole
from kiteward.cli.options import UsageError, add_configuration, exit_status_of, settings_of
from kiteward.cli.output import note, print_json, say
from kiteward.cli.progress import Progress, add_progress
from kiteward.domain.errors import ConfigurationError, InvalidArgument

if TYPE_CHECKING:  # loaded when a command runs, not to print its help
    from kiteward.config.settings import Settings

_SHOWN_FINDINGS: Final = 20

_CHAIN: Final = re.compile("[0-9a-f]{64}")
"""The chain of a line, which is a SHA-256."""

_FILTERS: Final = (
    ("--user", "user", "by this user, with its name presented, or concerning it", None),
    ("--by", "by", "by this user, or with its name presented", None),
    ("--target-user", "target", "concerning this user: what was done to it", None),
    ("--collection", "collection", "concerning this collection", None),
    ("--database", "database", "concerning this database", None),
    ("--operation", "operation", "of this operation, such as Search", None),
    ("--kind", "kind", f"of this kind: {', '.join(KINDS)}", KINDS),
    ("--outcome", "outcome", f"with this outcome: {', '.join(OUTCOMES)}", OUTCOMES),
    ("--request-id", "request_id", "of this request", None),
    ("--replica", "replica", "written by this replica", None),
)


SHOW: Final = Command(
    "show",
    "kiteward/audit/explain",
    "print one line in full, and how its request would be decided now",
    names=("seq",),
    options=("scope",),
    text=lambda answer: "\n".join(_whole(answer)),
)


class _Once(argparse.Action):
    """An option with one value. Given again, it is refused: lines that only the first value fits would be missed."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        """Keep the value; end the command where there is one already."""
        if getattr(namespace, self.dest) != self.default:
            parser.error(f"argument {'/'.join(self.option_strings)}: give it once; a line has to fit every filter")
        setattr(namespace, self.dest, values)


def add_parsers(commands: Any) -> None:
    """Add the command to the command line."""
    group = commands.add_parser("audit", help="verify, read and export the audit trail")
    group = group.add_subparsers(required=True, metavar="COMMAND")
    _add_verify(group)
    add_command(group, SHOW)
    parser = group.add_parser("tail", help="print the newest lines")
    parser.add_argument("-n", "--lines", type=whole(0), default=20, metavar="N", help="how many (default: 20)")
    parser.add_argument("-f", "--follow", action="store_true", help="continue with new lines as they are written")
    _add_filters(parser)
    _finish(parser, _reading(_tail))
    parser = group.add_parser("search", help="print matching lines, newest first")
    parser.add_argument("--limit", type=whole(1), default=100, metavar="N", help="how many at most (default: 100)")
    _add_filters(parser)
    _finish(parser, _reading(_search))
    parser = group.add_parser("export", help="print all matching lines in another format, as JSON")
    parser.add_argument(
        "--format",
        choices=("zilliz", "ocsf"),
        default="zilliz",
        help=f"zilliz: the field names of Zilliz Cloud (the default); ocsf: the schema of OCSF {VERSION}",
    )
    parser.add_argument("--cluster-id", default="kiteward", metavar="ID", help="the name of this server in the export")
    _add_filters(parser)
    add_progress(parser)
    _finish(parser, _reading(_export))


def _add_verify(group: Any) -> None:
    parser = group.add_parser(
        "verify",
        help="find changed, missing and reordered lines",
        description="Verify chains: those of the given directories, or that of the configuration; and that of the "
        "store, where replicas share it. Exit status 1 if anything is wrong.",
    )
    parser.add_argument("directories", nargs="*", type=Path, metavar="DIR", help="the audit directory of a replica")
    parser.add_argument(
        "--noted",
        action="append",
        default=[],
        metavar="SEQ:CHAIN",
        help="output of an earlier verification, to compare; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_progress(parser)
    add_configuration(parser)
    parser.set_defaults(run=lambda arguments: exit_status_of(lambda: _verify(arguments)))


def _add_filters(parser: argparse.ArgumentParser) -> None:
    for flag, name, text, choices in _FILTERS:
        metavar = flag.rpartition("-")[2].upper()
        parser.add_argument(flag, dest=name, action=_Once, default="", metavar=metavar, choices=choices, help=text)
    parser.add_argument("--since", metavar="TIME", help="from this time on, such as 2026-11-27 or 2026-11-27T10:00:00Z")
    parser.add_argument("--until", metavar="TIME", help="before this time")
    parser.add_argument(
        "--scope",
        choices=tuple(map(str, Scope)),
        default=str(Scope.ALL),
        help="where replicas share a store. all: changes, refusals and server events of all of them (the default); "
        "replica: every line of the trail on this machine",
    )
    parser.add_argument("--json", action="store_true", help="print each line as JSON")


def _finish(parser: argparse.ArgumentParser, work: Any) -> None:
    add_connection(parser)
    parser.set_defaults(run=lambda arguments: exit_status_of(lambda: work(arguments)))


def _place(settings: "Settings") -> Path:
    place = settings.audit.place(settings.data_dir)
    if not place.is_dir():
        raise ConfigurationError(f"there is no audit trail in {place}: give the server's --data-dir or --config")
    return place


def _reading(work: Callable[[argparse.Namespace, Lines], int]) -> Callable[[argparse.Namespace], int]:
    """Return a command that opens the lines that it reads."""

    def run(arguments: argparse.Namespace) -> int:
        _note_unknown(arguments.operation)
        server, scope = server_of(arguments), Scope(arguments.scope)
        if server is not None:
            return work(arguments, ServerLines(server, scope))
        settings = settings_of(arguments)
        if scope is Scope.REPLICA or settings.store is None:
            return work(arguments, FileLines(_place(settings)))
        if arguments.kind in NOT_SHARED:
            raise ConfigurationError(
                f"lines of the kind {arguments.kind} are in the trail of each replica only: read them there, with "
                f"--scope {Scope.REPLICA}"
            )
        with stored_lines(settings) as lines:
            return work(arguments, lines)

    return run


def _verify(arguments: argparse.Namespace) -> int:
    anchors = [_anchor(each) for each in arguments.noted]
    settings = settings_of(arguments)
    places = arguments.directories or [_place(settings)]
    for place in places:
        if not place.is_dir():
            raise ConfigurationError(f"there is no audit trail in {place}")
    progress = Progress(asked=arguments.progress)
    found = {
        str(place): verify(place, anchors=anchors, progress=functools.partial(progress, f"bytes of {place}"))
        for place in places
    }
    if settings.store is not None:
        with stored_lines(settings) as lines:
            found["the store"] = lines.verify(anchors, places)
    if arguments.json:
        return _verified(found, unmatched(found.values(), anchors))
    several = len(found) > 1
    wrong = [f"{name}: {finding}" if several else finding for name, each in found.items() for finding in each.findings]
    wrong += unmatched(found.values(), anchors)
    for finding in wrong[:_SHOWN_FINDINGS]:
        say(f"wrong: {finding}")
    if len(wrong) > _SHOWN_FINDINGS:
        print(f"and {len(wrong) - _SHOWN_FINDINGS} more")
    for name, each in found.items():
        if not each.findings and (several or not wrong):
            say(_intact(name if several else "", each))
    return 1 if wrong else 0


def _verified(found: Mapping[str, Verified], differing: Sequence[str]) -> int:
    """Print the result of a verification as JSON, and return the exit status."""
    chains = [
        {
            "name": name,
            "lines": each.lines,
            "last": each.last,
            "chain": each.chain,
            "replicas": each.replicas,
            "findings": each.findings,
        }
        for name, each in found.items()
    ]
    wrong = bool(differing) or any(each.findings for each in found.values())
    print_json({"intact": not wrong, "chains": chains, "differing": differing})
    return 1 if wrong else 0


def _intact(name: str, found: Verified) -> str:
    replicas = f"({', '.join(found.replicas)})" if found.replicas else ""
    where = " ".join(filter(None, (name, replicas)))
    return (
        f"{where}{': ' if where else ''}{found.lines} lines, all unchanged and in order; "
        f"the last is {found.last}:{found.chain}"
    )


def _anchor(noted: str) -> Anchor:
    seq, colon, chain = noted.partition(":")
    if not (colon and seq.isdecimal() and _CHAIN.fullmatch(chain)):
        raise UsageError("--noted takes SEQ:CHAIN, as an earlier verification printed them")
    return int(seq), chain


def _search(arguments: argparse.Namespace, lines: Lines) -> int:
    query = _query(arguments)
    left = arguments.limit
    while left > 0:
        found = lines.search(query, limit=left)
        _print(found.entries, as_json=arguments.json)
        left -= len(found.entries)
        if found.before is None:
            break
        query = replace(query, before=found.before)
    if left == arguments.limit and not arguments.json:
        note("kiteward: no line matches")
    return 0


def _tail(arguments: argparse.Namespace, lines: Lines) -> int:
    wanted = _query(arguments)
    newest = lines.search(AuditQuery(), limit=1).entries
    last = newest[0]["seq"] if newest else 0
    if arguments.lines > 0:
        found = lines.search(replace(wanted, before=last + 1), limit=arguments.lines)
        _print(reversed(found.entries), as_json=arguments.json)
    if arguments.follow:
        for entry in _following(lines, wanted, last):
            _print([entry], as_json=arguments.json)
    return 0


def _following(lines: Lines, query: AuditQuery, last: int) -> Iterator[Entry]:
    """Yield the entries that are written after a line, waiting for them.

    Args:
        lines: the lines to read.
        query: which entries to yield.
        last: the number of that line.
    """
    while True:
        time.sleep(lines.pause)
        fresh = lines.after(last)
        if fresh:
            last = fresh[-1]["seq"]
        yield from (entry for entry in fresh if query.fits(entry))


def _export(arguments: argparse.Namespace, lines: Lines) -> int:
    progress = Progress(asked=arguments.progress)
    for number, entry in enumerate(lines.every(_query(arguments)), start=1):
        progress("lines", number)
        exported = ocsf(entry) if arguments.format == "ocsf" else zilliz(entry, cluster_id=arguments.cluster_id)
        print(json.dumps(exported))
    return 0


def _query(arguments: argparse.Namespace) -> AuditQuery:
    given = {name: getattr(arguments, name) for _, name, *_ in _FILTERS}
    since, until = _time("--since", arguments.since), _time("--until", arguments.until)
    if since is not None and until is not None and since >= until:
        raise UsageError("no line can match: --until must be later than --since")
    try:
        return AuditQuery(**given, since=since, until=until)
    except InvalidArgument as error:
        raise UsageError(f"--{error.field}: {error}") from None


def _note_unknown(name: str) -> None:
    """Say which operations are written like a name that no operation of this server has.

    It may be in the trail all the same: starts and stops have lines, and so have calls of what does not exist.
    """
    if not name:
        return
    from kiteward.gateway.operations import OPERATIONS  # noqa: PLC0415  only where an operation is named
    from kiteward.iam.json_api import ADMIN_OPERATIONS  # noqa: PLC0415

    known = {*OPERATIONS, *ADMIN_OPERATIONS}
    alike = difflib.get_close_matches(name, sorted(known), n=3)
    if name not in known and alike:
        note(f"--operation: there is no operation {name}; did you mean {' or '.join(alike)}?")


def _time(flag: str, given: str | None) -> float | None:
    if given is None:
        return None
    try:
        time_given = datetime.fromisoformat(given)
    except ValueError:
        raise UsageError(f"{flag} takes a time such as 2026-11-27 or 2026-11-27T10:00:00Z (UTC)") from None
    return (time_given if time_given.tzinfo else time_given.replace(tzinfo=UTC)).timestamp()


def _print(entries: Iterable[Entry], *, as_json: bool) -> None:
    for entry in entries:
        print(json.dumps(entry) if as_json else _text(entry), flush=True)


def _text(entry: Entry) -> str:
    """Return an entry as text. Values keep their JSON encoding, so that none can send control codes to a terminal."""
    who = entry.get("principal") or (f"({entry['presented_user']})" if "presented_user" in entry else "-")
    about = ".".join(filter(None, [entry.get("database", ""), ",".join(entry.get("resources", ()))]))
    words = [
        entry["time"],
        str(entry["seq"]),
        entry.get("replica", ""),
        entry["outcome"],
        entry.get("operation", entry["kind"]),
        f"part {entry['part']} of {entry['parts']}" if "parts" in entry else "",
        who,
        f"through {entry['actor']}" if "actor" in entry else "",
        about,
        " ".join(f"{name}={shown(value)}" for name, value in entry.get("details", {}).items()),
        entry.get("client" if entry.get("transport") == "local" else "address", ""),
        f"[{entry['reason']}]" if "reason" in entry else "",
        entry.get("error", ""),
    ]
    return json.dumps("  ".join(filter(None, words)))[1:-1].replace('\\"', '"')


def _whole(answer: Any) -> Iterator[str]:
    """Yield a line of text for each member of an entry, then today's decision."""
    for name, value in answer["line"].items():
        if name == "details":
            yield from (f"{name}.{each}: {shown(held)}" for each, held in value.items())
        else:
            yield f"{name}: {shown(value)}"
    if answer["gone"]:
        yield f"today: {answer['gone']}"
    elif answer["today"] is not None:
        allowed = "allowed" if answer["today"]["allowed"] else "refused"
        yield f"today{' (differs)' if answer['differs'] else ''}: {allowed}: {answer['today']['reason']}"
