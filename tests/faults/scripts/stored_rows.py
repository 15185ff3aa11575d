"""Prints as JSON which keys the collections of an embedded engine's directory hold, as the engine recovers them."""

import json
import sys

from kiteward.engine.embedded.patches import open_database

database = open_database(sys.argv[1], "batch")
found = {}
for name in database.list_collections():
    collection = database.get_collection(name)
    rows = collection.query("id >= 0", output_fields=["id"])
    found[name] = sorted(int(row["id"]) for row in rows)
database.close()
print(json.dumps(found))
