// Signs in with tokens by the official Go SDK, searches and lists: sign_in HOST:PORT COLLECTION
//
// Each line of the standard input is a token. For each, a client of its own searches the collection for its first row and
// lists what it may see, and one line of JSON says what it got, or the sentence by which it was refused.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/milvus-io/milvus/client/v2/entity"
	"github.com/milvus-io/milvus/client/v2/milvusclient"
)

func signIn(token string) (map[string]any, error) {
	// Without a deadline the SDK would try for ever where it cannot connect.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client, err := milvusclient.New(ctx, &milvusclient.ClientConfig{Address: os.Args[1], APIKey: token})
	if err != nil {
		return nil, err
	}
	defer client.Close(ctx)
	nearest := []entity.Vector{entity.FloatVector{1, 0, 0, 0}}
	found, err := client.Search(ctx, milvusclient.NewSearchOption(os.Args[2], 1, nearest).WithANNSField("vector"))
	if err != nil {
		return nil, err
	}
	keys := []int64{}
	for row := range found[0].Len() {
		key, err := found[0].IDs.GetAsInt64(row)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	listed, err := client.ListCollections(ctx, milvusclient.NewListCollectionOption())
	if err != nil {
		return nil, err
	}
	slices.Sort(listed)
	return map[string]any{"found": keys, "collections": listed}, nil
}

func main() {
	input, output := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		token, err := input.ReadString('\n')
		if err != nil {
			return
		}
		begun := time.Now()
		seen, err := signIn(strings.TrimSuffix(token, "\n"))
		if err != nil {
			seen = map[string]any{"refused": err.Error()}
		}
		seen["seconds"] = time.Since(begun).Seconds()
		if err := output.Encode(seen); err != nil {
			panic(err)
		}
	}
}
