"""Where a remote engine is, and as whom and how securely it is called: `kiteward.engine.*`."""

import base64
import ssl
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret
from kiteward.domain.pem_files import no_passphrase, why_unusable

DEFAULT_PORT: Final = 19530
"""The port where the address names none: Milvus' own."""

_SCHEMES: Final = ("grpc", "grpcs")
_FORM: Final = "must be `embedded`, or like grpc://milvus:19530, or grpcs://milvus:19530 for TLS"


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a remote engine.

    Attributes:
        host: host name or IP address, IPv6 without brackets.
        port: TCP port.
        tls: whether its connections use TLS.
    """

    host: str
    port: int = DEFAULT_PORT
    tls: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address that a text names: `grpc://host:port`, or `grpcs://host:port` for TLS.

        Raises:
            ValueError: the text is no such address. The message completes a sentence that begins with the setting, and
                does not contain the text, in which somebody may have put a password.
        """
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port or DEFAULT_PORT
        except ValueError:
            raise ValueError(_FORM) from None
        if parts.username is not None or parts.password is not None:
            raise ValueError(
                f"{_FORM}, without a user: kiteward.engine.user and kiteward.engine.password name the service account"
            )
        if parts.scheme in ("http", "https"):
            raise ValueError(f"{_FORM}; {parts.scheme}:// is not accepted")
        if parts.scheme not in _SCHEMES or not host or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(_FORM)
        return cls(host, port, parts.scheme == "grpcs")

    @property
    def target(self) -> str:
        """Host and port, as gRPC writes them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{'grpcs' if self.tls else 'grpc'}://{self.target}"


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """TLS towards a remote engine (`kiteward.engine.tls.*`).

    Attributes:
        ca: authorities that must have signed its certificate, PEM; None takes those of the system.
        certificate: our own certificate with its chain, PEM, for an engine that requires one; None presents none.
        key: the private key of our certificate, PEM, without a passphrase.
        server_name: the name that its certificate must be for; empty takes the host of the address.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""

    def context(self) -> ssl.SSLContext:
        """Return a context for new connections, made from the files as they are now.

        Raises:
            ConfigurationError: a file cannot be used; the message names the setting.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"kiteward.engine.tls.ca ({self.ca}) cannot be used: {why_unusable(error)}. "
                "It must be a readable PEM file with CA certificates"
            ) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2"])
        if self.certificate is not None:
            try:
                context.load_cert_chain(self.certificate, self.key, password=no_passphrase)
            except (OSError, ValueError) as error:
                raise ConfigurationError(
                    f"kiteward.engine.tls.certificate ({self.certificate}) and kiteward.engine.tls.key ({self.key}) "
                    f"cannot be used: {why_unusable(error)}. "
                    "They must be readable PEM files: a key without a passphrase, and its certificate"
                ) from error
        return context


@dataclass(frozen=True, slots=True)
class CatalogSettings:
    """How old the catalog of a remote engine may be, and what happens to the grants of what vanishes there.

    Attributes:
        maximum_age: seconds, `kiteward.engine.catalog.maximumAge`.
        vanished_after: seconds that a collection must be absent, `kiteward.engine.catalog.vanishedAfter`.
        remove_vanished_grants: whether its grants are then removed, `kiteward.engine.catalog.removeVanishedGrants`.
    """

    maximum_age: float = 5.0
    vanished_after: float = 60.0
    remove_vanished_grants: bool = False


@dataclass(frozen=True, slots=True)
class RemoteEngineSettings:
    """A remote engine, the service account that it is called as, and limits.

    Attributes:
        address: where it is, `kiteward.engine.address`.
        tls: `kiteward.engine.tls.*`; used with an address of `grpcs://` only.
        user: the service account, `kiteward.engine.user`; empty for an engine without authorization.
        password: its password, from `kiteward.engine.password` or the file `kiteward.engine.passwordFile`.
        connections: how many connections there are at most, `kiteward.engine.connections`.
        timeout: seconds within which it must respond to a call without a deadline, `kiteward.engine.timeout`.
        catalog: `kiteward.engine.catalog.*`.
    """

    address: Address
    _: KW_ONLY
    tls: UpstreamTls = UpstreamTls()
    user: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))
    connections: int = 4
    timeout: float = 300.0
    catalog: CatalogSettings = CatalogSettings()

    def authorization(self) -> Secret | None:
        """Return the value of the metadata `authorization`, or None without a service account."""
        if not self.user:
            return None
        return Secret(base64.b64encode(f"{self.user}:{self.password.reveal()}".encode()).decode())
