// The official Go SDK goes through trials: jobs HOST:PORT
package main

import (
	"sync"

	"github.com/milvus-io/milvus/client/v2/entity"
	"github.com/milvus-io/milvus/client/v2/index"
	"github.com/milvus-io/milvus/client/v2/milvusclient"
)

// connected makes one client in the first trial, as a program makes one at its start.
var connected = sync.OnceValues(func() (*milvusclient.Client, error) {
	return milvusclient.New(ctx, &milvusclient.ClientConfig{Address: address, APIKey: token, DBName: database})
})

// with lets a job use the client.
func with(job func(*milvusclient.Client, string) (any, error)) func(string) (any, error) {
	return func(collection string) (any, error) {
		client, err := connected()
		if err != nil {
			return nil, err
		}
		return job(client, collection)
	}
}

// columns returns rows with these keys, to be inserted or upserted.
func columns(collection string, ids ...int64) interface {
	milvusclient.InsertOption
	milvusclient.UpsertOption
} {
	vectors := [][]float32{}
	for _, id := range ids {
		vectors = append(vectors, []float32{1, float32(id), 0, 0})
	}
	option := milvusclient.NewColumnBasedInsertOption(collection)
	return option.WithInt64Column("id", ids).WithFloatVectorColumn("vector", 4, vectors)
}

func create(client *milvusclient.Client, collection string) (any, error) {
	schema := entity.NewSchema().
		WithField(entity.NewField().WithName("id").WithDataType(entity.FieldTypeInt64).WithIsPrimaryKey(true)).
		WithField(entity.NewField().WithName("vector").WithDataType(entity.FieldTypeFloatVector).WithDim(4))
	if err := client.CreateCollection(ctx, milvusclient.NewCreateCollectionOption(collection, schema)); err != nil {
		return nil, err
	}
	indexing, err := client.CreateIndex(
		ctx, milvusclient.NewCreateIndexOption(collection, "vector", index.NewHNSWIndex(entity.L2, 8, 64)))
	if err != nil {
		return nil, err
	}
	if err := indexing.Await(ctx); err != nil {
		return nil, err
	}
	if _, err := load(client, collection); err != nil {
		return nil, err
	}
	_, err = client.Insert(ctx, columns(collection, 1, 2))
	return nil, err
}

func search(client *milvusclient.Client, collection string) (any, error) {
	question := []entity.Vector{entity.FloatVector{1, 1, 0, 0}}
	found, err := client.Search(ctx, milvusclient.NewSearchOption(collection, 1, question).WithANNSField("vector"))
	if err != nil {
		return nil, err
	}
	return found[0].ResultCount, nil
}

func query(client *milvusclient.Client, collection string) (any, error) {
	option := milvusclient.NewQueryOption(collection).WithFilter("id == 1").WithOutputFields("id")
	found, err := client.Query(ctx, option)
	if err != nil {
		return nil, err
	}
	return found.ResultCount, nil
}

func load(client *milvusclient.Client, collection string) (any, error) {
	loading, err := client.LoadCollection(ctx, milvusclient.NewLoadCollectionOption(collection))
	if err != nil {
		return nil, err
	}
	return nil, loading.Await(ctx)
}

func main() {
	run(map[string]func(string) (any, error){
		"create": with(create),
		"search": with(search),
		"query":  with(query),
		"load":   with(load),
		"insert": with(func(client *milvusclient.Client, collection string) (any, error) {
			_, err := client.Insert(ctx, columns(collection, 3))
			return nil, err
		}),
		"upsert": with(func(client *milvusclient.Client, collection string) (any, error) {
			_, err := client.Upsert(ctx, columns(collection, 3))
			return nil, err
		}),
		"delete": with(func(client *milvusclient.Client, collection string) (any, error) {
			_, err := client.Delete(ctx, milvusclient.NewDeleteOption(collection).WithInt64IDs("id", []int64{3}))
			return nil, err
		}),
		"statistics": with(func(client *milvusclient.Client, collection string) (any, error) {
			_, err := client.GetCollectionStats(ctx, milvusclient.NewGetCollectionStatsOption(collection))
			return nil, err
		}),
		"exists": with(func(client *milvusclient.Client, collection string) (any, error) {
			return client.HasCollection(ctx, milvusclient.NewHasCollectionOption(collection))
		}),
		"list": with(func(client *milvusclient.Client, collection string) (any, error) {
			return client.ListCollections(ctx, milvusclient.NewListCollectionOption())
		}),
		"drop": with(func(client *milvusclient.Client, collection string) (any, error) {
			return nil, client.DropCollection(ctx, milvusclient.NewDropCollectionOption(collection))
		}),
	})
}
