"""Tags of users and API keys, which row policies read as `$current_principal_tags`.

Whoever may set a tag decides which rows its holder sees. So nobody sets its own tags, nor those of its own API keys,
except administrators.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kiteward.authz.policy import Condition
from kiteward.authz.privileges import PRIVILEGES
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument, LimitReached, NotFound
from kiteward.domain.naming import ANY
from kiteward.domain.tags import check_tag_key, check_tag_value
from kiteward.iam.api_keys import manages_key
from kiteward.iam.caller import Caller, require
from kiteward.iam.lookup import require_user, stored_user
from kiteward.iam.services import Services
from kiteward.store.records import KeyRecord
from kiteward.store.tags import Tags
from kiteward.store.transaction import Transaction

MOST_TAGS: Final = 64
"""Most tags of a user, and most of an API key."""


@dataclass(frozen=True, slots=True)
class TagHolder:
    """A user or an API key; to read tags without either, the credential that the caller uses."""

    user_name: str = ""
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class HeldTags:
    """The tags of a user or an API key.

    Attributes:
        user_name: the user, or the owner of the key.
        key_id: the API key, or None.
        own: its own tags.
        effective: what row policies read: for a key with those of its owner and of the keys that it descends from.
    """

    user_name: str
    key_id: str | None
    own: Mapping[str, str]
    effective: Mapping[str, str]


async def set_tags(caller: Caller, holder: TagHolder, tags: Mapping[str, str]) -> None:
    """Set tags of a user or an API key; its other tags stay.

    Raises:
        InvalidArgument: the key or the value of a tag breaks a rule, or there is none.
        LimitReached: the holder would have too many.
        AccessDenied, NotFound: as of `require_tagging`.
    """
    for key, value in tags.items():
        check_tag_key(key)
        check_tag_value(key, value)
    _require_some(tags)
    async with caller.change() as transaction:
        name, held = await require_tagging(transaction, caller, holder)
        before = await held.of(name)
        if len({**before, **tags}) > MOST_TAGS:
            raise LimitReached(
                f"a user or an API key has at most {MOST_TAGS} tags",
                ErrorDetail(ErrorCode.TAGS_LIMIT, {"limit": MOST_TAGS}),
                field="tags",
            )
        await held.put(name, tags)
        caller.record(before={key: before[key] for key in tags if key in before}, after=dict(tags))


async def delete_tags(caller: Caller, holder: TagHolder, keys: Sequence[str]) -> Sequence[str]:
    """Delete tags of a user or an API key; absent ones do nothing.

    Returns:
        The keys of those that there were, sorted.

    Raises:
        InvalidArgument: no key is given.
        AccessDenied, NotFound: as of `require_tagging`.
    """
    _require_some(keys)
    async with caller.change() as transaction:
        name, held = await require_tagging(transaction, caller, holder)
        before = await held.of(name)
        removed = await held.remove(name, keys)
        caller.record(before={key: before[key] for key in removed})
    return removed


async def held_tags(services: Services, caller: Caller, holder: TagHolder) -> HeldTags:
    """Return the tags of a user or an API key; without either, of the credential that the caller uses.

    Users may read their own.

    Raises:
        InvalidArgument: both are given.
        AccessDenied: for another user, the caller lacks SelectUser.
        NotFound: there is no such user, or no such API key that the caller manages.
    """
    holder = _named(caller, holder)
    if holder.key_id:
        return await _held_by_key(services, caller, holder.key_id)
    require(caller, Condition(PRIVILEGES["SelectUser"], names=(holder.user_name,)))
    record = await stored_user(services, holder.user_name)
    return HeldTags(record.name, None, record.tags, record.tags)


async def users_with_tag(services: Services, caller: Caller, key: str, value: str) -> Sequence[str]:
    """Return the names of the users who have a tag of this key and value, sorted; not those whose API keys have it.

    Raises:
        InvalidArgument: the key breaks its rule.
        AccessDenied: the caller lacks SelectUser on all users.
    """
    check_tag_key(key)
    require(caller, Condition(PRIVILEGES["SelectUser"], names=(ANY,)))
    return await services.store.users_with_tag(key, value)


async def require_tagging(transaction: Transaction, caller: Caller, holder: TagHolder) -> tuple[str, Tags]:
    """Return what a change of tags is made by: the name or id of the holder, and its part of the transaction.

    Raises:
        InvalidArgument: both a user and an API key are given, or neither.
        AccessDenied: the caller lacks UpdateUser on the user or the owner of the key; or is that user, and no
            administrator.
        NotFound: there is no such user or API key.
    """
    _require_one_at_most(holder)
    if not (holder.user_name or holder.key_id):
        detail = ErrorDetail(ErrorCode.EXACTLY_ONE_ARGUMENT, {"first": "userName", "second": "keyId"})
        raise InvalidArgument("name whose tags to change: give either `userName` or `keyId`", detail)
    if not holder.key_id:
        require_tagging_of(caller, holder.user_name)
        await require_user(transaction, holder.user_name)
        return holder.user_name, transaction.user_tags
    lineage = await transaction.keys.lineage(holder.key_id)
    if not lineage:
        # Whoever may tag nobody does not learn which keys there are.
        require_tagging_of(caller, ANY)
        raise _no_key(holder.key_id)
    # A refusal does not reveal whose key it is, or whether there is one.
    require_tagging_of(caller, lineage[0].owner, given=ANY)
    caller.record(userName=lineage[0].owner)
    return holder.key_id, transaction.key_tags


def require_tagging_of(caller: Caller, user_name: str, *, given: str = "") -> None:
    """Require that the caller may change the tags of a user and of its API keys; `*` stands for every user.

    A refusal names the user as `given`, by default as `user_name`; for `*` nobody.

    Raises:
        AccessDenied: it is not allowed to.
    """
    require(caller, Condition(PRIVILEGES["UpdateUser"], names=(user_name,), not_oneself=True), given=given)


def _require_some(given: Iterable[str]) -> None:
    if not list(given):
        raise InvalidArgument("no tag is given: give at least one", ErrorDetail(ErrorCode.TAGS_MISSING), field="tags")


def _named(caller: Caller, holder: TagHolder) -> TagHolder:
    """Return a user or an API key; without either, the credential that the caller uses.

    Raises:
        InvalidArgument: both are given.
    """
    _require_one_at_most(holder)
    if holder.user_name or holder.key_id:
        return holder
    key = caller.principal.key
    return TagHolder(caller.principal.user_name) if key is None else TagHolder(key_id=key.key_id)


def _require_one_at_most(holder: TagHolder) -> None:
    if holder.user_name and holder.key_id:
        detail = ErrorDetail(ErrorCode.EXACTLY_ONE_ARGUMENT, {"first": "userName", "second": "keyId"})
        raise InvalidArgument("give either `userName` or `keyId`", detail)


def _no_key(key_id: str) -> NotFound:
    return NotFound(
        f"API key not found: {key_id}", ErrorDetail(ErrorCode.API_KEY_NOT_FOUND, {"name": key_id}), field="keyId"
    )


async def _held_by_key(services: Services, caller: Caller, key_id: str) -> HeldTags:
    lineage: Sequence[KeyRecord] = await services.store.lineage(key_id)
    state = await services.principals.key(key_id)
    if state is None or not manages_key(caller, lineage):
        raise _no_key(key_id)
    return HeldTags(state.principal.user_name, key_id, lineage[0].tags, state.principal.tags)
