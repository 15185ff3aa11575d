#!/usr/bin/env bash
# Package:   milvus-haystack 0.1.0 with haystack-ai 3.4.1; milvus-lite 3.2.2 as the engine, no server.
# Behaviour: counting and filtering a collection that does not exist give 0 and [], and writing nothing makes none. A
#            misspelt name, or one that the user may not see, looks like an empty store.
# Guess:     an error that names the collection, as pymilvus raises.
# Seen:      count 0, filter [], collections []
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus-haystack==0.1.0 haystack-ai==3.4.1 milvus-lite==3.2.2 pymilvus==3.0.2
export HAYSTACK_TELEMETRY_ENABLED=False
env/bin/python -W ignore - <<'PYTHON'
from milvus_haystack import MilvusDocumentStore
from pymilvus import MilvusClient

store = MilvusDocumentStore(collection_name="misspelt", connection_args={"uri": "lite.db"})
seen = (store.count_documents(), store.filter_documents(), MilvusClient("lite.db").list_collections())
print("count", seen[0], "filter", seen[1], "collections", seen[2])
assert seen[0] == 0 and seen[1] == [] and list(seen[2]) == [], seen
PYTHON
