"""API keys that are in use: when and from where they open, and the principal they make."""

import hmac
import ipaddress
from dataclasses import dataclass
from typing import Self

from kiteward.domain.access import ADMIN_ROLE
from kiteward.domain.identity import KeyScope, Principal
from kiteward.store.base import KeyRecord

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What is known of an API key while it is active.

    Attributes:
        record: the key; None while it or its owner may not come in.
        networks: where it opens from; empty for anywhere.
        principal: what it makes.
    """

    record: KeyRecord | None
    networks: tuple[Network, ...]
    principal: Principal

    @classmethod
    def of(cls, record: KeyRecord, owner: Principal, *, closed: bool) -> Self:
        """Return what is to be known of a key.

        Args:
            record: the key as stored.
            owner: the principal that its owner's own credential makes, as of now.
            closed: whether the key or its owner may not come in.
        """
        networks = tuple(ipaddress.ip_network(network) for network in record.networks)
        return cls(None if closed else record, networks, _narrowed(owner, record))

    def opens(self, digest: str, now: float, address: str) -> bool:
        """Tell whether a key with this digest opens now and from there."""
        record = self.record
        if record is None or (record.expires_at is not None and now >= record.expires_at):
            return False
        if not hmac.compare_digest(digest, record.digest):
            former = record.former
            if former is None or now >= former.valid_until or not hmac.compare_digest(digest, former.stored):
                return False
        return not self.networks or _within(address, self.networks)


def _narrowed(owner: Principal, record: KeyRecord) -> Principal:
    """Return the principal of a key: its owner as of now, or less.

    An owner who may do everything holds every role, so that a key may be narrowed to any; others give no more than
    they hold.
    """
    scope = KeyScope(record.key_id, record.roles is not None, record.expires_at, record.networks)
    credential = f"key:{record.key_id}"
    if record.roles is None:
        return Principal(owner.user_name, owner.roles, owner.unrestricted, credential, scope)
    roles = frozenset(record.roles)
    if not owner.unrestricted and ADMIN_ROLE not in owner.roles:
        roles &= owner.roles
    return Principal(owner.user_name, roles, credential=credential, key=scope)


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    host = address.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False  # where it comes from is not known
    return any(found.version == network.version and found in network for network in networks)


def refusal_of(key_id: str | None, known: KnownKey | None) -> str:
    """Return why a key did not open, for operators. What tells its secret from a wrong one is not looked into."""
    if key_id is None:
        return "no API key, or one with a wrong checksum"
    if known is None:
        return "no such API key"
    if known.record is None:
        return "the API key or its user is disabled or locked"
    return "a wrong secret, an API key that has ended, or a network it may not be used from"
