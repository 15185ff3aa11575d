"""What happens to the fields of the messages inside requests, once for each type of message.

Names are those of the protocol without `milvus.proto.`. What a whole request may hold is said in its row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class MessageFields:
    """What happens to the fields of one type of message inside requests.

    Attributes:
        accepted: its fields that are accepted. Those that a row names are checked; the engine interprets the others, or
            the handler of the operation.
        refused: field -> why a request that sets it is refused.
        bulk: whether such a message is data, which is neither read nor walked through.
    """

    accepted: tuple[str, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    bulk: bool = False


def accepts(fields: str, **refused: str) -> MessageFields:
    """Return what happens to the fields of a message: the names that are accepted, and why others are refused."""
    return MessageFields(tuple(fields.split()), MappingProxyType(refused))


def data(fields: str) -> MessageFields:
    """Return that a message is bulk data, with its fields."""
    return MessageFields(tuple(fields.split()), bulk=True)


NAMESPACE: Final = "namespaces are not supported; tenants are told apart by databases, collections and row policies"
_REPLICATION: Final = "requests cannot be marked as replicated from another cluster"
_STORAGE: Final = "the engine reads and writes no files or storage that a request names; leave it out"
_INTERNAL: Final = "it is for messages between the components of Milvus"


def numbers(text: str) -> frozenset[int]:
    """Return the numbers in a text such as `0-4 10`."""
    spans = (part.partition("-") for part in text.split())
    return frozenset(n for first, _, last in spans for n in range(int(first), int(last or first) + 1))


_COMMON: Final = {
    "common.MsgBase": accepts(
        "msg_type msgID timestamp sourceID targetID", properties=_INTERNAL, replicateInfo=_REPLICATION
    ),
    "common.ClientInfo": accepts("sdk_type sdk_version local_time user host reserved"),
    "common.ConnectionParam": accepts("uri token"),
    "common.CrossClusterTopology": accepts("source_cluster_id target_cluster_id"),
    "common.KeyValuePair": accepts("key value"),
    "common.MilvusCluster": accepts("cluster_id connection_param pchannels"),
    "common.ReplicateConfiguration": accepts("clusters cross_cluster_topology"),
    "msg.MsgPosition": accepts("channel_name msgID msgGroup timestamp WAL_name"),
}

_SEARCHES: Final = {
    "common.Highlighter": accepts("type params"),
    "common.MetricAggSpec": accepts("op field_name"),
    "common.OrderSpec": accepts("key direction null_first"),
    "common.SearchAggregationSpec": accepts("fields size metrics order top_hits sub_aggregation search_size"),
    "common.SortSpec": accepts("field_name direction null_first"),
    "common.TopHitsSpec": accepts("size sort"),
    "milvus.SubSearchRequest": accepts(
        "dsl placeholder_group dsl_type search_params nq expr_template_values", namespace=NAMESPACE
    ),
    "schema.FunctionChain": accepts("name stage ops"),
    "schema.FunctionChainColumnArg": accepts("name"),
    "schema.FunctionChainExpr": accepts("name args params"),
    "schema.FunctionChainExprArg": accepts("column literal"),
    "schema.FunctionChainOp": accepts("op expr inputs outputs params"),
    "schema.FunctionParamArray": accepts("values"),
    "schema.FunctionParamObject": accepts("fields"),
    "schema.FunctionParamValue": accepts(
        "bool_value int64_value double_value string_value array_value object_value bytes_value"
    ),
    "schema.FunctionScore": accepts("functions params"),
    "schema.IDs": accepts("int_id str_id"),
    "schema.TemplateArrayValue": accepts("bool_data long_data double_data string_data array_data json_data"),
    "schema.TemplateArrayValueArray": accepts("data"),
    "schema.TemplateValue": accepts("bool_val int64_val float_val string_val array_val bytes_val"),
}

_SCHEMAS: Final = {
    "milvus.AlterCollectionSchemaRequest.Action": accepts("add_request drop_request"),
    "milvus.AlterCollectionSchemaRequest.AddRequest": accepts("field_infos func_schema do_physical_backfill"),
    "milvus.AlterCollectionSchemaRequest.DropRequest": accepts(
        "field_name field_id function_name drop_function_output_fields"
    ),
    "milvus.AlterCollectionSchemaRequest.FieldInfo": accepts("field_schema index_name extra_params"),
    "schema.CollectionSchema": accepts(
        "name description autoID fields enable_dynamic_field properties functions dbName struct_array_fields version "
        "external_source external_spec do_physical_backfill",
        file_resource_ids=_STORAGE,
        enable_namespace=NAMESPACE,
    ),
    "schema.FieldSchema": accepts(
        "fieldID name is_primary_key description data_type type_params index_params autoID state element_type "
        "default_value is_dynamic is_partition_key is_clustering_key nullable is_function_output",
        external_field=_STORAGE,
    ),
    "schema.FunctionSchema": accepts(
        "name id description type input_field_names input_field_ids output_field_names output_field_ids params"
    ),
    "schema.StructArrayFieldSchema": accepts("fieldID name description fields type_params nullable"),
    "schema.ValueField": accepts(
        "bool_data int_data long_data float_data double_data string_data bytes_data timestamptz_data date_data "
        "time_data"
    ),
}

_ENTITIES: Final = {
    "milvus.BatchUpdateManifestItem": accepts("segment_id manifest_version"),
    "schema.FieldData": accepts("type field_name scalars vectors struct_arrays field_id is_dynamic valid_data"),
    "schema.FieldPartialUpdateOp": accepts("field_name op"),
    "schema.ScalarField": accepts(
        "bool_data int_data long_data float_data double_data string_data bytes_data array_data json_data "
        "geometry_data timestamptz_data geometry_wkt_data mol_data mol_smiles_data date_data time_data"
    ),
    "schema.StructArrayField": accepts("fields"),
    "schema.VectorField": accepts(
        "dim float_vector binary_vector float16_vector bfloat16_vector sparse_float_vector int8_vector vector_array"
    ),
}

_DATA: Final = {
    "schema.ArrayArray": data("data element_type"),
    "schema.SparseFloatArray": data("contents dim"),
    "schema.VectorArray": data("dim data element_type"),
    "schema.BoolArray": data("data"),
    "schema.BytesArray": data("data"),
    "schema.DateArray": data("data"),
    "schema.DoubleArray": data("data"),
    "schema.FloatArray": data("data"),
    "schema.GeometryArray": data("data"),
    "schema.GeometryWktArray": data("data"),
    "schema.IntArray": data("data"),
    "schema.JSONArray": data("data"),
    "schema.LongArray": data("data"),
    "schema.MolArray": data("data"),
    "schema.MolSmilesArray": data("data"),
    "schema.StringArray": data("data"),
    "schema.TimeArray": data("data"),
    "schema.TimestamptzArray": data("data"),
}
"""The values of the columns of entities and of lists in filters."""

_RESOURCES: Final = {
    "milvus.FlushAllTarget": accepts("db_name collection_names"),
    "rg.ResourceGroupConfig": accepts("requests limits transfer_from transfer_to node_filter"),
    "rg.ResourceGroupLimit": accepts("node_num"),
    "rg.ResourceGroupNodeFilter": accepts("node_labels"),
    "rg.ResourceGroupTransfer": accepts("resource_group"),
}

_IDENTITY: Final = {
    "milvus.GrantEntity": accepts("role object object_name grantor db_name"),
    "milvus.GrantorEntity": accepts("user privilege"),
    "milvus.ObjectEntity": accepts("name"),
    "milvus.PrivilegeEntity": accepts("name"),
    "milvus.PrivilegeGroupInfo": accepts("group_name privileges"),
    "milvus.RBACMeta": accepts("users roles grants privilege_groups"),
    "milvus.RoleEntity": accepts("name description"),
    "milvus.UserEntity": accepts("name"),
    "milvus.UserInfo": accepts("user password roles"),
}

MESSAGES: Final[Mapping[str, MessageFields]] = MappingProxyType(
    {
        f"milvus.proto.{name}": fields
        for name, fields in {
            **_COMMON,
            **_SEARCHES,
            **_SCHEMAS,
            **_ENTITIES,
            **_DATA,
            **_RESOURCES,
            **_IDENTITY,
        }.items()
    }
)
"""Full name of a message type -> what happens to its fields. A type that is not here is not accepted."""

BULK_NUMBERS: Final = frozenset(
    {
        "milvus.proto.milvus.DeleteRequest.hash_keys",
        "milvus.proto.milvus.InsertRequest.hash_keys",
        "milvus.proto.milvus.UpsertRequest.hash_keys",
        "milvus.proto.schema.FieldData.valid_data",
    }
)
"""Fields with one number for each row, which are not read either."""

ENUMS: Final[Mapping[str, frozenset[int]]] = MappingProxyType(
    {
        "milvus.proto.common.ConsistencyLevel": numbers("0-4"),
        "milvus.proto.common.DslType": numbers("0-1"),
        "milvus.proto.common.HighlightType": numbers("0-1"),
        "milvus.proto.common.MsgType": numbers(
            "0 100-119 200-206 250-258 300-304 400-409 500-519 600-603 1200-1212 1500-1504 1600-1615 1700-1706 "
            "1801-1805 1900 2000 2100-2111 2200 2300-2302"
        ),
        "milvus.proto.common.SegmentState": numbers("0-7"),
        "milvus.proto.common.WALName": numbers("0-4 999"),
        "milvus.proto.milvus.ShowType": numbers("0-1"),
        "milvus.proto.schema.DataType": numbers("0-5 10-11 20-30 100-106 200-201"),
        "milvus.proto.schema.FieldPartialUpdateOp.OpType": numbers("0-2"),
        "milvus.proto.schema.FieldState": numbers("0-3"),
        "milvus.proto.schema.FunctionChainStage": numbers("0-6"),
        "milvus.proto.schema.FunctionType": numbers("0-5"),
    }
)
"""Full name of an enum -> its values that are accepted."""

OWN_ENUMS: Final = frozenset(
    {
        "milvus.proto.milvus.OperatePrivilegeGroupType",
        "milvus.proto.milvus.OperatePrivilegeType",
        "milvus.proto.milvus.OperateUserRoleType",
        "milvus.proto.milvus.RowPolicyAction",
    }
)
"""Enums that no engine gets: the handlers refuse other values, in the order and with the sentences of Milvus."""
