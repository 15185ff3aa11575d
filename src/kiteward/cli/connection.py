"""Where commands send their requests: to the store of this machine (near), or to a running server (far).

Both answer the same requests in the same way. The options say which of them is meant, else the environment, else the
login that `kiteward login` keeps; without any of these it is the store of this machine. While a server uses that store,
it carries out the requests itself (decision 0087).
"""

import argparse
import contextlib
import getpass
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from kiteward.cli.kept_login import KeptLogin, kept_login
from kiteward.cli.options import UsageError, add_configuration, read_secret, settings_of
from kiteward.cli.output import note
from kiteward.cli.served import served
from kiteward.domain.environment import CA_FILE, SERVER, TOKEN_FILE
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret

if TYPE_CHECKING:
    from kiteward.cli.remote import Remote
    from kiteward.config.settings import Settings

HERE: Final = "http://localhost:19530"
"""The server that commands ask which need one, if none is named."""


class Connection(Protocol):
    """Answers requests to endpoints of the REST API, as the operator of this machine or as the user of a credential.

    Attributes:
        where: the store or server, for people.
        answered_by: "server" for a running server, "command" for the command itself.
    """

    where: str
    answered_by: str

    async def ask(self, path: str, request: Mapping[str, Any]) -> Any:
        """Return the data of the response to a request.

        Args:
            path: the endpoint below `/v2/`, such as `kiteward/users/list`.
            request: its body.

        Raises:
            KitewardError: it is refused or fails; `field` names the member of the body at fault.
        """
        ...


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a store of this machine or a server."""
    add_configuration(parser, near_only=False)
    group = parser.add_argument_group("a running server, instead of the store of this machine")
    add_server(group)


def add_server(group: Any) -> None:
    """Add the options that name a server."""
    group.add_argument("--server", metavar="URL", help=f"its address, such as {HERE} (default: {SERVER}, or the login)")
    group.add_argument(
        "--token-file",
        metavar="FILE",
        help=f"user:password or an API key, in a file or from - (default: {TOKEN_FILE}, or the login)",
    )
    group.add_argument(
        "--ca-file", type=Path, metavar="FILE", help=f"certificates to trust, for https (default: {CA_FILE})"
    )
    group.add_argument(
        "--insecure", action="store_true", help="send the credential to another machine also without TLS"
    )


@contextlib.asynccontextmanager
async def connected(arguments: argparse.Namespace, *, needs_server: bool = False) -> AsyncIterator[Connection]:
    """Open what the command line names.

    Args:
        arguments: has the options of `add_connection`.
        needs_server: whether a server has to carry the command out; where none is named and none uses the data
            directory, it is `HERE`.

    Raises:
        UsageError: the options contradict one another.
        ConfigurationError: the credential cannot be read, or no server runs that is needed; or as `open_local`.
    """
    remote = server_of(arguments, needs_server=needs_server)
    if remote is not None:
        yield remote
        return
    settings = settings_of(arguments)
    async with served(settings) as server:
        if server is not None:
            yield server
            return
    if needs_server:
        yield _asked_for(arguments, settings)
        return
    from kiteward.cli.near import near  # noqa: PLC0415  a server is asked without loading one

    async with near(settings) as local:
        yield local


def _asked_for(arguments: argparse.Namespace, settings: "Settings") -> "Remote":
    """Return the server that is asked where one is needed, none is named and none uses the data directory.

    Raises:
        ConfigurationError: a data directory is named, so that no other server is meant; or as `remote_at`.
    """
    if arguments.data_dir is not None or arguments.config is not None:
        raise ConfigurationError(
            f"only a running server can do this, and none of this version and store answers in {settings.data_dir}: "
            "start it, or give --server URL"
        )
    note(f"kiteward: no server of this version and store answers in {settings.data_dir}: {HERE} is asked")
    return remote_at(HERE, arguments, login=None)


def server_of(arguments: argparse.Namespace, *, needs_server: bool = False) -> "Remote | None":
    """Return the server that the command line, the environment or the login names; None for the store of this machine.

    Arguments and errors as of `connected`. Options about a server that is not named are about `HERE` if one is needed.
    """
    given = [
        option
        for option in ("--server", "--token-file", "--ca-file", "--insecure")
        if getattr(arguments, option.strip("-").replace("-", "_"))
    ]
    if arguments.data_dir is not None or arguments.config is not None:
        near = "--config" if arguments.data_dir is None else "--data-dir"
        if given:
            raise UsageError(f"{near} names the store of this machine and {given[0]} a server: give one of them")
        return None
    login = kept_login()
    server = arguments.server or os.environ.get(SERVER) or (login.server if login else None)
    if server is None and given and needs_server:
        server = HERE
    if server is None:
        if given:
            raise UsageError(f"{given[0]} is about a server: name it by --server URL, {SERVER} or `kiteward login URL`")
        return None
    return remote_at(server, arguments, login=login)


def remote_at(server: str, arguments: argparse.Namespace, *, login: KeptLogin | None) -> "Remote":
    """Return a server with the credential for it that was given, is kept, or is typed now.

    Args:
        server: its address.
        arguments: has the options of `add_server`.
        login: the kept login; it counts for its own server alone.

    Raises:
        ConfigurationError: there is no credential, or as `Remote`.
    """
    from kiteward.cli.remote import Remote  # noqa: PLC0415  the store of this machine is read without HTTP

    ca_file, insecure = arguments.ca_file or _path(os.environ.get(CA_FILE)), arguments.insecure
    token_file = arguments.token_file or os.environ.get(TOKEN_FILE)
    if token_file:
        token = Secret(read_secret(token_file, what="credential"))
    elif login is not None and login.server == server.rstrip("/"):
        token = login.valid_key()
        ca_file, insecure = ca_file or login.ca_file, insecure or login.insecure
    else:
        # Refused before the prompt: nobody types a password for an address that is none.
        Remote(server, Secret(""), ca_file=ca_file, insecure=insecure)
        token = Secret(prompted(f"user:password or an API key for {server}: "))
    return Remote(server, token, ca_file=ca_file, insecure=insecure)


def prompted(text: str) -> str:
    """Ask for a secret on the terminal, without echo.

    Raises:
        ConfigurationError: there is no terminal.
    """
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "there is no terminal to prompt for the credential: give --token-file FILE, or - for standard input, or "
            "sign in by `kiteward login URL`"
        )
    return getpass.getpass(text)


def _path(given: str | None) -> Path | None:
    return Path(given) if given else None
