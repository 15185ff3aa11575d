#!/usr/bin/env bash
# Package:   github.com/milvus-io/milvus/client/v2 2.6.2; milvus-lite 3.2.2 as the server, filled with pymilvus 3.0.2.
# Behaviour: a query iterator with a limit cuts the batch in which the limit is reached. In a cut batch the column of a dynamic field
#            becomes the whole `$meta`, so that `Unmarshal` leaves the field empty in these rows, without an error. Declared fields
#            stay, and so do all fields if the limit is a multiple of the batch.
# Guess:     each row has the fields that were asked for, in whatever batch it comes.
# Seen:      batches of 3, each row stored as red: with limit 5 three times red and then two empty ones, columns [id color] and then
#            [id $meta]; with limit 6 six times red, columns [id color] in both
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
export GOPATH="$work/go" GOFLAGS="-mod=mod -modcacherw" GOTOOLCHAIN=local
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus-lite==3.2.2 pymilvus==3.0.2
cat >main.go <<'GO'
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/milvus-io/milvus/client/v2/column"
	"github.com/milvus-io/milvus/client/v2/milvusclient"
)

type Row struct {
	ID    int64  `milvus:"name:id"`
	Color string `milvus:"name:color"`
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func names(columns []column.Column) (names []string) {
	for _, each := range columns {
		names = append(names, each.Name())
	}
	return names
}

func read(client *milvusclient.Client, limit int64) string {
	ctx, seen := context.Background(), ""
	iterator := must(client.QueryIterator(ctx, milvusclient.NewQueryIteratorOption("c").
		WithOutputFields("id", "color").WithBatchSize(3).WithIteratorLimit(limit)))
	for {
		batch, err := iterator.Next(ctx)
		if errors.Is(err, io.EOF) {
			return seen
		}
		must(batch, err)
		var rows []*Row
		must(0, batch.Unmarshal(&rows))
		seen += fmt.Sprint(names(batch.Fields))
		for _, row := range rows {
			seen += fmt.Sprintf(" %d=%s", row.ID, row.Color)
		}
		seen += "; "
	}
}

func main() {
	client := must(milvusclient.New(context.Background(), &milvusclient.ClientConfig{Address: os.Args[1]}))
	cut, whole := read(client, 5), read(client, 6)
	fmt.Println("limit 5:", cut)
	fmt.Println("limit 6:", whole)
	if cut != `[id color] 1="red" 2="red" 3="red"; [id $meta] 4= 5=; ` ||
		whole != `[id color] 1="red" 2="red" 3="red"; [id color] 4="red" 5="red" 6="red"; ` {
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
from pymilvus import MilvusClient

address = server_manager_instance.start_and_get_uri("lite.db")
client = MilvusClient(address)
client.create_collection("c", dimension=2)
client.insert("c", [{"id": number, "vector": [1.0, 0.0], "color": "red"} for number in range(1, 8)])
subprocess.run(["./try", address], check=True)
PYTHON
env/bin/python -W ignore try.py
