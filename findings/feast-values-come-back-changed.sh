#!/usr/bin/env bash
# Package:   feast 0.67.0 with its Milvus online store (pymilvus 3.0.2, milvus-lite 3.2.2), a local repository.
# Behaviour: features that are neither text nor vectors come back as others. A document search returns True for a stored
#            False, since the text "False" is converted; reading that feature by key raises TypeError; bytes that are
#            read by key are the base64 text of those that were written.
# Guess:     False and the bytes that were written, by both calls.
# Seen:      searched [True, True] for one stored True and one False; read [b'b25l', b'dHdv'] for b'one' and b'two';
#            TypeError for "shown"
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check feast==0.67.0 milvus-lite==3.2.2 pymilvus==3.0.2 pyarrow==26.0.1 pandas==2.3.3
env/bin/python -W ignore - <<'PYTHON'
from datetime import UTC, datetime, timedelta

import pandas
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Array, Bool, Bytes, Float32, Int64

films = pandas.DataFrame(
    {
        "film": [1, 2],
        "vector": [[1.0, 0.0], [0.6, 0.8]],
        "shown": [True, False],
        "digest": [b"one", b"two"],
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
        Field(name="shown", dtype=Bool),
        Field(name="digest", dtype=Bytes),
    ],
)
online = {"type": "milvus", "path": "lite.db", "embedding_dim": 2, "metric_type": "COSINE"}
store = FeatureStore(config=RepoConfig(project="shop", provider="local", registry="registry.db", online_store=online))
store.apply([film, view])
store.write_to_online_store("films", films)

searched = store.retrieve_online_documents_v2(
    features=["films:vector", "films:shown"], query=[0.0, 1.0], top_k=2, distance_metric="COSINE"
).to_dict()["shown"]
keys = [{"film": 1}, {"film": 2}]
digests = store.get_online_features(features=["films:digest"], entity_rows=keys).to_dict()["digest"]
try:
    shown = store.get_online_features(features=["films:shown"], entity_rows=keys).to_dict()["shown"]
except TypeError:
    shown = "TypeError"
print("searched", searched, "read", digests, "shown", shown)
assert searched == [True, True] and digests == [b"b25l", b"dHdv"] and shown == "TypeError", (searched, digests, shown)
PYTHON
