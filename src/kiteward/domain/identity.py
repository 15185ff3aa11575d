"""Who calls: secrets, presented credentials and the principal a call runs as."""

import hashlib
import hmac
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import CredentialTooLong
from kiteward.domain.request_limits import HeldLimits

ROOT: Final = "root"
"""The user created with every server; exempt from authorization unless configured otherwise (contract 4.6 rule 3)."""

DEFAULT_ROOT_PASSWORD: Final = "Milvus"  # noqa: S105  the documented first password; accepted on loopback alone

_BASE64URL: Final = f"{string.ascii_letters}{string.digits}-_".encode()
"""The characters of base64url (RFC 4648, 5)."""


class Secret:
    """A value that grants access to whoever reads it.

    It is hidden in repr, str, format and pickles; only `reveal` returns it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the hidden value. Each call site must be able to justify that it needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]  # a secret as a dictionary key would leak through timing


@dataclass(frozen=True, slots=True)
class PasswordCredential:
    """A user name and password as presented, parsed once and not yet verified."""

    user_name: str
    password: Secret


@dataclass(frozen=True, slots=True)
class KeyCredential:
    """A presented credential without a colon, which can only be an API key (contract 1.3 rule 4)."""

    key: Secret


@dataclass(frozen=True, slots=True)
class TokenCredential:
    """A presented credential without a colon that has the shape of a signed token (JWT) of an identity provider.

    Where no issuer is configured, it is an API key that nobody has.

    Attributes:
        token: the token.
        digest: the digest by which it is known once it was verified. It needs no key: the signature of such a token
            has too many bits to be guessed. It is computed once, so that a long token costs no more than a short one
            wherever its transport reads it once for many requests.
    """

    token: Secret
    digest: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute the digest."""
        object.__setattr__(self, "digest", hashlib.sha256(self.token.reveal().encode()).digest())


def without_colon(text: str) -> KeyCredential | TokenCredential:
    """Return the credential that a presented text without a colon is: a token by its shape, else an API key."""
    return TokenCredential(Secret(text)) if _has_shape_of_token(text) else KeyCredential(Secret(text))


def _has_shape_of_token(text: str) -> bool:
    """Return whether it is a JWS in compact form whose header is a JSON object (RFC 7515, 3.1). No API key is."""
    return text.startswith("eyJ") and text.isascii() and text.encode().translate(None, _BASE64URL) == b".."


@dataclass(frozen=True, slots=True)
class LocalCredential:
    """The operator at this machine's command line, who can read the store's files anyway.

    No transport creates one: it is presented in process. Only an authenticator that is configured for it accepts it.
    """


@dataclass(frozen=True, slots=True)
class SessionCredential:
    """A session of the console, as its cookie carries it.

    Only the console creates one. No other service reads a session from a header.
    """

    token: Secret


@dataclass(frozen=True, slots=True)
class SignInCredential:
    """What an identity provider has issued for a sign-in that the console has begun.

    Only the console creates one, and it only begins a session.

    Attributes:
        issuer: the provider that was asked.
        id_token: says who has signed in, not yet verified.
        access_token: issued with it.
        nonce: of the sign-in, which the ID token must contain.
    """

    issuer: str
    id_token: Secret
    access_token: Secret
    nonce: str


@dataclass(frozen=True, slots=True)
class LogoutCredential:
    """A logout token, by which an identity provider says that a user has signed out there, not yet verified.

    Only the console creates one, and it only ends sessions.

    Attributes:
        issuer: the provider that it was sent for.
        token: the token.
    """

    issuer: str
    token: Secret


@dataclass(frozen=True, slots=True)
class SignInTicket:
    """The ticket of a sign-in to the console whose password was right and whose second factor is still to come.

    Only the console creates one, from a cookie of its own. It is accepted for presenting the second factor alone.
    """

    token: Secret


LONGEST_CREDENTIAL: Final = 16 * 1024
"""Bytes of a presented credential, as its user gives it to a client: `user:password`, an API key or a token."""


def credential_too_long(size: int) -> CredentialTooLong | None:
    """Return the refusal of a credential of so many bytes, or None if it may have them."""
    if size <= LONGEST_CREDENTIAL:
        return None
    return CredentialTooLong(
        f"the token has {size} bytes, and at most {LONGEST_CREDENTIAL} are accepted: have its issuer leave out claims "
        "that are not needed, such as groups",
        ErrorDetail(ErrorCode.CREDENTIAL_TOO_LONG, {"size": size, "limit": LONGEST_CREDENTIAL}),
    )


PresentedCredential = (
    PasswordCredential
    | KeyCredential
    | TokenCredential
    | LocalCredential
    | SessionCredential
    | SignInCredential
    | LogoutCredential
    | SignInTicket
)


class SignInStep(StrEnum):
    """How far the sign-in of a principal is.

    COMPLETE: nothing is missing.
    SECOND_FACTOR: the password was right; a second factor has to be presented.
    ENROLMENT: it has a session, and its user must have a second factor and has none yet.
    """

    COMPLETE = "complete"
    SECOND_FACTOR = "second_factor"
    ENROLMENT = "enrolment"


@dataclass(frozen=True, slots=True)
class KeyScope:
    """The limits of an API key, which also apply to everything that is created with it.

    Attributes:
        key_id: the public id of the key.
        narrowed: whether it is restricted to fewer roles than its owner has.
        expires_at: when it expires, in seconds since the epoch, or None.
        networks: the networks from which it is accepted, in CIDR form; empty for any.
        tagged: whether it, or a key that it descends from, has tags of its own.
        actor: the service that got it in an exchange, and acts with it for its owner; empty for none.
    """

    key_id: str
    narrowed: bool = False
    expires_at: float | None = None
    networks: tuple[str, ...] = ()
    tagged: bool = False
    actor: str = ""

    @property
    def limited(self) -> bool:
        """Whether it is limited: restricted to roles or networks, with an expiry, or with tags of its own."""
        return self.narrowed or self.expires_at is not None or bool(self.networks) or self.tagged


class CredentialReach(StrEnum):
    """Which credentials may make requests that a user may make without any privilege.

    ANY: every credential; the response and the change stay within the privileges of the credential itself.
    FULL: a password, a session, or an API key without limits. A limited API key may make them only when its own roles
    make it an administrator.
    """

    ANY = "any"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class FederatedName:
    """Who a user is at the identity provider that it signs in by.

    Attributes:
        issuer: the identity provider, as `iss` of its tokens says it.
        subject: the user there, `sub`; empty for a user who was invited and has not signed in yet.
    """

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated identity a call runs as. Only the authenticator creates one.

    Attributes:
        user_name: the user.
        roles: names of the roles the principal holds, without the implicit `public`: those bound to the user, or those
            to which its API key is restricted; with a token also those that its groups and claims give.
        unrestricted: true for `root` unless `common.security.rootShouldBindRole` is set; every request of such a
            principal is allowed.
        credential: what it was verified by, in a form that may be recorded: `password:` and the beginning of the id of
            the stored credential, `key:<key id>`, `oidc:<issuer>#<subject>`, `session:<session id>`,
            `sign-in:<ticket id>`, `local` or `none`.
        key: the limits of its API key; None when it did not authenticate with one.
        one_time: whether it authenticated with a one-time password, which may only be used to set another.
        step: how far its sign-in to the console is. Until that is complete, it may do what the step asks for alone.
        tags: what row policies read as `$current_principal_tags`: the user's tags; for an API key with the tags of the
            keys that it descends from, and its own, in their place; with a token those of its claims, in their place.
        withheld_roles: roles of the user that its API key leaves out. They allow nothing, and restrictive row policies
            for them apply.
        limits: the limits of requests that its user and its API key have; None where there is none.
        identity: who its user is at an identity provider; None for a local user.
    """

    user_name: str
    roles: frozenset[str] = field(default_factory=frozenset)
    unrestricted: bool = False
    credential: str = field(default="password", compare=False)
    key: KeyScope | None = field(default=None, compare=False)
    one_time: bool = field(default=False, compare=False)
    step: SignInStep = field(default=SignInStep.COMPLETE, compare=False)
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    withheld_roles: frozenset[str] = frozenset()
    limits: HeldLimits | None = field(default=None, compare=False)
    identity: FederatedName | None = field(default=None, compare=False)

    @property
    def actor(self) -> str:
        """The service that acts for the user, with the key of an exchange; empty where the user acts itself."""
        return "" if self.key is None else self.key.actor

    @property
    def limited(self) -> bool:
        """Whether it authenticated with a limited API key, which never acts as its user."""
        return self.key is not None and self.key.limited

    def acts_as(self, user_name: str) -> bool:
        """Return whether the principal may do what this user needs no privilege for."""
        return self.user_name == user_name and not self.limited
