"""Changing the schema of a collection (contract 5.3)."""

from typing import Any, Final

from kiteward.api.rest.endpoints import NOTHING, Endpoint, Name, Nothing, RequestContext
from kiteward.api.rest.indexes import IndexParam
from kiteward.api.rest.rpc import CollectionNameReq, rpc_endpoint
from kiteward.api.rest.schemas import (
    FieldReq,
    FunctionReq,
    StructFieldReq,
    fill_field,
    fill_function,
    fill_struct_field,
    new_schema,
)
from kiteward.milvus.messages import milvus_pb2


class FunctionOfReq(CollectionNameReq):
    """A collection and a function."""

    function: FunctionReq


class AlterFunctionReq(FunctionOfReq):
    """The name of a function of a collection, and its new definition."""

    function_name: str = ""


class FunctionNameReq(CollectionNameReq):
    """The name of a function of a collection."""

    function_name: Name


class FunctionFieldReq(FunctionOfReq):
    """A function, the field that it is to fill, and the index of that field."""

    field: FieldReq | None = None
    index_params: IndexParam | None = None


class FieldParamsReq(CollectionNameReq):
    """Parameters of a field."""

    field_name: Name
    field_params: dict[str, Any] = {}


class AddFieldReq(CollectionNameReq):
    """A field to add to a collection."""

    schema: FieldReq


class AddStructFieldReq(CollectionNameReq):
    """A field of lists of structs to add to a collection."""

    schema: StructFieldReq


async def add_function(context: RequestContext, body: FunctionOfReq) -> Nothing:
    """Answer `collections/add_function`."""
    function = new_schema().functions.add()
    fill_function(function, body.function)
    await context.call(
        milvus_pb2.AddCollectionFunctionRequest(
            db_name=context.database, collection_name=body.collection_name, functionSchema=function
        )
    )
    return NOTHING


async def alter_function(context: RequestContext, body: AlterFunctionReq) -> Nothing:
    """Answer `collections/alter_function`; `functionName` defaults to the name in the new definition."""
    function = new_schema().functions.add()
    fill_function(function, body.function)
    await context.call(
        milvus_pb2.AlterCollectionFunctionRequest(
            db_name=context.database,
            collection_name=body.collection_name,
            function_name=body.function_name or body.function.name,
            functionSchema=function,
        )
    )
    return NOTHING


async def add_function_field(context: RequestContext, body: FunctionFieldReq) -> Nothing:
    """Answer `collections/add_function_field`: add a function and the field that it fills."""
    request = _schema_change(context, body.collection_name)
    addition = request.action.add_request
    fill_function(addition.func_schema.add(), body.function)
    if body.field is not None:
        information = addition.field_infos.add()
        fill_field(information.field_schema, body.field)
        information.field_schema.is_function_output = True
        if body.index_params is not None:
            information.index_name = body.index_params.index_name
    await context.call(request)
    return NOTHING


async def drop_function_field(context: RequestContext, body: FunctionNameReq) -> Nothing:
    """Answer `collections/drop_function_field`: drop a function and the fields that it fills."""
    request = _schema_change(context, body.collection_name)
    request.action.drop_request.function_name = body.function_name
    request.action.drop_request.drop_function_output_fields = True
    await context.call(request)
    return NOTHING


def _schema_change(context: RequestContext, collection: str) -> milvus_pb2.AlterCollectionSchemaRequest:
    return milvus_pb2.AlterCollectionSchemaRequest(db_name=context.database, collection_name=collection)


async def add_field(context: RequestContext, body: AddFieldReq) -> Nothing:
    """Answer `collections/fields/add`."""
    field = new_schema().fields.add()
    fill_field(field, body.schema)
    await context.call(
        milvus_pb2.AddCollectionFieldRequest(
            db_name=context.database, collection_name=body.collection_name, schema=field.SerializeToString()
        )
    )
    return NOTHING


async def add_struct_field(context: RequestContext, body: AddStructFieldReq) -> Nothing:
    """Answer `collections/struct_fields/add`."""
    field = new_schema().struct_array_fields.add()
    fill_struct_field(field, body.schema)
    await context.call(
        milvus_pb2.AddCollectionStructFieldRequest(
            db_name=context.database, collection_name=body.collection_name, struct_array_field_schema=field
        )
    )
    return NOTHING


ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    Endpoint(
        "collections/add_function",
        FunctionOfReq,
        Nothing,
        add_function,
        "Add a function to a collection.",
        large="AddCollectionFunction",
    ),
    Endpoint(
        "collections/alter_function",
        AlterFunctionReq,
        Nothing,
        alter_function,
        "Change a function of a collection.",
        large="AlterCollectionFunction",
    ),
    rpc_endpoint(
        "collections/drop_function",
        FunctionNameReq,
        "DropCollectionFunction",
        "Drop a function of a collection.",
        collection_name="collection_name",
        function_name="function_name",
    ),
    Endpoint(
        "collections/add_function_field",
        FunctionFieldReq,
        Nothing,
        add_function_field,
        "Add a function and its output field to a collection.",
        large="AlterCollectionSchema",
    ),
    Endpoint(
        "collections/drop_function_field",
        FunctionNameReq,
        Nothing,
        drop_function_field,
        "Drop a function of a collection and its output fields.",
    ),
    rpc_endpoint(
        "collections/fields/alter_properties",
        FieldParamsReq,
        "AlterCollectionField",
        "Set parameters of a field.",
        collection_name="collection_name",
        field_name="field_name",
        properties="field_params",
    ),
    Endpoint(
        "collections/fields/add",
        AddFieldReq,
        Nothing,
        add_field,
        "Add a field to a collection.",
        large="AddCollectionField",
    ),
    Endpoint(
        "collections/struct_fields/add",
        AddStructFieldReq,
        Nothing,
        add_struct_field,
        "Add a field of lists of structs to a collection.",
    ),
)
