package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

const patience = 60 * time.Second // until a connection stands

// report is what is printed of one run; a run with a wrong answer or none is not reported but fails.
type report struct {
	Calls       int     `json:"calls"`
	Seconds     float64 `json:"seconds"`
	Rate        float64 `json:"rate"`
	P50         float64 `json:"p50_us"`
	P99         float64 `json:"p99_us"`
	Connections int     `json:"connections"`
	InFlight    int     `json:"in_flight"`
}

// run is the state that all workers share.
type run struct {
	recorded
	authorization string
	calls         int64
	until         time.Time
	started       atomic.Int64
	cancel        context.CancelCauseFunc
}

// load sends the recorded request over and over; the heads differ from call to call as those of pymilvus do.
//
// They hold the same fields. grpc-go refers to a value that it has sent before on the connection, here the
// authorization; the C core beneath pymilvus writes the metadata of its user out each time.
func load(arguments []string) error {
	options := flag.NewFlagSet("load", flag.ExitOnError)
	path := options.String("recorded", "", "file with the request and its answer")
	target := options.String("target", "", "host and port to call")
	connections := options.Int("connections", 8, "connections")
	inFlight := options.Int("in-flight", 8, "calls at a time on each connection")
	calls := options.Int64("calls", 0, "calls to make; 0 for as many as fit into the seconds")
	seconds := options.Float64("seconds", 3, "how long to call if no number of calls is given")
	if err := options.Parse(arguments); err != nil {
		return err
	}
	found, err := read(*path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	state := &run{recorded: found, authorization: os.Getenv("PEER_AUTHORIZATION"), calls: *calls, cancel: cancel}
	channels := make([]*grpc.ClientConn, *connections)
	for number := range channels {
		if channels[number], err = connected(ctx, *target); err != nil {
			return err
		}
		defer channels[number].Close()
	}
	began := time.Now()
	state.until = began.Add(time.Duration(*seconds * float64(time.Second)))
	latencies := make([][]time.Duration, *connections**inFlight)
	var workers sync.WaitGroup
	for number := range latencies {
		workers.Go(func() { latencies[number] = state.work(ctx, channels[number / *inFlight]) })
	}
	workers.Wait()
	taken := time.Since(began)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	all := slices.Concat(latencies...)
	slices.Sort(all)
	return json.NewEncoder(os.Stdout).Encode(report{
		len(all), taken.Seconds(), float64(len(all)) / taken.Seconds(),
		percentile(all, 0.5), percentile(all, 0.99), *connections, *inFlight,
	})
}

// connected returns a channel whose connection stands; each channel has one of its own.
func connected(ctx context.Context, target string) (*grpc.ClientConn, error) {
	channel, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(messages{})), grpc.WithDisableRetry(), grpc.WithNoProxy())
	if err != nil {
		return nil, err
	}
	channel.Connect()
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for state := channel.GetState(); state != connectivity.Ready; state = channel.GetState() {
		if state == connectivity.TransientFailure || !channel.WaitForStateChange(within, state) {
			return nil, fmt.Errorf("%s does not accept connections", target)
		}
	}
	return channel, nil
}

// work calls one at a time until there are enough, and returns how long each call took.
func (r *run) work(ctx context.Context, channel *grpc.ClientConn) []time.Duration {
	var latencies []time.Duration
	answer, expected := []byte{}, r.Answers[r.Method]
	for ctx.Err() == nil {
		number := r.started.Add(1)
		began := time.Now()
		if r.calls > 0 && number > r.calls || r.calls == 0 && began.After(r.until) {
			break
		}
		head := metadata.Pairs("authorization", r.authorization, "dbname", "default",
			"client-request-id", identifier(number), "client-request-unixmsec", strconv.FormatInt(began.UnixMilli(), 10))
		err := channel.Invoke(metadata.NewOutgoingContext(ctx, head), service+r.Method, &r.Request, &answer)
		latencies = append(latencies, time.Since(began))
		if err == nil && !bytes.Equal(answer, expected) {
			err = fmt.Errorf("wrong answer: %d bytes instead of %d: %.200q", len(answer), len(expected), answer)
		}
		if err != nil {
			r.cancel(err)
		}
	}
	return latencies
}

// identifier returns 32 hexadecimal digits, as of a UUID, that no other call has.
func identifier(number int64) string {
	return fmt.Sprintf("%016x%016x", uint64(number)*0x9e3779b97f4a7c15, number)
}

func percentile(sorted []time.Duration, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[int(share*float64(len(sorted)-1))].Nanoseconds()) / 1e3
}
