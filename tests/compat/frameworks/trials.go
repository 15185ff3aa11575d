// What the programs in Go share, as trials.py does for those in Python: they go through trials one by one.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
)

var (
	ctx      = context.Background()
	address  = os.Args[1]
	token    = os.Getenv("KITEWARD_TOKEN")
	database = os.Getenv("KITEWARD_DATABASE")
)

// run does the trials with these jobs; each takes the collection's name.
func run(jobs map[string]func(string) (any, error)) {
	var trials [][3]string
	if err := json.Unmarshal([]byte(os.Getenv("KITEWARD_TRIALS")), &trials); err != nil {
		panic(err)
	}
	input, output := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	say := func(line map[string]any) {
		if err := output.Encode(line); err != nil {
			panic(err)
		}
	}
	for _, trial := range trials {
		say(map[string]any{"pause": trial[0]})
		if _, err := input.ReadString('\n'); err != nil {
			panic(err)
		}
		value, err := jobs[trial[1]](trial[2])
		if err != nil {
			say(map[string]any{"trial": trial[0], "refused": err.Error()})
		} else {
			say(map[string]any{"trial": trial[0], "value": value})
		}
	}
}
