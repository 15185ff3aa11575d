"""API keys: create, list, describe, rotate, disable, enable, revoke.

A key never has more access than the credential that created it, and is removed with the key that created it.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kiteward.authn import api_keys
from kiteward.authz.model import ADMIN_ROLE, PUBLIC_ROLE
from kiteward.authz.policy import decide_administrator
from kiteward.domain.addresses import is_covered
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, InvalidArgument, LimitReached, NotFound
from kiteward.domain.identity import ROOT, KeyScope, Secret
from kiteward.domain.naming import check_description
from kiteward.iam.caller import Caller, is_administrator
from kiteward.iam.lookup import require_role, stored_user
from kiteward.iam.new_keys import NewKey, checked
from kiteward.iam.passwords import grace_period_end
from kiteward.iam.recorded_states import key_before, keys_before
from kiteward.iam.services import Services
from kiteward.store.listings import KeyListing, KeyState, ListedKeys, Slice
from kiteward.store.records import KeyRecord
from kiteward.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """An API key with its secret, which is not stored.

    Attributes:
        record: the key.
        secret: the key to present as a credential.
        old_valid_until: until when the previous secret is accepted, in seconds since the epoch; None if it is not.
    """

    record: KeyRecord
    secret: Secret
    old_valid_until: float | None = None


async def create_key(services: Services, caller: Caller, new: NewKey) -> IssuedKey:
    """Create an API key for the caller or, by an administrator, for another user.

    Raises:
        InvalidArgument: the description, lifetime or networks are not acceptable, or the owner does not hold a role;
            it has what else is wrong.
        AccessDenied: for another user, the caller is not an administrator; or it would have more access than the
            API key that creates it.
        NotFound: there is no such user, or the owner holds all roles and there is no such role.
        LimitReached: the owner has as many keys as a user may have.
    """
    owner = new.owner or caller.principal.user_name
    lifetime = new.lifetime if new.lifetime is not None else services.key_rules.default_lifetime
    faults, sound = checked(replace(new, owner=owner, lifetime=lifetime))
    minted = api_keys.mint()
    async with caller.change() as transaction:
        if owner != caller.principal.user_name:
            decide_administrator(caller.principal).require_allowed()
        with faults:
            record = await stored_user(services, owner)
            key = _new_record(caller, minted, sound)
            await _check_roles(services, transaction, key, (*record.roles, *record.group_roles))
        faults.require_none()
        if await transaction.keys.count(owner) >= services.key_rules.per_user:
            raise LimitReached(
                f"{owner} has {services.key_rules.per_user} API keys already: revoke one first",
                ErrorDetail(ErrorCode.API_KEYS_LIMIT, {"name": owner, "limit": services.key_rules.per_user}),
            )
        await transaction.keys.add(key)
    caller.record(roles=key.roles, networks=key.networks, madeByKey=key.made_by_key)
    return IssuedKey(key, minted.key)


async def list_keys(services: Services, caller: Caller, listing: KeyListing) -> ListedKeys:
    """Return a part of a list of keys: the caller's own, or any for administrators.

    A limited API key lists itself and its descendants.

    Args:
        services: what services work with.
        caller: who lists them.
        listing: selects them; its owner is None for the caller, or for all users by an administrator.

    Raises:
        AccessDenied: for another user, the caller is not an administrator.
        UserNotFound: there is no such owner.
    """
    principal = caller.principal
    if is_administrator(caller):
        if listing.owner is not None:
            await stored_user(services, listing.owner)
    else:
        if listing.owner not in (None, principal.user_name):
            decide_administrator(principal).require_allowed()
        root = principal.key.key_id if principal.key is not None and principal.limited else None
        listing = replace(listing, owner=principal.user_name, root=root)
    return await services.store.list_keys(listing)


async def describe_key(services: Services, caller: Caller, key_id: str) -> tuple[KeyRecord, KeyState]:
    """Return a key with its state.

    Raises:
        NotFound: there is no such key that the caller manages.
    """
    lineage = await services.store.lineage(key_id)
    found = await services.store.list_keys(KeyListing(Slice(limit=1), time.time(), key_id=key_id))
    _managed(caller, key_id, lineage if found.keys else ())
    return found.keys[0]


async def rotate_key(caller: Caller, key_id: str, *, grace_period: int) -> IssuedKey:
    """Generate a new secret for a key. Keys that were created with the old secret expire with it.

    Args:
        caller: who rotates it.
        key_id: the key.
        grace_period: seconds for which the old secret stays valid.

    Raises:
        InvalidArgument: the grace period is negative or too long.
        NotFound, AccessDenied: as of `enable_key`; AccessDenied also for the key of a token exchange.
    """
    until = grace_period_end(grace_period)
    minted = api_keys.mint(key_id)
    async with caller.change() as transaction:
        record = _enabling(caller, key_id, await transaction.keys.lineage(key_id))
        if record.exchange is not None:
            # Whoever else used it would be recorded as the service.
            raise AccessDenied(
                "the key of a token exchange is not rotated: exchange again",
                ErrorDetail(ErrorCode.EXCHANGED_KEY_LIMITED),
            )
        if until is not None and record.expires_at is not None:
            until = min(until, record.expires_at)
        ended = await transaction.keys.rotate(record.key_id, minted.digest, former_until=until)
        caller.record(before=keys_before(ended))
    return IssuedKey(record, minted.key, until)


async def alter_key(caller: Caller, key_id: str, description: str) -> None:
    """Replace the description of a key; an empty one clears it.

    Raises:
        InvalidArgument: the description is too long.
        NotFound: there is no such key that the caller manages.
    """
    check_description(description)
    async with caller.change() as transaction:
        record = _managed(caller, key_id, await transaction.keys.lineage(key_id))
        await transaction.keys.describe(record.key_id, description)


async def disable_key(caller: Caller, key_id: str) -> bool:
    """Disable a key and its descendants, and return whether it was enabled.

    Raises:
        NotFound: there is no such key that the caller manages.
    """
    async with caller.change() as transaction:
        record = _managed(caller, key_id, await transaction.keys.lineage(key_id))
        await transaction.keys.enable(record.key_id, False)
    return record.enabled


async def enable_key(caller: Caller, key_id: str) -> bool:
    """Enable a key, and return whether it was disabled.

    Raises:
        NotFound: there is no such key that the caller manages.
        AccessDenied: the caller authenticated with a limited key, and this one may have more access.
    """
    async with caller.change() as transaction:
        record = _enabling(caller, key_id, await transaction.keys.lineage(key_id))
        await transaction.keys.enable(record.key_id, True)
    return not record.enabled


async def revoke_key(caller: Caller, key_id: str) -> None:
    """Remove a key and its descendants.

    Raises:
        NotFound: there is no such key that the caller manages.
    """
    async with caller.change() as transaction:
        record = _managed(caller, key_id, await transaction.keys.lineage(key_id))
        caller.record(before=key_before(record, await transaction.keys.remove(record.key_id)))


def manages_key(caller: Caller, lineage: Sequence[KeyRecord]) -> bool:
    """Return whether the caller may see and manage an API key.

    Users may manage their own keys, a limited API key itself and its descendants, administrators all keys.

    Args:
        caller: who calls.
        lineage: the key, then those that it descends from; empty for one that does not exist.
    """
    if not lineage:
        return False
    principal, used, owner = caller.principal, caller.principal.key, lineage[0].owner
    if is_administrator(caller) or principal.acts_as(owner):
        return True
    descends = used is not None and any(record.key_id == used.key_id for record in lineage)
    return descends and principal.user_name == owner


def _managed(caller: Caller, key_id: str, lineage: Sequence[KeyRecord]) -> KeyRecord:
    """Return a key that the caller may see and manage, as `managed_key`.

    Its owner is recorded, so that the audit event is found by user.
    """
    found = managed_key(caller, key_id, lineage)
    caller.record(userName=found.owner)
    return found


def managed_key(caller: Caller, key_id: str, lineage: Sequence[KeyRecord]) -> KeyRecord:
    """Return a key that the caller may see and manage. Other keys are not distinguished from missing ones.

    Raises:
        NotFound: there is none for this caller.
    """
    if not manages_key(caller, lineage):
        raise NotFound(
            f"API key not found: {key_id}", ErrorDetail(ErrorCode.API_KEY_NOT_FOUND, {"name": key_id}), field="keyId"
        )
    return lineage[0]


def _enabling(caller: Caller, key_id: str, lineage: Sequence[KeyRecord]) -> KeyRecord:
    """Return a key that the caller may rotate or enable, as `managed_key`; its owner is recorded.

    Raises:
        NotFound: as of `managed_key`.
        AccessDenied: as of `require_within`.
    """
    record = _managed(caller, key_id, lineage)
    require_within(caller, lineage)
    return record


def require_within(caller: Caller, lineage: Sequence[KeyRecord]) -> None:
    """Require that a key that the caller manages cannot have more access than a limited caller.

    Raises:
        AccessDenied: the caller authenticated with a limited key, and this one does not descend from it or expires
            later. For a rotated key, the old secret is such a key, and the new one expires later.
    """
    record, used = lineage[0], caller.principal.key
    if used is None or not used.limited:
        return
    if used.key_id not in {each.key_id for each in lineage}:
        raise AccessDenied(
            "a limited API key can rotate and enable only itself and its descendants",
            ErrorDetail(ErrorCode.LIMITED_KEY_DESCENDANTS),
        )
    if used.expires_at is not None and (record.expires_at or math.inf) > used.expires_at:
        raise AccessDenied(
            "an API key cannot rotate or enable a key that expires later", ErrorDetail(ErrorCode.KEY_EXPIRES_LATER)
        )


def _new_record(caller: Caller, minted: api_keys.MintedKey, new: NewKey) -> KeyRecord:
    principal = caller.principal
    key = KeyRecord(
        minted.key_id,
        new.owner,
        minted.digest,
        new.description,
        0.0,
        principal.user_name,
        expires_at=None if new.lifetime is None else time.time() + new.lifetime,
        roles=None if new.roles is None else tuple(sorted(set(new.roles))),
        networks=tuple(new.networks),
        made_by_key=principal.key.key_id if principal.key is not None else None,
    )
    return key if principal.key is None else _within(key, caller, principal.key)


def _within(key: KeyRecord, caller: Caller, maker: KeyScope) -> KeyRecord:
    """Return a key that is created with another key, within the limits of that one.

    Raises:
        AccessDenied: it would exceed a limit, which the error names.
    """
    principal = caller.principal
    if maker.actor:
        raise AccessDenied(
            "the key of a token exchange cannot create keys", ErrorDetail(ErrorCode.EXCHANGED_KEY_LIMITED)
        )
    if key.owner != principal.user_name and maker.limited:
        raise AccessDenied(
            "a limited API key can create keys for its own user only", ErrorDetail(ErrorCode.LIMITED_KEY_OWNER)
        )
    roles, expires_at, networks = key.roles, key.expires_at, key.networks
    if maker.narrowed:
        roles = tuple(sorted(principal.roles)) if roles is None else roles
        if not set(roles) <= principal.roles:
            raise AccessDenied(
                "an API key cannot create a key with roles that it does not have",
                ErrorDetail(ErrorCode.KEY_ROLES_EXCEEDED),
            )
    if maker.expires_at is not None:
        expires_at = maker.expires_at if expires_at is None else expires_at
        if expires_at > maker.expires_at:
            raise AccessDenied(
                "an API key cannot create a key that expires later", ErrorDetail(ErrorCode.KEY_EXPIRES_LATER)
            )
    if maker.networks:
        networks = networks or maker.networks
        if not all(is_covered(network, maker.networks) for network in networks):
            raise AccessDenied(
                "an API key cannot create a key for networks from which it may not be used itself",
                ErrorDetail(ErrorCode.KEY_NETWORKS_EXCEEDED),
            )
    return replace(key, expires_at=expires_at, roles=roles, networks=networks)


async def _check_roles(
    services: Services, transaction: Transaction, key: KeyRecord, owner_roles: tuple[str, ...]
) -> None:
    """Check that a key is restricted to roles that its owner holds.

    Whether a role exists that the owner does not hold is not looked up, and not revealed.

    Raises:
        RoleNotFound: the owner holds every role, and there is no such role.
        InvalidArgument: the owner does not hold it.
    """
    holds_all = ADMIN_ROLE in owner_roles or (key.owner == ROOT and services.root_bypass)
    for role in key.roles or ():
        if role in owner_roles or role == PUBLIC_ROLE:
            continue
        if not holds_all:
            raise InvalidArgument(
                f"{key.owner} does not hold the role {role}: a key cannot have more roles than its owner",
                ErrorDetail(ErrorCode.ROLE_NOT_HELD, {"user": key.owner, "name": role}),
                field="roles",
            )
        await require_role(transaction, role, field="roles")
