#!/usr/bin/env bash
# Package:   llama-index-vector-stores-milvus 1.2.0 with llama-index-core 0.14.25 and pymilvus 2.6.17; milvus-lite 3.2.2 as the
#            engine, and LlamaIndex's own store in memory beside it.
# Behaviour: the condition NOT around one filter is left out: for "not closed", `state == 'closed'` is sent. A search returns what was
#            to be excluded, and nothing else; `delete_nodes` deletes what was to be kept, and keeps the rest. There is no error: the
#            word is only put between filters. (Between two, the engine refuses it.)
# Guess:     what matches none of the filters, as in the store in memory, or an error, as for operators that Milvus lacks.
# Seen:      of a open, b closed, c closed, not closed: Milvus [b, c], in memory [a]; after delete_nodes of not closed: [a] is left
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check --no-compile \
  llama-index-vector-stores-milvus==1.2.0 llama-index-core==0.14.25 pymilvus==2.6.17 milvus-lite==3.2.2
cat >try.py <<'PYTHON'
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import (
    FilterCondition,
    MetadataFilter,
    MetadataFilters,
    SimpleVectorStore,
    VectorStoreQuery,
)
from llama_index.vector_stores.milvus import MilvusVectorStore

NODES = [
    TextNode(id_=name, text=name, embedding=[1.0, height], metadata={"state": state})
    for name, height, state in (("a", 0.1, "open"), ("b", 0.2, "closed"), ("c", 0.3, "closed"))
]
CLOSED = MetadataFilter(key="state", value="closed")
NOT_CLOSED = MetadataFilters(filters=[CLOSED], condition=FilterCondition.NOT)


def found(store):
    query = VectorStoreQuery(query_embedding=[1.0, 0.0], similarity_top_k=3, filters=NOT_CLOSED)
    return sorted(store.query(query).ids)


milvus, memory = MilvusVectorStore(uri="nodes.db", dim=2, use_async_client=False), SimpleVectorStore()
for store in (milvus, memory):
    store.add(NODES)
seen = found(milvus), found(memory)
milvus.delete_nodes(filters=NOT_CLOSED)
left = sorted(node.node_id for node in milvus.get_nodes(node_ids=["a", "b", "c"]))
print("not closed: Milvus", seen[0], "in memory", seen[1], "left after delete_nodes:", left)
assert (seen, left) == ((["b", "c"], ["a"]), ["a"]), (seen, left)
PYTHON
env/bin/python -W ignore try.py
