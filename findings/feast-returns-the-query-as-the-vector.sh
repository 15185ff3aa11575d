#!/usr/bin/env bash
# Package:   feast 0.67.0 with its Milvus online store (pymilvus 3.0.2, milvus-lite 3.2.2), a local repository.
# Behaviour: retrieve_online_documents_v2 returns the vector of the query as the vector of each document, whatever is
#            stored; the distances are those of the stored vectors.
# Guess:     the vector feature of a document, as any other feature, or none.
# Seen:      vectors [[0.0, 1.0], [0.0, 1.0]] for the stored [1.0, 0.0] and [0.6, 0.8], distances [0.0, 0.8]
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check feast==0.67.0 milvus-lite==3.2.2 pymilvus==3.0.2 pyarrow==26.0.1 pandas==2.3.3
env/bin/python -W ignore - <<'PYTHON'
from datetime import UTC, datetime, timedelta

import pandas
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Array, Float32, Int64

films = pandas.DataFrame(
    {
        "film": [1, 2],
        "vector": [[1.0, 0.0], [0.6, 0.8]],
        "seen_at": [datetime.now(UTC)] * 2,
    }
)
films.to_parquet("films.parquet")
film = Entity(name="film", join_keys=["film"], value_type=ValueType.INT64)
view = FeatureView(
    name="films",
    entities=[film],
    ttl=timedelta(days=1),
    source=FileSource(path="films.parquet", timestamp_field="seen_at"),
    schema=[
        Field(name="film", dtype=Int64),
        Field(name="vector", dtype=Array(Float32), vector_index=True, vector_search_metric="COSINE"),
    ],
)
online = {"type": "milvus", "path": "lite.db", "embedding_dim": 2, "metric_type": "COSINE"}
store = FeatureStore(config=RepoConfig(project="shop", provider="local", registry="registry.db", online_store=online))
store.apply([film, view])
store.write_to_online_store("films", films)

found = store.retrieve_online_documents_v2(
    features=["films:vector"], query=[0.0, 1.0], top_k=2, distance_metric="COSINE"
).to_dict()
distances = sorted(round(each, 3) for each in found["distance"])
print("vectors", found["vector"], "distances", distances)
assert found["vector"] == [[0.0, 1.0], [0.0, 1.0]] and distances == [0.0, 0.8], found
PYTHON
