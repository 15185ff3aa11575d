"""Who calls: secrets, presented credentials and the principal a call runs as."""

import hmac
from dataclasses import dataclass, field
from typing import Final

ROOT: Final = "root"
"""The user created with every server; exempt from authorization unless configured otherwise (contract 4.6, rule 3)."""


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
    """A presented credential without a colon: an API key, if it is anything (contract 1.3, step 4)."""

    key: Secret


PresentedCredential = PasswordCredential | KeyCredential


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated identity a call runs as. Only the authenticator creates one.

    Attributes:
        user_name: the user.
        roles: names of the roles bound to the user, without the implicit `public`.
        unrestricted: true for `root` unless `common.security.rootShouldBindRole` is set; such a principal is not
            authorised, only recorded.
    """

    user_name: str
    roles: frozenset[str] = field(default_factory=frozenset)
    unrestricted: bool = False
