"""`kiteward explain` and `kiteward access`: explain decisions and list access, from the store, without a server."""

import argparse
import asyncio
import json
from typing import Any, Final

from kiteward.audit.reader import shown
from kiteward.bootstrap.local_gateway import open_local
from kiteward.cli.accounts import call
from kiteward.cli.options import add_configuration, exit_status_of, settings_of
from kiteward.domain.errors import ConfigurationError

_REFUSED: Final = 3
"""The exit status of `explain` for a refused request."""


def add_parsers(commands: Any) -> None:
    """Add the commands to the command line."""
    parser = commands.add_parser(
        "explain",
        help="explain whether a user or API key may do something, and why",
        description="Exit status 0 when it is allowed, 3 when it is refused.",
    )
    _add_somebody(parser)
    parser.add_argument("--privilege", default="", metavar="NAME", help="such as Insert")
    parser.add_argument("--operation", default="", metavar="NAME", help="instead: the requirements of an operation")
    parser.add_argument(
        "--collection", default="", metavar="NAME", help="the collection; for privileges on users, the user"
    )
    parser.add_argument(
        "--line",
        type=int,
        metavar="SEQ",
        help="instead: the recorded and the current decision for a line of the audit trail",
    )
    _finish(parser, _explain)
    parser = commands.add_parser(
        "access", help="list who has access to a collection, or what a user or API key has access to"
    )
    _add_somebody(parser)
    parser.add_argument("--collection", default="", metavar="NAME", help="everybody with access to this collection")
    parser.add_argument(
        "--unused-since", default="", metavar="TIME", help="grants and API keys not used since, such as 2026-11-27"
    )
    parser.add_argument("--missing", action="store_true", help="grants on collections that do not exist")
    _finish(parser, _access)


def _add_somebody(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", default="", metavar="NAME", help="this user")
    parser.add_argument("--key", default="", metavar="ID", help="this API key")
    parser.add_argument("--database", default="", metavar="NAME", help="the database (default: default)")


def _finish(parser: argparse.ArgumentParser, work: Any) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_configuration(parser)
    parser.set_defaults(run=lambda arguments: exit_status_of(lambda: asyncio.run(work(arguments))))


async def _explain(arguments: argparse.Namespace) -> int:
    if arguments.line is not None:
        return await _explain_line(arguments)
    request = {
        "userName": arguments.user,
        "keyId": arguments.key,
        "privilege": arguments.privilege,
        "operation": arguments.operation,
        "collectionName": arguments.collection,
        "dbName": arguments.database,
    }
    if not (arguments.user or arguments.key):
        raise ConfigurationError("give --user NAME or --key ID")
    async with open_local(settings_of(arguments)) as gateway:
        answer = await call(gateway, "ExplainAccess", request)
    print(json.dumps(answer, indent=2) if arguments.json else _explained(answer))
    return 0 if answer["allowed"] else _REFUSED


async def _explain_line(arguments: argparse.Namespace) -> int:
    async with open_local(settings_of(arguments)) as gateway:
        answer = await call(gateway, "ExplainAuditLine", {"seq": arguments.line})
    print(json.dumps(answer, indent=2) if arguments.json else _recorded_and_current(answer))
    return _REFUSED if answer["line"].get("decision") == "refused" else 0


def _recorded_and_current(answer: Any) -> str:
    line = answer["line"]
    lines = [f"{line['time']}: {line.get('decision', line['outcome'])}: {line.get('reason', 'no decision was needed')}"]
    if line.get("roles"):
        lines.append(f"  roles of {line['principal']} at that time: {shown(line['roles'])}")
    if answer["gone"]:
        lines.append(f"today: {answer['gone']}")
    elif answer["today"] is not None:
        lines.append(f"today{' (differs)' if answer['differs'] else ' (same)'}: {_explained(answer['today'])}")
    return "\n".join(lines)


def _explained(answer: Any) -> str:
    lines = [f"{'allowed' if answer['allowed'] else 'refused'}: {answer['reason']}"]
    if answer["actor"]:
        lines.append(f"  the service {answer['actor']} acts for {answer['userName']} with this key, by token exchange")
    lines += _about_existence(answer, "  ")
    lines += _remedy(answer)
    lines += [f"  through {_grant(way)}, held by the role {way['role']}" for way in answer["ways"]]
    for remedy in answer["remedies"]:
        if remedy["privilege"] is None:
            lines.append(f"  binding the role {remedy['role']} would allow it")
        else:
            lines.append(f"  granting {_grant(remedy)} to the role {remedy['role']} would allow it")
    if not (answer["held"] or answer["remedies"]):
        lines.append("  no role allows it yet: create one, grant it there, and bind it")
    return "\n".join(lines)


_OPENINGS: Final = {
    "EnableUser": ("enabling the user {}", "users enable"),
    "UnlockUser": ("unlocking the user {}", "users unlock"),
    "EnableApiKey": ("enabling the API key {}", "keys enable"),
}


def _remedy(answer: Any) -> list[str]:
    """Return lines about why a user or key is not accepted: the remedies, and what its roles would allow then."""
    if not answer["closed"]:
        return []
    lines = []
    if answer["opening"] is not None:
        words, command = _OPENINGS[answer["opening"]["operation"]]
        name = answer["opening"]["name"]
        lines.append(f"  {words.format(name)} would allow it to sign in: kiteward {command} {name}")
    lines.append(f"  its roles {'allow it' if answer['held'] else 'do not allow it either'}, once it may sign in")
    return lines


def _about_existence(answer: Any, indent: str = "") -> list[str]:
    if answer["exists"] is not False:
        return []
    where = f"{answer['dbName']}.{answer['collectionName']}"
    return [f"{indent}the collection {where} does not exist; the following would apply if it did"]


def _grant(grant: Any) -> str:
    return f"{grant['privilege']} on {grant['dbName']}.{grant['objectName']}"


async def _access(arguments: argparse.Namespace) -> int:
    asked = [arguments.collection, arguments.user or arguments.key, arguments.unused_since, arguments.missing]
    if len([each for each in asked if each]) != 1:
        raise ConfigurationError("give one of --collection NAME, --user NAME, --key ID, --unused-since TIME, --missing")
    async with open_local(settings_of(arguments)) as gateway:
        if arguments.collection:
            answer = await _everybody(gateway, arguments)
        elif arguments.missing:
            answer = await call(gateway, "ListMissingAccess", {})
        elif arguments.unused_since:
            answer = await call(gateway, "ListUnusedAccess", {"since": _moment(arguments.unused_since)})
        else:
            answer = await call(gateway, "DescribeUserAccess", {"userName": arguments.user, "keyId": arguments.key})
    print(json.dumps(answer, indent=2) if arguments.json else "\n".join(_listed(answer)))
    return 0


async def _everybody(gateway: Any, arguments: argparse.Namespace) -> Any:
    request = {"collectionName": arguments.collection, "dbName": arguments.database, "limit": 1000}
    answer = await call(gateway, "ListCollectionAccess", request)
    while answer["next"]:
        page = await call(gateway, "ListCollectionAccess", {**request, "after": answer["next"]})
        answer = {**page, "holders": answer["holders"] + page["holders"]}
    return answer


def _moment(given: str) -> str:
    return given if "T" in given else f"{given}T00:00:00Z"


def _listed(answer: Any) -> list[str]:
    if "holders" in answer:
        lines = [line for holder in answer["holders"] for line in _holder(holder)]
        return [*_about_existence(answer), *(lines or ["nobody has access to it"])]
    if "complete" in answer:
        unknown = [] if answer["complete"] else ["of some collections it is not known: ask the server (access/missing)"]
        found = [*(f"grant {_grant(grant)} to {grant['role']}" for grant in answer["grants"]), *unknown]
        return found or ["no grant is on a collection that does not exist"]
    if "grants" in answer:
        grants = [f"grant {_grant(grant)} to {grant['role']}" for grant in answer["grants"]]
        keys = [f"API key {key['keyId']} of {key['userName']}" for key in answer["keys"]]
        return [f"recorded since {answer['recordedSince'] or 'never'}; not used since then:", *grants, *keys]
    limits = [_limit(limit) for limit in answer["limits"]]
    if answer["administrator"]:
        return [f"{answer['userName']} is an administrator and may do everything", *limits]
    rows = [f"{row['dbName']}.{row['collectionName']}: {', '.join(row['privileges'])}" for row in answer["collections"]]
    cluster = [f"cluster: {', '.join(answer['cluster'])}"] if answer["cluster"] else []
    closed = [f"but {answer['closed']}"] if answer["closed"] else []
    held = [*rows, *cluster, *closed] or [f"{answer['userName']} has no privileges beyond those of every user"]
    return [*held, *limits]


def _limit(limit: Any) -> str:
    rate, concurrent = limit["requestsPerSecond"], limit["concurrentRequests"]
    kinds = [] if rate is None else [f"{rate:g} requests a second, {limit['burst']} at once"]
    kinds += [] if concurrent is None else [f"{concurrent} concurrent requests"]
    whose = f"{limit['holder'].replace('_', ' ')} {limit['name']}".strip()
    return f"limit ({whose}): {', '.join(kinds)}"


def _holder(holder: Any) -> list[str]:
    name = holder["userName"] + (f" ({holder['closed']})" if holder["closed"] else "")
    if holder["administrator"]:
        lines = [f"{name}: everything, as an administrator"]
    else:
        lines = [f"{name}: {', '.join(holder['privileges'])}"]
        lines += [f"  through {_grant(way)}, held by the role {way['role']}" for way in holder["ways"]]
    return [*lines, *(f"  also by the API key {key}" for key in holder["keyIds"])]
