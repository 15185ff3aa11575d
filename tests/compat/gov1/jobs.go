// The Go SDK of the first version goes through trials: jobs HOST:PORT
package main

import (
	"fmt"
	"strings"
	"sync"

	"github.com/milvus-io/milvus-sdk-go/v2/client"
	"github.com/milvus-io/milvus-sdk-go/v2/entity"
)

// connected makes one client in the first trial, as a program makes one at its start.
var connected = sync.OnceValues(func() (client.Client, error) {
	user, password, _ := strings.Cut(token, ":")
	return client.NewClient(
		ctx, client.Config{Address: address, Username: user, Password: password, DBName: database})
})

// with lets a job use the client.
func with(job func(client.Client, string) (any, error)) func(string) (any, error) {
	return func(collection string) (any, error) {
		milvus, err := connected()
		if err != nil {
			return nil, err
		}
		return job(milvus, collection)
	}
}

func columns(ids ...int64) []entity.Column {
	vectors := [][]float32{}
	for _, id := range ids {
		vectors = append(vectors, []float32{1, float32(id), 0, 0})
	}
	return []entity.Column{entity.NewColumnInt64("id", ids), entity.NewColumnFloatVector("vector", 4, vectors)}
}

func create(milvus client.Client, collection string) (any, error) {
	schema := entity.NewSchema().WithName(collection).
		WithField(entity.NewField().WithName("id").WithDataType(entity.FieldTypeInt64).WithIsPrimaryKey(true)).
		WithField(entity.NewField().WithName("vector").WithDataType(entity.FieldTypeFloatVector).WithDim(4))
	if err := milvus.CreateCollection(ctx, schema, 1); err != nil {
		return nil, err
	}
	hnsw, err := entity.NewIndexHNSW(entity.L2, 8, 64)
	if err != nil {
		return nil, err
	}
	if err := milvus.CreateIndex(ctx, collection, "vector", hnsw, false); err != nil {
		return nil, err
	}
	if err := milvus.LoadCollection(ctx, collection, false); err != nil {
		return nil, err
	}
	_, err = milvus.Insert(ctx, collection, "", columns(1, 2)...)
	return nil, err
}

func search(milvus client.Client, collection string) (any, error) {
	parameters, err := entity.NewIndexHNSWSearchParam(64)
	if err != nil {
		return nil, err
	}
	question := []entity.Vector{entity.FloatVector{1, 1, 0, 0}}
	found, err := milvus.Search(ctx, collection, nil, "", nil, question, "vector", entity.L2, 1, parameters)
	if err != nil {
		return nil, err
	}
	return found[0].ResultCount, nil
}

func query(milvus client.Client, collection string) (any, error) {
	found, err := milvus.Query(ctx, collection, nil, "id == 1", []string{"id"})
	if err != nil {
		return nil, err
	}
	return found.Len(), nil
}

func main() {
	run(map[string]func(string) (any, error){
		"create": with(create),
		"search": with(search),
		"query":  with(query),
		"load": with(func(milvus client.Client, collection string) (any, error) {
			return nil, milvus.LoadCollection(ctx, collection, false)
		}),
		"insert": with(func(milvus client.Client, collection string) (any, error) {
			_, err := milvus.Insert(ctx, collection, "", columns(3)...)
			return nil, err
		}),
		"upsert": with(func(milvus client.Client, collection string) (any, error) {
			_, err := milvus.Upsert(ctx, collection, "", columns(3)...)
			return nil, err
		}),
		"delete": with(func(milvus client.Client, collection string) (any, error) {
			return nil, milvus.DeleteByPks(ctx, collection, "", entity.NewColumnInt64("id", []int64{3}))
		}),
		"statistics": with(func(milvus client.Client, collection string) (any, error) {
			_, err := milvus.GetCollectionStatistics(ctx, collection)
			return nil, err
		}),
		"exists": with(func(milvus client.Client, collection string) (any, error) {
			return milvus.HasCollection(ctx, collection)
		}),
		"list": with(func(milvus client.Client, _ string) (any, error) {
			found, err := milvus.ListCollections(ctx)
			if err != nil {
				return nil, err
			}
			names := []string{}
			for _, each := range found {
				if each.ID <= 0 {
					return nil, fmt.Errorf("the collection %s has no id", each.Name)
				}
				names = append(names, each.Name)
			}
			return names, nil
		}),
		"drop": with(func(milvus client.Client, collection string) (any, error) {
			return nil, milvus.DropCollection(ctx, collection)
		}),
	})
}
