"""The principal of a user or an API key, without any credential: for explanations of decisions."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from kiteward.authn.key_cache import CachedKey, StoredKey
from kiteward.authn.oidc.group_mapping import GroupMapping
from kiteward.authn.oidc.issuers import Issuer
from kiteward.authn.oidc.rights import with_rights
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.identity import ROOT, FederatedName, Principal
from kiteward.domain.request_limits import HeldLimits
from kiteward.store.base import Store
from kiteward.store.identity_records import ClaimedRights
from kiteward.store.records import KeyRecord, UserRecord


def principal_of(record: UserRecord, *, root_bypass: bool) -> Principal:
    """Return the principal of a user's own credential.

    Args:
        record: the user.
        root_bypass: whether `root` needs no roles.
    """
    unrestricted = root_bypass and record.name == ROOT
    limits = HeldLimits(record.limits) if record.limits else None
    held = record.identity
    return Principal(
        record.name,
        frozenset(record.roles).union(record.group_roles),
        unrestricted=unrestricted,
        tags=record.tags,
        limits=limits,
        identity=None if held is None else FederatedName(held.issuer, held.subject or ""),
    )


@dataclass(frozen=True, slots=True)
class AccessBlock:
    """Why a user or an API key cannot authenticate, and which operation would end that.

    Attributes:
        reason: why.
        opening: the operation that makes it accepted again; empty where none does.
        opened: the user or API key that the operation is for.
        details: the reason as codes, for programs and translations.
    """

    reason: str
    opening: str = ""
    opened: str = ""
    details: tuple[ErrorDetail, ...] = ()


def block_of_user(record: UserRecord) -> AccessBlock | None:
    """Return why a user cannot authenticate, or None."""
    if not record.enabled:
        return AccessBlock("the user is disabled", "EnableUser", record.name, (ErrorDetail(ErrorCode.USER_DISABLED),))
    if record.locked_at is not None:
        return AccessBlock(
            "the user is locked after too many wrong passwords",
            "UnlockUser",
            record.name,
            (ErrorDetail(ErrorCode.USER_LOCKED),),
        )
    return None


def block_of_key(lineage: Sequence[KeyRecord], users: Mapping[str, UserRecord]) -> AccessBlock | None:
    """Return why an API key cannot authenticate, or None. Its expiry and networks are not checked.

    A key is accepted only while every key that it descends from, and every owner of one, is not blocked; that of an
    exchange only while the service is not blocked either.

    Args:
        lineage: the key, then those that it descends from.
        users: as of `StoredKey`.
    """
    for record in lineage:
        closed = block_of_user(users[record.owner])
        if closed is None and not record.enabled:
            closed = AccessBlock(
                "the API key is disabled", "EnableApiKey", record.key_id, (ErrorDetail(ErrorCode.API_KEY_DISABLED),)
            )
        if closed is not None and record is not lineage[0]:
            closed = replace(
                closed,
                reason=f"of the API key {record.key_id}, with which it was created: {closed.reason}",
                details=(ErrorDetail(ErrorCode.API_KEY_DESCENDS, {"name": record.key_id}), *closed.details),
            )
        if closed is not None:
            return closed
    exchange = lineage[0].exchange
    closed = None if exchange is None else block_of_user(users[exchange.actor])
    if exchange is None or closed is None:
        return None
    return replace(
        closed,
        reason=f"of the service {exchange.actor}, which acts with it: {closed.reason}",
        details=(ErrorDetail(ErrorCode.EXCHANGE_SERVICE_BLOCKED, {"name": exchange.actor}), *closed.details),
    )


async def read_key(store: Store, key_id: str) -> StoredKey | None:
    """Return an API key with everything that its principal depends on; None if it does not exist."""
    lineage = await store.lineage(key_id)
    names = {record.owner for record in lineage}
    names |= {record.exchange.actor for record in lineage[:1] if record.exchange is not None}
    users = {name: await store.user(name) for name in names}
    found = {name: user for name, user in users.items() if user is not None}
    return StoredKey(lineage, found) if lineage and len(found) == len(users) else None


@dataclass(frozen=True, slots=True)
class PrincipalState:
    """A user or API key with its principal.

    Attributes:
        principal: the principal that its requests run as.
        closed: why it cannot authenticate now, or None.
    """

    principal: Principal
    closed: AccessBlock | None = None


class PrincipalLookup:
    """Finds users and API keys, and returns their principals."""

    def __init__(
        self,
        store: Store,
        *,
        root_bypass: bool,
        issuers: Mapping[str, Issuer] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Set up a look-up in a store.

        Args:
            store: holds users and keys.
            root_bypass: whether `root` needs no roles.
            issuers: the identity providers whose tokens are accepted, by name; None for none.
            clock: returns seconds since the epoch.
        """
        self._store = store
        self._root_bypass = root_bypass
        self._issuers = issuers or {}
        self._clock = clock
        self._mappings: dict[str, GroupMapping] = {}

    async def key(self, key_id: str) -> PrincipalState | None:
        """Return the state of an API key, or None if it does not exist."""
        found = await read_key(self._store, key_id)
        if found is None:
            return None
        record, closed = found.lineage[0], block_of_key(found.lineage, found.users)
        if closed is None and record.expires_at is not None and self._clock() >= record.expires_at:
            closed = AccessBlock("the API key has expired", details=(ErrorDetail(ErrorCode.API_KEY_EXPIRED),))
        owner, unknown = await self._owner_of(record, found.owner)
        return PrincipalState(CachedKey.of(found.lineage, owner, closed=False).principal, closed or unknown)

    async def of_user(self, record: UserRecord) -> PrincipalState:
        """Return the state of a user; of a federated user with the groups, roles and tags of the last sign-in."""
        principal, closed = principal_of(record, root_bypass=self._root_bypass), block_of_user(record)
        if record.identity is None:
            return PrincipalState(principal, closed)
        principal, unknown = await self._with_rights(principal, record.identity.issuer, record.identity.rights)
        return PrincipalState(principal, closed or unknown)

    async def _with_rights(
        self, principal: Principal, name: str, rights: ClaimedRights
    ) -> tuple[Principal, AccessBlock | None]:
        """Return the principal of a user with what a token said; or unchanged, and that its issuer is not known."""
        issuer = self._issuers.get(name)
        if issuer is None:
            unknown = ErrorDetail(ErrorCode.ISSUER_NOT_CONFIGURED, {"name": name})
            return principal, AccessBlock(
                f"the identity provider of the user is not configured: {name}", details=(unknown,)
            )
        if name not in self._mappings:
            self._mappings[name] = GroupMapping.of(await self._store.group_roles(name))
        return with_rights(principal, rights, issuer, self._mappings[name]), None

    async def of_key(self, lineage: Sequence[KeyRecord], owner: UserRecord) -> Principal:
        """Return the principal of an API key, whether or not the key can authenticate.

        Args:
            lineage: the key, then those that it descends from; these matter for its tags alone.
            owner: its owner.
        """
        principal, _ = await self._owner_of(lineage[0], owner)
        return CachedKey.of(lineage, principal, closed=False).principal

    async def _owner_of(self, key: KeyRecord, owner: UserRecord) -> tuple[Principal, AccessBlock | None]:
        """Return the principal of the owner of a key, with what the token said that the key came of; as `_with_rights`.

        Args:
            key: the key.
            owner: its owner.
        """
        principal, exchange = principal_of(owner, root_bypass=self._root_bypass), key.exchange
        if exchange is None or exchange.subject_token is None:
            return principal, None
        return await self._with_rights(principal, exchange.subject_token.issuer, exchange.subject_rights)
