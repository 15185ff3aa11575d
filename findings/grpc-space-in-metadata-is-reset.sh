#!/usr/bin/env bash
# Package:   grpcio 1.85.3 as the client; servers of grpcio 1.85.3 and of ngh2 0.3.0 (libnghttp2 for Python).
# Behaviour: gRPC's C core sends a metadata value that ends with a space unchanged; gRPC's protocol advises against one and
#            allows it. Its own server hands it on. libnghttp2 resets the call, by RFC 9113 (8.2.1), and tells its
#            application of no request. The caller reads INTERNAL and RST_STREAM, and nothing about metadata.
# Guess:     the client strips the space, or refuses the value by itself as it does one with a tab.
# Seen:      "x ": grpcio got "x "; libnghttp2 INTERNAL, no request; "x": both got "x"
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check grpcio==1.85.3 ngh2==0.3.0
env/bin/python - <<'PYTHON' 2>stderr || { cat stderr; exit 1; }
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import grpc
from ngh2 import Connection, RequestReceived, Role

got = []


class Answering(grpc.GenericRpcHandler):
    def service(self, details):
        got.extend(value for key, value in details.invocation_metadata if key == "note")
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")


def serve(listener):
    """Answer the calls of one connection by libnghttp2."""
    peer, _ = listener.accept()
    session = Connection(Role.SERVER)
    session.initiate_connection()
    with peer:
        peer.sendall(session.data_to_send())
        while received := peer.recv(65_536):
            session.receive_data(received)
            for event in session.events():
                if isinstance(event, RequestReceived):
                    got.extend(value.decode() for name, value in event.headers if name == b"note")
                if getattr(event, "end_stream", False):
                    session.send_response(event.stream_id, [(b":status", b"200"), (b"content-type", b"application/grpc")])
                    session.send_data(event.stream_id, bytes(5))
                    session.send_trailers(event.stream_id, [(b"grpc-status", b"0")])
            peer.sendall(session.data_to_send())


def call(port, value):
    """Return the status of a call with a note, and the notes that the server got."""
    got.clear()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            channel.unary_unary("/a/b")(b"", metadata=(("note", value),), timeout=20)
        except grpc.RpcError as error:
            return error.code().name, list(got)
    return "OK", list(got)


def by_nghttp2(value):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=serve, args=(listener,), daemon=True).start()
        return call(listener.getsockname()[1], value)


server = grpc.server(ThreadPoolExecutor(2), handlers=[Answering()])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
seen = {value: (call(port, value), by_nghttp2(value)) for value in ("x", "x ", "\tx")}
server.stop(None)
for value, (own, other) in seen.items():
    print(f"{value!r}: grpcio {own}, libnghttp2 {other}")
assert seen["x"] == (("OK", ["x"]), ("OK", ["x"])), seen
assert seen["x "] == (("OK", ["x "]), ("INTERNAL", [])), seen
assert seen["\tx"] == (("INTERNAL", []), ("INTERNAL", [])), seen
PYTHON
