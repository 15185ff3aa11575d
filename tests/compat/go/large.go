// Inserts rows of many megabytes in one message, and reads them in another: large HOST:PORT ROWS DIMENSION
//
// It prints how many rows were inserted, and how many came back as they were sent.
package main

import (
	"context"
	"encoding/json"
	"os"
	"strconv"

	"github.com/milvus-io/milvus/client/v2/column"
	"github.com/milvus-io/milvus/client/v2/entity"
	"github.com/milvus-io/milvus/client/v2/index"
	"github.com/milvus-io/milvus/client/v2/milvusclient"
)

const collection = "large_go"

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func number(text string) int {
	return must(strconv.Atoi(text))
}

func main() {
	ctx := context.Background()
	rows, dimension := number(os.Args[2]), number(os.Args[3])
	client := must(milvusclient.New(ctx, &milvusclient.ClientConfig{Address: os.Args[1], APIKey: "root:Milvus"}))
	schema := entity.NewSchema().
		WithField(entity.NewField().WithName("id").WithDataType(entity.FieldTypeInt64).WithIsPrimaryKey(true)).
		WithField(entity.NewField().WithName("vector").WithDataType(entity.FieldTypeFloatVector).WithDim(int64(dimension)))
	flat := milvusclient.NewCreateIndexOption(collection, "vector", index.NewFlatIndex(entity.L2))
	create := milvusclient.NewCreateCollectionOption(collection, schema).
		WithConsistencyLevel(entity.ClStrong).WithIndexOptions(flat)
	if err := client.CreateCollection(ctx, create); err != nil {
		panic(err)
	}
	loading := must(client.LoadCollection(ctx, milvusclient.NewLoadCollectionOption(collection)))
	if err := loading.Await(ctx); err != nil {
		panic(err)
	}
	ids, vectors := make([]int64, rows), make([][]float32, rows)
	for row := range rows {
		ids[row], vectors[row] = int64(row), make([]float32, dimension)
		for place := range dimension {
			vectors[row][place] = float32(row)
		}
	}
	inserted := must(client.Insert(ctx, milvusclient.NewColumnBasedInsertOption(collection).
		WithInt64Column("id", ids).WithFloatVectorColumn("vector", dimension, vectors)))
	found := must(client.Query(ctx, milvusclient.NewQueryOption(collection).
		WithFilter("id >= 0").WithOutputFields("id", "vector")))
	read := found.GetColumn("vector").(*column.ColumnFloatVector).Data()
	same := 0
	for row, vector := range read {
		id := must(found.GetColumn("id").GetAsInt64(row))
		if len(vector) == dimension && vector[dimension-1] == float32(id) {
			same++
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode([]int64{inserted.InsertCount, int64(same)}); err != nil {
		panic(err)
	}
	if err := client.DropCollection(ctx, milvusclient.NewDropCollectionOption(collection)); err != nil {
		panic(err)
	}
}
