"""`kiteward row-policies`: row policies of a running server, over REST.

Policies are checked against the fields of their collection, and previews count rows. So these commands need the engine,
which only a server has.
"""

import argparse
import getpass
import http.client
import json
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kiteward.api.console.language import DEFAULT, catalogues
from kiteward.cli.commands import Command, add_command, request_of, table
from kiteward.cli.options import exit_status_of, read_secret
from kiteward.domain.errors import ConfigurationError, InvalidArgument
from kiteward.domain.identity import Secret
from kiteward.iam.json_api import ADMIN_OPERATIONS

_SECONDS: Final = 60.0
_HERE: Final = "http://localhost:19530"

_PLACE: Final = ("dbName",)
_POLICY: Final = (*_PLACE, "actions", "policyType", "roles", "usingExpr", "checkExpr", "description")
_NAMED: Final = ("collectionName", "policyName")

POLICIES: Final = (
    Command("list", "DescribeRowPolicies", "list row policies", names=("collectionName",), options=_PLACE),
    Command("create", "MakeRowPolicy", "create a row policy", names=_NAMED, options=_POLICY),
    Command("update", "ChangeRowPolicy", "replace a row policy", names=_NAMED, options=_POLICY),
    Command("drop", "RemoveRowPolicy", "drop a row policy", names=_NAMED, options=_PLACE),
    Command(
        "enable",
        "EnableRowPolicies",
        "enforce row policies: without a permissive policy, nobody sees a row",
        names=("collectionName",),
        options=(*_PLACE, "force"),
    ),
    Command("disable", "DisableRowPolicies", "stop enforcing row policies", names=("collectionName",), options=_PLACE),
    Command(
        "preview",
        "PreviewRows",
        "count the rows that a user or API key reaches",
        names=("collectionName",),
        options=(*_PLACE, "userName", "keyId", "action", "primaryKeys"),
    ),
)


def add_parsers(commands: Any) -> None:
    """Add the commands to the command line."""
    group = commands.add_parser("row-policies", help="manage and preview row policies, on a running server")
    group = group.add_subparsers(required=True, metavar="COMMAND")
    for command in POLICIES:
        parser = add_command(group, command)
        parser.add_argument("--server", default=_HERE, metavar="URI", help=f"the server (default: {_HERE})")
        parser.add_argument("--ca", type=Path, metavar="FILE", help="certificates to trust, for https")
        parser.add_argument("--token-file", metavar="FILE", help="user:password or an API key, or - ")
        parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    return exit_status_of(lambda: _carry_out(arguments.command, arguments))


def _carry_out(command: Command, arguments: argparse.Namespace) -> None:
    request, token = request_of(command, arguments), Secret(_token(arguments))
    answer = _ask(arguments.server, ADMIN_OPERATIONS[command.operation].path, request, token=token, ca=arguments.ca)
    if arguments.json:
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        print(_previewed(answer) if command.operation == "PreviewRows" else _protected(answer))


def _token(arguments: argparse.Namespace) -> str:
    if arguments.token_file is not None:
        return read_secret(arguments.token_file)
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "there is no terminal to prompt for the credential: give --token-file FILE, or - for standard input"
        )
    return getpass.getpass("user:password, or an API key: ")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, which could carry the credential to another server."""

    def redirect_request(self, *_arguments: Any) -> None:
        """Return None: the response is an error."""


def _ask(server: str, path: str, body: Mapping[str, Any], *, token: Secret, ca: Path | None) -> Any:
    """Send a request to a server, and return the data of its response.

    Raises:
        ConfigurationError: the address is none, the certificates cannot be read, or the server does not respond.
        InvalidArgument: it refuses; the message is its own.
    """
    if not server.startswith(("http://", "https://")):
        raise ConfigurationError(f"--server must be an address such as {_HERE}, not {server}")
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ConfigurationError(f"the certificates {ca} cannot be read") from error
    request = urllib.request.Request(  # noqa: S310  the scheme was checked
        f"{server.rstrip('/')}/v2/kiteward/{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token.reveal()}", "Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(_NoRedirects, urllib.request.HTTPSHandler(context=context))
    try:
        answer = json.loads(_response(opener, request))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ConfigurationError(f"no response from {server}: {error}") from None
    if answer.get("code") != 0:
        raise InvalidArgument(str(answer.get("message", "the server refuses without a reason")))
    return answer["data"]


def _response(opener: urllib.request.OpenerDirector, request: urllib.request.Request) -> bytes:
    try:
        with opener.open(request, timeout=_SECONDS) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as refused:
        # Refusals are JSON as well, with a message of their own.
        return refused.read()


def _protected(answer: Any) -> str:
    state = "not enforced"
    if answer["enabled"]:
        state = "enforced, also on administrators" if answer["force"] else "enforced"
    lines = [f"{answer['dbName']}.{answer['collectionName']}: {state}"]
    if answer["policies"]:
        shown = [
            {
                "policy": each["policyName"],
                "type": each["policyType"].lower(),
                "actions": each["actions"],
                "roles": each["roles"] or "everybody",
                "using": each["usingExpr"] or None,
                "check": each["checkExpr"] or None,
            }
            for each in answer["policies"]
        ]
        lines.append(table(shown))
    lines += [f"fault of {each['policyName']}: {each['fault']}" for each in answer["policies"] if each["fault"]]
    lines += [f"warning: {_sentence(each)}" for each in answer["warnings"]]
    return "\n".join(lines)


def _previewed(answer: Any) -> str:
    who = answer["userName"] if answer["keyId"] is None else f"the API key {answer['keyId']}"
    through = [
        each["policyName"] for each in answer["policies"] if each["policyType"] == "PERMISSIVE" and each["rows"] != 0
    ]
    ending = ""
    if answer["bypassed"]:
        ending = ": row policies do not apply to it"
    elif answer["visibleRows"]:
        ending = f", through {', '.join(through)}"
    lines = [f"by {answer['action']}, {who} reaches {answer['visibleRows']:,} of {answer['totalRows']:,} rows{ending}"]
    for each in answer["policies"]:
        verb = "shows" if each["policyType"] == "PERMISSIVE" else "takes away"
        rows = (
            "rows that were not counted" if each["rows"] is None else f"{each['rows']:,} row{'s' * (each['rows'] != 1)}"
        )
        lines.append(f"  {each['policyName']} {verb} {rows}")
    if answer["keys"]:
        lines.append(table(answer["keys"]))
    if not answer["enabled"]:
        lines.append("warning: the row policies are not enforced; this is what would hold if they were")
    lines += [f"warning: {answer['action']} is refused altogether: {_sentence(each)}" for each in answer["refusal"]]
    return "\n".join(lines)


def _sentence(detail: Any) -> str:
    return catalogues()[DEFAULT](f"reason.{detail['code']}", **detail["parameters"])
