// Lists collections three times in a row: limited HOST:PORT TOKEN
//
// It prints one line of JSON: what came of each call.
package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/milvus-io/milvus/client/v2/milvusclient"
)

func main() {
	ctx := context.Background()
	client, err := milvusclient.New(ctx, &milvusclient.ClientConfig{Address: os.Args[1], APIKey: os.Args[2]})
	if err != nil {
		panic(err)
	}
	seen := []string{}
	for range 3 {
		if _, err := client.ListCollections(ctx, milvusclient.NewListCollectionOption()); err != nil {
			seen = append(seen, err.Error())
		} else {
			seen = append(seen, "ok")
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		panic(err)
	}
}
