// Lists users over TLS with the official Go SDK: tls HOST:PORT. SSL_CERT_FILE: the trusted certificates.
package main

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/milvus-io/milvus/client/v2/milvusclient"
)

func main() {
	// Without a deadline the SDK would try a server that it does not trust for ever.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	config := &milvusclient.ClientConfig{Address: "https://" + os.Args[1], APIKey: "root:Milvus"}
	client, err := milvusclient.New(ctx, config)
	if err != nil {
		panic(err)
	}
	users, err := client.ListUsers(ctx, milvusclient.NewListUserOption())
	if err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(users); err != nil {
		panic(err)
	}
}
