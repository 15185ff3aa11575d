"""The embedded engine with marked contents, filled and looked at by a client of `root`."""

import asyncio
from typing import Any, Final

from pymilvus import DataType, MilvusClient
from tests.fuzz import canaries

_OWN_CONTENT: Final = "own_content"
_ROWS: Final = 20
_STORED: Final = (
    *(("default", name) for name in (canaries.OWN, *canaries.HIDDEN)),
    *((canaries.HIDDEN_DATABASES[0], name) for name in (canaries.OWN, canaries.HIDDEN[0])),
)


class EmbeddedContents:
    """What the embedded engine of a server holds. Implements `targets.Stored`."""

    def __init__(self, uri: str) -> None:
        """Set up the contents.

        Args:
            uri: of the server.
        """
        self._uri = uri
        self.own_names: set[str] = {canaries.OWN_ALIAS}

    async def fill(self) -> None:
        """Make databases, collections with rows, and aliases."""
        await asyncio.to_thread(self._fill)

    async def inventory(self) -> dict[str, object]:
        return await asyncio.to_thread(self._inventory)

    def _client(self) -> MilvusClient:
        return MilvusClient(uri=self._uri, token="root:Milvus")

    def _fill(self) -> None:
        client = self._client()
        for name in canaries.HIDDEN_DATABASES:
            client.create_database(name)
        for database, name in _STORED:
            client.use_database(database)
            own = (database, name) == ("default", canaries.OWN)
            _collection(client, name, _OWN_CONTENT if own else canaries.CONTENT)
        client.use_database("default")
        client.create_alias(canaries.OWN, canaries.OWN_ALIAS)
        client.create_alias(canaries.HIDDEN[0], canaries.HIDDEN_ALIASES[0])
        client.close()

    def _inventory(self) -> dict[str, object]:
        client, found = self._client(), dict[str, object]()
        for database in client.list_databases():
            client.use_database(database)
            for name in sorted(client.list_collections()):
                aliases = sorted(client.list_aliases(name)["aliases"])
                if (database, name) == ("default", canaries.OWN):
                    self.own_names.update(aliases)
                else:
                    found[f"{database}.{name}"] = (_described(client, name), aliases)
        client.close()
        return found


def _collection(client: MilvusClient, name: str, content: str) -> None:
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("text", DataType.VARCHAR, max_length=64)
    client.create_collection(name, schema=schema)
    client.insert(name, [{"id": row, "vector": [row, 1.0], "text": content} for row in range(_ROWS)])
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="COSINE")
    client.create_index(name, index)
    client.create_partition(name, "p1")
    client.load_collection(name)


def _described(client: MilvusClient, name: str) -> Any:
    described = client.describe_collection(name)
    rows = client.query(name, filter="id >= 0", output_fields=["count(*)"])
    parts = (sorted(client.list_partitions(name)), sorted(client.list_indexes(name)), str(rows))
    return (*parts, str(client.get_load_state(name)), str(described["fields"]), str(described.get("properties")))
