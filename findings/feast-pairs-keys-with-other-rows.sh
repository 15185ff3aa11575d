#!/usr/bin/env bash
# Package:   feast 0.67.0 with its Milvus online store (pymilvus 3.0.2, milvus-lite 3.2.2), a local repository.
# Behaviour: what retrieve_online_documents_v2 returns as one row has the entity key of one document, and the features
#            and the distance of another: keys are in the order of the hits, features in another one.
# Guess:     one index is one document in all columns.
# Seen:      keys [2, 3, 1], titles ['three', 'one', 'two'], distances [0.8, 0.0, 1.0]
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check feast==0.67.0 milvus-lite==3.2.2 pymilvus==3.0.2 pyarrow==26.0.1 pandas==2.3.3
env/bin/python -W ignore - <<'PYTHON'
from datetime import UTC, datetime, timedelta

import pandas
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Array, Float32, Int64, String

films = pandas.DataFrame(
    {
        "film": [1, 2, 3],
        "vector": [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]],
        "title": ["one", "two", "three"],
        "seen_at": [datetime.now(UTC)] * 3,
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
        Field(name="title", dtype=String),
    ],
)
online = {"type": "milvus", "path": "lite.db", "embedding_dim": 2, "metric_type": "COSINE"}
store = FeatureStore(config=RepoConfig(project="shop", provider="local", registry="registry.db", online_store=online))
store.apply([film, view])
store.write_to_online_store("films", films)

names = ["films:vector", "films:title"]
seen = store.retrieve_online_documents_v2(features=names, query=[0.0, 1.0], top_k=3, distance_metric="COSINE").to_dict()
distances = [round(each, 3) for each in seen["distance"]]
print("keys", seen["film"], "titles", seen["title"], "distances", distances)
assert seen["film"] == [2, 3, 1], seen
right = {1: ("one", 0.0), 2: ("two", 1.0), 3: ("three", 0.8)}
assert sorted(zip(seen["title"], distances, strict=True)) == sorted(right.values()), seen
rows = zip(seen["film"], seen["title"], distances, strict=True)
assert all(right[key] != (title, distance) for key, title, distance in rows), seen
PYTHON
