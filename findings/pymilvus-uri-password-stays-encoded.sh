#!/usr/bin/env bash
# Package:   pymilvus 3.0.2; a gRPC server that notes the credential and knows no method.
# Behaviour: user and password in the URI are sent as written. A password with an @, which a URI can only hold as
#            %40, arrives as %40 and is refused.
# Guess:     percent encoding is undone, as RFC 3986 has it and as database URLs are read elsewhere.
# Seen:      http://ann:p%40ss@... sends the credential "ann:p%40ss"
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pymilvus==3.0.2
env/bin/python -W ignore - <<'PYTHON'
import base64
import logging
from concurrent.futures import ThreadPoolExecutor

import grpc
from pymilvus import MilvusClient

logging.disable(logging.CRITICAL)
sent = set()


class Noting(grpc.ServerInterceptor):
    def intercept_service(self, continuation, details):
        sent.update(value for key, value in details.invocation_metadata if key == "authorization")
        return continuation(details)


server = grpc.server(ThreadPoolExecutor(2), interceptors=[Noting()])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
try:
    MilvusClient(f"http://ann:p%40ss@127.0.0.1:{port}", timeout=5).list_collections(timeout=5)
except Exception:
    pass
server.stop(None)
seen = {base64.b64decode(each).decode() for each in sent}
print("sent", seen)
assert seen == {"ann:p%40ss"}, seen
PYTHON
