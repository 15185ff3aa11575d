"""A request is resolved once: database, collections behind aliases, conditions, and what is forwarded."""

from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import presented

from kiteward.authz.policy import Condition
from kiteward.authz.privileges import PRIVILEGES
from kiteward.domain.errors import InvalidArgument, PayloadMalformed
from kiteward.gateway.admission import Admission
from kiteward.gateway.call import Call
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.resolve import resolve_request
from kiteward.gateway.resolved_request import ResolvedRequest
from kiteward.milvus import messages


@pytest.fixture
async def catalog(engine: FakeEngine) -> Catalog:
    engine.create("docs", "papers")
    engine.create("docs", database="other")
    engine.databases["default"].aliases["current"] = "docs"
    catalog = Catalog(engine)
    await catalog.refresh()
    return catalog


def resolved(catalog: Catalog, method: str, database: str = "", **fields: Any) -> ResolvedRequest:
    payload = messages.method_of(method).request(**fields).SerializeToString()
    return resolve_request(
        OPERATIONS[method], Call(method, payload, presented("alice"), database=database), catalog, Admission().check
    )


def needs(privilege: str, database: str, *names: str, visible: bool = False) -> tuple[Condition, ...]:
    return (Condition(PRIVILEGES[privilege], database, names, visible),)


@pytest.mark.parametrize(
    ("body", "connection", "expected"),
    [("", "", "default"), ("", "other", "other"), ("other", "", "other"), ("other", "default", "other")],
)
def test_database_is_the_bodys_then_the_connections_then_default(
    catalog: Catalog, body: str, connection: str, expected: str
) -> None:
    found = resolved(catalog, "Query", connection, db_name=body, collection_name="docs")
    assert found.database == expected
    assert found.conditions == needs("Query", expected, "docs")


@pytest.mark.parametrize("method", [name for name, row in OPERATIONS.items() if row.by_engine and row.database])
def test_database_of_the_connection_is_written_into_what_is_forwarded(catalog: Catalog, method: str) -> None:
    field = OPERATIONS[method].database
    assert getattr(messages.decode(method, resolved(catalog, method, "other").payload), field) == "other"
    assert getattr(messages.decode(method, resolved(catalog, method, "default").payload), field) == ""
    named = resolved(catalog, method, "default", **{field: "other"})
    assert getattr(messages.decode(method, named.payload), field) == "other"


def test_request_without_an_alias_stays_byte_for_byte(catalog: Catalog) -> None:
    payload = b"\x1a\x01x\x1a\x04docs"
    found = resolve_request(OPERATIONS["Query"], Call("Query", payload, presented("alice")), catalog, Admission().check)
    assert found.payload is payload
    assert found.collections == ("docs",)


def test_alias_is_replaced_in_what_is_authorized_and_forwarded(catalog: Catalog) -> None:
    found = resolved(catalog, "Query", collection_name="current", expr="id > 1")
    assert found.conditions == needs("Query", "default", "docs")
    assert messages.decode("Query", found.payload) == messages.QueryRequest(collection_name="docs", expr="id > 1")
    lists = resolved(catalog, "Flush", collection_names=["current", "papers"])
    assert lists.conditions == needs("Flush", "default", "docs", "papers")
    assert list(messages.FlushRequest.FromString(lists.payload).collection_names) == ["docs", "papers"]


def test_alias_of_another_database_is_none_here(catalog: Catalog) -> None:
    assert resolved(catalog, "Query", "other", collection_name="current").collections == ("current",)


def test_rename_needs_the_old_and_the_new_name_and_names_its_database(catalog: Catalog) -> None:
    found = resolved(catalog, "RenameCollection", "other", oldName="docs", newName="fresh")
    assert found.conditions == needs("RenameCollection", "other", "docs", "fresh")
    assert messages.RenameCollectionRequest.FromString(found.payload).newDBName == "other"


def test_rename_across_databases_needs_the_privilege_on_all_of_them(catalog: Catalog) -> None:
    found = resolved(catalog, "RenameCollection", oldName="docs", newName="fresh", newDBName="other")
    assert found.conditions == needs("RenameCollection", "*", "docs", "fresh")
    same = resolved(catalog, "RenameCollection", oldName="docs", newName="fresh", newDBName="default")
    assert same.conditions == needs("RenameCollection", "default", "docs", "fresh")


def test_moving_an_alias_needs_the_privilege_on_both_collections(catalog: Catalog) -> None:
    found = resolved(catalog, "AlterAlias", collection_name="papers", alias="current")
    assert found.conditions == needs("CreateAlias", "default", "papers", "docs")
    assert messages.AlterAliasRequest.FromString(found.payload).alias == "current"


def test_id_needs_the_privilege_on_everything_beside_the_name(catalog: Catalog) -> None:
    found = resolved(catalog, "DescribeCollection", collection_name="docs", collectionID=7)
    assert found.conditions == needs("DescribeCollection", "default", "docs", "*", visible=True)
    unnamed = resolved(catalog, "GetCompactionState", compactionID=7)
    assert unnamed.conditions[0].names == ("*",)


def test_empty_name_stays_empty_and_an_empty_list_asks_for_everything(catalog: Catalog) -> None:
    assert resolved(catalog, "Query").conditions == needs("Query", "default", "")
    assert resolved(catalog, "Flush").conditions == needs("Flush", "default", "*")


def test_user_privileges_name_the_user_and_everybody_when_none_is_named(catalog: Catalog) -> None:
    assert resolved(catalog, "SelectUser", user={"name": "bob"}).conditions[0].names == ("bob",)
    assert resolved(catalog, "SelectUser").conditions[0].names == ("*",)
    assert resolved(catalog, "UpdateCredential", username="bob").conditions[0].names == ("bob",)


def test_own_role_is_the_named_one(catalog: Catalog) -> None:
    assert resolved(catalog, "SelectGrant", entity={"role": {"name": "reader"}}).conditions[0].own_role == "reader"
    assert resolved(catalog, "SelectRole").conditions[0].own_role == ""


def test_operations_that_need_a_privilege_only_with_a_name_need_none_without(catalog: Catalog) -> None:
    assert resolved(catalog, "ListAliases").conditions == ()
    assert resolved(catalog, "ListAliases", collection_name="docs").conditions == needs(
        "ListAliases", "default", "docs"
    )


@pytest.mark.parametrize("sub", [{"collection_name": "papers"}, {"db_name": "other"}])
def test_sub_request_that_looks_elsewhere_is_a_contradiction(catalog: Catalog, sub: dict[str, str]) -> None:
    found = resolved(catalog, "HybridSearch", collection_name="docs", requests=[{}, sub])
    with pytest.raises(InvalidArgument, match="a sub-request names the"):
        found.require_consistent()


def test_sub_request_that_names_the_same_or_nothing_is_consistent(catalog: Catalog) -> None:
    subs = [{}, {"collection_name": "current"}, {"collection_name": "docs", "db_name": "default"}]
    resolved(catalog, "HybridSearch", collection_name="current", requests=subs).require_consistent()


def test_every_operation_that_reads_fields_refuses_what_is_not_a_message(catalog: Catalog) -> None:
    for name, operation in OPERATIONS.items():
        if operation.reader is not None:
            with pytest.raises(PayloadMalformed):
                resolve_request(operation, Call(name, b"\xff\xff", presented("alice")), catalog, Admission().check)
