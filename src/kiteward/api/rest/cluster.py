"""Resource groups, analyzers, files, nodes and segments (contract 5.3)."""

from typing import Any, Final

import msgspec

from kiteward.api.rest.endpoints import NOTHING, Body, Endpoint, Name, Nothing, RequestContext, ResponseData, refused
from kiteward.api.rest.rpc import Int32, Int64, key_values, rpc_endpoint, text_of
from kiteward.milvus.messages import milvus_pb2, rg_pb2


class NodeCount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number of nodes."""

    node_num: Int32 = 0


class GroupName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The name of a resource group."""

    resource_group: str = ""


class NodeFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The nodes that a group prefers."""

    node_labels: dict[str, str] = {}


class GroupConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The number of nodes that a group needs and may have, and the groups it exchanges nodes with."""

    requests: NodeCount = NodeCount()
    limits: NodeCount = NodeCount()
    transfer_from: list[GroupName] = []
    transfer_to: list[GroupName] = []
    node_filter: NodeFilter = NodeFilter()


class GroupReq(Body):
    """The name of a resource group."""

    name: Name


class NewGroupReq(GroupReq):
    """A resource group to create."""

    config: GroupConfig | None = None


class GroupsReq(Body):
    """The new configurations of resource groups, by name."""

    resource_groups: dict[str, GroupConfig] = msgspec.field(name="resource_groups")


class TransferReq(Body):
    """Replicas to move between resource groups."""

    source_rg_name: Name
    target_rg_name: Name
    collection_name: Name
    replica_num: Int64


class GroupShape(ResponseData, rename=None):
    """A resource group."""

    name: str
    capacity: int
    num_available_node: int
    num_loaded_replica: dict[str, int]
    num_outgoing_node: dict[str, int]
    num_incoming_node: dict[str, int]
    nodes: list[dict[str, Any]]


class AnalyzerReq(Body):
    """Texts, and the analyzer that splits them."""

    text: list[str]
    analyzer_params: Any = None
    with_detail: bool = False
    with_hash: bool = False
    collection_name: str = ""
    field_name: str = ""
    analyzer_names: list[str] = []


class Token(ResponseData, rename=None):
    """A token of a text."""

    token: str
    start_offset: int
    end_offset: int
    position: int
    position_length: int
    hash: int


class Analysis(ResponseData):
    """The tokens of one text."""

    tokens: list[Token]


class FileReq(Body):
    """The name of a file."""

    name: Name


class NewFileReq(FileReq):
    """A file and its location."""

    path: Name


class FileShape(ResponseData):
    """A file that functions can use."""

    id: int
    name: str
    path: str


async def create_group(context: RequestContext, body: NewGroupReq) -> Nothing:
    """Answer `resource_groups/create`."""
    request = milvus_pb2.CreateResourceGroupRequest()
    request.resource_group = body.name
    if body.config is not None:
        _fill(request.config, body.config)
    await context.call(request)
    return NOTHING


async def alter_groups(context: RequestContext, body: GroupsReq) -> Nothing:
    """Answer `resource_groups/alter`."""
    request = milvus_pb2.UpdateResourceGroupsRequest()
    for name, config in body.resource_groups.items():
        _fill(request.resource_groups[name], config)
    await context.call(request)
    return NOTHING


def _fill(message: rg_pb2.ResourceGroupConfig, config: GroupConfig) -> None:
    message.requests.node_num = config.requests.node_num
    message.limits.node_num = config.limits.node_num
    for each in config.transfer_from:
        message.transfer_from.add(resource_group=each.resource_group)
    for each in config.transfer_to:
        message.transfer_to.add(resource_group=each.resource_group)
    message.node_filter.node_labels.extend(key_values(config.node_filter.node_labels))


async def list_groups(context: RequestContext, _body: Body) -> list[str]:
    """Answer `resource_groups/list`."""
    response = await context.call(milvus_pb2.ListResourceGroupsRequest(), milvus_pb2.ListResourceGroupsResponse)
    return list(response.resource_groups)


async def describe_group(context: RequestContext, body: GroupReq) -> GroupShape:
    """Answer `resource_groups/describe`."""
    group = (
        await context.call(
            milvus_pb2.DescribeResourceGroupRequest(resource_group=body.name), milvus_pb2.DescribeResourceGroupResponse
        )
    ).resource_group
    return GroupShape(
        name=group.name,
        capacity=group.capacity,
        num_available_node=group.num_available_node,
        num_loaded_replica=dict(group.num_loaded_replica),
        num_outgoing_node=dict(group.num_outgoing_node),
        num_incoming_node=dict(group.num_incoming_node),
        nodes=[{field.name: getattr(node, field.name) for field in node.DESCRIPTOR.fields} for node in group.nodes],
    )


async def run_analyzer(context: RequestContext, body: AnalyzerReq) -> list[Analysis]:
    """Answer `common/run_analyzer`."""
    response = await context.call(
        milvus_pb2.RunAnalyzerRequest(
            db_name=context.database,
            placeholder=[each.encode() for each in body.text],
            analyzer_params="" if body.analyzer_params is None else text_of(body.analyzer_params),
            with_detail=body.with_detail,
            with_hash=body.with_hash,
            collection_name=body.collection_name,
            field_name=body.field_name,
            analyzer_names=body.analyzer_names,
        ),
        milvus_pb2.RunAnalyzerResponse,
    )
    return [
        Analysis(
            tokens=[
                Token(
                    token=each.token,
                    start_offset=each.start_offset,
                    end_offset=each.end_offset,
                    position=each.position,
                    position_length=each.position_length,
                    hash=each.hash,
                )
                for each in result.tokens
            ]
        )
        for result in response.results
    ]


async def list_files(context: RequestContext, _body: Body) -> list[FileShape]:
    """Answer `file_resources/list`."""
    response = await context.call(milvus_pb2.ListFileResourcesRequest(), milvus_pb2.ListFileResourcesResponse)
    return [FileShape(id=each.id, name=each.name, path=each.path) for each in response.resources]


_NO_RPC: Final = "it is available inside a cluster only"

ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    Endpoint("resource_groups/list", Body, list[str], list_groups, "List the names of resource groups."),
    Endpoint("resource_groups/describe", GroupReq, GroupShape, describe_group, "Describe a resource group."),
    Endpoint("resource_groups/create", NewGroupReq, Nothing, create_group, "Create a resource group."),
    rpc_endpoint(
        "resource_groups/drop", GroupReq, "DropResourceGroup", "Drop a resource group.", resource_group="name"
    ),
    Endpoint("resource_groups/alter", GroupsReq, Nothing, alter_groups, "Change resource groups."),
    rpc_endpoint(
        "resource_groups/transfer_replica",
        TransferReq,
        "TransferReplica",
        "Move replicas of a collection to another resource group.",
        source_resource_group="source_rg_name",
        target_resource_group="target_rg_name",
        collection_name="collection_name",
        num_replica="replica_num",
    ),
    Endpoint("common/run_analyzer", AnalyzerReq, list[Analysis], run_analyzer, "Run an analyzer on texts."),
    rpc_endpoint("file_resources/add", NewFileReq, "AddFileResource", "Add a file.", name="name", path="path"),
    rpc_endpoint("file_resources/remove", FileReq, "RemoveFileResource", "Remove a file.", name="name"),
    Endpoint("file_resources/list", Body, list[FileShape], list_files, "List files."),
    refused("segments/describe", _NO_RPC),
    refused("quotacenter/describe", _NO_RPC),
)
