#!/usr/bin/env bash
# Package:   github.com/milvus-io/milvus/client/v2 2.6.2; milvus-lite 3.2.2 as the server, filled with pymilvus 3.0.2.
# Behaviour: `Insert` and `Upsert` take the nulls out of a column by moving the values that follow forward, in place. A page
#            that was cut from a result with `Slice` shares its values with the result: after one insert of it, rows of the result
#            have the values of later rows, and a second insert of the same page, for example into another collection, stores
#            these. Nothing tells: every null stays where it was.
# Guess:     an insert reads what it is given, and the same page is stored twice as the same rows.
# Seen:      stored 1=null 2=20 3=30 4=40; the page of rows 1 to 3 is inserted twice: first 1=null 2=20 3=30, then 1=null 2=30
#            3=30; the result, before 20 and 30 for rows 2 and 3, then 30 and 30
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
export GOPATH="$work/go" GOFLAGS="-mod=mod -modcacherw" GOTOOLCHAIN=local
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus-lite==3.2.2 pymilvus==3.0.2
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/milvus-io/milvus/client/v2/milvusclient"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func read(result milvusclient.ResultSet) string {
	ids, values, seen := result.GetColumn("id"), result.GetColumn("n"), ""
	for row := 0; row < result.Len(); row++ {
		value := "null"
		if !must(values.IsNull(row)) {
			value = fmt.Sprint(must(values.GetAsInt64(row)))
		}
		seen += fmt.Sprintf("%d=%s ", must(ids.GetAsInt64(row)), value)
	}
	return seen
}

func main() {
	ctx := context.Background()
	client := must(milvusclient.New(ctx, &milvusclient.ClientConfig{Address: os.Args[1]}))
	result := must(client.Query(ctx, milvusclient.NewQueryOption("source").WithFilter("id > 0").WithOutputFields("id", "n", "vector")))
	before := read(result)
	for _, target := range []string{"first", "second"} {
		page := result.Slice(0, 3)
		must(client.Insert(ctx, milvusclient.NewColumnBasedInsertOption(target, page.Fields...)))
	}
	fmt.Println("result before", before, "and after", read(result))
	if before != "1=null 2=20 3=30 4=40 " || read(result) != "1=null 2=30 3=30 4=40 " {
		os.Exit(1)
	}
}
GO
cat >go.mod <<'MOD'
module try

go 1.24.11

require github.com/milvus-io/milvus/client/v2 v2.6.2
MOD
go build -o try . 2>build.log || { cat build.log >&2; exit 1; }
cat >try.py <<'PYTHON'
import subprocess

from milvus_lite.server_manager import server_manager_instance
from pymilvus import DataType, MilvusClient

address = server_manager_instance.start_and_get_uri("lite.db")
client = MilvusClient(address)
for name in ("source", "first", "second"):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("n", DataType.INT64, nullable=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)
values = {1: None, 2: 20, 3: 30, 4: 40}
client.insert("source", [{"id": key, "n": value, "vector": [1.0, 0.0]} for key, value in values.items()])
subprocess.run(["./try", address], check=True)
stored = {
    name: {row["id"]: row["n"] for row in client.query(name, "id > 0", output_fields=["n"])}
    for name in ("first", "second")
}
print("stored", stored)
assert stored == {"first": {1: None, 2: 20, 3: 30}, "second": {1: None, 2: 30, 3: 30}}, stored
PYTHON
env/bin/python -W ignore try.py
