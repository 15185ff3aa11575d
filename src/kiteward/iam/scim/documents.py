"""Users and groups as SCIM shows them, and the versions of what is shown."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kiteward.domain.moments import written
from kiteward.iam.scim.schemas import GROUP_URN, USER_URN
from kiteward.store.scim_records import ScimGroupRecord, ScimMember, ScimUserRecord


def kept_of_user(record: ScimUserRecord) -> dict[str, Any]:
    """Return what clients can set of a user."""
    external = {} if record.external_id is None else {"externalId": record.external_id}
    return {"userName": record.login, **external, **record.attributes, "active": record.active}


def kept_of_group(record: ScimGroupRecord, members: Sequence[ScimMember]) -> dict[str, Any]:
    """Return what clients can set of a group."""
    external = {} if record.external_id is None else {"externalId": record.external_id}
    listed = [{"value": each.scim_id, "type": "User"} for each in members]
    return {"displayName": record.display_name, **external, **({"members": listed} if listed else {})}


def user_document(record: ScimUserRecord) -> dict[str, Any]:
    """Return a user as it is shown, without addresses, which the API knows."""
    groups = [{"value": each.group_id, "display": each.display_name, "type": "direct"} for each in record.groups]
    shown = {"schemas": [USER_URN], "id": record.scim_id, **kept_of_user(record)}
    shown |= {"groups": groups} if groups else {}
    return _with_meta(shown, "User", record.created_at, record.changed_at)


def group_document(record: ScimGroupRecord, members: Sequence[ScimMember]) -> dict[str, Any]:
    """Return a group as it is shown, without addresses, which the API knows."""
    shown = {"schemas": [GROUP_URN], "id": record.group_id, **kept_of_group(record, members)}
    return _with_meta(shown, "Group", record.created_at, record.changed_at)


def version_of(document: Mapping[str, Any]) -> str:
    """Return the version of a document: a weak entity tag (RFC 7644, 3.14)."""
    version: str = document["meta"]["version"]
    return version


def _with_meta(shown: dict[str, Any], kind: str, created: float, changed: float) -> dict[str, Any]:
    times = {"created": _moment(created), "lastModified": _moment(changed)}
    digest = hashlib.sha256(json.dumps([shown, times], sort_keys=True).encode()).hexdigest()[:32]
    return {**shown, "meta": {"resourceType": kind, **times, "version": f'W/"{digest}"'}}


def _moment(seconds: float) -> str:
    return written(datetime.fromtimestamp(seconds, UTC), timespec="milliseconds")
