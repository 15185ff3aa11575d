#!/usr/bin/env bash
# Package:   agno 3.1.10; no server: a client that notes what it is asked.
# Behaviour: `Milvus.get_count()` counts the rows of a collection named "test_collection", whatever the store's own is.
# Guess:     it counts the rows of the store.
# Seen:      store on "recipes", asked about "test_collection"
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check agno==3.1.10 pymilvus==3.0.2
env/bin/python -W ignore - <<'PYTHON'
from agno.knowledge.embedder.base import Embedder
from agno.vectordb.milvus import Milvus

asked = []


class Noting:
    def get_collection_stats(self, collection_name):
        asked.append(collection_name)
        return {"row_count": 0}


store = Milvus(collection="recipes", embedder=Embedder(dimensions=4))
store._client = Noting()
store.get_count()
print("store on", store.collection, "asked about", asked)
assert asked == ["test_collection"], asked
PYTHON
