#!/usr/bin/env bash
# Package:   ngh2 0.3.0 (libnghttp2 for Python); no server.
# Behaviour: a PING that is queued after a GOAWAY leaves before it. Servers end connections by GOAWAY, PING, and a last GOAWAY
#            once the PING is acknowledged, which says that the client knows of the first. Here the acknowledgement
#            says nothing. Where the bytes are taken between the two, the order is kept.
# Guess:     frames of the connection leave in the order in which they were queued.
# Seen:      queued GOAWAY, PING; sent PING, GOAWAY; with `data_to_send()` in between GOAWAY, PING
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check ngh2==0.3.0
env/bin/python - <<'PYTHON'
from ngh2 import Connection, Role

NAMES = {6: "PING", 7: "GOAWAY"}


def names(sent):
    found = []
    while sent:
        found.append(NAMES[sent[3]])
        sent = sent[9 + int.from_bytes(sent[:3], "big") :]
    return found


def shutdown(*, in_between):
    client, server = Connection(Role.CLIENT), Connection(Role.SERVER)
    client.initiate_connection()
    server.initiate_connection()
    for _ in range(2):
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
    sent = b""
    server.send_shutdown_notice()
    if in_between:
        sent = server.data_to_send()
    server.ping(b"shutdown")
    return names(sent + server.data_to_send())


seen = (shutdown(in_between=False), shutdown(in_between=True))
print("sent", seen[0], "with bytes taken in between", seen[1])
assert seen == (["PING", "GOAWAY"], ["GOAWAY", "PING"]), seen
PYTHON
