"""Who calls: secrets, presented credentials and the principal a call runs as."""

import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

ROOT: Final = "root"
"""The user created with every server; exempt from authorization unless configured otherwise (contract 4.6 rule 3)."""

DEFAULT_ROOT_PASSWORD: Final = "Milvus"  # noqa: S105  the documented first password; it opens nothing beyond loopback


class Secret:
    """A value that grants power if read.

    It hides itself in repr, str, format and pickles; `reveal` is the only way out.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the hidden value. Each call site must be able to say why it needs it."""
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
    """A presented credential without a colon: an API key, if it is anything (contract 1.3 rule 4)."""

    key: Secret


@dataclass(frozen=True, slots=True)
class LocalCredential:
    """The operator at this machine's command line, who can read the store's files anyway.

    No transport makes one: it is presented in process only, and accepted only by an authenticator that was made for it.
    """


@dataclass(frozen=True, slots=True)
class SessionCredential:
    """A session of the console, as its cookie carries it.

    The console alone makes one: what other doors read out of a header never becomes a session.
    """

    token: Secret


PresentedCredential = PasswordCredential | KeyCredential | LocalCredential | SessionCredential


@dataclass(frozen=True, slots=True)
class KeyScope:
    """How far an API key reaches; what is made with it reaches no further.

    Attributes:
        key_id: the public id of the key.
        narrowed: whether it holds fewer roles than its owner.
        expires_at: when it ends, in seconds since the epoch, or None.
        networks: the networks it may be used from, in CIDR form; empty for any.
    """

    key_id: str
    narrowed: bool = False
    expires_at: float | None = None
    networks: tuple[str, ...] = ()

    @property
    def limited(self) -> bool:
        """Whether it reaches less far than its owner: in roles, in time, or in where it may be used from."""
        return self.narrowed or self.expires_at is not None or bool(self.networks)


class CredentialReach(StrEnum):
    """Which credentials may call what is allowed to a user as such, and not by a privilege.

    ANY: each of them; what is answered or changed stays within what the credential itself may.
    FULL: those that reach as far as their user: a password, a session, or an API key without any limit. A limited API
    key calls it only when its own roles make it an administrator.
    """

    ANY = "any"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated identity a call runs as. Only the authenticator creates one.

    Attributes:
        user_name: the user.
        roles: names of the roles the principal holds, without the implicit `public`: those bound to the user, or those
            that its API key is narrowed to.
        unrestricted: true for `root` unless `common.security.rootShouldBindRole` is set; such a principal is not
            authorised.
        credential: what it was verified by, in a form that may be recorded: `password:` and the beginning of the id of
            the stored credential, `key:<key id>`, `session:<session id>`, `local` or `none`.
        key: how far its API key reaches; None when it did not come by one.
        one_time: whether it came by a password that is good for nothing but setting another one.
    """

    user_name: str
    roles: frozenset[str] = field(default_factory=frozenset)
    unrestricted: bool = False
    credential: str = field(default="password", compare=False)
    key: KeyScope | None = field(default=None, compare=False)
    one_time: bool = field(default=False, compare=False)

    @property
    def limited(self) -> bool:
        """Whether it came by a limited API key, which never acts as its user."""
        return self.key is not None and self.key.limited

    def acts_as(self, user_name: str) -> bool:
        """Tell whether what is allowed to a user as such is allowed to this principal."""
        return self.user_name == user_name and not self.limited
