"""Token exchange (RFC 8693): a service presents a credential of a user, and gets a short-lived API key of that user.

The key has no more access than the presented credential has, nor than the service may hand out, and outlives neither
credential. The store removes it with either, and with the users' passwords and sessions (`kiteward.store.exchanges`).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from kiteward.authn import api_keys
from kiteward.authn.exchanges import Accepted
from kiteward.authn.user_cache import fingerprint
from kiteward.authz.model import ADMIN_ROLE, PUBLIC_ROLE
from kiteward.domain.addresses import is_covered
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, AuthenticationError, InvalidArgument, LimitReached
from kiteward.domain.identity import (
    KeyCredential,
    PresentedCredential,
    Principal,
    Secret,
    TokenCredential,
    without_colon,
)
from kiteward.iam.caller import Caller
from kiteward.iam.lookup import require_role, require_user
from kiteward.iam.services import Services
from kiteward.iam.settings import EVERY_ROLE
from kiteward.store.exchange_records import Exchange
from kiteward.store.records import KeyRecord, UserRecord
from kiteward.store.transaction import Transaction


class Credentials(Protocol):
    """Accepts credentials that are presented from the address of a request; the requests of the JSON adapter do."""

    async def accept(self, presented: PresentedCredential | None = None, *, sign_up: bool = False) -> Accepted:
        """Return a presented credential, or the caller's own, if it is accepted.

        Args:
            presented: the credential; None for the caller's.
            sign_up: whether a token may make somebody a user: not while a transaction is open.

        Raises:
            AuthenticationError: it is not accepted.
        """
        ...


class TokenType(StrEnum):
    """The types of tokens, as RFC 8693, 3 spells them. The key is of the first type; it serves as an access token."""

    API_KEY = "urn:kiteward:params:oauth:token-type:api_key"
    ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  a name of a type
    ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105  likewise
    JWT = "urn:ietf:params:oauth:token-type:jwt"


_SIGNED: Final = (TokenType.ACCESS_TOKEN, TokenType.ID_TOKEN, TokenType.JWT)
"""The types of tokens that identity providers sign. Which of them are accepted is configured of each provider."""


@dataclass(frozen=True, slots=True)
class WantedKey:
    """What a service asks for.

    Attributes:
        subject: the credential of the user.
        subject_type: its type, one of `TokenType`.
        roles: the roles that the key is to have; None for all that the service may hand out.
        tags: key -> value of the tags that it is to have; without a value, the one that the user has. None for all.
    """

    subject: Secret
    subject_type: str
    roles: Sequence[str] | None = None
    tags: Mapping[str, str | None] | None = None


@dataclass(frozen=True, slots=True)
class ExchangedKey:
    """The API key that came of an exchange, with its secret, which is not stored.

    Attributes:
        record: the key.
        secret: the key to present as a credential.
        lifetime: seconds until it expires.
        tags: its tags.
    """

    record: KeyRecord
    secret: Secret
    lifetime: int
    tags: Mapping[str, str] = field(default_factory=dict)


async def exchange_token(
    services: Services, caller: Caller, wanted: WantedKey, credentials: Credentials
) -> ExchangedKey:
    """Create a short-lived API key of the user whose credential the caller presents.

    Args:
        services: what services work with.
        caller: the service, which holds ExchangeToken.
        wanted: what it asks for.
        credentials: accepts the credentials of the user and of the caller.

    Raises:
        AccessDenied: the caller may hand out no role, or authenticated with such a key itself.
        InvalidArgument: the credential of the user is not accepted or ends now, or the service asks for a role or a tag
            that the user does not have or that it may not hand out.
        LimitReached: the service has as many such keys as it may have.
    """
    _require_service(services, caller)
    presented = presented_as(wanted.subject, wanted.subject_type)
    # It is verified before the transaction as well, which would delay all others while something is fetched for it.
    await _accepted(caller, presented, credentials, sign_up=True)
    minted = api_keys.mint()
    async with caller.change() as transaction:
        _require_service(services, caller)
        subject = await _accepted(caller, presented, credentials)
        actor = await credentials.accept()
        user = subject.principal
        caller.record(userName=user.user_name)
        await transaction.keys.remove_expired_exchanges()
        await _require_room(services, caller, transaction)
        ends_at, lifetime = _end(services, actor, subject, await require_user(transaction, _name(caller)))
        roles = await _roles(services, transaction, wanted, user, actor.principal)
        tags = _tags(wanted, user, actor.principal)
        key = _new_key(minted, actor, subject, ends_at=ends_at, roles=roles, tags=tags)
        await transaction.keys.add(key)
    caller.record(keyId=key.key_id)
    return ExchangedKey(key, minted.key, lifetime, tags)


def _name(caller: Caller) -> str:
    return caller.principal.user_name


def presented_as(token: Secret, kind: str, *, field: str = "subject_token_type") -> PresentedCredential:
    """Return a token of a stated type as a credential.

    Args:
        token: the token.
        kind: its type, one of `TokenType`.
        field: the parameter that states the type, for the error.

    Raises:
        InvalidArgument: its type is not known, or it is not of its type.
    """
    presented = without_colon(token.reveal())
    if isinstance(presented, TokenCredential) and kind in _SIGNED:
        return presented
    if isinstance(presented, KeyCredential) and kind == TokenType.API_KEY and api_keys.key_id_of(token.reveal()):
        return presented
    raise InvalidArgument(
        f"`{field}` must be one of {', '.join(TokenType)}, and the token of that type",
        ErrorDetail(ErrorCode.EXCHANGE_TOKEN_TYPE),
        field=field,
    )


def _require_service(services: Services, caller: Caller) -> None:
    """Require that the caller, who holds ExchangeToken, may exchange credentials by the settings and by its own.

    Raises:
        AccessDenied: it is not allowed to.
    """
    principal = caller.principal
    if principal.actor:
        raise AccessDenied(
            f"permission deny to {principal.user_name}: the key of a token exchange exchanges nothing",
            ErrorDetail(ErrorCode.EXCHANGED_KEY_LIMITED),
        )
    if principal.user_name not in services.exchange_rules.roles:
        raise AccessDenied(
            f"permission deny to {principal.user_name}: kiteward.tokenExchange.roles lists no role for it",
            ErrorDetail(ErrorCode.EXCHANGE_CLOSED, {"name": principal.user_name}),
        )


async def _accepted(
    caller: Caller, presented: PresentedCredential, credentials: Credentials, *, sign_up: bool = False
) -> Accepted:
    """Return the user's credential.

    Raises:
        InvalidArgument: it is not accepted, or cannot be exchanged.
    """
    try:
        subject = await credentials.accept(presented, sign_up=sign_up)
    except AuthenticationError as error:
        caller.record(subjectRejected=error.reason or str(error))
        raise InvalidArgument(
            f"the subject_token is not accepted: {error}",
            ErrorDetail(ErrorCode.EXCHANGE_SUBJECT_REJECTED),
            field="subject_token",
        ) from None
    if subject.principal.actor:
        raise InvalidArgument(
            "the subject_token came of an exchange itself: present the credential that it came of",
            ErrorDetail(ErrorCode.EXCHANGE_SUBJECT_UNUSABLE),
            field="subject_token",
        )
    return subject


async def _require_room(services: Services, caller: Caller, transaction: Transaction) -> None:
    most = services.exchange_rules.per_service
    if await transaction.keys.count_exchanged(_name(caller)) >= most:
        raise LimitReached(
            f"{_name(caller)} has {most} keys by token exchange already: wait until some have expired",
            ErrorDetail(ErrorCode.EXCHANGED_KEYS_LIMIT, {"name": _name(caller), "limit": most}),
        )


def _end(services: Services, actor: Accepted, subject: Accepted, service: UserRecord) -> tuple[float, int]:
    """Return when the key expires, in seconds since the epoch, and in how many seconds that is.

    Raises:
        InvalidArgument: one of the credentials expires within a second.
    """
    now = time.time()
    ends = [now + services.exchange_rules.longest]
    ends += [each.expires_at for each in (actor, subject) if each.expires_at is not None]
    former = service.previous
    if former is not None and actor.principal.credential == fingerprint(former.credential_id):
        ends.append(former.valid_until)
    ends_at = min(ends)
    if ends_at - now < 1:
        raise InvalidArgument(
            "one of the presented credentials expires now: present another one",
            ErrorDetail(ErrorCode.EXCHANGE_TOO_LATE),
        )
    return ends_at, int(ends_at - now)


async def _roles(
    services: Services, transaction: Transaction, wanted: WantedKey, subject: Principal, actor: Principal
) -> tuple[str, ...]:
    """Return the roles of the key.

    Raises:
        InvalidArgument: the service may not hand one out, or the user does not hold it; or there is none.
        RoleNotFound: the user is an administrator, and there is no such role.
    """
    listed = services.exchange_rules.roles.get(actor.user_name, frozenset())

    def may_hand_out(role: str) -> bool:
        return role in listed or (EVERY_ROLE in listed and role != ADMIN_ROLE)

    chosen = sorted(filter(may_hand_out, subject.roles) if wanted.roles is None else set(wanted.roles))
    if not chosen:
        raise InvalidArgument(
            f"{subject.user_name} holds no role that {actor.user_name} may hand out; name roles in `scope`",
            ErrorDetail(ErrorCode.EXCHANGE_WITHOUT_ROLE, {"user": subject.user_name, "name": actor.user_name}),
            field="scope",
        )
    holds_all = subject.unrestricted or ADMIN_ROLE in subject.roles
    for role in chosen:
        if not may_hand_out(role):
            raise InvalidArgument(
                f"{actor.user_name} may not hand out the role {role}: kiteward.tokenExchange.roles does not list it",
                ErrorDetail(ErrorCode.EXCHANGE_ROLE_NOT_HANDED_OUT, {"user": actor.user_name, "name": role}),
                field="scope",
            )
        if role in subject.roles or role == PUBLIC_ROLE:
            continue
        if not holds_all:
            raise InvalidArgument(
                f"{subject.user_name} does not hold the role {role}",
                ErrorDetail(ErrorCode.ROLE_NOT_HELD, {"user": subject.user_name, "name": role}),
                field="scope",
            )
        await require_role(transaction, role, field="scope")
    return tuple(chosen)


def _tags(wanted: WantedKey, subject: Principal, actor: Principal) -> dict[str, str]:
    """Return the tags of the key: of the user's those that are asked for.

    A tag of the service bounds what it hands out: the key has a tag of that name only with the same value.

    Raises:
        InvalidArgument: the user does not have a tag that is asked for, or has another value, or the service does.
    """
    user, service = subject.user_name, actor.user_name
    held = {key: value for key, value in subject.tags.items() if actor.tags.get(key, value) == value}
    if wanted.tags is None:
        return held
    for key, value in wanted.tags.items():
        if key not in held or value not in (None, held[key]):
            raise InvalidArgument(
                f"{user} does not have the tag {key} with this value, or {service} may not hand it out",
                ErrorDetail(ErrorCode.EXCHANGE_TAG_NOT_HELD, {"user": user, "name": key, "other": service}),
                field="row_tags",
            )
    return {key: held[key] for key in sorted(wanted.tags)}


def _networks(subject: Principal, actor: Principal) -> tuple[str, ...]:
    """Return the networks from which both credentials are accepted; empty for any.

    There are some: both were accepted from the same address.
    """
    first, second = (() if each.key is None else each.key.networks for each in (subject, actor))
    if not (first and second):
        return first or second
    found = {each for each in first if is_covered(each, second)}
    return tuple(sorted(found | {each for each in second if is_covered(each, first)}))


def _new_key(
    minted: api_keys.MintedKey,
    actor: Accepted,
    subject: Accepted,
    *,
    ends_at: float,
    roles: tuple[str, ...],
    tags: Mapping[str, str],
) -> KeyRecord:
    user = subject.principal
    return KeyRecord(
        minted.key_id,
        user.user_name,
        minted.digest,
        "",
        0.0,
        actor.principal.user_name,
        expires_at=ends_at,
        roles=roles,
        networks=_networks(user, actor.principal),
        made_by_key=None if user.key is None else user.key.key_id,
        exchange=_exchange(actor, subject, tags),
    )


def _exchange(actor: Accepted, subject: Accepted, tags: Mapping[str, str]) -> Exchange:
    service = actor.principal
    return Exchange(
        service.user_name,
        None if service.key is None else service.key.key_id,
        actor.token,
        subject.token,
        subject.rights,
        tags,
    )
