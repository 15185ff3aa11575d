"""A small collection of papers with two vectors each, which the tests of data calls share."""

from typing import Any

from pymilvus import DataType, MilvusClient

DIMENSION = 4


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
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("title", DataType.VARCHAR, max_length=64)
    schema.add_field("year", DataType.INT32)
    schema.add_field("text_vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    schema.add_field("image_vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    client.create_collection(name, schema=schema)
    client.create_index(name, indexes(client), sync=False)  # the client's own waiting takes half a second each
    client.load_collection(name)
    if count:
        client.insert(name, rows(count))


def indexes(client: MilvusClient) -> Any:
    """Return the parameters of an index for each vector."""
    parameters = client.prepare_index_params()
    parameters.add_index("text_vector", index_type="HNSW", metric_type="L2", params={"M": 8, "efConstruction": 64})
    parameters.add_index("image_vector", index_type="AUTOINDEX", metric_type="L2")
    return parameters


def nearest(client: MilvusClient, name: str, number: int, *, limit: int = 3, **options: Any) -> list[int]:
    """Search for the paper of this number by its text vector and return the keys found."""
    found = client.search(
        name, data=[rows(1, first=number)[0]["text_vector"]], anns_field="text_vector", limit=limit, **options
    )
    return [hit["id"] for hit in found[0]]
