// Does what a user confined to one collection of a database may do: confined HOST:PORT DATABASE TOKEN
package main

import (
	"context"
	"encoding/json"
	"os"
	"slices"

	"github.com/blang/semver/v4"
	"github.com/milvus-io/milvus/client/v2/entity"
	"github.com/milvus-io/milvus/client/v2/milvusclient"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	ctx := context.Background()
	client := must(milvusclient.New(
		ctx, &milvusclient.ClientConfig{Address: os.Args[1], DBName: os.Args[2], APIKey: os.Args[3]}))
	described := []string{}
	collection := must(client.DescribeCollection(ctx, milvusclient.NewDescribeCollectionOption("notes")))
	for _, field := range collection.Schema.Fields {
		described = append(described, field.Name)
	}
	vectors := []entity.Vector{entity.FloatVector{1, 1, 0, 0}}
	found := must(client.Search(ctx, milvusclient.NewSearchOption("notes", 1, vectors).WithANNSField("vector")))
	rows := must(client.Query(
		ctx, milvusclient.NewQueryOption("notes").WithFilter("id < 10").WithOutputFields("id")))
	queried := []int64{}
	for row := range rows.Len() {
		queried = append(queried, must(rows.GetColumn("id").GetAsInt64(row)))
	}
	slices.Sort(queried)
	inserted := must(client.Insert(ctx, milvusclient.NewColumnBasedInsertOption("notes").
		WithInt64Column("id", []int64{10}).
		WithFloatVectorColumn("vector", 4, [][]float32{{9, 9, 9, 9}})))
	version := must(semver.Parse(must(client.GetServerVersion(ctx, milvusclient.NewGetServerVersionOption()))))
	seen := map[string]any{
		"described": described,
		"found":     []int64{must(found[0].IDs.GetAsInt64(0))},
		"queried":   queried,
		"inserted":  inserted.InsertCount,
		"listed":    must(client.ListCollections(ctx, milvusclient.NewListCollectionOption())),
		"recent":    version.GT(semver.MustParse("2.6.0")) && version.LT(semver.MustParse("3.0.1")),
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		panic(err)
	}
	if err := client.Close(ctx); err != nil {
		panic(err)
	}
}
