#!/usr/bin/env bash
# Package:   ngh2 0.3.0 (libnghttp2 for Python); both ends in memory, no server.
# Behaviour: with `auto_window_update=False`, a DATA frame whose stream is reset while it arrives is not reported and cannot
#            be acknowledged, and its bytes are not given back either. Each such cancellation takes up to 16 KiB from the
#            window of the connection permanently. Only a larger target of `set_local_window_size` makes up for it.
# Guess:     what is not reported is consumed inside, as padding is, and as a frame is that begins after the reset.
# Seen:      windows after three cancelled responses of 16,000 bytes, reset before the frame 65535, behind it 65535,
#            inside it 17535
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check ngh2==0.3.0
env/bin/python - <<'PYTHON'
import contextlib

from ngh2 import Configuration, Connection, DataReceived, Role

REQUEST = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"example"), (b":path", b"/")]


def reported(client):
    """Acknowledge and count what the client reports."""
    data = [event for event in client.events() if isinstance(event, DataReceived)]
    for event in data:
        client.acknowledge_received_data(len(event.data), event.stream_id)
    return sum(len(event.data) for event in data)


def window(received):
    """Return the client's window after three responses, each reset when so many bytes of its body are received."""
    client, server = Connection(Role.CLIENT, Configuration(auto_window_update=False)), Connection(Role.SERVER)
    client.initiate_connection()
    server.initiate_connection()
    for _ in range(2):
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
    for _ in range(3):
        stream = client.send_request(REQUEST, end_stream=True)
        server.receive_data(client.data_to_send())
        server.send_response(stream, [(b":status", b"200")])
        client.receive_data(server.data_to_send())
        server.send_data(stream, bytes(16_000))
        frame = server.data_to_send()
        assert len(frame) == 9 + 16_000
        cut = received and 9 + received
        client.receive_data(frame[:cut])
        delivered = reported(client)
        client.reset_stream(stream)
        server.receive_data(client.data_to_send())
        client.receive_data(frame[cut:])
        delivered += reported(client)
        server.receive_data(client.data_to_send())
        assert delivered == (16_000 if received == 16_000 else 0), delivered
        with contextlib.suppress(ValueError):
            client.acknowledge_received_data(1, stream)
            raise AssertionError("a byte more was acknowledged")
    assert server.remote_window_size == client.local_window_size
    return client.local_window_size


seen = (window(0), window(16_000), window(12_000))
print("reset before the frame:", seen[0], "behind it:", seen[1], "inside it:", seen[2])
assert seen == (65_535, 65_535, 65_535 - 3 * 16_000), seen
PYTHON
