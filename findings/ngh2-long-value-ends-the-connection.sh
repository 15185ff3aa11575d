#!/usr/bin/env bash
# Package:   ngh2 0.3.0 (libnghttp2 for Python), and grpcio 1.85.3 as its client.
# Behaviour: libnghttp2 decodes no field value of more than 64 KiB. With `max_inbound_header_list_size` at 1 MiB, a call
#            whose metadata has a value of 65,537 bytes ends the connection with COMPRESSION_ERROR, and all calls on it.
#            Its caller reads UNAVAILABLE, which clients repeat, and the application gets no request.
# Guess:     a header list within the limit is decoded, and one beyond it refused for its stream.
# Seen:      65,536 bytes: OK, the server got them; 65,537 bytes: UNAVAILABLE, the server got no request
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check grpcio==1.85.3 ngh2==0.3.0
env/bin/python - <<'PYTHON' 2>stderr || { cat stderr; exit 1; }
import socket
from threading import Thread

import grpc
from ngh2 import Configuration, Connection, RequestReceived, Role

lengths = []


def serve(listener):
    """Answer the calls of one connection."""
    peer, _ = listener.accept()
    session = Connection(Role.SERVER, Configuration(max_inbound_header_list_size=1 << 20))
    session.initiate_connection()
    with peer:
        peer.sendall(session.data_to_send())
        while received := peer.recv(1 << 20):
            session.receive_data(received)
            for event in session.events():
                if isinstance(event, RequestReceived):
                    lengths.extend(len(value) for name, value in event.headers if name == b"note")
                if getattr(event, "end_stream", False):
                    session.send_response(event.stream_id, [(b":status", b"200"), (b"content-type", b"application/grpc")])
                    session.send_data(event.stream_id, bytes(5))
                    session.send_trailers(event.stream_id, [(b"grpc-status", b"0")])
            peer.sendall(session.data_to_send())
            if not session.want_read:
                return  # it has sent GOAWAY


def call(length):
    """Return the status of a call with a value of a length, and the lengths that the server got."""
    lengths.clear()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=serve, args=(listener,), daemon=True).start()
        with grpc.insecure_channel(f"127.0.0.1:{listener.getsockname()[1]}") as channel:
            try:
                channel.unary_unary("/a/b")(b"", metadata=(("note", "x" * length),), timeout=20)
            except grpc.RpcError as error:
                return error.code().name, list(lengths)
    return "OK", list(lengths)


seen = {length: call(length) for length in (65_536, 65_537)}
for length, (status, got) in seen.items():
    print(f"{length} bytes: {status}, the server got {got}")
assert seen[65_536] == ("OK", [65_536]), seen
assert seen[65_537] == ("UNAVAILABLE", []), seen
PYTHON
