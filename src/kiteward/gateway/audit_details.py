"""Which fields of a request the audit trail records, and which it does not.

`DETAILS` and `LEFT_OUT` together name every field of every RPC that is executed here or changes objects, which a test
demands. Of our own operations every field is recorded that is no `Secret`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from kiteward.audit.events import NO_DETAILS
from kiteward.domain.errors import PayloadMalformed
from kiteward.domain.identity import Secret
from kiteward.iam.json_api.base import Arguments, Outcome
from kiteward.milvus import messages


@dataclass(frozen=True, slots=True)
class Rows:
    """A repeated message of which each element is recorded as a row of its own.

    Attributes:
        path: where it stands.
        fields: what is recorded of an element -> the field in the event.
    """

    path: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class As:
    """A field that is recorded in another form.

    Attributes:
        path: where it stands.
        read: returns what is recorded of its value.
    """

    path: str
    read: Callable[[Any], Any]


Place = str | Rows | As
Reader = Callable[[Any], Any]
Readers = tuple[tuple[str, Reader], ...]


def paths_of(place: Place) -> list[str]:
    """Return the fields that are recorded at a place, by their paths from the request on."""
    match place:
        case Rows():
            return [f"{place.path}.{field}" for field in place.fields.values()]
        case As():
            return [place.path]
        case _:
            return [place]


_CONFIDENTIAL: Final = re.compile(
    r"passw|secret|token|credential|external_spec|(api|access|private|account|encryption|cipher)[._-]?key",
    re.IGNORECASE,
)
"""Names of properties and parameters whose values are not recorded."""

_UNTOLD: Final = "(not recorded)"
_SCHEMA: Final = type(messages.DescribeCollectionResponse().schema)


def _plain(value: Any) -> Any:
    """Return a value of a message as JSON has it; confidential ones are replaced."""
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "extend"):
        return [_plain(each) for each in value]
    if hasattr(value, "items"):
        return {str(name): _told(str(name), each) for name, each in value.items()}
    fields = {field.name: each for field, each in value.ListFields()}
    if fields.keys() == {"key", "value"}:
        return {"key": fields["key"], "value": _told(str(fields["key"]), fields["value"])}
    return {name: _told(name, each) for name, each in fields.items()}


def _told(name: str, value: Any) -> Any:
    return _UNTOLD if _CONFIDENTIAL.search(name) else _plain(value)


def _schema(encoded: bytes) -> Any:
    try:
        return _plain(_SCHEMA.FromString(encoded))
    except Exception:  # noqa: BLE001  the engine is going to refuse what cannot be read
        return {"bytes": len(encoded)}


def _uri(given: str) -> str:
    """Return a URI without what may open it: a user and a password, a query."""
    try:
        parts = urlsplit(given)
    except ValueError:
        return _UNTOLD
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


DETAILS: Final[Mapping[str, Mapping[str, Place]]] = {
    "CreateCredential": {"user": "username", "description": "description"},
    "UpdateCredential": {"user": "username", "description": "description"},
    "DeleteCredential": {"user": "username"},
    "ListCredUsers": {},
    "SelectUser": {"user": "user.name", "roles": "include_role_info"},
    "OperateUserRole": {"user": "username", "role": "role_name", "removed": "type"},
    "CreateRole": {"role": "entity.name", "description": "entity.description"},
    "AlterRole": {"role": "role_name", "description": "description"},
    "DropRole": {"role": "role_name", "force": "force_drop"},
    "SelectRole": {"role": "role.name", "users": "include_user_info"},
    "OperatePrivilege": {
        "role": "entity.role.name",
        "privilege": "entity.grantor.privilege.name",
        "object_type": "entity.object.name",
        "object": "entity.object_name",
        "database": "entity.db_name",
        "revoked": "type",
    },
    "OperatePrivilegeV2": {
        "role": "role.name",
        "privilege": "grantor.privilege.name",
        "database": "db_name",
        "object": "collection_name",
        "revoked": "type",
    },
    "SelectGrant": {
        "role": "entity.role.name",
        "object_type": "entity.object.name",
        "object": "entity.object_name",
        "database": "entity.db_name",
    },
    "CreatePrivilegeGroup": {"group": "group_name"},
    "DropPrivilegeGroup": {"group": "group_name"},
    "ListPrivilegeGroups": {},
    "OperatePrivilegeGroup": {"group": "group_name", "privileges": "privileges.name", "removed": "type"},
    "BackupRBAC": {},
    "RestoreRBAC": {
        "users": Rows("RBAC_meta.users", {"user": "user", "roles": "roles.name"}),
        "roles": Rows("RBAC_meta.roles", {"role": "name", "description": "description"}),
        "groups": Rows("RBAC_meta.privilege_groups", {"group": "group_name", "privileges": "privileges.name"}),
        "grants": Rows(
            "RBAC_meta.grants",
            {
                "role": "role.name",
                "privilege": "grantor.privilege.name",
                "object_type": "object.name",
                "object": "object_name",
                "database": "db_name",
                "granted_by": "grantor.user.name",
            },
        ),
    },
    "CreateCollection": {
        "collection": "collection_name",
        "schema": As("schema", _schema),
        "shards": "shards_num",
        "consistency": "consistency_level",
        "partitions": "num_partitions",
        "properties": "properties",
    },
    "DropCollection": {"collection": "collection_name"},
    "RenameCollection": {"collection": "oldName", "new_name": "newName", "new_database": "newDBName"},
    "CreateAlias": {"alias": "alias", "collection": "collection_name"},
    "AlterAlias": {"alias": "alias", "collection": "collection_name"},
    "DropAlias": {"alias": "alias"},
    "CreateDatabase": {"properties": "properties"},
    "DropDatabase": {},
    "RestoreSnapshot": {
        "snapshot": "name",
        "collection": "collection_name",
        "target": "target_collection_name",
        "target_database": "target_db_name",
        "rewritten": "rewrite_data",
    },
    "RestoreExternalSnapshot": {"target": "target_collection_name", "from": As("snapshot_metadata_uri", _uri)},
}
"""RPC -> what is recorded of its request, as it was given -> the field in the event."""

_IGNORED: Final = "it has no effect"
_RESOLVED: Final = "the line has the resolved database"
_HIDDEN: Final = "it is secret, or may be"

LEFT_OUT: Final[Mapping[str, Mapping[str, str]]] = {
    "CreateCredential": {
        "password": _HIDDEN,
        "created_utc_timestamps": _IGNORED,
        "modified_utc_timestamps": _IGNORED,
    },
    "UpdateCredential": {
        "oldPassword": _HIDDEN,
        "newPassword": _HIDDEN,
        "created_utc_timestamps": _IGNORED,
        "modified_utc_timestamps": _IGNORED,
    },
    "SelectRole": {"role.description": _IGNORED},
    "OperatePrivilege": {
        "entity.role.description": _IGNORED,
        "entity.grantor.user.name": _IGNORED,
        "version": _IGNORED,
    },
    "OperatePrivilegeV2": {"role.description": _IGNORED, "grantor.user.name": _IGNORED},
    "SelectGrant": {
        "entity.role.description": _IGNORED,
        "entity.grantor.user.name": _IGNORED,
        "entity.grantor.privilege.name": _IGNORED,
    },
    "RestoreRBAC": {
        "RBAC_meta.users.password": _HIDDEN,
        "RBAC_meta.users.roles.description": _IGNORED,
        "RBAC_meta.grants.role.description": _IGNORED,
    },
    "CreateCollection": {"db_name": _RESOLVED},
    "DropCollection": {"db_name": _RESOLVED},
    "RenameCollection": {"db_name": _RESOLVED},
    "CreateAlias": {"db_name": _RESOLVED},
    "AlterAlias": {"db_name": _RESOLVED},
    "DropAlias": {"db_name": _RESOLVED},
    "CreateDatabase": {"db_name": _RESOLVED},
    "DropDatabase": {"db_name": _RESOLVED},
    "RestoreSnapshot": {"db_name": _RESOLVED},
    "RestoreExternalSnapshot": {"db_name": _RESOLVED, "external_spec": _HIDDEN},
}
"""RPC -> field that is not recorded -> why. `base`, which nobody reads, is left out everywhere."""

RESULTS_LEFT_OUT: Final[Mapping[str, frozenset[str]]] = {"ChangeGrants": frozenset({"users"})}
"""Operation of ours -> what of its outcome is not recorded: what the change did not make."""

_KIBIBYTE: Final = 1024
AT_ONCE: Final = 16 * _KIBIBYTE
"""Bytes of a request up to which its details are read between two other requests, or at all if it changes nothing."""

_ROOM: Final = 256 * _KIBIBYTE
_MORE_ROOM: Final[Mapping[str, int]] = {
    "RestoreRBAC": 64 * _KIBIBYTE * _KIBIBYTE,
    "ChangeGrants": 2 * _KIBIBYTE * _KIBIBYTE,
    "CreateUserAccount": 2 * _KIBIBYTE * _KIBIBYTE,
}


def room_of(operation: str) -> int:
    """Return how many bytes the details of a change may take; a larger one is refused."""
    return _MORE_ROOM.get(operation, _ROOM)


def details_of_rpc(operation: str, payload: bytes, message: Any = None) -> Mapping[str, Any]:
    """Return what is recorded of a request to an RPC; a value that is the protocol's default is left out.

    Args:
        operation: the RPC.
        payload: the request; one that cannot be read has no details.
        message: the same, where it has been decoded already.
    """
    readers = _READERS.get(operation)
    if not readers:
        return NO_DETAILS
    if message is None:
        try:
            message = messages.decode(operation, payload)
        except PayloadMalformed:
            return NO_DETAILS
    return _given(message, readers)


def details_of(arguments: Arguments) -> Mapping[str, Any]:
    """Return what is recorded of a request to one of our own operations: what was given, without secrets."""
    return {
        field.encode_name: msgspec.to_builtins(value)
        for field in msgspec.structs.fields(arguments)
        if not isinstance(value := getattr(arguments, field.name), Secret) and value != _default(field)
    }


def result_of(operation: str, outcome: Outcome) -> Mapping[str, Any]:
    """Return what is recorded of the outcome of one of our own operations: what the server made, without secrets."""
    left_out = RESULTS_LEFT_OUT.get(operation, frozenset())
    values = ((field, getattr(outcome, field.name)) for field in msgspec.structs.fields(outcome))
    return {
        field.encode_name: "issued" if isinstance(value, Secret) else msgspec.to_builtins(value)
        for field, value in values
        if value is not None and field.encode_name not in left_out
    }


def _default(field: "msgspec.structs.FieldInfo") -> Any:
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default


def _given(message: Any, readers: Readers) -> dict[str, Any]:
    details = {}
    for name, read in readers:
        value = read(message)
        if value is not None:
            details[name] = value
    return details


def _readers_of(places: Mapping[str, Place], descriptor: Any) -> Readers:
    """Return what reads each place of a message, with the name that its value is recorded under."""
    return tuple((name, _reader_of(place, descriptor)) for name, place in places.items())


def _reader_of(place: Place, descriptor: Any) -> Reader:
    """Return what reads a place of a message: its value, or None where nothing was given."""
    match place:
        case Rows():
            read_rows, row = _value_at(place.path, descriptor)
            readers = _readers_of(place.fields, row.message_type)
            return lambda message: [_given(each, readers) for each in read_rows(message)] or None
        case As():
            read_encoded, _ = _value_at(place.path, descriptor)
            return lambda message: place.read(value) if (value := read_encoded(message)) else None
    read, field = _value_at(place, descriptor)
    if field.has_presence and "." not in place and field.message_type is None:
        # The field has presence: an empty value differs from none.
        return lambda message: _plain(read(message)) if message.HasField(place) else None
    return lambda message: _plain(value) if (value := read(message)) else None


def _value_at(path: str, descriptor: Any) -> tuple[Reader, Any]:
    """Return what reads the value at a path, a list if it leads through a repeated message, and its field."""
    name, _, below = path.partition(".")
    field = descriptor.fields_by_name[name]
    if not below:
        return attrgetter(name), field
    read, last = _value_at(below, field.message_type)
    if field.is_repeated:
        return lambda message: [read(each) for each in getattr(message, name)], last
    return (attrgetter(path) if isinstance(read, attrgetter) else lambda message: read(getattr(message, name))), last


_READERS: Final = {
    operation: _readers_of(places, messages.method_of(operation).request.DESCRIPTOR)
    for operation, places in DETAILS.items()
}
