"""API keys: create, list, describe, rotate, disable, revoke. A key never reaches further than who made it."""

import ipaddress
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from kiteward.authn import api_keys
from kiteward.authz.model import PUBLIC_ROLE
from kiteward.authz.policy import decide_administrator
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, InvalidArgument, LimitReached, NotFound
from kiteward.domain.identity import CredentialReach, KeyScope, Secret
from kiteward.gateway.administration.base import Services
from kiteward.gateway.extensions.accounts import grace_period_end, moment
from kiteward.gateway.extensions.base import AdminOperation, Arguments, Done, Outcome, Request, page
from kiteward.store.base import KeyRecord, Transaction

LONGEST_LIFE: Final = 10 * 366 * 24 * 3600
"""Seconds."""

_MOST_NETWORKS: Final = 100
_LONGEST_DESCRIPTION: Final = 1024


class NewKey(Arguments):
    """A key to be: of the caller without `userName`, without end without `expiresIn` (seconds), unless configured."""

    user_name: str = ""
    description: str = ""
    expires_in: int | None = None
    roles: list[str] | None = None
    networks: list[str] | None = None


class KeyListing(Arguments):
    """Whose keys to list: the caller's without `userName`, or all of them for an administrator.

    A limited API key lists itself and what descends from it.
    """

    user_name: str = ""
    after: str = ""
    limit: int = 100


class KeyNamed(Arguments):
    """Names a key by its id."""

    key_id: str


class Rotation(Arguments):
    """Names a key; `keepOldFor` counts seconds."""

    key_id: str
    keep_old_for: int = 0


class Key(Outcome):
    """A key, without its secret. `roles` is null for all roles of its owner.

    `madeByKey` is the key that it was made with: it opens only while that one does, and goes with it.
    """

    key_id: str
    user_name: str
    description: str
    roles: list[str] | None
    networks: list[str]
    enabled: bool
    created_at: datetime | None
    created_by: str
    made_by_key: str | None
    expires_at: datetime | None
    used_at: datetime | None
    old_key_valid_until: datetime | None


class Keys(Outcome):
    """A page of keys; `next` is what to ask for as `after`, empty at the end."""

    keys: list[Key]
    next: str


class MadeKey(Outcome):
    """A key, this once."""

    key_id: str
    key: Secret
    user_name: str
    expires_at: datetime | None = None
    old_key_valid_until: datetime | None = None


async def created(services: Services, request: Request, arguments: NewKey) -> MadeKey:
    """Make a key."""
    if len(arguments.description.encode()) > _LONGEST_DESCRIPTION:
        raise InvalidArgument(
            f"`description` must be at most {_LONGEST_DESCRIPTION} bytes",
            ErrorDetail(ErrorCode.DESCRIPTION_TOO_LONG, {"limit": _LONGEST_DESCRIPTION}),
            field="description",
        )
    lifetime = arguments.expires_in if arguments.expires_in is not None else services.key_rules.default_lifetime
    if lifetime is not None and not 1 <= lifetime <= LONGEST_LIFE:
        raise InvalidArgument(
            f"`expiresIn` must be from 1 to {LONGEST_LIFE} seconds",
            ErrorDetail(ErrorCode.LIFETIME_OUT_OF_RANGE, {"limit": LONGEST_LIFE}),
            field="expiresIn",
        )
    networks = _networks(arguments.networks or ())
    minted = api_keys.mint()
    async with request.change() as transaction:
        principal = request.principal
        owner = arguments.user_name or principal.user_name
        if owner != principal.user_name:
            decide_administrator(principal).require_allowed()
        record = await services.store.user(owner)
        if record is None:
            raise NotFound(
                f"user not found: {owner}", ErrorDetail(ErrorCode.USER_NOT_FOUND, {"name": owner}), field="userName"
            )
        expires_at = None if lifetime is None else time.time() + lifetime
        roles = None if arguments.roles is None else tuple(sorted(set(arguments.roles)))
        key = KeyRecord(
            minted.key_id,
            owner,
            minted.digest,
            arguments.description,
            0.0,
            principal.user_name,
            expires_at=expires_at,
            roles=roles,
            networks=networks,
            made_by_key=principal.key.key_id if principal.key is not None else None,
        )
        if principal.key is not None:
            key = _within(key, request, principal.key)
        await _check_roles(transaction, request, key, record.roles)
        if await transaction.keys.count(owner) >= services.key_rules.per_user:
            raise LimitReached(
                f"{owner} has {services.key_rules.per_user} API keys already: revoke one first",
                ErrorDetail(ErrorCode.API_KEYS_LIMIT, {"name": owner, "limit": services.key_rules.per_user}),
            )
        await transaction.keys.add(key)
    request.record(roles=key.roles, networks=key.networks, madeByKey=key.made_by_key)
    return MadeKey(key_id=key.key_id, key=minted.key, user_name=owner, expires_at=moment(key.expires_at))


def _within(key: KeyRecord, request: Request, maker: KeyScope) -> KeyRecord:
    """Return a key that is made by another, held to what that one may.

    Raises:
        AccessDenied: more was asked for; it says what.
    """
    principal = request.principal
    if key.owner != principal.user_name and maker.limited:
        raise AccessDenied("a limited API key makes keys for its own user only")
    roles, expires_at, networks = key.roles, key.expires_at, key.networks
    if maker.narrowed:
        roles = tuple(sorted(principal.roles)) if roles is None else roles
        if not set(roles) <= principal.roles:
            raise AccessDenied("an API key makes no key with roles that it does not hold itself")
    if maker.expires_at is not None:
        expires_at = maker.expires_at if expires_at is None else expires_at
        if expires_at > maker.expires_at:
            raise AccessDenied("an API key makes no key that outlives it")
    if maker.networks:
        networks = networks or maker.networks
        if not all(_covered(network, maker.networks) for network in networks):
            raise AccessDenied("an API key makes no key for networks that it may not be used from itself")
    return replace(key, expires_at=expires_at, roles=roles, networks=networks)


async def _check_roles(
    transaction: Transaction, request: Request, key: KeyRecord, owner_roles: tuple[str, ...]
) -> None:
    """Make sure that a key is narrowed to roles that its owner holds.

    Whether a role exists that the owner does not hold is neither told nor looked up.

    Raises:
        NotFound: the owner holds every role, and there is no such one.
        InvalidArgument: the owner does not hold it.
    """
    for role in key.roles or ():
        if role in owner_roles or role == PUBLIC_ROLE:
            continue
        if request.holds_everything(key.owner, owner_roles):
            if await transaction.roles.get(role) is None:
                raise NotFound(
                    f"role not found: {role}", ErrorDetail(ErrorCode.ROLE_NOT_FOUND, {"name": role}), field="roleName"
                )
            continue
        raise InvalidArgument(
            f"{key.owner} does not hold the role {role}: a key gives no more than its owner has",
            ErrorDetail(ErrorCode.ROLE_NOT_HELD, {"user": key.owner, "name": role}),
            field="roles",
        )


async def listed(services: Services, request: Request, arguments: KeyListing) -> Keys:
    """List keys: one's own, or of others for administrators; of a limited key, itself and what descends from it."""
    limit = page(arguments.limit)
    principal, owner, root = request.principal, arguments.user_name or None, None
    if not request.administrator:
        if owner not in (None, principal.user_name):
            decide_administrator(principal).require_allowed()
        owner = principal.user_name
        root = principal.key.key_id if principal.key is not None and principal.limited else None
    found = await services.store.keys(owner=owner, root=root, after=arguments.after, limit=limit)
    return Keys(keys=[_key(record) for record in found], next=found[-1].key_id if len(found) == limit else "")


async def described(services: Services, request: Request, arguments: KeyNamed) -> Key:
    """Describe a key."""
    return _key(_reached(request, arguments.key_id, await services.store.lineage(arguments.key_id)))


async def rotated(_services: Services, request: Request, arguments: Rotation) -> MadeKey:
    """Give a key a new secret; the old one may stay valid for a while. What it has made ends with the old one."""
    until = grace_period_end(arguments.keep_old_for)
    minted = api_keys.mint(arguments.key_id)
    async with request.change() as transaction:
        record = _opened(request, arguments.key_id, await transaction.keys.lineage(arguments.key_id))
        if until is not None and record.expires_at is not None:
            until = min(until, record.expires_at)
        await transaction.keys.rotate(record.key_id, minted.digest, former_until=until)
    return MadeKey(
        key_id=record.key_id,
        key=minted.key,
        user_name=record.owner,
        expires_at=moment(record.expires_at),
        old_key_valid_until=moment(until),
    )


async def disabled(_services: Services, request: Request, arguments: KeyNamed) -> Done:
    """Let a key, and what descends from it, open no longer."""
    async with request.change() as transaction:
        record = _reached(request, arguments.key_id, await transaction.keys.lineage(arguments.key_id))
        await transaction.keys.enable(record.key_id, False)
    return Done()


async def enabled(_services: Services, request: Request, arguments: KeyNamed) -> Done:
    """Let a disabled key open again."""
    async with request.change() as transaction:
        record = _opened(request, arguments.key_id, await transaction.keys.lineage(arguments.key_id))
        await transaction.keys.enable(record.key_id, True)
    return Done()


async def revoked(_services: Services, request: Request, arguments: KeyNamed) -> Done:
    """Remove a key, and what descends from it, for good."""
    async with request.change() as transaction:
        record = _reached(request, arguments.key_id, await transaction.keys.lineage(arguments.key_id))
        await transaction.keys.remove(record.key_id)
    return Done()


def _reached(request: Request, key_id: str, lineage: Sequence[KeyRecord]) -> KeyRecord:
    """Return a key that the caller may see and manage; others are not told from missing ones.

    Whose it is goes into the audit trail, where it is looked for by user.

    Raises:
        NotFound: there is none for this caller.
    """
    if not request.reaches_key(lineage):
        raise NotFound(
            f"API key not found: {key_id}", ErrorDetail(ErrorCode.API_KEY_NOT_FOUND, {"name": key_id}), field="keyId"
        )
    request.record(userName=lineage[0].owner)
    return lineage[0]


def _opened(request: Request, key_id: str, lineage: Sequence[KeyRecord]) -> KeyRecord:
    """Return a key that the caller may make open: not one that may reach further than a limited key of the caller's.

    Raises:
        NotFound: as `_reached`.
        AccessDenied: the caller came by a limited key, and this one does not descend from it, or outlives it. Of a
            rotated key, the old secret is such a key, and the new one outlives it.
    """
    record, used = _reached(request, key_id, lineage), request.principal.key
    if used is None or not used.limited:
        return record
    if used.key_id not in {each.key_id for each in lineage}:
        raise AccessDenied("a limited API key rotates and enables no key but itself and those that descend from it")
    if used.expires_at is not None and (record.expires_at or math.inf) > used.expires_at:
        raise AccessDenied("an API key rotates and enables no key that outlives it")
    return record


def _networks(given: "list[str] | tuple[str, ...]") -> tuple[str, ...]:
    if len(given) > _MOST_NETWORKS:
        raise InvalidArgument(
            f"`networks` must be at most {_MOST_NETWORKS}",
            ErrorDetail(ErrorCode.NETWORKS_LIMIT, {"limit": _MOST_NETWORKS}),
            field="networks",
        )
    try:
        return tuple(sorted({str(ipaddress.ip_network(text)) for text in given}))
    except ValueError as error:
        raise InvalidArgument(
            f"`networks` must hold networks such as 10.0.0.0/8 or 2001:db8::/32: {error}",
            ErrorDetail(ErrorCode.NETWORK_INVALID),
            field="networks",
        ) from None


def _covered(network: str, by: tuple[str, ...]) -> bool:
    inner = ipaddress.ip_network(network)
    return any(
        inner.version == outer.version and inner.prefixlen >= outer.prefixlen and inner.network_address in outer
        for outer in map(ipaddress.ip_network, by)
    )


def _key(record: KeyRecord) -> Key:
    previous = record.previous
    return Key(
        key_id=record.key_id,
        user_name=record.owner,
        description=record.description,
        roles=None if record.roles is None else list(record.roles),
        networks=list(record.networks),
        enabled=record.enabled,
        created_at=moment(record.created_at),
        created_by=record.created_by,
        made_by_key=record.made_by_key,
        expires_at=moment(record.expires_at),
        used_at=moment(record.used_at),
        old_key_valid_until=moment(previous.valid_until) if previous and previous.valid_until > time.time() else None,
    )


def _row(name: str, action: str, arguments: type[Arguments], outcome: type[Outcome], run: object) -> AdminOperation:
    """Return a row that anybody may call, with any credential: which keys these reach is judged inside."""
    summaries = {
        "create": "Make an API key; the answer holds it this once.",
        "list": "List API keys, page by page.",
        "describe": "Describe an API key.",
        "rotate": "Give an API key a new secret; the answer holds it this once. Keys it made end with the old one.",
        "disable": "Let an API key, and keys that it made, open no longer.",
        "enable": "Let a disabled API key open again.",
        "revoke": "Remove an API key, and keys that it made, for good.",
    }
    return AdminOperation(
        name,
        f"api_keys/{action}",
        arguments,
        outcome,
        run,  # type: ignore[arg-type]  # handlers take their own arguments
        summaries[action],
        administrators=False,
        credential=CredentialReach.ANY,
        changes=action not in ("list", "describe"),
    )


ADMIN_OPERATIONS: Final = (
    _row("CreateApiKey", "create", NewKey, MadeKey, created),
    _row("ListApiKeys", "list", KeyListing, Keys, listed),
    _row("DescribeApiKey", "describe", KeyNamed, Key, described),
    _row("RotateApiKey", "rotate", Rotation, MadeKey, rotated),
    _row("DisableApiKey", "disable", KeyNamed, Done, disabled),
    _row("EnableApiKey", "enable", KeyNamed, Done, enabled),
    _row("RevokeApiKey", "revoke", KeyNamed, Done, revoked),
)
