"""`kiteward explain` and `kiteward access`: explain decisions and list access, near and far."""

from typing import Any, Final

from kiteward.cli.commands import Command, Demand, add_command, every_page
from kiteward.cli.connection import Connection
from kiteward.cli.options import UsageError

_REFUSED: Final = 3
"""The exit status of `explain` for a refused request."""

_PAGE: Final = 1_000

ASKED: Final = (Demand(("userName", "keyId")), Demand(("privilege", "operation")))
"""What `explain` is asked, unless a line of the audit trail says it."""


async def _explanation(connection: Connection, request: dict[str, Any]) -> Any:
    if "seq" in request:
        others = [name for name in request if name != "seq"]
        if others:
            raise UsageError("--line names a recorded request: give nothing else about it")
        return await connection.ask("kiteward/audit/explain", request)
    for demand in ASKED:
        demand.check([name for name, value in request.items() if value])
    return await connection.ask("kiteward/access/explain", request)


def _explanation_text(answer: Any) -> str:
    return _recorded_and_current(answer) if "line" in answer else _explained(answer)


def _explanation_status(answer: Any) -> int:
    if "line" in answer:
        return _REFUSED if answer["line"].get("decision") == "refused" else 0
    return 0 if answer["allowed"] else _REFUSED


async def _access(connection: Connection, request: dict[str, Any]) -> Any:
    asked = [request.get("collectionName"), request.get("userName") or request.get("keyId")]
    asked += [request.get("since"), request.get("missing")]
    if len([each for each in asked if each]) != 1:
        raise UsageError("give one of --collection NAME, --user NAME, --key ID, --unused-since TIME, --missing")
    if request.get("collectionName"):
        return await everybody(connection, request)
    if "dbName" in request:
        raise UsageError("--database is about a --collection: give one, or leave it out")
    if "missing" in request:
        return await connection.ask("kiteward/access/missing", {})
    return await connection.ask(f"kiteward/access/{'unused' if 'since' in request else 'user'}", request)


async def everybody(connection: Connection, request: dict[str, Any]) -> Any:
    """Return everybody with access to a collection, from all pages.

    Raises:
        KitewardError: as `Connection.ask`.
    """
    path, request = "kiteward/access/collection", {**request, "limit": _PAGE}
    answer = await connection.ask(path, request)
    if answer["next"]:
        rest = await every_page(connection, path, {**request, "after": answer["next"]}, member="holders")
        answer = {**answer, "holders": answer["holders"] + rest, "next": ""}
    return answer


def _recorded_and_current(answer: Any) -> str:
    line = answer["line"]
    lines = [f"{line['time']}: {line.get('decision', line['outcome'])}: {line.get('reason') or _undecided(line)}"]
    if line.get("roles"):
        lines.append(f"  roles of {line['principal']} at that time: {', '.join(line['roles'])}")
    if answer["gone"]:
        lines.append(f"today: {answer['gone']}")
    elif answer["today"] is not None:
        compared = " (differs)" if answer["differs"] else " (same)"
        lines.append(f"today{compared if 'decision' in line else ''}: {_explained(answer['today'])}")
    return "\n".join(lines)


def _undecided(line: Any) -> str:
    if line["outcome"] == "received":
        return "it was decided afterwards: the last line of this request has the decision"
    return "no decision was made"


def _explained(answer: Any) -> str:
    lines = [f"{'allowed' if answer['allowed'] else 'refused'}: {answer['reason']}"]
    if answer["actor"]:
        lines.append(f"  the service {answer['actor']} acts for {answer['userName']} with this key, by token exchange")
    lines += _about_existence(answer, "  ")
    lines += _about_rows(answer["rows"])
    lines += _remedy(answer)
    lines += [f"  through {_grant(way)}, held by the role {way['role']}" for way in answer["ways"]]
    for remedy in answer["remedies"]:
        if remedy["privilege"] is None:
            lines.append(f"  binding the role {remedy['role']} would allow it")
        else:
            lines.append(f"  granting {_grant(remedy)} to the role {remedy['role']} would allow it")
    if answer["privilege"] is not None and not (answer["held"] or answer["remedies"]):
        none = "no role allows it yet: create one, grant it there, and bind it"
        lines.append(f"  {none if answer['advised'] else 'ask an administrator what would allow it'}")
    return "\n".join(lines)


def _about_rows(rows: Any) -> list[str]:
    """Return lines about the row policies of the collection; none where it has none or all of it is refused."""
    if rows is None:
        return []
    if rows["bypassed"]:
        return ["  row policies do not apply to it"]
    reached = "no row" if rows["noRow"] else "every row" if rows["everyRow"] else "only some rows"
    lines = [f"  row policies allow it {reached}"]
    for which, policies in (("stored rows", rows["using"]), ("written rows", rows["check"])):
        for each in policies:
            expression = f": {each['rows']}" if each["rows"] else ""
            lines.append(f"    {which}: the {each['policyType'].lower()} policy {each['policyName']}{expression}")
    return lines


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


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _grant(grant: Any) -> str:
    return f"{grant['privilege']} on {grant['dbName']}.{grant['objectName']}"


def listed(answer: Any) -> list[str]:
    """Return lines about who has access, or what somebody has access to."""
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
        newer = []
        if answer["newerGrants"] or answer["newerKeys"]:
            counts = f"{_number(answer['newerGrants'], 'grant')}, {_number(answer['newerKeys'], 'API key')}"
            newer = [f"left out, because they were made since then: {counts}"]
        unused = [*grants, *keys] or ["none"]
        return [f"recorded since {answer['recordedSince'] or 'never'}; not used since then:", *unused, *newer]
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


COMMANDS: Final = (
    Command(
        "explain",
        "kiteward/access/explain",
        "explain whether a user or API key may do something, and why",
        options=("userName", "keyId", "privilege", "operation", "collectionName", "dbName", "seq"),
        work=_explanation,
        text=_explanation_text,
        status=_explanation_status,
        also=("kiteward/audit/explain",),
        notes="Exit status 0 when it is allowed, 3 when it is refused. For privileges on users, --collection names "
        "the user.",
    ),
    Command(
        "access",
        "kiteward/access/collection",
        "list who has access to a collection, or what a user or API key has access to",
        options=("userName", "keyId", "collectionName", "dbName", "since", "missing"),
        work=_access,
        text=lambda answer: "\n".join(listed(answer)),
        also=("kiteward/access/missing", "kiteward/access/unused", "kiteward/access/user"),
    ),
)


def add_parsers(commands: Any) -> None:
    """Add the commands to the command line."""
    for command in COMMANDS:
        add_command(commands, command)
