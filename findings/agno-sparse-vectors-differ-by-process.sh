#!/usr/bin/env bash
# Package:   agno 3.1.10; no server.
# Behaviour: for hybrid search agno makes sparse vectors from `hash(word)`, which Python salts differently in each process. What
#            one process has stored, another asks for with other dimensions, so that keywords match by chance alone.
# Guess:     the same text has the same sparse vector on every day, as an embedding has.
# Seen:      dimensions of "apples grow" in two processes: two different sets
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check agno==3.1.10 pymilvus==3.0.2
cat >dimensions.py <<'PYTHON'
from agno.knowledge.embedder.base import Embedder
from agno.vectordb.milvus import Milvus

store = Milvus(collection="c", embedder=Embedder(dimensions=4))
print(sorted(store._get_sparse_vector("apples grow")))
PYTHON
unset PYTHONHASHSEED
first=$(env/bin/python -W ignore dimensions.py 2>/dev/null)
second=$(env/bin/python -W ignore dimensions.py 2>/dev/null)
echo "first process $first, second process $second"
test "$first" != "$second"
