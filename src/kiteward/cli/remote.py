"""Sends requests to a running server, by its REST API."""

import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from kiteward import __version__
from kiteward.api.rest.status import NOT_AUTHENTICATED, ROWS, TIMED_OUT
from kiteward.cli.options import UsageError
from kiteward.cli.sending import body_of, seconds_for
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import AuthenticationError, ConfigurationError, InvalidArgument
from kiteward.domain.identity import Secret
from kiteward.domain.naming import ANY

_PROGRAM: Final = f"kiteward/{__version__}"
"""What the audit trail names as the client."""

_EXAMPLE: Final = "http://localhost:19530"
_LOGIN_IS_LIMITED: Final = (
    ": the key of a login is limited too, so give the administrator's own credential by --token-file"
)
_HINTS: Final = dict.fromkeys(
    map(str, (ErrorCode.LIMITED_KEY_OWNER, ErrorCode.LIMITED_KEY_DESCENDANTS)), _LOGIN_IS_LIMITED
)
"""What to do about a refusal, by its reason."""

_DENIED: Final = re.compile(
    r"^Privilege(?P<privilege>\w+): permission deny to (?P<user>.+) "
    r"(?:in the `(?P<database>[^`]+)` database|on `(?P<object>[^`]+)`)$"
)
"""How Milvus refuses, and operations of our own; clients read it, and people get plain words."""

_NOT_PERMITTED: Final = re.compile(r"^permission deny to (?P<user>[^:]+): ")

_TIMED_OUT: Final = (
    "the server could not finish this in the time that it has for a request (proxy.http.requestTimeoutMs): look "
    "whether a change was made before you repeat it"
)

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class _Members(dict[str, Any]):
    """The members of an object in a response. One that is missing is the server's fault, and no error in a command."""

    def __missing__(self, name: str) -> Any:
        raise ConfigurationError(
            f"the response has no `{name}`: is --server right, and of the version of this command line?"
        )


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


class Remote:
    """A server and a credential for it. Implements `kiteward.cli.connection.Connection`."""

    answered_by = "server"

    def __init__(self, server: str, token: Secret, *, ca_file: Path | None, insecure: bool) -> None:
        """Take the address of a server, and a credential.

        Args:
            server: its address, `http://HOST:PORT` or `https://HOST:PORT`.
            token: `user:password`, an API key or a token of an identity provider.
            ca_file: certificates to trust instead of those of the system.
            insecure: whether the credential may be sent to another machine without TLS.

        Raises:
            UsageError: the address is none.
            ConfigurationError: the credential would be readable on its way or cannot be sent, or the certificates
                cannot be read.
        """
        parts = _parts(server)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not insecure:
            raise ConfigurationError(
                f"{server} is another machine, and without TLS everybody in between could read the credential: give an "
                "https:// address, or --insecure where the connection is safe otherwise"
            )
        if any(letter < " " or letter == "\x7f" or "\ud800" <= letter <= "\udfff" for letter in token.reveal()):
            raise ConfigurationError(
                "the credential holds a control character, or is not UTF-8: it is the first line of its file"
            )
        self.where = server.rstrip("/")
        self._token = token
        handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
        if parts.hostname in _LOOPBACK:
            # A proxy of the environment is another machine, which would get the credential without TLS.
            handlers.append(urllib.request.ProxyHandler({}))
        if parts.scheme == "https" or ca_file is not None:
            handlers.append(urllib.request.HTTPSHandler(context=_context(ca_file)))
        self._opener = urllib.request.build_opener(*handlers)

    async def ask(self, path: str, request: Mapping[str, Any]) -> Any:
        answer = self._answer(path, request)
        if not isinstance(answer, dict) or "code" not in answer:
            raise self._strange()
        if answer["code"] == NOT_AUTHENTICATED:
            raise AuthenticationError(
                f"{self.where} does not accept the credential: sign in by `kiteward login {self.where}`, or give "
                "another --token-file"
            )
        if answer["code"] != 0:
            raise refusal(answer)
        data = answer.get("data")
        if not isinstance(data, dict | list):
            raise self._strange()
        return data

    def _strange(self) -> ConfigurationError:
        """Return the error for a response that is none of Kiteward's."""
        doubt = ", and should it begin with https://" if self.where.startswith("http://") else ""
        return ConfigurationError(f"no response from {self.where} that Kiteward would give: is --server right{doubt}?")

    def _answer(self, path: str, request: Mapping[str, Any]) -> Any:
        # The server reads header bytes as UTF-8; http.client would encode text as Latin-1.
        authorization = f"Bearer {self._token.reveal()}".encode().decode("latin-1")
        asked = urllib.request.Request(  # noqa: S310  the scheme was checked
            f"{self.where}/v2/{path}",
            data=body_of(request),
            headers={"Authorization": authorization, "Content-Type": "application/json", "User-Agent": _PROGRAM},
        )
        try:
            body = _body(self._opener, asked, within=seconds_for(path))
        except urllib.error.URLError as error:
            raise ConfigurationError(f"no response from {self.where}: {_cause(error.reason)}") from None
        except (OSError, http.client.HTTPException) as error:
            raise ConfigurationError(f"no response from {self.where}: {_cause(error)}") from None
        try:
            return json.loads(body, object_hook=_Members, parse_constant=_no_number)
        except (ValueError, RecursionError):
            return None


def refusal(told: Mapping[str, Any]) -> InvalidArgument:
    """Return the error that the members of a failure stand for, with what else is wrong in `others`."""
    error = _refused(told)
    others = told.get("others", ())
    if isinstance(others, list):
        error.others = tuple(_refused(each) for each in others if isinstance(each, dict))
    return error


def _refused(told: Mapping[str, Any]) -> InvalidArgument:
    message = told.get("message")
    text = sentence(message if isinstance(message, str) and message else "the server refuses without a reason")
    return InvalidArgument(f"{text}{_HINTS.get(str(told.get('reason')), '')}", field=str(told.get("field", "")))


def sentence(message: str) -> str:
    """Return the message of an error over REST without what Milvus's clients look for in it."""
    if message == TIMED_OUT:
        return _TIMED_OUT
    for row in ROWS.values():
        message = message.removeprefix(row.prefix)
        if row.suffix:
            message = message.removesuffix(f": {row.suffix}")
    return _NOT_PERMITTED.sub(r"\g<user> may not do this: ", _DENIED.sub(_lacking, message))


def _lacking(denied: re.Match[str]) -> str:
    lacking = f"{denied['user']} lacks the privilege {denied['privilege']}"
    if denied["object"]:
        return f"{lacking} on {denied['object']}"
    where = "all databases" if denied["database"] == ANY else f"the database {denied['database']}"
    return f"{lacking}, which is needed in {where}"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, which could carry the credential to another server."""

    def redirect_request(self, *_arguments: Any) -> None:
        """Return None: the response is an error."""


def _parts(server: str) -> SplitResult:
    wrong = UsageError(f"the address of a server is such as {_EXAMPLE}")
    try:
        parts = urlsplit(server)
        named = parts.hostname is not None and parts.port != 0
    except ValueError:
        raise wrong from None
    # What is before an @ would be a password, so that the message does not repeat the address.
    if parts.scheme not in ("http", "https") or not named or parts.username or parts.query or parts.fragment:
        raise wrong
    return parts


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigurationError(f"the certificates of --ca-file {ca_file} cannot be read") from error


def _body(opener: urllib.request.OpenerDirector, request: urllib.request.Request, *, within: float | None) -> bytes:
    try:
        with opener.open(request, timeout=within) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as refused:
        # Refusals are JSON as well, with a message of their own.
        with refused:
            return refused.read()


def _cause(error: object) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}): --ca-file names the certificates to trust"
    if isinstance(error, ssl.SSLError):
        return f"it does not speak TLS as this program does: is its address http:// and not https://? ({error.reason})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
