// The two ends of `python -m benchmarks.pass_through`: an upstream that answers at once, and a load of calls.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

const service = "/milvus.proto.milvus.MilvusService/"

// recorded is what both ends are given: answers by RPC name and one request, all of them serialised messages.
type recorded struct {
	Answers map[string][]byte `json:"answers"`
	// Method names the RPC of the request; its answer is among the answers.
	Method  string `json:"method"`
	Request []byte `json:"request"`
}

// messages carries serialised messages as they are, so that no end spends time on their content.
type messages struct{}

func (messages) Marshal(value any) ([]byte, error) { return *value.(*[]byte), nil }

func (messages) Unmarshal(data []byte, value any) error {
	*value.(*[]byte) = data
	return nil
}

// Name is empty, so that the content type is `application/grpc`, as pymilvus sends it. Milvus 2.3.5 takes no other.
func (messages) Name() string { return "" }

func read(path string) (recorded, error) {
	var found recorded
	text, err := os.ReadFile(path)
	if err != nil {
		return found, err
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return found, fmt.Errorf("%s: %w", path, err)
	}
	if _, known := found.Answers[found.Method]; !known {
		return found, fmt.Errorf("%s: no answer to %q", path, found.Method)
	}
	return found, nil
}

func main() {
	commands := map[string]func([]string) error{"upstream": upstream, "load": load}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: program upstream|load [options]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
