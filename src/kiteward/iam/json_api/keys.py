"""API keys: create, list, describe, alter, rotate, disable, revoke. A key never has more access than its creator."""

import time
from datetime import datetime
from typing import Final

from kiteward.audit.events import Event
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.identity import CredentialReach, Secret
from kiteward.iam import api_keys, new_keys
from kiteward.iam.json_api.base import AdminOperation, Arguments, Done, Outcome, Request
from kiteward.iam.json_api.listing import ListArguments, next_of, part_of, state_of
from kiteward.iam.json_api.shapes import Changed, moment
from kiteward.iam.services import Services
from kiteward.iam.settings import LONGEST_LIFE
from kiteward.store import listings
from kiteward.store.listings import KEY_COLUMNS, KeyState
from kiteward.store.records import KeyRecord


class NewKey(Arguments):
    """A new key: of the caller without `userName`; with the configured expiry without `expiresIn` (seconds)."""

    user_name: str = ""
    description: str = ""
    expires_in: int | None = None
    roles: list[str] | None = None
    networks: list[str] | None = None


class KeyListing(ListArguments):
    """Selects the keys to list: the caller's without `userName`, or all of them for an administrator.

    A limited API key lists itself and its descendants. `state` is `enabled`, `disabled`, `blocked` or `expired`.
    With `expiresWithin`, only keys that expire in the next so many seconds are listed.
    """

    user_name: str = ""
    state: str = ""
    expires_within: int = 0


class KeyNamed(Arguments):
    """Names a key by its id."""

    key_id: str


class AlteredKey(Arguments):
    """Names a key, with its new description; without one, it has none."""

    key_id: str
    description: str = ""


class Rotation(Arguments):
    """Names a key; `keepOldFor` is the grace period of the old secret in seconds."""

    key_id: str
    keep_old_for: int = 0


class Key(Outcome):
    """A key, without its secret. `roles` is null for all roles of its owner.

    `madeByKey` is the key with which it was created: it is accepted only while that one is, and removed with it.
    `state` is `enabled`; `disabled`; `blocked` while its owner, or what it was created with, is disabled or locked; or
    `expired`. `enabled` alone says whether the key itself is.
    `actor` is the service that got it by token exchange, and acts with it for its owner; null for any other key.
    """

    key_id: str
    user_name: str
    description: str
    roles: list[str] | None
    networks: list[str]
    enabled: bool
    state: str
    created_at: datetime | None
    created_by: str
    made_by_key: str | None
    actor: str | None
    expires_at: datetime | None
    used_at: datetime | None
    old_key_valid_until: datetime | None


class Keys(Outcome):
    """A page of keys; `next` is the value of `after` for the next page, empty at the end or in another order."""

    keys: list[Key]
    next: str
    total: int | None = None


class MadeKey(Outcome):
    """A key with its secret, returned only once."""

    key_id: str
    key: Secret
    user_name: str
    expires_at: datetime | None = None
    old_key_valid_until: datetime | None = None


async def created(services: Services, request: Request, arguments: NewKey) -> MadeKey:
    """Create a key."""
    return _made(await api_keys.create_key(services, request, key_of(arguments)))


def key_of(arguments: NewKey) -> new_keys.NewKey:
    """Return the key to be created that a request describes."""
    return new_keys.NewKey(
        owner=arguments.user_name,
        description=arguments.description,
        lifetime=arguments.expires_in,
        roles=arguments.roles,
        networks=arguments.networks or (),
    )


async def listed(services: Services, request: Request, arguments: KeyListing) -> Keys:
    """List keys: the caller's own, or any for administrators; for a limited key, itself and its descendants."""
    part, now = part_of(arguments, KEY_COLUMNS, "keyId"), time.time()
    if not 0 <= arguments.expires_within <= LONGEST_LIFE:
        raise InvalidArgument(
            f"`expiresWithin` must be from 1 to {LONGEST_LIFE} seconds, or 0 for any expiry",
            ErrorDetail(ErrorCode.LIFETIME_OUT_OF_RANGE, {"limit": LONGEST_LIFE}),
            field="expiresWithin",
        )
    listing = listings.KeyListing(
        part,
        now,
        owner=arguments.user_name or None,
        contains=arguments.contains,
        state=state_of(KeyState, arguments.state),
        expires_before=now + arguments.expires_within if arguments.expires_within else None,
    )
    found = await api_keys.list_keys(services, request, listing)
    keys = [_key(record, state) for record, state in found.keys]
    return Keys(keys=keys, next=next_of(part, [key.key_id for key in keys]), total=found.total)


async def described(services: Services, request: Request, arguments: KeyNamed) -> Key:
    """Describe a key."""
    return _key(*await api_keys.describe_key(services, request, arguments.key_id))


async def altered(_services: Services, request: Request, arguments: AlteredKey) -> Done:
    """Replace the description of a key."""
    await api_keys.alter_key(request, arguments.key_id, arguments.description)
    return Done()


async def rotated(_services: Services, request: Request, arguments: Rotation) -> MadeKey:
    """Generate a new secret for a key; the old one may stay valid for a grace period."""
    return _made(await api_keys.rotate_key(request, arguments.key_id, grace_period=arguments.keep_old_for))


async def disabled(_services: Services, request: Request, arguments: KeyNamed) -> Changed:
    """Disable a key and its descendants."""
    return Changed(changed=await api_keys.disable_key(request, arguments.key_id))


async def enabled(_services: Services, request: Request, arguments: KeyNamed) -> Changed:
    """Enable a disabled key."""
    return Changed(changed=await api_keys.enable_key(request, arguments.key_id))


async def revoked(_services: Services, request: Request, arguments: KeyNamed) -> Done:
    """Remove a key and its descendants."""
    await api_keys.revoke_key(request, arguments.key_id)
    return Done()


def _made(issued: api_keys.IssuedKey) -> MadeKey:
    record = issued.record
    return MadeKey(
        key_id=record.key_id,
        key=issued.secret,
        user_name=record.owner,
        expires_at=moment(record.expires_at),
        old_key_valid_until=moment(issued.old_valid_until),
    )


def _key(record: KeyRecord, state: KeyState) -> Key:
    previous = record.previous
    return Key(
        key_id=record.key_id,
        user_name=record.owner,
        description=record.description,
        roles=None if record.roles is None else list(record.roles),
        networks=list(record.networks),
        enabled=record.enabled,
        state=state.value,
        created_at=moment(record.created_at),
        created_by=record.created_by,
        made_by_key=record.made_by_key,
        actor=None if record.exchange is None else record.exchange.actor,
        expires_at=moment(record.expires_at),
        used_at=moment(record.used_at),
        old_key_valid_until=moment(previous.valid_until) if previous and previous.valid_until > time.time() else None,
    )


def _row(name: str, action: str, arguments: type[Arguments], outcome: type[Outcome], run: object) -> AdminOperation:
    """Return a row that any user may call with any credential: the service decides which keys it manages."""
    summaries = {
        "create": "Create an API key; it is returned only once.",
        "list": "List API keys, page by page.",
        "describe": "Describe an API key.",
        "alter": "Replace the description of an API key.",
        "rotate": "Give an API key a new secret, returned only once. Keys created with the old one end with it.",
        "disable": "Disable an API key, and keys created with it.",
        "enable": "Enable a disabled API key.",
        "revoke": "Permanently revoke an API key, and keys created with it.",
    }
    changes = action not in ("list", "describe")
    return AdminOperation(
        name,
        f"api_keys/{action}",
        arguments,
        outcome,
        run,  # type: ignore[arg-type]  # handlers have their own types of arguments
        summaries[action],
        administrators=False,
        own=True,
        credential=CredentialReach.ANY,
        changes=changes,
        event=Event.KEY_CHANGE if changes else Event.ADMINISTRATIVE_READ,
    )


ADMIN_OPERATIONS: Final = (
    _row("CreateApiKey", "create", NewKey, MadeKey, created),
    _row("ListApiKeys", "list", KeyListing, Keys, listed),
    _row("DescribeApiKey", "describe", KeyNamed, Key, described),
    _row("AlterApiKey", "alter", AlteredKey, Done, altered),
    _row("RotateApiKey", "rotate", Rotation, MadeKey, rotated),
    _row("DisableApiKey", "disable", KeyNamed, Changed, disabled),
    _row("EnableApiKey", "enable", KeyNamed, Changed, enabled),
    _row("RevokeApiKey", "revoke", KeyNamed, Done, revoked),
)
