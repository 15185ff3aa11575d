"""Databases and aliases."""

from typing import Final

from kiteward.gateway import ddl_intents, response_filter
from kiteward.gateway.operations.declare import ANY_CREDENTIAL, ONE_COLLECTION, changes_catalog, defines, reads
from kiteward.gateway.operations.row import RowUse

ROWS: Final = (
    # An unused name is authorized as given: a user who may use some names only does not learn which others are taken.
    *changes_catalog(
        "CreateAlias",
        "CreateAlias",
        collections=ONE_COLLECTION,
        beside_writes=True,
        aliases=("alias",),
        creates=("alias",),
        recorded={"alias": "alias", "collection": "collection_name"},
    ),
    *changes_catalog(
        "AlterAlias",
        "CreateAlias",
        collections=ONE_COLLECTION,
        beside_writes=True,
        aliases=("alias",),
        recorded={"alias": "alias", "collection": "collection_name"},
    ),
    *changes_catalog("DropAlias", "DropAlias", aliases=("alias",), recorded={"alias": "alias"}),
    *reads("DescribeAlias", "DescribeAlias", rows=RowUse.NONE, aliases=("alias",)),
    # Without a collection the response is filtered to aliases of collections the caller may see.
    *reads(
        "ListAliases",
        "ListAliases",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        if_named=True,
        credential=ANY_CREDENTIAL,
        filter_response=response_filter.aliases,
    ),
    *changes_catalog(
        "CreateDatabase",
        "CreateDatabase",
        creates_database="db_name",
        exists=False,
        recorded={"properties": "properties"},
        forwarded="properties",
    ),
    # Dropping what does not exist succeeds, as from Milvus 3.0 on.
    *changes_catalog("DropDatabase", "DropDatabase", exists=False, intent=ddl_intents.drop_database, recorded={}),
    *reads(
        "ListDatabases",
        None,
        rows=RowUse.NONE,
        database="",
        credential=ANY_CREDENTIAL,
        filter_response=response_filter.databases,
    ),
    *defines(
        "AlterDatabase",
        "AlterDatabase",
        rows=RowUse.NONE,
        ids=("db_id",),
        forwarded="properties delete_keys",
    ),
    *reads("DescribeDatabase", "DescribeDatabase", rows=RowUse.NONE),
)
