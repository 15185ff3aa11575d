"""Options and positional arguments of commands that send one request: each fills one member of its body."""

import argparse
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from kiteward.cli.options import UsageError, read_secret

_DAY: Final = 24 * 3600


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Option:
    """One option, or one positional argument.

    Attributes:
        field: the member of the request's body that it fills.
        how: the arguments of argparse for it.
        flag: the option, such as `--user`; empty for a positional argument.
        read: makes the member's value of what was given.
        empty: whether an empty value has a meaning. It is refused otherwise: a variable of a script may be empty.
    """

    field: str
    how: Mapping[str, Any]
    flag: str = ""
    read: Callable[[Any], Any] = _same
    empty: bool = False

    @property
    def shown(self) -> str:
        """How messages name it: the option, or the placeholder of a positional argument."""
        return self.flag or str(self.how["metavar"])


def network(text: str) -> str:
    """Return a network of the command line, as it was given.

    Raises:
        ArgumentTypeError: it is none.
    """
    from kiteward.domain.addresses import networks_of  # noqa: PLC0415  loaded where a network is given

    try:
        networks_of([text])
    except ValueError:
        raise argparse.ArgumentTypeError(f"give a network such as 10.0.0.0/8 or 2001:db8::/32, not {text!r}") from None
    return text


def moment(text: str) -> str:
    """Return a time of the command line as one of the API: a date stands for its first moment, in UTC.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"give a time such as 2026-11-27 or 2026-11-27T10:00:00Z (UTC), not {text!r}"
        ) from None
    from kiteward.domain.moments import written  # noqa: PLC0415  loaded where a time is given

    return written(given if given.tzinfo else given.replace(tzinfo=UTC))


def whole(least: int) -> Callable[[str], int]:
    """Return what reads whole numbers of at least `least`; it raises ArgumentTypeError for anything else."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and int(text) >= least):
            raise argparse.ArgumentTypeError(f"give a whole number from {least} on, not {text!r}")
        return int(text)

    return read


def _days(text: str) -> int:
    """Return days as whole seconds, at least one."""
    try:
        seconds = float(text) * _DAY
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 1):
        raise argparse.ArgumentTypeError(f"give a number of days, more than 0, not {text!r}")
    return int(seconds)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not (math.isfinite(rate) and rate > 0):
        raise argparse.ArgumentTypeError(f"give a number of requests a second, more than 0, not {text!r}")
    return rate


def _tags(pairs: list[str]) -> dict[str, str]:
    wrong = next((pair for pair in pairs if "=" not in pair), None)
    if wrong is not None:
        raise UsageError(f"a tag is given as KEY=VALUE, not as {wrong}")
    return dict(pair.split("=", 1) for pair in pairs)


def _option(field: str, flag: str, **how: Any) -> Option:
    return Option(field, how, flag)


def _switch(field: str, flag: str, text: str) -> Option:
    return Option(field, {"action": "store_const", "const": True, "help": text}, flag)


def _several(field: str, flag: str, metavar: str, text: str, **how: Any) -> Option:
    return Option(field, {"action": "append", "metavar": metavar, "help": text, **how}, flag)


def _name(field: str, metavar: str, text: str, **how: Any) -> Option:
    return Option(field, {"metavar": metavar, "help": text, **how})


_SECRET: Final = {"metavar": "FILE", "help": "read the password from a file, or from -"}

OPTIONS: Final[Mapping[str, Option]] = MappingProxyType(
    {
        "prefix": _option("prefix", "--prefix", metavar="TEXT", help="only names with this prefix"),
        "userName": _option("userName", "--user", metavar="NAME", help="of this user"),
        "password": Option("password", _SECRET, "--password-file", read_secret),
        "newPassword": Option("newPassword", _SECRET, "--password-file", read_secret),
        "oneTime": _switch("oneTime", "--one-time", "require the user to set another password first"),
        "description": Option("description", {"metavar": "TEXT", "help": "free text"}, "--description", empty=True),
        "roles": _several("roles", "--role", "ROLE", "a role; can be repeated"),
        "issuer": _option("issuer", "--issuer", metavar="URL", help="of this identity provider"),
        "subject": _option("subject", "--subject", metavar="TEXT", help="only this subject (`sub`) of it"),
        "notBefore": _option(
            "notBefore",
            "--not-before",
            metavar="TIME",
            type=moment,
            help="the moment, as 2026-11-29T12:00:00Z (default: now)",
        ),
        "scimUserName": _option(
            "scimUserName",
            "--scim-user-name",
            metavar="NAME",
            help="its userName at the identity provider (default: its name)",
        ),
        "pattern": _switch("pattern", "--pattern", "GROUP is a pattern, in which * stands for any text"),
        "networks": _several("networks", "--network", "CIDR", "a network; can be repeated", type=network),
        "keepOldFor": _option(
            "keepOldFor",
            "--keep-old-for",
            type=whole(0),
            metavar="SECONDS",
            help="how long the old one remains valid",
        ),
        "expiresIn": _option(
            "expiresIn", "--expires-in-days", type=_days, metavar="DAYS", help="days until it expires"
        ),
        "keyId": _option("keyId", "--key", metavar="ID", help="of this API key"),
        "roleName": _option("roleName", "--role", metavar="ROLE", help="of this role, for each of its users"),
        "requestsPerSecond": _option(
            "requestsPerSecond",
            "--requests-per-second",
            type=_rate,
            metavar="RATE",
            help="requests a second",
        ),
        "burst": _option("burst", "--burst", type=whole(1), metavar="NUMBER", help="requests at once after a pause"),
        "concurrentRequests": _option(
            "concurrentRequests",
            "--concurrent-requests",
            type=whole(1),
            metavar="NUMBER",
            help="requests at the same time",
        ),
        "dbName": _option("dbName", "--database", metavar="NAME", help="the database (default: default)"),
        "policyType": _option(
            "policyType",
            "--restrictive",
            action="store_const",
            const="RESTRICTIVE",
            help="rows need this policy besides a permissive one",
        ),
        "actions": _several(
            "actions",
            "--action",
            "ACTION",
            "Query, Search, Insert, Delete or Upsert; can be repeated",
            required=True,
            choices=("Query", "Search", "Insert", "Delete", "Upsert"),
        ),
        "usingExpr": _option("usingExpr", "--using", metavar="EXPRESSION", help="the stored rows that it allows"),
        "checkExpr": _option("checkExpr", "--check", metavar="EXPRESSION", help="the written rows that it allows"),
        "force": _switch("force", "--force", "also on administrators and holders of SkipRLS"),
        "action": _option(
            "action",
            "--action",
            metavar="ACTION",
            choices=("Query", "Search", "Delete", "Upsert"),
            help="Query, Search, Delete or Upsert (default: Query)",
        ),
        "primaryKeys": _several("primaryKeys", "--primary-key", "KEY", "whether this row is reached; can be repeated"),
        "collectionName": _option("collectionName", "--collection", metavar="NAME", help="the collection"),
        "privilege": _option("privilege", "--privilege", metavar="NAME", help="such as Insert"),
        "operation": _option(
            "operation", "--operation", metavar="NAME", help="instead: the requirements of an operation"
        ),
        "seq": _option(
            "seq",
            "--line",
            type=whole(1),
            metavar="SEQ",
            help="instead: the recorded and the current decision for a line of the audit trail",
        ),
        "since": _option(
            "since",
            "--unused-since",
            type=moment,
            metavar="TIME",
            help="grants and API keys not used since, such as 2026-11-27",
        ),
        "contains": _option("contains", "--contains", metavar="TEXT", help="only those with this text in them"),
        "userState": _option("state", "--state", choices=("enabled", "disabled", "locked"), help="only in this state"),
        "keyState": _option(
            "state", "--state", choices=("enabled", "disabled", "blocked", "expired"), help="only in this state"
        ),
        "forceDelete": _switch("force", "--force", "also if it has grants, or row policies name it"),
        "dryRun": _switch("dryRun", "--dry-run", "show what would change, and change nothing"),
        "objectType": _option(
            "objectType",
            "--object-type",
            metavar="TYPE",
            choices=("Collection", "Global", "User"),
            help="Collection, Global or User (default: as granted now)",
        ),
        "ofRole": _option("roleName", "--role", metavar="ROLE", help="only of this role"),
        "ofPrivilege": _option(
            "privilege", "--privilege", metavar="NAME", help="only of this privilege or privilege group"
        ),
        "toCollection": _option(
            "collectionName", "--collection", metavar="NAME", help="only what applies to this collection"
        ),
        "toDatabase": _option("dbName", "--database", metavar="NAME", help="only what applies to this database"),
        "onCollection": _option(
            "collectionName", "--collection", metavar="NAME", help="on this collection (default: *, all of them)"
        ),
        "onDatabase": _option(
            "dbName", "--database", metavar="NAME", help="in this database, or * for all (default: default)"
        ),
        "privileges": _several("privileges", "--privilege", "NAME", "a privilege in it; can be repeated"),
        "scope": _option(
            "scope",
            "--scope",
            choices=("all", "replica"),
            help="where replicas share a store: all (the default), or replica for the trail of this one",
        ),
        "missing": _switch("missing", "--missing", "grants on collections that do not exist"),
    }
)
"""The options of commands. The names are those of the fields, where no two options fill the same field."""

NAMES: Final[Mapping[str, Option]] = MappingProxyType(
    {
        "userName": _name("userName", "NAME", "the user"),
        "owner": _name("userName", "OWNER", "the user whose key it will be"),
        "keyId": _name("keyId", "ID", "the API key, by its id"),
        "issuer": _name("issuer", "ISSUER", "the identity provider, by its URL"),
        "group": _name("group", "GROUP", "the group, as tokens name it"),
        "roleName": _name("roleName", "ROLE", "the role"),
        "otherRoleName": _name("otherRoleName", "OTHER", "the role to compare it with"),
        "source": _name("source", "SOURCE", "the role whose grants are copied"),
        "collectionName": _name("collectionName", "COLLECTION", "the collection"),
        "policyName": _name("policyName", "POLICY", "the row policy"),
        "privilege": _name("privilege", "PRIVILEGE", "a privilege or privilege group", nargs="+"),
        "description": Option(
            "description",
            {"metavar": "TEXT", "help": "the description; empty for none", "nargs": "?", "default": ""},
            empty=True,
        ),
        "add": _name("add", "USER", "a user who gets the role", nargs="+"),
        "remove": _name("remove", "USER", "a user who loses the role", nargs="+"),
        "privilegeGroupName": _name("privilegeGroupName", "GROUP", "the privilege group"),
        "privileges": _name("privileges", "PRIVILEGE", "a privilege", nargs="+"),
        "seq": _name("seq", "SEQ", "the number of the line", type=whole(1)),
        "sessionId": _name("sessionId", "ID", "the session, by its id"),
        "tags": Option("tags", {"metavar": "KEY=VALUE", "nargs": "+", "help": "a tag"}, read=_tags),
        "keys": _name("keys", "KEY", "the key of a tag", nargs="+"),
        "key": _name("key", "KEY", "the key of the tag"),
        "value": _name("value", "VALUE", "its value"),
    }
)
"""The positional arguments of commands."""
