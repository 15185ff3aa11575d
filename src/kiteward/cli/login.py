"""`kiteward login`, `logout` and `whoami`: the server that commands go to, and as whom.

Not the password is kept but an API key that is created for the login. It expires, and `kiteward logout` revokes it.
"""

import argparse
import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Any, Final

from kiteward.cli.connection import add_connection, connected, prompted
from kiteward.cli.kept_login import KeptLogin, forget_login, keep_login, kept_login
from kiteward.cli.option_rows import whole
from kiteward.cli.options import exit_status_of, read_secret
from kiteward.cli.output import note, print_json, say, text_of
from kiteward.cli.remote import Remote
from kiteward.cli.running import run_async
from kiteward.domain.environment import CA_FILE
from kiteward.domain.errors import AuthenticationError, ConfigurationError, KitewardError
from kiteward.domain.identity import Secret

_HOUR: Final = 3600
_HOURS: Final = 12
"""Hours until the key of a login expires: a working day, so that a forgotten login does not last."""

_SHOWN: Final = ("server", "userName", "keyId", "expiresAt")


def add_parsers(commands: Any) -> None:
    """Add the commands to the command line."""
    parser = commands.add_parser(
        "login",
        help="sign in to a server, so that other commands go there",
        description=(
            "Sign in to a server, so that commands without --data-dir go there. An API key with the access of the user "
            "is created for it, and kept in a file that only you can read; the password is not kept."
        ),
    )
    parser.add_argument("server", metavar="URL", help="the server, such as https://milvus.example:19530")
    parser.add_argument("--user", metavar="NAME", help="who signs in (default: asked for)")
    parser.add_argument(
        "--token-file", metavar="FILE", help="user:password or an API key, in a file or from -, instead of a prompt"
    )
    parser.add_argument("--ca-file", type=Path, metavar="FILE", help="certificates to trust, for https")
    parser.add_argument(
        "--insecure", action="store_true", help="send the credential to another machine also without TLS"
    )
    parser.add_argument(
        "--expires-in-hours",
        type=whole(1),
        default=_HOURS,
        metavar="HOURS",
        help=f"how long the login lasts (default: {_HOURS})",
    )
    _finish(parser, _login)
    parser = commands.add_parser(
        "logout", help="end the login that is kept", description="Revoke the API key of the login, and delete it."
    )
    parser.add_argument(
        "--forget", action="store_true", help="delete it also if the server cannot be asked to revoke the key"
    )
    _finish(parser, _logout)
    parser = commands.add_parser("whoami", help="show who commands act as, and where")
    add_connection(parser)
    _finish(parser, _whoami)


def _finish(parser: argparse.ArgumentParser, work: Any) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=lambda arguments: exit_status_of(lambda: run_async(work(arguments))))


async def _login(arguments: argparse.Namespace) -> None:
    before = kept_login()
    configured = os.environ.get(CA_FILE)
    ca_file, insecure = arguments.ca_file or (Path(configured) if configured else None), arguments.insecure
    # Refused before the prompt: nobody types a password for an address that is none.
    Remote(arguments.server, Secret(""), ca_file=ca_file, insecure=insecure)
    server = Remote(arguments.server, _credential(arguments), ca_file=ca_file, insecure=insecure)
    request = {
        "description": f"kiteward login on {socket.gethostname()}",
        "expiresIn": arguments.expires_in_hours * _HOUR,
    }
    try:
        made = await server.ask("kiteward/api_keys/create", request)
    except AuthenticationError:
        what = "the user or the password" if arguments.token_file is None else "the credential of --token-file"
        raise AuthenticationError(f"{server.where} does not accept {what}") from None
    login = KeptLogin(
        server=server.where,
        user=made["userName"],
        key_id=made["keyId"],
        key=Secret(made["key"]),
        expires_at=made["expiresAt"],
        ca_file=ca_file,
        insecure=insecure,
    )
    try:
        path = keep_login(login)
    except OSError as error:
        await server.ask("kiteward/api_keys/revoke", {"keyId": login.key_id})
        raise ConfigurationError(f"the login cannot be kept: {error}") from error
    if before is not None:
        await _revoke_former(before)
    _show(login, "signed in to", as_json=arguments.json)
    note(f"Commands without --data-dir go there until {login.expires_at}. The key is in {path}.")


def _credential(arguments: argparse.Namespace) -> Secret:
    if arguments.token_file is not None:
        return Secret(read_secret(arguments.token_file, what="credential"))
    if arguments.user is None and not sys.stdin.isatty():
        raise ConfigurationError(
            "there is no terminal to ask for a user: give --token-file FILE, or - for standard input"
        )
    user = arguments.user or _typed("user: ")
    if not user or ":" in user:
        raise ConfigurationError("a user has a name, without a colon in it")
    return Secret(f"{user}:{prompted(f'password of {user}: ')}")


def _typed(question: str) -> str:
    # Not by input(), which may ask on standard output.
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


async def _revoke(login: KeptLogin) -> None:
    """Revoke the key of a login, unless the server does not accept it any more.

    Raises:
        KitewardError: it cannot be revoked.
    """
    server = Remote(login.server, login.key, ca_file=login.ca_file, insecure=login.insecure)
    with contextlib.suppress(AuthenticationError):
        await server.ask("kiteward/api_keys/revoke", {"keyId": login.key_id})


async def _revoke_former(login: KeptLogin) -> None:
    """Revoke the key of the login that was kept before, as far as that is possible."""
    try:
        await _revoke(login)
    except KitewardError as error:
        note(f"the key {login.key_id} of the former login at {login.server} was not revoked: {error}")


async def _logout(arguments: argparse.Namespace) -> None:
    login = kept_login()
    if login is None:
        raise ConfigurationError("there is no login")
    try:
        await _revoke(login)
    except KitewardError as error:
        if not arguments.forget:
            raise ConfigurationError(
                f"{error}; the login is still kept, and --forget deletes it without revoking its key {login.key_id}"
            ) from None
        note(f"the key {login.key_id} was not revoked: {error}")
    forget_login()
    _show(login, "signed out of", as_json=arguments.json)


async def _whoami(arguments: argparse.Namespace) -> None:
    async with connected(arguments) as connection:
        me = await connection.ask("kiteward/whoami/describe", {})
        answer = {"where": connection.where, "answeredBy": connection.answered_by, **me}
    if arguments.json:
        print_json(answer)
    else:
        shown = ("where", "answeredBy", "userName", "credential", "keyId", "expiresAt", "administrator", "roles")
        say(*text_of({name: answer[name] for name in shown}).split("\n"))


def _show(login: KeptLogin, done: str, *, as_json: bool) -> None:
    if as_json:
        values = (login.server, login.user, login.key_id, login.expires_at)
        print_json(dict(zip(_SHOWN, values, strict=True)))
    else:
        say(f"{done} {login.server} as {login.user}")
