"""What is configured of an identity provider, and of the tokens that it issues."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from kiteward.authn.oidc.group_mapping import GroupMapping
from kiteward.domain.identity import Secret

ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
"""The algorithms of signatures that can be accepted: only those whose verifier cannot sign (RFC 8725, 3.1 and 3.2)."""

LEEWAY: Final = 30
"""Seconds by which the clocks of issuer and server may differ."""

LONGEST_LEEWAY: Final = 300

LONGEST_AUTHENTICATION_AGE: Final = 31_536_000
"""Most seconds that can be allowed since the authentication of a user at the issuer: a year."""

SUBJECT: Final = "sub"
"""The claim that names the user where no other is configured."""


class SignUp(StrEnum):
    """What happens when somebody signs in who is no user yet.

    CREATE: a user is created. INVITED: it is refused, unless an administrator has invited a user of that name.
    """

    CREATE = "create"
    INVITED = "invited"


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where the public keys of an issuer are; where neither an address nor a file is given, by discovery.

    Attributes:
        uri: the address of its JWK Set (RFC 7517, 5), or empty.
        file: a file that holds one, or None.
        ca: a file with the certificates of the authorities that sign that of the issuer; None for those of the system.
    """

    uri: str = ""
    file: Path | None = None
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class NameRule:
    """How the name of a user is made from claims.

    Attributes:
        template: a text in which `{claim}` stands for the value of a claim, as `idp_{preferred_username}`.
        replaced: text in those values -> what replaces it.
    """

    template: str
    replaced: Mapping[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """What every name begins with."""
        return self.template.partition("{")[0]


@dataclass(frozen=True, slots=True)
class Client:
    """How Kiteward identifies itself to the issuer, for signing in to the console.

    Attributes:
        client_id: its id there.
        secret: its secret there; empty for a public client.
        name: how the issuer is named for signing in; empty for its host name.
        scopes: what is asked for, sorted; `openid` among it.
        required_claims: those of ID tokens, as `Issuer.required_claims` are those of access tokens.
    """

    client_id: str
    secret: Secret
    name: str = ""
    scopes: tuple[str, ...] = ("openid", "profile")
    required_claims: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Issuer:
    """An identity provider whose tokens are accepted.

    The name of a claim stands for the claim of this name; where a token has none, `/` in it leads into nested claims:
    `realm_access/roles`.

    Attributes:
        name: its address, exactly as the claim `iss` of its tokens says it.
        audiences: a token must be for one of these.
        names: how its users are named.
        keys: where its public keys are.
        algorithms: the algorithms of signatures that are accepted, of `ALGORITHMS`.
        leeway: seconds by which its clock may differ.
        required_claims: claim of an access token -> its accepted values, of which it must have one; any value where
            there are none.
        authorized_parties: where there are any, the claim `azp` must be one of these.
        authentication_age: for how many seconds an authentication of a user counts (`auth_time`); 0 where that is
            not looked at.
        groups_claim: the claim with the groups of a user; empty for none.
        group_roles: the roles that groups give by the configuration.
        roles_claim: the claim with names of roles; empty for none.
        allowed_roles: the roles that this claim can give.
        tag_claims: key of a tag -> the claim with its value.
        sign_up: what happens with somebody who is no user yet.
        client: how Kiteward identifies itself there; None where nobody signs in to the console by it.
    """

    name: str
    audiences: frozenset[str]
    names: NameRule
    keys: KeySource = field(default_factory=KeySource)
    algorithms: frozenset[str] = frozenset(ALGORITHMS)
    leeway: float = LEEWAY
    required_claims: Mapping[str, frozenset[str]] = field(default_factory=dict)
    authorized_parties: frozenset[str] = frozenset()
    authentication_age: int = 0
    groups_claim: str = ""
    group_roles: GroupMapping = field(default_factory=GroupMapping)
    roles_claim: str = ""
    allowed_roles: frozenset[str] = frozenset()
    tag_claims: Mapping[str, str] = field(default_factory=dict)
    sign_up: SignUp = SignUp.INVITED
    client: Client | None = None

    @property
    def sign_in_name(self) -> str:
        """Its name on the page for signing in, and in the redirect URI."""
        given = "" if self.client is None else self.client.name
        return given or urlsplit(self.name).hostname or ""


def is_safe(address: str) -> bool:
    """Return whether an address of an issuer is safe to ask: by TLS, or on this machine."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        valid = bool(host) and parts.port != 0 and "@" not in parts.netloc and not parts.fragment
    except ValueError:
        return False
    if not valid or not address.isascii() or any(character <= " " for character in address):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def may_name(issuer: str, address: object) -> bool:
    """Return whether the metadata of an issuer may name an address to be asked: a safe one, of no service here.

    Args:
        issuer: the name of the issuer; only one on this machine may name addresses on it.
        address: the address.
    """
    if not isinstance(address, str) or not is_safe(address):
        return False
    return _is_here(issuer) or not _is_here(address)


def _is_here(address: str) -> bool:
    return _is_loopback(urlsplit(address).hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
