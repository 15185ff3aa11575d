"""Changes of many users, members of a role or API keys in one step, which can be previewed."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from kiteward.audit.events import Event
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.identity import CredentialReach
from kiteward.iam import many
from kiteward.iam.json_api.base import AdminOperation, Arguments, Outcome, Request
from kiteward.iam.many import KeyChange, RowChange, UserChange
from kiteward.iam.services import Services

Kind = TypeVar("Kind", bound=StrEnum)

_DETAILS: Final = 2 * 1024 * 1024


class UsersChange(Arguments):
    """What to do to users: `change` is `disable`, `enable` or `delete`. With `dryRun` nothing is changed."""

    user_names: list[str]
    change: str
    dry_run: bool = False


class MembersChange(Arguments):
    """The users who get a role, and those who lose it. With `dryRun` nothing is changed."""

    role_name: str
    add: list[str] = msgspec.field(default_factory=list)
    remove: list[str] = msgspec.field(default_factory=list)
    dry_run: bool = False


class KeysChange(Arguments):
    """What to do to API keys: `change` is `disable`, `enable` or `revoke`. With `dryRun` nothing is changed."""

    key_ids: list[str]
    change: str
    dry_run: bool = False


class Row(Outcome):
    """What happens to one user or key; `changed` is false where it is so already.

    `refused` says why this one is refused, with `dryRun` only: otherwise one refusal refuses all of them. `details` are
    the same as codes.
    """

    name: str
    changed: bool
    refused: str
    details: list[ErrorDetail]


class Rows(Outcome):
    """What happens to each, in the order given."""

    rows: list[Row]


async def users_changed(services: Services, request: Request, arguments: UsersChange) -> Rows:
    """Disable, enable or delete users, all of them or none."""
    change = _change_of(UserChange, arguments.change)
    return _rows(await many.change_users(services, request, arguments.user_names, change, dry_run=arguments.dry_run))


async def members_changed(services: Services, request: Request, arguments: MembersChange) -> Rows:
    """Bind a role to users and unbind it from others, all of it or nothing."""
    changes = await many.change_members(
        services,
        request,
        arguments.role_name,
        add=arguments.add,
        remove=arguments.remove,
        dry_run=arguments.dry_run,
    )
    return _rows(changes)


async def keys_changed(_services: Services, request: Request, arguments: KeysChange) -> Rows:
    """Disable, enable or revoke API keys, all of them or none."""
    change = _change_of(KeyChange, arguments.change)
    return _rows(await many.change_keys(request, arguments.key_ids, change, dry_run=arguments.dry_run))


def _change_of(kind: type[Kind], given: str) -> Kind:
    if given not in tuple(kind):
        raise InvalidArgument(
            f"`change` must be one of {', '.join(kind)}: {given}",
            ErrorDetail(ErrorCode.CHANGE_UNKNOWN, {"name": given, "known": ", ".join(kind)}),
            field="change",
        )
    return kind(given)


def _rows(changes: Sequence[RowChange]) -> Rows:
    return Rows(
        rows=[
            Row(
                name=each.name,
                changed=each.changed,
                refused="" if each.refusal is None else str(each.refusal),
                details=[] if each.refusal is None else list(each.refusal.details),
            )
            for each in changes
        ]
    )


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "ChangeUsers",
        "users/change",
        UsersChange,
        Rows,
        users_changed,
        "Disable, enable or delete several users in one step, or return what that would do.",
        event=Event.USER_CHANGE,
        details_limit=_DETAILS,
    ),
    AdminOperation(
        "ChangeRoleMembers",
        "roles/change_members",
        MembersChange,
        Rows,
        members_changed,
        "Bind a role to several users and unbind it from others in one step, or return what that would do.",
        event=Event.USER_CHANGE,
        details_limit=_DETAILS,
    ),
    AdminOperation(
        "ChangeApiKeys",
        "api_keys/change",
        KeysChange,
        Rows,
        keys_changed,
        "Disable, enable or revoke several API keys in one step, or return what that would do.",
        administrators=False,
        own=True,
        credential=CredentialReach.ANY,
        event=Event.KEY_CHANGE,
        details_limit=_DETAILS,
    ),
)
