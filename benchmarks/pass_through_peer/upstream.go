package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// upstream answers every recorded RPC with what was recorded, until its input ends.
func upstream(arguments []string) error {
	options := flag.NewFlagSet("upstream", flag.ExitOnError)
	listen := options.String("listen", "127.0.0.1:0", "address to listen on")
	path := options.String("recorded", "", "file with the answers")
	lasting := options.Bool("lasting", false, "do not stop when the input ends")
	if err := options.Parse(arguments); err != nil {
		return err
	}
	found, err := read(*path)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.ForceServerCodec(messages{}), grpc.UnknownServiceHandler(answering(found.Answers)))
	fmt.Printf("ready on %s\n", listener.Addr())
	if !*lasting {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			server.Stop()
		}()
	}
	return server.Serve(listener)
}

func answering(answers map[string][]byte) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		path, _ := grpc.MethodFromServerStream(stream)
		answer, known := answers[strings.TrimPrefix(path, service)]
		if !known {
			return status.Errorf(codes.Unimplemented, "no answer to %s is recorded", path)
		}
		var request []byte
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		return stream.SendMsg(&answer)
	}
}
