#!/usr/bin/env bash
# Package:   github.com/milvus-io/milvus/client/v2 2.6.2; no server.
# Behaviour: `entity.NewSliceSparseEmbedding` sorts the two slices that it is given, in place. Positions that are kept for several
#            vectors, such as those of a vocabulary, are in another order from the second vector on, whose values are then at
#            the positions of others. Nothing tells: that vector is as valid.
# Guess:     a constructor leaves its arguments as they are (no document says otherwise), and two vectors from the same positions
#            have these positions.
# Seen:      positions 7, 3: values 0.75, 0.25 become 3=0.25 7=0.75; then values 0.5, 0.125 become 3=0.5 7=0.125
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
export GOPATH="$work/go" GOFLAGS="-mod=mod -modcacherw" GOTOOLCHAIN=local
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/milvus-io/milvus/client/v2/entity"
)

func made(positions []uint32, values ...float32) string {
	vector, err := entity.NewSliceSparseEmbedding(positions, values)
	if err != nil {
		panic(err)
	}
	var pairs []string
	for at := 0; at < vector.Len(); at++ {
		position, value, _ := vector.Get(at)
		pairs = append(pairs, fmt.Sprintf("%d=%v", position, value))
	}
	return strings.Join(pairs, " ")
}

func main() {
	positions := []uint32{7, 3}
	first, second := made(positions, 0.75, 0.25), made(positions, 0.5, 0.125)
	fresh := made([]uint32{7, 3}, 0.5, 0.125)
	fmt.Println("first", first, "| second", second, "| second from its own positions", fresh)
	if first != "3=0.25 7=0.75" || fresh != "3=0.125 7=0.5" || second != "3=0.5 7=0.125" {
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
./try
