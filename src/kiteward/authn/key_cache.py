"""API keys that are in use: when and from where they are accepted, and their principals."""

import hmac
import ipaddress
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from kiteward.authz.model import ADMIN_ROLE
from kiteward.domain.identity import KeyScope, Principal
from kiteward.domain.request_limits import HeldLimits, RequestLimits
from kiteward.store.records import KeyRecord, UserRecord

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class CachedKey:
    """An active API key in the cache.

    Attributes:
        record: the key; None while it or its owner is blocked.
        networks: networks from which it is accepted; empty for any.
        principal: its principal.
        before: the principal of its previous secret, with the expiry of that secret.
    """

    record: KeyRecord | None
    networks: tuple[Network, ...]
    principal: Principal
    before: Principal

    @classmethod
    def of(cls, lineage: Sequence[KeyRecord], owner: Principal, *, closed: bool) -> Self:
        """Return the cache entry of a key.

        Args:
            lineage: the key as stored, then those that it descends from.
            owner: the current principal of its owner's own credential.
            closed: whether the key, one that it descends from, or a user that it depends on is blocked.
        """
        record, tags = lineage[0], _tags_of(lineage)
        owner = replace(owner, limits=_limits_of(lineage, owner))
        networks = tuple(ipaddress.ip_network(network) for network in record.networks)
        principal = before = _restricted(owner, record, tags)
        if record.previous is not None:
            ends = min(record.previous.valid_until, record.expires_at or math.inf)
            before = _restricted(owner, replace(record, expires_at=ends), tags)
        return cls(None if closed else record, networks, principal, before)

    def principal_for(self, digest: str, now: float, address: str) -> Principal | None:
        """Return the principal of the key's secret with this digest; None if it is not accepted now and from there.

        Args:
            digest: the digest of the presented key.
            now: seconds since the epoch.
            address: where the request comes from, as `host:port`.
        """
        record, principal = self.record, self.principal
        if record is None or (record.expires_at is not None and now >= record.expires_at):
            return None
        if not hmac.compare_digest(digest, record.digest):
            previous, principal = record.previous, self.before
            if previous is None or now >= previous.valid_until or not hmac.compare_digest(digest, previous.stored):
                return None
        return principal if not self.networks or _within(address, self.networks) else None


@dataclass(frozen=True, slots=True)
class StoredKey:
    """An API key with everything that its principal depends on.

    Attributes:
        lineage: the key, then those that it descends from.
        users: their owners, and the service that got it in an exchange, by name.
    """

    lineage: Sequence[KeyRecord]
    users: Mapping[str, UserRecord]

    @property
    def owner(self) -> UserRecord:
        """The owner of the key."""
        return self.users[self.lineage[0].owner]


class KeyCache:
    """Cached keys, indexed by everything whose change removes them: the keys that they descend from, and the users."""

    def __init__(self) -> None:
        self._known: dict[str, CachedKey] = {}
        self._depends_on: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self._of_user: dict[str, set[str]] = {}
        self._of_key: dict[str, set[str]] = {}

    def get(self, key_id: str) -> CachedKey | None:
        """Return the cache entry of a key, or None."""
        return self._known.get(key_id)

    def remember(self, known: CachedKey, stored: StoredKey) -> None:
        """Add a key.

        Args:
            known: its cache entry.
            stored: what the entry was made of.
        """
        key_id = stored.lineage[0].key_id
        self._drop(key_id)
        users, keys = tuple(stored.users), tuple(record.key_id for record in stored.lineage)
        self._known[key_id], self._depends_on[key_id] = known, (users, keys)
        for user_name in users:
            self._of_user.setdefault(user_name, set()).add(key_id)
        for each in keys:
            self._of_key.setdefault(each, set()).add(key_id)

    def forget(self, user_names: Iterable[str], key_ids: Iterable[str]) -> None:
        """Remove the keys of these users, these keys, and all that depend on them."""
        named = [self._of_user.get(name, ()) for name in user_names]
        named += [self._of_key.get(key_id, ()) for key_id in key_ids]
        for key_id in {each for keys in named for each in keys}:
            self._drop(key_id)

    def clear(self) -> None:
        """Remove every key."""
        self._known.clear()
        self._depends_on.clear()
        self._of_user.clear()
        self._of_key.clear()

    def _drop(self, key_id: str) -> None:
        self._known.pop(key_id, None)
        users, keys = self._depends_on.pop(key_id, ((), ()))
        _discard(self._of_user, users, key_id)
        _discard(self._of_key, keys, key_id)


def _discard(index: dict[str, set[str]], names: Iterable[str], key_id: str) -> None:
    """Remove a key from an index, and names that are left without any: keys of exchanges come and go all the time."""
    for name in names:
        index[name].discard(key_id)
        if not index[name]:
            del index[name]


def _tags_of(lineage: Sequence[KeyRecord]) -> Mapping[str, str]:
    """Return the tags of a key: those of the keys that it descends from, then its own in their place."""
    return {key: value for record in reversed(lineage) for key, value in record.tags.items()}


def _effective(tags: Mapping[str, str], owner: Principal, record: KeyRecord) -> Mapping[str, str]:
    """Return the tags by which the rows of a key are chosen: those of its owner, then those of the key in their place.

    That of an exchange has only the tags that it kept then, and none whose value has changed since.

    Args:
        tags: those of the key, as of `_tags_of`.
        owner: its owner.
        record: the key.
    """
    found = {**owner.tags, **tags}
    if record.exchange is None:
        return found
    kept = {key: value for key, value in record.exchange.kept_tags.items() if found.get(key) == value}
    return {**kept, **record.tags}


def _limits_of(lineage: Sequence[KeyRecord], owner: Principal) -> HeldLimits | None:
    """Return the limits of the requests of a key: its owner's, its own and those of the keys that it descends from."""
    of_user = RequestLimits() if owner.limits is None else owner.limits.user
    return HeldLimits(of_user, tuple((each.key_id, each.limits) for each in lineage if each.limits)) or None


def _restricted(owner: Principal, record: KeyRecord, tags: Mapping[str, str]) -> Principal:
    """Return the principal of a key: its current owner, restricted as the key is, with the tags of the key.

    The keys of an unrestricted owner may hold any role. Those of other owners hold only roles that the owner holds.
    """
    actor = "" if record.exchange is None else record.exchange.actor
    scope = KeyScope(record.key_id, record.roles is not None, record.expires_at, record.networks, bool(tags), actor)
    effective = _effective(tags, owner, record)
    key = replace(owner, credential=f"key:{record.key_id}", key=scope, tags=effective)
    if record.roles is None:
        return key
    roles = frozenset(record.roles)
    if not owner.unrestricted and ADMIN_ROLE not in owner.roles:
        roles &= owner.roles
    return replace(key, roles=roles, unrestricted=False, withheld_roles=owner.roles - roles)


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    host = address.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False  # the address is not available
    return any(found.version == network.version and found in network for network in networks)


def rejection_reason(key_id: str | None, known: CachedKey | None) -> str:
    """Return why a key was rejected, for operators. A previous secret is not distinguished from a wrong one."""
    if key_id is None:
        return "no API key, or one with a wrong checksum"
    if known is None:
        return "no such API key"
    if known.record is None:
        return "the API key, one that it descends from, or a user of one of them is disabled or locked"
    return "a wrong secret, an expired API key, or a network from which it may not be used"
