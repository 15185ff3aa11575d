"""The Milvus messages: the only module that knows the generated code.

The generated classes that many modules use are exported under their own names, all others through their modules. This
module also holds what the rest of Kiteward needs
from the protocol's descriptors: which RPCs there are, how each answers a failure, and where in a message a field sits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeAlias, TypeVar, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from kiteward.domain.errors import EngineResponseUnreadable, OperationUnknown, PayloadMalformed
from kiteward.milvus.field_paths import inner, paths
from kiteward.milvus.generated import common_pb2 as common_pb2  # noqa: PLC0414  exported
from kiteward.milvus.generated import milvus_pb2 as milvus_pb2  # noqa: PLC0414  exported
from kiteward.milvus.generated import rg_pb2 as rg_pb2  # noqa: PLC0414  exported
from kiteward.milvus.generated import schema_pb2 as schema_pb2  # noqa: PLC0414  exported
from kiteward.milvus.wire_format import LENGTH, top_level

AlterAliasRequest: TypeAlias = milvus_pb2.AlterAliasRequest
AlterRoleRequest: TypeAlias = milvus_pb2.AlterRoleRequest
BackupRBACMetaRequest: TypeAlias = milvus_pb2.BackupRBACMetaRequest
BackupRBACMetaResponse: TypeAlias = milvus_pb2.BackupRBACMetaResponse
BoolResponse: TypeAlias = milvus_pb2.BoolResponse
CheckHealthResponse: TypeAlias = milvus_pb2.CheckHealthResponse
ClientInfo: TypeAlias = common_pb2.ClientInfo
ConnectRequest: TypeAlias = milvus_pb2.ConnectRequest
ConnectResponse: TypeAlias = milvus_pb2.ConnectResponse
CreateCollectionRequest: TypeAlias = milvus_pb2.CreateCollectionRequest
CreateCredentialRequest: TypeAlias = milvus_pb2.CreateCredentialRequest
CreateDatabaseRequest: TypeAlias = milvus_pb2.CreateDatabaseRequest
CreatePrivilegeGroupRequest: TypeAlias = milvus_pb2.CreatePrivilegeGroupRequest
CreateRoleRequest: TypeAlias = milvus_pb2.CreateRoleRequest
DeleteCredentialRequest: TypeAlias = milvus_pb2.DeleteCredentialRequest
DeleteRequest: TypeAlias = milvus_pb2.DeleteRequest
DescribeAliasRequest: TypeAlias = milvus_pb2.DescribeAliasRequest
DescribeAliasResponse: TypeAlias = milvus_pb2.DescribeAliasResponse
DescribeCollectionRequest: TypeAlias = milvus_pb2.DescribeCollectionRequest
DescribeCollectionResponse: TypeAlias = milvus_pb2.DescribeCollectionResponse
DropCollectionRequest: TypeAlias = milvus_pb2.DropCollectionRequest
DropDatabaseRequest: TypeAlias = milvus_pb2.DropDatabaseRequest
DropPrivilegeGroupRequest: TypeAlias = milvus_pb2.DropPrivilegeGroupRequest
DropRoleRequest: TypeAlias = milvus_pb2.DropRoleRequest
ErrorCode: TypeAlias = common_pb2.ErrorCode
FlushRequest: TypeAlias = milvus_pb2.FlushRequest
FlushResponse: TypeAlias = milvus_pb2.FlushResponse
GetPersistentSegmentInfoResponse: TypeAlias = milvus_pb2.GetPersistentSegmentInfoResponse
GetQuerySegmentInfoResponse: TypeAlias = milvus_pb2.GetQuerySegmentInfoResponse
GetVersionRequest: TypeAlias = milvus_pb2.GetVersionRequest
GetVersionResponse: TypeAlias = milvus_pb2.GetVersionResponse
GrantEntity: TypeAlias = milvus_pb2.GrantEntity
GrantorEntity: TypeAlias = milvus_pb2.GrantorEntity
HasCollectionRequest: TypeAlias = milvus_pb2.HasCollectionRequest
HybridSearchRequest: TypeAlias = milvus_pb2.HybridSearchRequest
InsertRequest: TypeAlias = milvus_pb2.InsertRequest
KeyValuePair: TypeAlias = common_pb2.KeyValuePair
ListAliasesRequest: TypeAlias = milvus_pb2.ListAliasesRequest
ListAliasesResponse: TypeAlias = milvus_pb2.ListAliasesResponse
ListCredUsersRequest: TypeAlias = milvus_pb2.ListCredUsersRequest
ListCredUsersResponse: TypeAlias = milvus_pb2.ListCredUsersResponse
ListDatabasesRequest: TypeAlias = milvus_pb2.ListDatabasesRequest
ListDatabasesResponse: TypeAlias = milvus_pb2.ListDatabasesResponse
ListPrivilegeGroupsRequest: TypeAlias = milvus_pb2.ListPrivilegeGroupsRequest
ListPrivilegeGroupsResponse: TypeAlias = milvus_pb2.ListPrivilegeGroupsResponse
ManualCompactionResponse: TypeAlias = milvus_pb2.ManualCompactionResponse
MutationResult: TypeAlias = milvus_pb2.MutationResult
ObjectEntity: TypeAlias = milvus_pb2.ObjectEntity
ObjectPrivilege: TypeAlias = common_pb2.ObjectPrivilege
ObjectType: TypeAlias = common_pb2.ObjectType
OperatePrivilegeGroupRequest: TypeAlias = milvus_pb2.OperatePrivilegeGroupRequest
OperatePrivilegeGroupType: TypeAlias = milvus_pb2.OperatePrivilegeGroupType
OperatePrivilegeRequest: TypeAlias = milvus_pb2.OperatePrivilegeRequest
OperatePrivilegeType: TypeAlias = milvus_pb2.OperatePrivilegeType
OperatePrivilegeV2Request: TypeAlias = milvus_pb2.OperatePrivilegeV2Request
OperateUserRoleRequest: TypeAlias = milvus_pb2.OperateUserRoleRequest
OperateUserRoleType: TypeAlias = milvus_pb2.OperateUserRoleType
PrivilegeEntity: TypeAlias = milvus_pb2.PrivilegeEntity
PrivilegeGroupInfo: TypeAlias = milvus_pb2.PrivilegeGroupInfo
QueryRequest: TypeAlias = milvus_pb2.QueryRequest
QueryResults: TypeAlias = milvus_pb2.QueryResults
RBACMeta: TypeAlias = milvus_pb2.RBACMeta
RenameCollectionRequest: TypeAlias = milvus_pb2.RenameCollectionRequest
RestoreRBACMetaRequest: TypeAlias = milvus_pb2.RestoreRBACMetaRequest
RoleEntity: TypeAlias = milvus_pb2.RoleEntity
RoleResult: TypeAlias = milvus_pb2.RoleResult
SearchRequest: TypeAlias = milvus_pb2.SearchRequest
SearchResults: TypeAlias = milvus_pb2.SearchResults
SelectGrantRequest: TypeAlias = milvus_pb2.SelectGrantRequest
SelectGrantResponse: TypeAlias = milvus_pb2.SelectGrantResponse
SelectRoleRequest: TypeAlias = milvus_pb2.SelectRoleRequest
SelectRoleResponse: TypeAlias = milvus_pb2.SelectRoleResponse
SelectUserRequest: TypeAlias = milvus_pb2.SelectUserRequest
SelectUserResponse: TypeAlias = milvus_pb2.SelectUserResponse
ServerInfo: TypeAlias = common_pb2.ServerInfo
ShowCollectionsRequest: TypeAlias = milvus_pb2.ShowCollectionsRequest
ShowCollectionsResponse: TypeAlias = milvus_pb2.ShowCollectionsResponse
Status: TypeAlias = common_pb2.Status
UpdateCredentialRequest: TypeAlias = milvus_pb2.UpdateCredentialRequest
UpsertRequest: TypeAlias = milvus_pb2.UpsertRequest
UserEntity: TypeAlias = milvus_pb2.UserEntity
UserInfo: TypeAlias = milvus_pb2.UserInfo
UserResult: TypeAlias = milvus_pb2.UserResult

SERVICE = "milvus.proto.milvus.MilvusService"
TELEMETRY_SERVICE = "milvus.proto.milvus.ClientTelemetryService"


COLLECTION_NOT_FOUND = 100
"""`Status.code` of a collection that does not exist (contract appendix A)."""
LEGACY_COLLECTION_NOT_EXISTS = ErrorCode.CollectionNotExists
"""Its older form, which `has_collection` of older SDKs reads."""

ProtocolDescriptor: TypeAlias = Descriptor
ProtocolField: TypeAlias = FieldDescriptor
ProtocolMessage: TypeAlias = Message
_M = TypeVar("_M", bound=Message)
MessageType = type[Message]


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC.

    Args:
        name: its bare name, such as `Search`.
        service: the full name of the service that declares it.
        request: the class of its request.
        response: the class of its response.
        streaming: whether either side sends more than one message.
        status_field: the field of the response that holds the `Status`; empty if the response is one, None if it has
            none.
        status_tag: the tag of that field on the wire; 0 if there is none.
    """

    name: str
    service: str
    request: MessageType
    response: MessageType
    streaming: bool
    status_field: str | None
    status_tag: int

    @property
    def path(self) -> str:
        """The RPC as gRPC names it: `/service/name`."""
        return f"/{self.service}/{self.name}"


class Annotation(NamedTuple):
    """What the protocol's option `privilege_ext_obj` says a request needs, in Milvus spelling (`Global`, `Insert`).

    `name_index` is the number of the field with the object's name, `names_index` of the repeated field with several; 0
    or less means none.
    """

    object_type: str
    privilege: str
    name_index: int
    names_index: int


def _status_field(response: Descriptor) -> tuple[str | None, int]:
    """Return the name and the tag of the field that holds the status, as `Method` has them."""
    status = Status.DESCRIPTOR.full_name
    if response.full_name == status:
        return "", 0
    held = (field for field in response.fields if _message_name(field) == status)
    return next(((field.name, field.number << 3 | LENGTH) for field in held), (None, 0))


def _message_name(field: FieldDescriptor) -> str | None:
    return field.message_type.full_name if field.message_type else None


def _methods(service: ServiceDescriptor) -> dict[str, Method]:
    return {
        rpc.name: Method(
            name=rpc.name,
            service=service.full_name,
            request=GetMessageClass(rpc.input_type),
            response=GetMessageClass(rpc.output_type),
            streaming=rpc.client_streaming or rpc.server_streaming,
            status_field=status_field,
            status_tag=status_tag,
        )
        for rpc in service.methods
        for status_field, status_tag in (_status_field(rpc.output_type),)
    }


_SERVICES = milvus_pb2.DESCRIPTOR.services_by_name
METHODS: Mapping[str, Method] = MappingProxyType(
    _methods(_SERVICES["MilvusService"]) | _methods(_SERVICES["ClientTelemetryService"])
)
_BY_REQUEST: Mapping[MessageType, Method] = MappingProxyType({rpc.request: rpc for rpc in METHODS.values()})


def method_of(name: str) -> Method:
    """Return an RPC by its bare name.

    Raises:
        OperationUnknown: neither service declares it.
    """
    try:
        return METHODS[name]
    except KeyError:
        raise OperationUnknown(f"there is no RPC `{name}`") from None


def rpc_of(request: MessageType) -> Method:
    """Return the RPC that takes a request type; every RPC has a type of its own.

    Raises:
        OperationUnknown: no RPC takes it.
    """
    try:
        return _BY_REQUEST[request]
    except KeyError:
        raise OperationUnknown(f"no RPC takes a {request.__name__}") from None


def descriptor_of(message_type: MessageType) -> Descriptor:
    """Return what the protocol declares of a message type."""
    return cast("Descriptor", message_type.DESCRIPTOR)  # of either runtime, which have the same attributes


def enum_name(message: ProtocolMessage, field: str) -> str:
    """Return the name of an enum field's value; a number that has none stands for itself."""
    number = getattr(message, field)
    kind = descriptor_of(type(message)).fields_by_name[field].enum_type
    value = None if kind is None else kind.values_by_number.get(number)
    return value.name if value else str(number)


def decode(method: str, payload: bytes) -> Message:
    """Return the request that a payload holds.

    Raises:
        OperationUnknown: there is no such RPC.
        PayloadMalformed: the payload is not a message of its request type.
    """
    return read_request(method_of(method).request, payload)


def read_request(kind: type[_M], payload: bytes) -> _M:
    """Return the request of a type that a payload holds.

    Raises:
        PayloadMalformed: the payload is not a message of that type.
    """
    try:
        return kind.FromString(payload)
    except DecodeError:
        raise PayloadMalformed(f"the payload is not a readable {kind.DESCRIPTOR.name}") from None


def success(method: str) -> bytes:
    """Return the response of an RPC that succeeded and has no content (contract 2.1).

    The status is there although it is empty: the Node SDK reads its fields without checking for it.

    Raises:
        OperationUnknown: there is no such RPC.
    """
    rpc = method_of(method)
    response = rpc.response(**{rpc.status_field: Status()}) if rpc.status_field else rpc.response()
    return bytes(response.SerializeToString())


def failure(
    method: str,
    *,
    code: int,
    legacy_code: ErrorCode.ValueType,
    reason: str,
    retriable: bool = False,
    extra_info: Mapping[str, str] | None = None,
) -> bytes:
    """Return the response of an RPC that reports a failure, as gRPC OK carries it.

    `detail` repeats the reason, as Milvus 2.6 and later do (contract 2.1).

    Args:
        method: the RPC.
        code: the error code, and
        legacy_code: the older one; at least one is not 0.
        reason: the message for the client.
        retriable: whether the same call may succeed later.
        extra_info: further facts, such as `is_input_error`.

    Raises:
        OperationUnknown: there is no such RPC.
        ValueError: the response carries no status (`Method.status_field` is None), so that only gRPC can report the
            failure; or both codes are 0.
    """
    rpc = method_of(method)
    if rpc.status_field is None:
        raise ValueError(f"the response of {method} carries no status")
    if not code and not legacy_code:
        raise ValueError("a failure needs a code")
    status = Status(error_code=legacy_code, reason=reason, code=code, retriable=retriable, detail=reason)
    status.extra_info.update(extra_info or {})
    response = rpc.response(**{rpc.status_field: status}) if rpc.status_field else status
    return bytes(response.SerializeToString())


def status_code(method: str, response: bytes) -> int:
    """Return the code of a response's status without decoding the rest: 0 means success.

    A failure is a `code` or, failing that, a legacy `error_code` other than 0 (contract 1.7). A response that carries
    no status (`Method.status_field` is None) has code 0: such an RPC fails by its gRPC status alone.
    A status that shares a oneof with other content (DumpMessages) counts even if such content follows it.

    Raises:
        OperationUnknown: there is no such RPC.
        EngineResponseUnreadable: the bytes are not a message.
    """
    rpc = method_of(method)
    if rpc.status_field is None:
        return 0
    try:
        encoded = _status_bytes(rpc, response)
        if not encoded:
            return 0
        status = Status.FromString(encoded)
    except (PayloadMalformed, DecodeError):
        raise EngineResponseUnreadable(f"the engine's response to `{method}` cannot be read") from None
    return int(status.code or status.error_code)


def _status_bytes(rpc: Method, response: bytes) -> bytes:
    """Return the status in a response; its occurrences are merged, as the parser would."""
    if not rpc.status_field:
        return response
    wanted = rpc.status_tag
    return b"".join([response[begin:end] for tag, _, begin, end in top_level(response) if tag == wanted])


def read_response(kind: type[_M], response: bytes) -> _M:
    """Return the decoded response of an engine.

    Args:
        kind: the type of the response.
        response: its bytes.

    Raises:
        EngineResponseUnreadable: they are not such a message.
    """
    try:
        return kind.FromString(response)
    except DecodeError:
        raise EngineResponseUnreadable(
            f"the engine's response, which should be a {kind.DESCRIPTOR.name}, cannot be read"
        ) from None


def annotation(method: str) -> Annotation | None:
    """Return what the request of an RPC is annotated with, None if it is not.

    Raises:
        OperationUnknown: there is no such RPC.
    """
    options = method_of(method).request.DESCRIPTOR.GetOptions()
    if not options.HasExtension(common_pb2.privilege_ext_obj):
        return None
    declared = options.Extensions[common_pb2.privilege_ext_obj]
    return Annotation(
        object_type=ObjectType.Name(declared.object_type),
        privilege=ObjectPrivilege.Name(declared.object_privilege).removeprefix("Privilege"),
        name_index=declared.object_name_index,
        names_index=declared.object_name_indexs,
    )


def serialised_in(request: MessageType) -> Mapping[str, MessageType]:
    """Return the bytes fields of a request that hold a message, with its type."""
    held = ((field, inner(field)) for field in descriptor_of(request).fields if field.message_type is None)
    return {field.name: GetMessageClass(message) for field, message in held if message is not None}


def paths_in(method: str) -> Mapping[str, tuple[str, ...]]:
    """Return the paths of every field of a request that holds a message, by the full name of its type.

    Fields of nested messages are included. The request itself has the path `""`.

    Args:
        method: the RPC.

    Raises:
        OperationUnknown: there is no such RPC.
    """
    return paths(descriptor_of(method_of(method).request))
