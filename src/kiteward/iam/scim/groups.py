"""Groups that SCIM manages. Their members have the roles that are mapped to their names (issuer `scim`)."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from kiteward.iam.caller import Caller
from kiteward.iam.recorded_states import members_before
from kiteward.iam.scim import faults
from kiteward.iam.scim.documents import group_document, kept_of_group
from kiteward.iam.scim.filters import Filter
from kiteward.iam.scim.listing import Page, Query, listed
from kiteward.iam.scim.matching import names_attribute
from kiteward.iam.scim.patching import Operation, patched
from kiteward.iam.scim.resources import accepted
from kiteward.iam.scim.schemas import GROUP
from kiteward.iam.scim.users import ID, require_version
from kiteward.iam.services import Services
from kiteward.store.scim import ScimDirectory, ScimReads
from kiteward.store.scim_records import ScimGroupRecord, ScimMember, ScimSelection

_MEMBERS: Final = "members"


@dataclass(frozen=True, slots=True)
class _GroupDocuments:
    """The groups, for `listed`; with members where these are shown or compared."""

    reads: ScimReads
    members: bool

    async def count(self) -> int:
        return await self.reads.group_count()

    async def read(self, selection: ScimSelection, found: Filter | None) -> Sequence[dict[str, Any]]:
        groups = await self.reads.groups(selection)
        members: Mapping[str, Sequence[ScimMember]] = {}
        if self.members or (found is not None and names_attribute(found, _MEMBERS)):
            members = await self.reads.members([each.group_id for each in groups])
        return [group_document(each, members.get(each.group_id, ())) for each in groups]


async def list_groups(services: Services, query: Query) -> Page:
    """List groups.

    Raises:
        InvalidArgument: the filter cannot be read.
        OperationRefused: SCIM is not enabled.
    """
    services.scim.require_enabled()
    return await listed(GROUP, _GroupDocuments(services.store.scim, query.members), query)


async def get_group(services: Services, group_id: str) -> dict[str, Any]:
    """Return a group with its members.

    Raises:
        NotFound: there is no such group.
        OperationRefused: SCIM is not enabled.
    """
    services.scim.require_enabled()
    return await _document(services.store.scim, group_id)


async def create_group(services: Services, caller: Caller, resource: Mapping[str, Any]) -> dict[str, Any]:
    """Make a group, and return it.

    Raises:
        InvalidArgument: the resource is wrong, or a member is no user that SCIM manages.
        OperationRefused: SCIM is not enabled.
    """
    services.scim.require_enabled()
    kept = accepted(GROUP, resource)
    group_id = str(uuid.uuid4())
    async with caller.change() as transaction:
        await transaction.scim.add_group(_record(ScimGroupRecord(group_id, "", None), kept))
        await _set_members(transaction.scim, group_id, (), kept)
        made = await _document(transaction.scim, group_id)
    caller.record(groupId=group_id)
    return made


async def replace_group(
    services: Services, caller: Caller, group_id: str, resource: Mapping[str, Any], *, versions: Sequence[str] = ()
) -> dict[str, Any]:
    """Replace a group with its members, and return it.

    Args:
        services: what services work with.
        caller: who changes it.
        group_id: its id.
        resource: what replaces it.
        versions: it is changed only if its version is one of these; empty for any.

    Raises:
        NotFound: there is no such group.
        InvalidArgument, OperationRefused: as of `create_group`; InvalidArgument also for another version.
    """
    kept = accepted(GROUP, resource)
    return await _change(services, caller, group_id, lambda _held: kept, versions)


async def patch_group(
    services: Services, caller: Caller, group_id: str, operations: Sequence[Operation], *, versions: Sequence[str] = ()
) -> dict[str, Any]:
    """Apply operations to a group, and return it. Arguments and errors as of `replace_group`."""
    return await _change(services, caller, group_id, lambda held: patched(GROUP, held, operations), versions)


async def delete_group(services: Services, caller: Caller, group_id: str, *, versions: Sequence[str] = ()) -> None:
    """Delete a group; its members stay, without the roles that it gave them.

    Raises:
        NotFound, OperationRefused: as of `replace_group`.
        InvalidArgument: it has another version.
    """
    services.scim.require_enabled()
    async with caller.change() as transaction:
        document = await _document(transaction.scim, group_id)
        require_version(document, versions)
        members = (await transaction.scim.members([group_id])).get(group_id, ())
        caller.record(displayName=document["displayName"], before=members_before(each.user_name for each in members))
        await transaction.scim.remove_group(group_id)


async def _change(
    services: Services,
    caller: Caller,
    group_id: str,
    change: Callable[[Mapping[str, Any]], dict[str, Any]],
    versions: Sequence[str],
) -> dict[str, Any]:
    services.scim.require_enabled()
    async with caller.change() as transaction:
        directory = transaction.scim
        before = await _found(directory, group_id)
        members = (await directory.members([group_id])).get(group_id, ())
        require_version(group_document(before, members), versions)
        kept = change(kept_of_group(before, members))
        after = _record(before, kept)
        changed = await _set_members(directory, group_id, members, kept)
        if after != before or changed:
            await directory.put_group(after)
        shown = await _document(directory, group_id)
    caller.record(displayName=after.display_name)
    return shown


async def _set_members(
    directory: ScimDirectory, group_id: str, members: Sequence[ScimMember], kept: Mapping[str, Any]
) -> bool:
    """Add and remove members until a group has those that are kept of it, and return whether there were any such.

    Raises:
        InvalidArgument: one is no user that SCIM manages.
    """
    held = {each.scim_id: each.user_name for each in members}
    wanted = {each["value"] for each in kept.get(_MEMBERS, ())}
    new = await directory.user_names(wanted - held.keys())
    unknown = len(wanted - held.keys() - new.keys())
    if unknown:
        raise faults.invalid_value(_MEMBERS, f"has {unknown} members that are not users of this directory")
    gone = {scim_id: name for scim_id, name in held.items() if scim_id not in wanted}
    await directory.add_members(group_id, new)
    await directory.remove_members(group_id, gone)
    return bool(new or gone)


def _record(before: ScimGroupRecord, kept: Mapping[str, Any]) -> ScimGroupRecord:
    return replace(before, display_name=kept["displayName"], external_id=kept.get("externalId"))


async def _document(reads: ScimReads, group_id: str) -> dict[str, Any]:
    record = await _found(reads, group_id)
    return group_document(record, (await reads.members([group_id])).get(group_id, ()))


async def _found(reads: ScimReads, group_id: str) -> ScimGroupRecord:
    record = await reads.group(group_id) if ID.fullmatch(group_id) else None
    if record is None:
        raise faults.not_found("group", group_id[:64])
    return record
