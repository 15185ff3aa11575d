"""A collector that takes logs by OTLP over HTTP in JSON, and reads them strictly by the published messages."""

import contextlib
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)


class Collector(HTTPServer):
    """A collector; `status` answers everything, `poison` refuses requests that hold this text."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[ExportLogsServiceRequest] = []
        self.headers: dict[str, str] = {}
        self.status = 200
        self.poison = b"\0"
        self.rejected = 0

    @property
    def bodies(self) -> list[str]:
        return [
            record.body.string_value
            for request in self.requests
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Collector

    def do_POST(self) -> None:
        collector = self.server
        collector.headers = {name.lower(): value for name, value in self.headers.items()}
        body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
        status = 400 if collector.poison in body else collector.status
        if status == 200:
            collector.requests.append(json_format.Parse(body, ExportLogsServiceRequest()))
        response = ExportLogsServiceResponse()
        response.partial_success.rejected_log_records = collector.rejected
        answer = json_format.MessageToJson(response).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        if status == 429:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it
        pass


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector until the block ends."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
