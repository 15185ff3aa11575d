"""Users of a file: with roles, tags and limits, by the services that change them one by one."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import UnsetType

from kiteward.audit.events import Event
from kiteward.domain.errors import InvalidArgument, NotFound, ProtectedObject
from kiteward.domain.identity import ROOT
from kiteward.iam.identities import Invitation, invite
from kiteward.iam.policy_files.document import PolicyIdentity, PolicyLimits, PolicyUser, given
from kiteward.iam.policy_files.exporting import limits_of
from kiteward.iam.policy_files.limits import set_limits_of
from kiteward.iam.policy_files.work import Action, Difference, Kind, Work, of_sets, of_values
from kiteward.iam.request_limits import LimitHolder
from kiteward.iam.roles import bind_role, unbind_role
from kiteward.iam.tags import TagHolder, delete_tags, set_tags
from kiteward.iam.users import NewUser, create_hashed, delete_user, disable_user, enable_user, set_description
from kiteward.store.records import NO_PASSWORD, UserRecord


def has_no_other_sign_in(wanted: PolicyUser) -> bool:
    """Return whether a new user of a file could sign in with a password alone."""
    return isinstance(wanted.identity, UnsetType) and not wanted.scim


async def put_users(
    work: Work, wanted: Mapping[str, PolicyUser], held: Mapping[str, UserRecord], hashes: Mapping[str, str] | None
) -> None:
    """Create the users that are missing, and set what a file says of each; nothing is taken from anybody yet.

    Args:
        work: the work.
        wanted: the users of the file.
        held: the users that there are.
        hashes: hashes of one-time passwords for new users; None if they get no password.
    """
    for name, user in sorted(wanted.items()):
        before = held.get(name)
        with work.at("users", name):
            if name == ROOT:
                raise ProtectedObject("`root` is not changed by a file: leave it out")
            if before is None:
                await _create(work, name, user, hashes)
            else:
                await _describe(work, user, before)
            await _bind(work, name, given(user.roles, []), () if before is None else before.roles)
            await _tag(work, name, user.tags, {} if before is None else before.tags)
            limits = PolicyLimits() if before is None else limits_of(before.limits)
            await set_limits_of(work, LimitHolder(user_name=name), limits, user.limits)


async def reduce_users(work: Work, wanted: Mapping[str, PolicyUser], held: Mapping[str, UserRecord]) -> None:
    """Take roles from the users of a file that it does not give them, and disable those that it disables."""
    for name, user in sorted(wanted.items()):
        before = held.get(name)
        if before is None or name == ROOT:
            continue
        with work.at("users", name, "roles"):
            kept = given(user.roles, list(before.roles))
            for role in sorted(set(before.roles) - set(kept)):
                async with work.recorded(Event.ROLE_CHANGE, "OperateUserRole", user=name, role=role, removed=1):
                    await unbind_role(work.services, work.caller, user=name, role=role)
                work.object(Kind.USER, name).differences += of_sets("role", [role], [])
        with work.at("users", name, "enabled"):
            if before.enabled and before.scim_login is None and user.enabled is False:
                async with work.recorded(Event.USER_CHANGE, "DisableUser", userName=name):
                    await disable_user(work.services, work.caller, name)
                work.object(Kind.USER, name).differences += of_values("enabled", "yes", "no")


async def unwanted_users(
    work: Work, wanted: Iterable[str], held: Mapping[str, UserRecord]
) -> Mapping[str, Sequence[str]]:
    """Return the users that a file deletes, with the ids of their API keys: those that it does not name.

    `root` stays, and so do users of identity providers and of SCIM.
    """
    names = sorted(held.keys() - set(wanted) - {ROOT})
    local = [name for name in names if held[name].identity is None and held[name].scim_login is None]
    return {name: await work.transaction.keys.ids_of(name) for name in local}


async def remove_users(work: Work, gone: Mapping[str, Sequence[str]], held: Mapping[str, UserRecord]) -> None:
    """Delete users with their API keys, as `unwanted_users` has returned them."""
    for name, keys in gone.items():
        record = held[name]
        with work.at("users"):
            async with work.recorded(Event.USER_CHANGE, "DeleteUserAccount", userName=name):
                await delete_user(work.services, work.caller, name)
            deleted = work.object(Kind.USER, name)
            deleted.action, deleted.deletion = Action.REMOVE, True
            deleted.differences += [*of_sets("role", record.roles, ()), *of_sets("API key", keys, ())]


async def _create(work: Work, name: str, user: PolicyUser, hashes: Mapping[str, str] | None) -> None:
    if user.scim:
        raise NotFound("SCIM manages this user, who is not here yet: provision it first, or leave it out")
    description, enabled = given(user.description, ""), given(user.enabled, True)
    if isinstance(user.identity, PolicyIdentity):
        invitation = Invitation(user.identity.issuer, name, given(user.identity.subject, ""), description)
        told = {"issuer": invitation.issuer, "subject": invitation.subject}
        async with work.recorded(Event.USER_CHANGE, "InviteUser", userName=name, description=description, **told):
            await invite(work.services, work.caller, invitation)
        if not enabled:
            async with work.recorded(Event.USER_CHANGE, "DisableUser", userName=name):
                await disable_user(work.services, work.caller, name)
    else:
        new = NewUser(name, _hash(name, hashes), description, one_time=hashes is not None, enabled=enabled)
        named = {"userName": name, "description": description, "enabled": enabled, "oneTime": new.one_time}
        async with work.recorded(Event.USER_CHANGE, "CreateUserAccount", **named):
            await create_hashed(work.services, work.caller, new)
    made = work.object(Kind.USER, name)
    made.action = Action.ADD
    made.differences += of_values("description", "", description)
    made.differences += [] if enabled else [Difference(Action.ADD, "enabled", "", "no")]
    if isinstance(user.identity, PolicyIdentity):
        made.differences += of_values("identity", "", _shown(user.identity.issuer, given(user.identity.subject, "")))


def _hash(name: str, hashes: Mapping[str, str] | None) -> str:
    if hashes is None:
        return NO_PASSWORD
    if name not in hashes:
        raise InvalidArgument("this user was deleted meanwhile: apply the file again")
    return hashes[name]


async def _describe(work: Work, user: PolicyUser, before: UserRecord) -> None:
    _require_same_sign_in(user, before)
    description = given(user.description, before.description)
    if description != before.description:
        async with work.recorded(Event.USER_CHANGE, "UpdateCredential", user=before.name, description=description):
            await set_description(work.services, work.caller, before.name, description)
        work.object(Kind.USER, before.name).differences += of_values("description", before.description, description)
    if user.enabled is True and not before.enabled:
        async with work.recorded(Event.USER_CHANGE, "EnableUser", userName=before.name):
            await enable_user(work.caller, before.name)
        work.object(Kind.USER, before.name).differences += of_values("enabled", "no", "yes")


def _require_same_sign_in(user: PolicyUser, before: UserRecord) -> None:
    """Refuse what would change how a user signs in.

    Raises:
        InvalidArgument: the file says otherwise than it is.
    """
    if user.scim and before.scim_login is None:
        raise InvalidArgument("SCIM does not manage this user: hand it over first, or leave `scim` out")
    if before.scim_login is not None and given(user.enabled, before.enabled) != before.enabled:
        raise InvalidArgument("SCIM decides whether this user is enabled: leave `enabled` out")
    if isinstance(user.identity, UnsetType):
        return
    if before.identity is None:
        raise InvalidArgument("this user signs in with a password, not by an identity provider: delete it first")
    there = _shown(before.identity.issuer, before.identity.subject or "")
    asked = _shown(user.identity.issuer, given(user.identity.subject, before.identity.subject or ""))
    if asked != there:
        raise InvalidArgument(f"this user is {there}, and a file cannot change that: delete it first")


async def _bind(work: Work, name: str, wanted: Sequence[str], held: Sequence[str]) -> None:
    for role in sorted(set(wanted) - set(held)):
        with work.at("users", name, "roles", wanted.index(role)):
            async with work.recorded(Event.ROLE_CHANGE, "OperateUserRole", user=name, role=role):
                await bind_role(work.services, work.caller, user=name, role=role)
            work.object(Kind.USER, name).differences += of_sets("role", [], [role])


async def _tag(work: Work, name: str, wanted: Mapping[str, str] | UnsetType, held: Mapping[str, str]) -> None:
    after = given(wanted, held)
    new = {key: value for key, value in sorted(after.items()) if held.get(key) != value}
    lost = sorted(held.keys() - after.keys())
    holder = TagHolder(user_name=name)
    with work.at("users", name, "tags"):
        if lost:
            async with work.recorded(Event.TAG_CHANGE, "DeleteTags", userName=name, keys=lost):
                await delete_tags(work.caller, holder, lost)
        if new:
            async with work.recorded(Event.TAG_CHANGE, "SetTags", userName=name, tags=new):
                await set_tags(work.caller, holder, new)
    for key in sorted({*lost, *new}):
        work.object(Kind.USER, name).differences += of_values(f"tag {key}", held.get(key, ""), after.get(key, ""))


def _shown(issuer: str, subject: str) -> str:
    return f"{subject} of {issuer}" if subject else f"whoever signs in first of {issuer}"
