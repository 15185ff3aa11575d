"""What every administrative handler works with."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

from kiteward.audit.reader import AuditReader
from kiteward.audit.writer import AuditState
from kiteward.authn.hashing import PasswordHasher
from kiteward.authn.password_policy import PasswordPolicy
from kiteward.authn.principals import PrincipalLookup
from kiteward.authn.sessions import Sessions
from kiteward.authz.policy import PolicySnapshot
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.identity import PasswordCredential, Principal, Secret
from kiteward.domain.naming import NamingRules
from kiteward.engine.base import Engine
from kiteward.gateway.call import Call
from kiteward.gateway.catalog import Catalog
from kiteward.store.base import Store, Transaction


@dataclass(frozen=True, slots=True)
class Limits:
    """How many there may be; configuration alone limits them.

    Attributes:
        users: `proxy.maxUserNum`, `root` included.
        roles: `proxy.maxRoleNum`, `admin` and `public` included.
    """

    users: int = 100_000
    roles: int = 10_000


@dataclass(frozen=True, slots=True)
class KeyRules:
    """What holds for new API keys.

    Attributes:
        per_user: most keys of one user, `kiteward.apiKeys.maxPerUser`.
        default_lifetime: seconds that a key lives whose maker names no end, `kiteward.apiKeys.defaultExpiry`; None for
            ever.
    """

    per_user: int = 100
    default_lifetime: int | None = None


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """How a part of the server is.

    Attributes:
        ready: whether it does its work.
        reason: one sentence for the operator when it does not, else empty.
    """

    ready: bool = True
    reason: str = ""


class ResponseCache:
    """Remembers answers that are the same for every caller, for as long as the policy's revision stands."""

    CAPACITY: Final = 16 * 1024 * 1024
    """Most bytes of requests and answers kept; beyond, nothing more is remembered until the revision moves."""

    def __init__(self) -> None:
        self._revision = -1
        self._bytes = 0
        self._answers: dict[tuple[str, bytes], bytes] = {}

    def get(self, call: Call, revision: int) -> bytes | None:
        """Return what the same request was answered at this revision, or None."""
        return self._answers.get((call.operation, call.payload)) if revision == self._revision else None

    def put(self, call: Call, revision: int, answer: bytes) -> bytes:
        """Remember an answer and return it; one that belongs to an earlier revision is only returned."""
        if revision > self._revision:
            self._revision, self._bytes = revision, 0
            self._answers.clear()
        size = self._bytes + len(call.payload) + len(answer)
        if revision == self._revision and size <= self.CAPACITY:
            self._bytes = size
            self._answers[call.operation, call.payload] = answer
        return answer


@dataclass(frozen=True, slots=True)
class Services:
    """The collaborators of the handlers.

    Attributes:
        store: users and everything else that is stored.
        engine: asked for its health only.
        catalog: databases and aliases.
        hasher: hashes new passwords.
        passwords: which passwords may be chosen.
        naming: which names are legal.
        limits: how many users and roles there may be.
        super_users: callers who change a password without the old one (`common.security.superUsers`).
        root_bypass: whether `root` needs no roles (`common.security.rootShouldBindRole` false).
        key_rules: what holds for new API keys.
        sessions: those of the console, as the authenticator knows them.
        response_cache: answers of the current revision.
        trail: reads the audit trail; None where there is none.
        audit: tells how the audit trail is.
    """

    store: Store
    engine: Engine
    catalog: Catalog
    hasher: PasswordHasher
    passwords: PasswordPolicy
    naming: NamingRules = field(default_factory=NamingRules)
    limits: Limits = field(default_factory=Limits)
    super_users: frozenset[str] = frozenset()
    root_bypass: bool = True
    key_rules: KeyRules = field(default_factory=KeyRules)
    sessions: Sessions = field(default_factory=Sessions)
    response_cache: ResponseCache = field(default_factory=ResponseCache)
    trail: AuditReader | None = None
    audit: Callable[[], AuditState] = AuditState

    @property
    def principals(self) -> PrincipalLookup:
        """Users and API keys as the principals they make."""
        return PrincipalLookup(self.store, root_bypass=self.root_bypass)


@dataclass(frozen=True, slots=True)
class Request:
    """One administrative request, already allowed.

    Attributes:
        call: the request as it came.
        principal: who calls.
        snapshot: the policy it was allowed by.
        change: opens the transaction for a change; it checks again that the caller may, in case that changed while
            waiting.
        verify_password: returns the id of the stored credential that a user name and password match, or raises
            PasswordRejected; throttled and counted as if the caller had signed in with them.
        record: takes, by keyword, what the audit trail is to hold of what came of a change, beside the request itself;
            never a secret.
    """

    call: Call
    principal: Principal
    snapshot: PolicySnapshot
    change: Callable[[], AbstractAsyncContextManager[Transaction]]
    verify_password: Callable[[PasswordCredential], Awaitable[str]]
    record: Callable[..., None]


def decode_password(encoded: str, what: str) -> Secret:
    """Return the password behind its base64 form (contract 1.2, 2.2).

    Args:
        encoded: standard base64 of the UTF-8 password.
        what: how to call it in the message, for example `old password`.

    Raises:
        InvalidArgument: not base64, or not UTF-8 behind it. The message holds nothing of the value.
    """
    try:
        return Secret(base64.b64decode(encoded, validate=True).decode())
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidArgument(
            f"decode {what} failed: it must be the standard base64 form of UTF-8 text, with padding"
        ) from None
