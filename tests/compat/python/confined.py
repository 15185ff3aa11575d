"""Does what a user confined to one collection of a database may do: python confined.py HOST:PORT DATABASE TOKEN."""

import json
import sys

from packaging.version import Version
from pymilvus import MilvusClient

ADDRESS, DATABASE, TOKEN = sys.argv[1:]
client = MilvusClient(uri=f"http://{ADDRESS}", token=TOKEN, db_name=DATABASE)
found = client.search("notes", [[1.0, 1.0, 0.0, 0.0]], anns_field="vector", limit=1)
described = [field["name"] for field in client.describe_collection("notes")["fields"]]
queried = client.query("notes", filter="id < 10", output_fields=["id"])
inserted = client.insert("notes", [{"id": 10, "vector": [9.0, 9.0, 9.0, 9.0]}])
print(
    json.dumps(
        {
            "described": described,
            "found": [hit["id"] for hit in found[0]],
            "queried": sorted(row["id"] for row in queried),
            "inserted": inserted["insert_count"],
            "listed": list(client.list_collections()),
            "recent": Version("2.6.0") < Version(client.get_server_version()) < Version("3.0.1"),
        }
    )
)
client.close()
