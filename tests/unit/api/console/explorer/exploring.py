"""A console over a fake engine with one collection, and people who sign in to it."""

import html
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from tests.support.engine import EngineCall, FakeEngine
from tests.support.gateway import PASSWORD
from tests.unit.api.console.test_app import Browser, browsing

from kiteward.authz.privileges import PRIVILEGES, Level
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2, schema_pb2

TYPES: Any = schema_pb2.DataType
HERE: Final = "collections/default/docs"
HOSTILE: Final = '<script>alert("x")</script>'


def schema(key: str = "Int64") -> bytes:
    """Return the description of `docs`: a key, a text, a vector of four numbers, and dynamic values."""
    response = messages.DescribeCollectionResponse(
        status=messages.Status(), collection_name="docs", db_name="default", collectionID=1, shards_num=2
    )
    fields = response.schema.fields
    fields.add(name="id", data_type=TYPES.Value(key), is_primary_key=True)
    title = fields.add(name="title", data_type=TYPES.VarChar, description=HOSTILE, nullable=True)
    title.type_params.add(key="max_length", value="500")
    vector = fields.add(name="vector", data_type=TYPES.FloatVector)
    vector.type_params.add(key="dim", value="4")
    response.schema.enable_dynamic_field = True
    response.schema.description = HOSTILE
    return bytes(response.SerializeToString())


def rows(keys: list[Any], titles: list[str] | None = None) -> bytes:
    """Return the answer to a query: rows with these keys."""
    found = messages.QueryResults(status=messages.Status(), output_fields=["id", "title"])
    column = found.fields_data.add(field_name="id")
    if keys and isinstance(keys[0], str):
        column.scalars.string_data.data.extend(keys)
    else:
        column.scalars.long_data.data.extend(keys)
    found.fields_data.add(field_name="title").scalars.string_data.data.extend(
        titles or [f"title {key}" for key in keys]
    )
    vectors = found.fields_data.add(field_name="vector").vectors
    vectors.dim = 4
    vectors.float_vector.data.extend([0.25, 0.5, 0.75, 1.0] * len(keys))
    return bytes(found.SerializeToString())


def stored(engine: FakeEngine) -> Callable[[EngineCall], bytes]:
    """Return what answers a query: of the rows in `answers`, those whose keys are greater than the filter asks for."""

    def act(call: EngineCall) -> bytes:
        answer = engine.answers["Query"]
        asked = re.search(r'id > (-?\d+|".*")$', call.request.expr, re.DOTALL)
        if asked is None or not messages.QueryResults.FromString(answer).fields_data:
            return answer
        last = json.loads(asked[1])
        columns = {column.field_name: column.scalars for column in messages.QueryResults.FromString(answer).fields_data}
        keys = columns["id"].string_data.data if isinstance(last, str) else columns["id"].long_data.data
        titles = columns["title"].string_data.data
        left = [(key, title) for key, title in zip(keys, titles, strict=True) if key > last]
        return rows([key for key, _ in left], [title for _, title in left])

    return act


def hits(keys: list[int], scores: list[float]) -> bytes:
    """Return the answer to a search."""
    found = messages.SearchResults(status=messages.Status())
    found.results.ids.int_id.data.extend(keys)
    found.results.scores.extend(scores)
    found.results.topks.append(len(keys))
    found.results.fields_data.add(field_name="title").scalars.string_data.data.extend([HOSTILE] * len(keys))
    return bytes(found.SerializeToString())


def indexed() -> bytes:
    """Return the answer to DescribeIndex: one on the vector, with parameters in both places where clients put them."""
    found = milvus_pb2.DescribeIndexResponse(status=messages.Status())
    index = found.index_descriptions.add(field_name="vector", index_name="fast")
    for key, value in {"index_type": "HNSW", "metric_type": "L2", "params": '{"M": 16}'}.items():
        index.params.add(key=key, value=value)
    return bytes(found.SerializeToString())


@asynccontextmanager
async def exploring(
    *privileges: str,
    answers: Callable[[dict[str, bytes]], object] = lambda _answers: None,
    embedded_engine: bool = False,
) -> AsyncIterator[Browser]:
    """Sign in a user, `root` without privileges, else one that has these on `default.docs`, or on its database.

    Args:
        privileges: names of privileges on the collection.
        answers: changes what the engine answers.
        embedded_engine: whether the console takes it for the embedded one.
    """
    async with browsing(embedded_engine=embedded_engine) as browser:
        engine = browser.harness.engine
        engine.create("docs")
        engine.answers |= {"DescribeCollection": schema(), "DescribeIndex": indexed(), "Query": rows([1, 2])}
        engine.acts["Query"] = stored(engine)
        answers(engine.answers)
        if privileges:
            await browser.harness.role("explorer", *map(scope, privileges))
            await browser.harness.user("alice", "explorer")
            await browser.sign_in("alice", PASSWORD)
        else:
            await browser.sign_in()
        yield browser


def scope(privilege: str) -> tuple[str, str, str]:
    """Return where `exploring` grants a privilege: the privilege, the database and the collection."""
    return privilege, "default", "docs" if PRIVILEGES[privilege].level is Level.COLLECTION else "*"


def shown(page: str) -> str:
    """Return the text of a page, as people read it."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page.partition("<main")[2])))


def links_to(page: str, path: str) -> bool:
    """Return whether a page has a link to a path below `/console/`, with any query string."""
    return re.search(rf'href="/console/{re.escape(path)}["?]', page) is not None
