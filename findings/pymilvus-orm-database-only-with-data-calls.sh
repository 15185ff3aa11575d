#!/usr/bin/env bash
# Package:   pymilvus 3.0.2; a gRPC server that notes the metadata of each call and knows no method.
# Behaviour: on an ORM connection made for a database, calls about collections carry the metadata `dbname`, calls about
#            users and roles do not: a server cannot tell from them which database the connection is for.
# Guess:     the database that a connection was made for is sent with each of its calls, as with MilvusClient.
# Seen:      ShowCollections carries {'sales'}; ListCredUsers and SelectRole carry nothing
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pymilvus==3.0.2
env/bin/python -W ignore - <<'PYTHON'
import contextlib
import logging
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import grpc
from pymilvus import Role, connections, utility
from pymilvus.grpc_gen import milvus_pb2

logging.disable(logging.CRITICAL)
databases = defaultdict(set)


class Noting(grpc.ServerInterceptor):
    def intercept_service(self, continuation, details):
        method = details.method.rpartition("/")[2]
        databases[method].update(value for key, value in details.invocation_metadata if key == "dbname")
        return continuation(details)


class Connecting(grpc.GenericRpcHandler):
    """Answers Connect alone, so that a connection comes about."""

    def service(self, details):
        if not details.method.endswith("/Connect"):
            return None
        answer = milvus_pb2.ConnectResponse().SerializeToString()
        return grpc.unary_unary_rpc_method_handler(lambda request, context: answer)


server = grpc.server(ThreadPoolExecutor(2), handlers=[Connecting()], interceptors=[Noting()])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
connections.connect("sales", uri=f"http://127.0.0.1:{port}", token="ann:secret", db_name="sales", timeout=10)
for call in (
    lambda: utility.list_collections(timeout=5, using="sales"),
    lambda: utility.list_usernames(using="sales"),
    lambda: Role("reader", using="sales").get_users(),
):
    with contextlib.suppress(Exception):
        call()
server.stop(None)
seen = {name: databases.get(name) for name in ("ShowCollections", "ListCredUsers", "SelectRole")}
print("dbname of", seen)
assert seen == {"ShowCollections": {"sales"}, "ListCredUsers": set(), "SelectRole": set()}, seen
PYTHON
