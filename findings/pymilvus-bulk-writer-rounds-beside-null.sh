#!/usr/bin/env bash
# Package:   pymilvus 3.0.2 with its bulk writer, pandas 3.1.1 and pyarrow 26.0.1; no server.
# Behaviour: a Parquet file of the bulk writer takes a nullable INT64 field through a float. Once one row of the file is null, the
#            numbers of the others above 2^53 are rounded, without an error or a warning: a reference to one row becomes that to
#            another. In JSON and CSV, and in Parquet without the null, they are exact.
# Guess:     an INT64 is stored as it is given, in each format, and a null in one row changes no other row.
# Seen:      owner 1700000000000000123 beside a null: in Parquet 1700000000000000000, in JSON and CSV unchanged
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check 'pymilvus[bulk-writer]==3.0.2' pandas==3.1.1 pyarrow==26.0.1
cat >try.py <<'PYTHON'
import csv
import json
import logging

import pyarrow.parquet
from pymilvus import DataType, MilvusClient
from pymilvus.bulk_writer import BulkFileType, LocalBulkWriter

logging.disable(logging.INFO)
OWNER = 1700000000000000123


def written(kind, others):
    schema = MilvusClient.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("owner", DataType.INT64, nullable=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    writer = LocalBulkWriter(schema, "files", file_type=kind)
    for number, owner in enumerate([OWNER, *others]):
        writer.append_row({"id": number, "owner": owner, "vector": [1.0, 0.0]})
    writer.commit()
    return writer.batch_files[0][0]


def parquet(path):
    return pyarrow.parquet.read_table(path).column("owner")[0].as_py()


with open(written(BulkFileType.JSON, [None])) as file:
    in_json = json.load(file)["rows"][0]["owner"]
with open(written(BulkFileType.CSV, [None]), newline="") as file:
    in_csv = int(next(csv.DictReader(file))["owner"])
alone, beside = parquet(written(BulkFileType.PARQUET, [5])), parquet(written(BulkFileType.PARQUET, [None]))
print(f"Parquet {alone}; beside a null: Parquet {beside}, JSON {in_json}, CSV {in_csv}")
assert alone == in_json == in_csv == OWNER, (alone, in_json, in_csv)
assert beside == 1700000000000000000, beside
PYTHON
env/bin/python -W ignore try.py
