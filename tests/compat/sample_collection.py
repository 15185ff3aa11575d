"""A small collection of papers with two vectors each, which the tests of data calls share.

Milvus 2.3 has one vector in a collection. There the second is a dynamic field, without an index.
"""

from typing import Any

from pymilvus import DataType, MilvusClient

DIMENSION = 4
VECTORS = ("text_vector", "image_vector")


def rows(count: int, *, first: int = 0) -> list[dict[str, Any]]:
    """Return papers: the title holds the key, the year alternates, each vector has another direction."""
    return [
        {
            "id": number,
            "title": f"paper {number}",
            "year": 2020 + number % 2,
            "text_vector": [1.0, number, 0.0, 0.0],
            "image_vector": [0.0, 0.0, 1.0, number],
        }
        for number in range(first, first + count)
    ]


def create(client: MilvusClient, name: str, *, count: int = 10) -> None:
    """Create a collection with schema and indexes, load it, and fill it."""
    vectors = vectors_in(client.get_server_version())
    schema = client.create_schema(auto_id=False, enable_dynamic_field=len(vectors) == 1)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("title", DataType.VARCHAR, max_length=64)
    schema.add_field("year", DataType.INT32)
    for field in vectors:
        schema.add_field(field, DataType.FLOAT_VECTOR, dim=DIMENSION)
    client.create_collection(name, schema=schema)
    client.create_index(name, indexes(client), sync=False)  # the client's own waiting takes half a second each
    client.load_collection(name)
    if count:
        client.insert(name, rows(count))


def indexes(client: MilvusClient) -> Any:
    """Return the parameters of an index for each vector."""
    parameters = client.prepare_index_params()
    parameters.add_index("text_vector", index_type="HNSW", metric_type="L2", params={"M": 8, "efConstruction": 64})
    if len(vectors_in(client.get_server_version())) > 1:
        parameters.add_index("image_vector", index_type="AUTOINDEX", metric_type="L2")
    return parameters


def vectors_in(version: object) -> tuple[str, ...]:
    """Return the fields with vectors, by the version that a server tells."""
    return VECTORS[:1] if str(version).startswith("2.3.") else VECTORS


def indexed(client: MilvusClient) -> list[str]:
    """Return the fields that have an index, sorted."""
    return sorted(vectors_in(client.get_server_version()))


def nearest(client: MilvusClient, name: str, number: int, *, limit: int = 3, **options: Any) -> list[int]:
    """Search for the paper of this number by its text vector and return the keys found; equally near ones by key."""
    found = client.search(
        name, data=[rows(1, first=number)[0]["text_vector"]], anns_field="text_vector", limit=limit, **options
    )
    return [hit["id"] for hit in sorted(found[0], key=lambda hit: (hit["distance"], hit["id"]))]
