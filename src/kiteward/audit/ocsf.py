"""Lines of a trail as events of the Open Cybersecurity Schema Framework (OCSF), for programs that read those.

Source: https://schema.ocsf.io/1.8.0/ (classes, objects and enumerations by their numbers).
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from kiteward import __version__
from kiteward.audit.reader import Entry

VERSION: Final = "1.8.0"
"""The version of the schema."""


class _Class(NamedTuple):
    """A class of events: its number, that of its category, and the names of both."""

    uid: int
    name: str
    category_uid: int
    category: str


_IAM: Final = (3, "Identity & Access Management")
_APPLICATION: Final = (6, "Application Activity")
_ACCOUNT_CHANGE: Final = _Class(3001, "Account Change", *_IAM)
_AUTHENTICATION: Final = _Class(3002, "Authentication", *_IAM)
_ENTITY_MANAGEMENT: Final = _Class(3004, "Entity Management", *_IAM)
_APPLICATION_LIFECYCLE: Final = _Class(6002, "Application Lifecycle", *_APPLICATION)
_API_ACTIVITY: Final = _Class(6003, "API Activity", *_APPLICATION)

_CLASSES: Final[Mapping[str, _Class]] = {
    "authentication": _AUTHENTICATION,
    "session": _AUTHENTICATION,
    "user": _ACCOUNT_CHANGE,
    "role": _ENTITY_MANAGEMENT,
    "grant": _ENTITY_MANAGEMENT,
    "privilege_group": _ENTITY_MANAGEMENT,
    "api_key": _ENTITY_MANAGEMENT,
    "policy": _ENTITY_MANAGEMENT,
    "row_policy": _ENTITY_MANAGEMENT,
    "tag": _ENTITY_MANAGEMENT,
    "limit": _ENTITY_MANAGEMENT,
    "object": _API_ACTIVITY,
    "refusal": _API_ACTIVITY,
    "administrative_read": _API_ACTIVITY,
    "data": _API_ACTIVITY,
    "system": _APPLICATION_LIFECYCLE,
}
"""Kind of a line -> its class."""

_OTHER: Final = (99, "Other")

_ACCOUNT_ACTIVITIES: Final[Mapping[str, tuple[int, str]]] = {
    "CreateCredential": (1, "Create"),
    "CreateUserAccount": (1, "Create"),
    "EnableUser": (2, "Enable"),
    "UpdateCredential": (3, "Password Change"),
    "ResetPassword": (4, "Password Reset"),
    "DisableUser": (5, "Disable"),
    "DeleteCredential": (6, "Delete"),
    "DeleteUserAccount": (6, "Delete"),
    "LockUser": (9, "Lock"),
    "UnlockUser": (12, "Unlock"),
}
"""Operation -> activity of an account change; the role bindings of `OperateUserRole` are none of them."""

_ENTITY_VERBS: Final[Mapping[str, tuple[int, str]]] = {
    "Create": (1, "Create"),
    "Make": (1, "Create"),
    "Add": (1, "Create"),
    "Drop": (4, "Delete"),
    "Delete": (4, "Delete"),
    "Remove": (4, "Delete"),
    "Release": (4, "Delete"),
    "Revoke": (4, "Delete"),
    "Enable": (8, "Enable"),
    "Disable": (9, "Disable"),
}
"""First word of an operation -> activity; every other one updates."""

_CALL_VERBS: Final[Mapping[str, tuple[int, str]]] = {
    **dict.fromkeys(("Create", "Insert", "Import", "Add"), (1, "Create")),
    **dict.fromkeys(("Drop", "Delete", "Remove", "Truncate"), (4, "Delete")),
    **dict.fromkeys(
        ("Get", "List", "Show", "Describe", "Has", "Query", "Search", "Hybrid", "Select", "Batch", "Backup"),
        (2, "Read"),
    ),
    **dict.fromkeys(("Alter", "Rename", "Upsert", "Update", "Load", "Release", "Flush", "Restore"), (3, "Update")),
}
_LIFECYCLE: Final[Mapping[int, tuple[int, str]]] = {9001: (3, "Start"), 9002: (4, "Stop")}
_LOGON, _LOGOFF = (1, "Logon"), (2, "Logoff")
_READ: Final = (2, "Read")

_SEVERITIES: Final[Mapping[str, tuple[int, str]]] = {"refused": (3, "Medium"), "failed": (2, "Low")}
_INFORMATIONAL: Final = (1, "Informational")
_STATUSES: Final[Mapping[str, tuple[int, str]]] = {
    "succeeded": (1, "Success"),
    "failed": (2, "Failure"),
    "refused": (2, "Failure"),
}
_UNDECIDED: Final = (0, "Unknown")
"""The status of a change that was received or committed, and whose end another line tells."""

_WORD: Final = re.compile(r"[A-Z][a-z]+")
_NAMES: Final = ("roleName", "role", "groupName", "keyId", "policyName", "userName", "user", "object", "objectName")
"""Keys under which the details of a change name what it is about, the most specific first."""

_ITS_OWN: Final = frozenset(
    {"seq", "time", "chain", "request_id", "principal", "actor", "address", "operation", "replica"}
)
"""Fields of a line that an event holds elsewhere."""


def ocsf(entry: Entry) -> dict[str, Any]:
    """Return a line as an event of OCSF; what has no place there is in `unmapped`."""
    kind = _CLASSES[entry["kind"]]
    activity = _activity(kind, entry)
    severity = _SEVERITIES.get(entry["outcome"], _INFORMATIONAL)
    status = _STATUSES.get(entry["outcome"], _UNDECIDED)
    event = {
        "activity_id": activity[0],
        "activity_name": activity[1],
        "category_uid": kind.category_uid,
        "category_name": kind.category,
        "class_uid": kind.uid,
        "class_name": kind.name,
        "type_uid": kind.uid * 100 + activity[0],
        "type_name": f"{kind.name}: {activity[1]}",
        "time": _milliseconds(entry),
        "severity_id": severity[0],
        "severity": severity[1],
        "status_id": status[0],
        "status": status[1],
        "metadata": _metadata(entry),
        **_SPECIFIC[kind.uid](entry),
        "unmapped": {name: value for name, value in entry.items() if name not in _ITS_OWN},
    }
    if "reason" in entry or "error" in entry:
        event["status_detail"] = "; ".join(str(entry[name]) for name in ("error", "reason") if name in entry)
    if "duration_ms" in entry:
        event["duration"] = round(entry["duration_ms"])
    return event


def _activity(kind: _Class, entry: Entry) -> tuple[int, str]:
    operation = str(entry.get("operation", ""))
    word = _WORD.match(operation)
    verb = word[0] if word else ""
    if kind is _AUTHENTICATION:
        return _LOGOFF if verb in ("End", "Revoke") else _LOGON
    if kind is _ACCOUNT_CHANGE:
        return _ACCOUNT_ACTIVITIES.get(operation, _OTHER)
    if kind is _ENTITY_MANAGEMENT:
        return _ENTITY_VERBS.get(verb, (3, "Update"))
    if kind is _APPLICATION_LIFECYCLE:
        return _LIFECYCLE.get(int(entry.get("code", 0)), _OTHER)
    return _READ if entry["kind"] == "administrative_read" else _CALL_VERBS.get(verb, _OTHER)


def _metadata(entry: Entry) -> dict[str, Any]:
    metadata = {
        "version": VERSION,
        "product": {"name": "Kiteward", "vendor_name": "Kiteward", "version": __version__},
        "log_name": "audit",
        "event_code": str(entry.get("code", "")),
        "original_time": entry["time"],
        "sequence": entry["seq"],
        "uid": f"{entry.get('replica', '')}:{entry['seq']}",
    }
    if "request_id" in entry:
        metadata["correlation_uid"] = entry["request_id"]
    if "replica" in entry:
        metadata["loggers"] = [{"name": "audit", "device": {"hostname": entry["replica"], "type_id": 1}}]
    return metadata


def _parties(entry: Entry) -> dict[str, Any]:
    """Return who acted, and from where."""
    actor: dict[str, Any] = {"app_name": str(entry.get("client") or "unknown")}
    if "principal" in entry:
        actor["user"] = _user(entry["principal"])
        if "credential" in entry:
            actor["user"]["credential_uid"] = entry["credential"]
    if "actor" in entry:
        actor["invoked_by"] = entry["actor"]
    if "decision" in entry:
        decided = {"decision": entry["decision"], "policy": {"name": entry.get("privilege") or "unnamed"}}
        actor["authorizations"] = [decided]
    return {"actor": actor, "src_endpoint": _endpoint(entry)}


def _endpoint(entry: Entry) -> dict[str, Any]:
    host, _, port = str(entry.get("address", "")).rpartition(":")
    if not host:
        return {"name": entry.get("transport") or "local"}
    endpoint: dict[str, Any] = {"ip": host.strip("[]")}
    if port.isdecimal():
        endpoint["port"] = int(port)
    return endpoint


def _user(name: str) -> dict[str, Any]:
    return {"name": name or "unknown", "type_id": 0}


def _authentication(entry: Entry) -> dict[str, Any]:
    named = entry.get("principal") or entry.get("presented_user") or entry.get("details", {}).get("userName", "")
    return {
        **_parties(entry),
        "user": _user(str(named)),
        "service": {"name": "Kiteward"},
        "is_remote": "address" in entry,
    }


def _account(entry: Entry) -> dict[str, Any]:
    return {**_parties(entry), "user": _user(_named(entry, ("username", "userName", "user")))}


def _entity(entry: Entry) -> dict[str, Any]:
    entity = {"name": _named(entry, _NAMES) or entry["kind"], "type": entry["kind"], "type_id": 99}
    return {**_parties(entry), "entity": entity}


def _call(entry: Entry) -> dict[str, Any]:
    api: dict[str, Any] = {"operation": entry.get("operation", entry["kind"]), "service": {"name": "Kiteward"}}
    if "request_id" in entry:
        api["request"] = {"uid": entry["request_id"]}
    called = {**_parties(entry), "api": api}
    if entry.get("resources"):
        place = {"namespace": entry["database"]} if "database" in entry else {}
        called["resources"] = [{"name": name, **place} for name in entry["resources"]]
    return called


def _application(_entry: Entry) -> dict[str, Any]:
    return {"app": {"name": "Kiteward", "vendor_name": "Kiteward", "version": __version__}}


_SPECIFIC: Final = {
    _AUTHENTICATION.uid: _authentication,
    _ACCOUNT_CHANGE.uid: _account,
    _ENTITY_MANAGEMENT.uid: _entity,
    _API_ACTIVITY.uid: _call,
    _APPLICATION_LIFECYCLE.uid: _application,
}
"""Class -> what its events hold beside what all do."""


def _named(entry: Entry, names: tuple[str, ...]) -> str:
    """Return the first text that the details have under one of these keys, at any depth."""
    for name in names:
        found = _found(entry.get("details", {}), name)
        if found:
            return found
    return ""


def _found(details: Any, name: str) -> str:
    if isinstance(details, dict):
        value = details.get(name)
        if isinstance(value, str) and value:
            return value
        return next(filter(None, (_found(each, name) for each in details.values())), "")
    if isinstance(details, list):
        return next(filter(None, (_found(each, name) for each in details)), "")
    return ""


def _milliseconds(entry: Entry) -> int:
    return int(datetime.fromisoformat(entry["time"]).timestamp() * 1000)
