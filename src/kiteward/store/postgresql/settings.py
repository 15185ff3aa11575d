"""Where a PostgreSQL database is and how it is called: `kiteward.store.*`."""

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Final, Literal, Self, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret

DEFAULT_PORT: Final = 5432

CONNECTIONS: Final = 4
"""How many connections read, unless the settings say another number."""

TIMEOUT: Final = 5.0
"""Seconds within which the database must respond to a statement, unless the settings say otherwise."""

SslMode = Literal["disable", "require", "verify-ca", "verify-full"]
"""As libpq names them. `allow` and `prefer`, which fall back to plain text, protect nothing and are not accepted."""

_MODES: Final = get_args(SslMode)
_SCHEMES: Final = ("postgresql", "postgres")
_PARAMETERS: Final = ("host", "sslcert", "sslkey", "sslmode", "sslrootcert")
_FORM: Final = "must be like postgresql://kiteward@db.example.com:5432/kiteward"
_SYSTEM: Final = "system"
"""`sslrootcert` of the authorities of the system."""


@dataclass(frozen=True, slots=True)
class PostgresqlTls:
    """TLS towards a database.

    Attributes:
        mode: `sslmode`; `verify-full` unless all hosts are on this machine.
        ca: authorities that must have signed its certificate, PEM, `sslrootcert`; None takes those of the system.
        certificate: our own certificate with its chain, PEM, `sslcert`; None presents none.
        key: the private key of our certificate, PEM, without a passphrase, `sslkey`.
    """

    mode: SslMode = "disable"
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext | None:
        """Return a context for new connections, made from the files as they are now; None without TLS.

        Raises:
            ConfigurationError: a file cannot be used; the message names the parameter.
        """
        if self.mode == "disable":
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ValueError):
            raise ConfigurationError(
                f"sslrootcert ({self.ca}) cannot be used: it must be a readable PEM file with CA certificates"
            ) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = self.mode == "verify-full"
        if self.mode == "require":
            context.verify_mode = ssl.CERT_NONE
        if self.certificate is not None:
            try:
                context.load_cert_chain(self.certificate, self.key, password="")
            except (OSError, ValueError):
                raise ConfigurationError(
                    f"sslcert ({self.certificate}) and sslkey ({self.key}) cannot be used: they must be readable PEM "
                    "files, a certificate and its key without a passphrase"
                ) from None
        return context


@dataclass(frozen=True, slots=True)
class PostgresqlSettings:
    """A PostgreSQL database, and the account that it is called as.

    Attributes:
        hosts: host names or IP addresses with ports, tried in this order until one is the primary; a host that begins
            with a slash is the directory of a Unix socket.
        database: its name.
        user: the role, never empty.
        password: from `kiteward.store.password` or the file `kiteward.store.passwordFile`; empty for none.
        tls: the parameters of the address that begin with `ssl`.
        connections: how many connections read, `kiteward.store.connections`; one more writes.
        timeout: seconds within which the database must respond to a statement, `kiteward.store.timeout`.
    """

    hosts: tuple[tuple[str, int], ...]
    database: str
    user: str
    _: KW_ONLY
    password: Secret = field(default_factory=lambda: Secret(""))
    tls: PostgresqlTls = PostgresqlTls()
    connections: int = CONNECTIONS
    timeout: float = TIMEOUT

    @classmethod
    def parse(
        cls, text: str, *, password: Secret | None = None, connections: int = CONNECTIONS, timeout: float = TIMEOUT
    ) -> Self:
        """Return the settings of an address `postgresql://user@host:port/database?sslmode=...`.

        Several hosts are separated by commas. `?host=/run/postgresql` names the directory of a Unix socket.

        Args:
            text: the address.
            password: of the user; None for none.
            connections: how many connections read.
            timeout: seconds within which the database must respond.

        Raises:
            ValueError: the text is no such address. The message completes a sentence that begins with the setting, and
                does not contain the text, in which somebody may have put a password.
        """
        try:
            parts = urlsplit(text)
            parameters = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError:
            raise ValueError(_FORM) from None
        user, _, listed = parts.netloc.rpartition("@")
        if parts.scheme not in _SCHEMES or parts.fragment:
            raise ValueError(_FORM)
        if ":" in user or "password" in dict(parameters):
            raise ValueError(
                f"{_FORM}, without a password: give it as kiteward.store.password or kiteward.store.passwordFile"
            )
        given = _parameters(parameters)
        hosts = _hosts(listed, given)
        database = unquote(parts.path.removeprefix("/"))
        if not user or not database or "/" in database:
            raise ValueError(f"{_FORM}, with a user and one database")
        return cls(
            hosts,
            database,
            unquote(user),
            password=Secret("") if password is None else password,
            tls=_tls(given, hosts),
            connections=connections,
            timeout=timeout,
        )

    @property
    def local(self) -> bool:
        """Whether what is sent to the database stays on this machine."""
        return _are_local(self.hosts)

    def __str__(self) -> str:
        named = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return f"postgresql://{named}/{self.database}"


def _parameters(given: list[tuple[str, str]]) -> Mapping[str, str]:
    unknown = sorted({name for name, _ in given} - {*_PARAMETERS})
    if unknown:
        raise ValueError(f"has parameters that are not accepted; those that are: {', '.join(_PARAMETERS)}")
    if len(dict(given)) < len(given):
        raise ValueError("has a parameter twice")
    return dict(given)


def _hosts(listed: str, given: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    socket = given.get("host", "")
    if bool(listed) == bool(socket):
        raise ValueError(f"{_FORM}: it names a host, or the directory of a Unix socket as the parameter host")
    if socket:
        if not socket.startswith("/"):
            raise ValueError("has a parameter host that is no directory: it begins with a slash")
        directory, _, port = socket.partition(":")
        return ((directory, int(port) if port.isdecimal() else DEFAULT_PORT),)
    return tuple(_host(each) for each in listed.split(","))


def _host(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port or DEFAULT_PORT
    except ValueError:
        raise ValueError(_FORM) from None
    if not host:
        raise ValueError(_FORM)
    return unquote(host), port


def _tls(given: Mapping[str, str], hosts: tuple[tuple[str, int], ...]) -> PostgresqlTls:
    local = _are_local(hosts)
    mode = given.get("sslmode", "disable" if local else "verify-full")
    if mode not in _MODES:
        raise ValueError(f"has an sslmode that is not accepted; those that are: {', '.join(_MODES)}")
    files = {name: given[name] for name in ("sslrootcert", "sslcert", "sslkey") if given.get(name)}
    if files and mode == "disable":
        raise ValueError(f"names {', '.join(files)} and is without TLS: let it say sslmode=verify-full too")
    if ("sslcert" in files) != ("sslkey" in files):
        raise ValueError("names only one of sslcert and sslkey: they belong together")
    root = files.get("sslrootcert", _SYSTEM)
    paths = {name: Path(path) for name, path in files.items()}
    return PostgresqlTls(
        next(each for each in _MODES if each == mode),
        None if root == _SYSTEM else Path(root),
        paths.get("sslcert"),
        paths.get("sslkey"),
    )


def _are_local(hosts: tuple[tuple[str, int], ...]) -> bool:
    return all(host.startswith("/") or _is_loopback(host) for host, _ in hosts)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
