"""`kiteward audit`: verify, search, follow and export the audit trail. It reads the files and changes nothing."""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kiteward.audit.export import zilliz
from kiteward.audit.reader import KINDS, OUTCOMES, AuditQuery, AuditReader, Entry, shown
from kiteward.audit.verify import verify
from kiteward.cli.options import add_configuration, exit_status_of, settings_of
from kiteward.domain.errors import ConfigurationError

_PAUSE: Final = 0.2
"""Seconds between two reads of `audit tail --follow`."""

_SHOWN_FINDINGS: Final = 20

_FILTERS: Final = (
    ("--user", "user", "by this user, with its name presented, or concerning it"),
    ("--collection", "collection", "concerning this collection"),
    ("--database", "database", "concerning this database"),
    ("--operation", "operation", "of this operation, such as Search"),
    ("--kind", "kind", f"of this kind: {', '.join(KINDS)}"),
    ("--outcome", "outcome", f"with this outcome: {', '.join(OUTCOMES)}"),
    ("--request-id", "request_id", "of this request"),
)


def add_parsers(commands: Any) -> None:
    """Add the command to the command line."""
    group = commands.add_parser("audit", help="verify, read and export the audit trail")
    group = group.add_subparsers(required=True, metavar="COMMAND")
    parser = group.add_parser(
        "verify",
        help="find changed, missing and reordered lines",
        description="Verify the chain. Exit status 1 if anything is wrong.",
    )
    parser.add_argument(
        "--noted", metavar="SEQ:CHAIN", help="output of an earlier verification, to compare with the trail"
    )
    _finish(parser, _verify)
    parser = group.add_parser("tail", help="print the newest lines")
    parser.add_argument("-n", "--lines", type=_whole(0), default=20, metavar="N", help="how many (default: 20)")
    parser.add_argument("-f", "--follow", action="store_true", help="continue with new lines as they are written")
    _add_filters(parser)
    _finish(parser, _tail)
    parser = group.add_parser("search", help="print matching lines, newest first")
    parser.add_argument("--limit", type=_whole(1), default=100, metavar="N", help="how many at most (default: 100)")
    _add_filters(parser)
    _finish(parser, _search)
    parser = group.add_parser("export", help="print all matching lines in the field names of Zilliz Cloud")
    parser.add_argument("--cluster-id", default="kiteward", metavar="ID", help="the name of this server in the export")
    _add_filters(parser, json_option=False)
    _finish(parser, _export)


def _add_filters(parser: argparse.ArgumentParser, *, json_option: bool = True) -> None:
    for flag, _, text in _FILTERS:
        parser.add_argument(flag, default="", metavar=flag.rpartition("-")[2].upper(), help=text)
    parser.add_argument("--since", metavar="TIME", help="from this time on, such as 2026-11-27 or 2026-11-27T10:00:00Z")
    parser.add_argument("--until", metavar="TIME", help="before this time")
    if json_option:
        parser.add_argument("--json", action="store_true", help="print the lines as JSON")


def _whole(least: int) -> Callable[[str], int]:
    """Return a parser for whole numbers of at least `least`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and int(text) >= least):
            raise argparse.ArgumentTypeError(f"give a whole number from {least} on, not {text!r}")
        return int(text)

    return read


def _finish(parser: argparse.ArgumentParser, work: Any) -> None:
    add_configuration(parser)
    parser.set_defaults(run=lambda arguments: exit_status_of(lambda: work(arguments, _place(arguments))))


def _place(arguments: argparse.Namespace) -> Path:
    settings = settings_of(arguments)
    place = settings.audit.place(settings.data_dir)
    if not place.is_dir():
        raise ConfigurationError(f"there is no audit trail in {place}: give the server's --data-dir or --config")
    return place


def _verify(arguments: argparse.Namespace, place: Path) -> int:
    anchor = None
    if arguments.noted:
        seq, colon, chain = arguments.noted.partition(":")
        if not (colon and seq.isdecimal()):
            raise ConfigurationError("--noted takes SEQ:CHAIN, as an earlier verification printed them")
        anchor = int(seq), chain
    found = verify(place, anchor=anchor)
    for finding in found.findings[:_SHOWN_FINDINGS]:
        print(f"wrong: {finding}")
    if len(found.findings) > _SHOWN_FINDINGS:
        print(f"and {len(found.findings) - _SHOWN_FINDINGS} more")
    if found.findings:
        return 1
    print(f"{found.lines} lines, all unchanged and in order; the last is {found.last}:{found.chain}")
    return 0


def _search(arguments: argparse.Namespace, place: Path) -> int:
    query = _query(arguments)
    left = arguments.limit
    while left > 0:
        found = AuditReader(place).search(query, limit=left)
        _print(found.entries, as_json=arguments.json)
        left -= len(found.entries)
        if found.before is None:
            break
        query = replace(query, before=found.before)
    return 0


def _tail(arguments: argparse.Namespace, place: Path) -> int:
    reader, wanted = AuditReader(place), _query(arguments)
    newest = reader.search(AuditQuery(), limit=1).entries
    last = newest[0]["seq"] if newest else 0
    if arguments.lines > 0:
        found = reader.search(replace(wanted, before=last + 1), limit=arguments.lines)
        _print(reversed(found.entries), as_json=arguments.json)
    if arguments.follow:
        for entry in _following(reader, wanted, last):
            _print([entry], as_json=arguments.json)
    return 0


def _following(reader: AuditReader, query: AuditQuery, last: int) -> Iterator[Entry]:
    """Yield the entries that are written after a line, waiting for them.

    Args:
        reader: reads the trail.
        query: which entries to yield.
        last: the number of that line.
    """
    while True:
        time.sleep(_PAUSE)
        fresh: list[Entry] = []
        for entry in reader.newest_first():
            if entry["seq"] <= last:
                break
            fresh.append(entry)
        if fresh:
            last = fresh[0]["seq"]
        yield from (entry for entry in reversed(fresh) if query.fits(entry))


def _export(arguments: argparse.Namespace, place: Path) -> int:
    for entry in AuditReader(place).every(_query(arguments)):
        print(json.dumps(zilliz(entry, cluster_id=arguments.cluster_id)))
    return 0


def _query(arguments: argparse.Namespace) -> AuditQuery:
    given = {name: getattr(arguments, name) for _, name, _ in _FILTERS}
    return AuditQuery(**given, since=_time("--since", arguments.since), until=_time("--until", arguments.until))


def _time(flag: str, given: str | None) -> float | None:
    if given is None:
        return None
    try:
        time_given = datetime.fromisoformat(given)
    except ValueError:
        raise ConfigurationError(f"{flag} takes a time such as 2026-11-27 or 2026-11-27T10:00:00Z (UTC)") from None
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
        entry["outcome"],
        entry.get("operation", entry["kind"]),
        f"part {entry['part']} of {entry['parts']}" if "parts" in entry else "",
        who,
        about,
        " ".join(f"{name}={shown(value)}" for name, value in entry.get("details", {}).items()),
        entry.get("address", ""),
        f"[{entry['reason']}]" if "reason" in entry else "",
        entry.get("error", ""),
    ]
    return json.dumps("  ".join(filter(None, words)))[1:-1].replace('\\"', '"')
