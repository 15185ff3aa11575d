"""Requests that select by id are authorized as the collection that the id was returned for."""

from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import presented

from kiteward.authz.policy import Condition
from kiteward.authz.privileges import PRIVILEGES
from kiteward.domain.naming import ANY
from kiteward.gateway.admission import Admission
from kiteward.gateway.call import Call
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.object_ids import ObjectIds, Owner
from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.resolve import resolve_request
from kiteward.gateway.resolved_request import ResolvedRequest
from kiteward.milvus import messages

DOCS, FILMS = ("default", "docs"), ("default", "films")


@pytest.fixture
async def catalog(engine: FakeEngine) -> Catalog:
    engine.create("docs", "films")
    engine.create("docs", database="other")
    catalog = Catalog(engine)
    await catalog.refresh()
    learn(catalog.ids, "DescribeCollection", DOCS, collectionID=7, collection_name="docs")
    learn(catalog.ids, "DescribeCollection", ("other", "docs"), collectionID=8, collection_name="docs")
    learn(catalog.ids, "ManualCompaction", DOCS, compactionID=70)
    learn(catalog.ids, "ManualCompaction", ("other", "docs"), compactionID=80)
    sealed, flushed = {"films": {"data": [1, 2]}, "docs": {"data": [4]}}, {"films": {"data": [3]}}
    learn(catalog.ids, "Flush", FILMS, coll_segIDs=sealed, flush_coll_segIDs=flushed)
    return catalog


def learn(ids: ObjectIds, operation: str, about: tuple[str, str], *, mark: int | None = None, **answer: Any) -> None:
    payload = messages.method_of(operation).response(**answer).SerializeToString()
    database, collection = about
    given = ids.mark() if mark is None else mark
    ids_of = OPERATIONS[operation].response_ids
    assert ids_of is not None
    ids.learn(payload, ids_of=ids_of, database=database, collections=(collection,), mark=given)


def resolved(catalog: Catalog, method: str, database: str = "", **fields: Any) -> ResolvedRequest:
    payload = messages.method_of(method).request(**fields).SerializeToString()
    return resolve_request(
        OPERATIONS[method], Call(method, payload, presented("alice"), database=database), catalog, Admission().check
    )


def needs(privilege: str, database: str, *names: str) -> Condition:
    return Condition(PRIVILEGES[privilege], database, names)


@pytest.mark.parametrize(
    ("method", "fields", "expected"),
    [
        ("GetCompactionState", {"compactionID": 70}, needs("Compaction", "default", "docs")),
        ("GetCompactionState", {"compactionID": 80}, needs("Compaction", "other", "docs")),
        ("GetCompactionState", {"compactionID": 71}, needs("Compaction", "default", ANY)),
        ("GetCompactionState", {"compactionID": 7}, needs("Compaction", "default", ANY)),
        ("GetFlushState", {"segmentIDs": [1, 3]}, needs("GetFlushState", "default", "films")),
        ("GetFlushState", {"segmentIDs": [1, 9]}, needs("GetFlushState", "default", "films", ANY)),
        (
            "GetFlushState",
            {"segmentIDs": [1], "collection_name": "docs"},
            needs("GetFlushState", "default", "docs", "films"),
        ),
        ("GetReplicas", {"collectionID": 7}, needs("GetLoadState", "default", "docs")),
        ("GetReplicas", {"collectionID": 8}, needs("GetLoadState", "default", ANY)),
        (
            "GetReplicas",
            {"collectionID": 7, "collection_name": "films"},
            needs("GetLoadState", "default", "films", "docs"),
        ),
        ("ManualCompaction", {"collectionID": 7}, needs("Compaction", "default", "docs")),
        ("ManualCompaction", {"collectionID": 9}, needs("Compaction", "default", ANY)),
        ("DescribePrewarmTask", {"taskID": "some task"}, needs("Load", "default", ANY)),
        ("DescribePrewarmTask", {"taskID": "7"}, needs("Load", "default", ANY)),
        ("AlterDatabase", {"db_id": "default"}, needs("AlterDatabase", "default", ANY)),
        ("GetFlushState", {"segmentIDs": [1, 4]}, needs("GetFlushState", "default", "films", "docs")),
    ],
)
def test_an_id_is_authorized_as_the_collection_it_was_given_for_and_any_other_as_everything(
    catalog: Catalog, method: str, fields: dict[str, Any], expected: Condition
) -> None:
    assert resolved(catalog, method, **fields).conditions == (expected,)


def forwarded_name(payload: bytes) -> str:
    request: Any = messages.decode("ManualCompaction", payload)
    return str(request.collection_name)


def test_collection_that_is_authorized_by_its_id_is_forwarded_by_its_name(catalog: Catalog) -> None:
    found = resolved(catalog, "ManualCompaction", collectionID=7)
    assert found.collections == ("docs",)
    assert forwarded_name(found.payload) == "docs"
    unknown = resolved(catalog, "ManualCompaction", collectionID=9)
    assert forwarded_name(unknown.payload) == ""


def test_flush_state_of_nothing_needs_nothing(catalog: Catalog) -> None:
    assert resolved(catalog, "GetFlushState").conditions == ()


def test_ids_are_forgotten_with_the_name_of_their_collection(catalog: Catalog) -> None:
    ids = catalog.ids
    ids.forget(*DOCS)
    assert (ids.owner("collectionID", 7), ids.owner("compactionID", 70)) == (None, None)
    assert ids.owner("collectionID", 8) == Owner("other", "docs")
    ids.forget("other", None)
    assert ids.owner("collectionID", 8) is None
    assert ids.owner("segmentIDs", 1) == Owner(*FILMS)


def test_an_answer_that_was_in_flight_while_a_collection_went_teaches_nothing(catalog: Catalog) -> None:
    mark = catalog.ids.mark()
    catalog.ids.forget(*DOCS)
    learn(catalog.ids, "DescribeCollection", DOCS, mark=mark, collectionID=7, collection_name="docs")
    assert catalog.ids.owner("collectionID", 7) is None


def test_the_oldest_ids_go_first() -> None:
    ids = ObjectIds(capacity=2)
    for number in (1, 2, 3):
        learn(ids, "ManualCompaction", DOCS, compactionID=number)
    assert [ids.owner("compactionID", number) is None for number in (1, 2, 3)] == [True, False, False]
