"""What stands before an upstream: this build, v0.1, and two plain gRPC proxies with one worker each."""

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from benchmarks import earlier, filling, peers
from benchmarks.cluster_answers import COLLECTION
from benchmarks.peers import CALLER, CALLER_PASSWORD, Peer, PeerMissing

OURS: Final = "this build"
V0_1: Final = "v0.1"
ENVOY: Final = "Envoy"
NGINX: Final = "nginx"

_PROJECT: Final = Path(__file__).parents[1]
_TOKEN: Final = f"{CALLER}:{CALLER_PASSWORD}"
_LOOPBACK: Final = "127.0.0.1"
_NEVER_ENDING: Final = 1_000_000_000

Start = Callable[[Path, str, Sequence[str]], AbstractContextManager[Peer]]
"""Starts a proxy: its directory, the address of the upstream, and the command that runs another one."""


@contextlib.contextmanager
def this_build(directory: Path, upstream: str, prefix: Sequence[str], *, module: str = "kiteward") -> Iterator[Peer]:
    """Run this project's server, or a module that takes its place, with a user who may search."""
    settings = {"KITEWARD_ENGINE_ADDRESS": f"grpc://{upstream}"}
    with peers.kiteward(directory, prefix=prefix, module=module, **settings) as peer:
        filling.add_searcher(peer, COLLECTION)
        yield Peer(OURS, peer.address, _TOKEN, peer.process)


@contextlib.contextmanager
def version_0_1(directory: Path, upstream: str, prefix: Sequence[str]) -> Iterator[Peer]:
    """Run the server of v0.1, with a user who may search.

    Raises:
        PeerMissing: its commit or what it needs cannot be had.
    """
    try:
        with earlier.checked_out(earlier.V0_1) as tree, _version_0_1(tree, directory, upstream, prefix) as peer:
            yield peer
    except subprocess.CalledProcessError as error:
        raise PeerMissing(f"{earlier.V0_1} cannot be had here: {error}") from error


@contextlib.contextmanager
def _version_0_1(tree: Path, directory: Path, upstream: str, prefix: Sequence[str]) -> Iterator[Peer]:
    command = [*prefix, str(earlier.python(tree)), "-u", str(_PROJECT / "benchmarks" / "before_remote.py")]
    settings = {
        "PYTHONPATH": str(tree / "src"),
        "UPSTREAM": upstream,
        "PROXY_PORT": "0",
        "KITEWARD_METRICS_PORT": "0",
        "KITEWARD_DATADIR": str(directory / "data"),
    }
    with peers.running(command, directory, ready=r"ready on ([\d.]+:\d+)", settings=settings) as (address, process):
        peer = Peer(V0_1, address, _TOKEN, process)
        filling.add_searcher(peer, COLLECTION)
        yield peer


def envoy(program: Path) -> Start:
    """Return what starts an Envoy from its program."""

    @contextlib.contextmanager
    def start(directory: Path, upstream: str, prefix: Sequence[str]) -> Iterator[Peer]:
        version = _version(program, "--version")
        port = peers.free_port()
        config = json.dumps(envoy_config(port, upstream))
        command = [*prefix, str(program), "--concurrency", "1", "--use-dynamic-base-id", "--config-yaml", config]
        with peers.running(command, directory, ready="(starting main dispatch loop)") as (_, process):
            yield Peer(f"{ENVOY} {version}", f"{_LOOPBACK}:{port}", process=process)

    return start


@contextlib.contextmanager
def nginx(directory: Path, upstream: str, prefix: Sequence[str]) -> Iterator[Peer]:
    """Run nginx.

    Raises:
        PeerMissing: it is not installed.
    """
    program = shutil.which("nginx", path="/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin")
    if program is None:
        raise PeerMissing("nginx is not installed; on Debian it is in nginx-light")
    version = _version(Path(program), "-v")
    port = peers.free_port()
    directory.parent.mkdir(parents=True, exist_ok=True)
    config = directory.parent / "nginx.conf"
    config.write_text(nginx_config(port, upstream, directory))
    command = [*prefix, program, "-e", "stderr", "-c", str(config)]
    with peers.running(command, directory, ready="(start worker process) ") as (_, process):
        yield Peer(f"{NGINX} {version}", f"{_LOOPBACK}:{port}", process=process)


def envoy_config(port: int, upstream: str) -> dict[str, Any]:
    """Return the configuration of an Envoy that passes every request on: no access log, no limit of time."""
    extensions = "type.googleapis.com/envoy.extensions"
    manager = {
        "@type": f"{extensions}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "pass_through",
        "codec_type": "HTTP2",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{extensions}.filters.http.router.v3.Router"},
            }
        ],
    }
    protocol = {
        "@type": f"{extensions}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    host, _, upstream_port = upstream.rpartition(":")
    endpoint = {"endpoint": {"address": _socket(host, int(upstream_port))}}
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol},
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {"name": "port", "address": _socket(_LOOPBACK, port), "filter_chains": [{"filters": filters}]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def nginx_config(port: int, upstream: str, directory: Path) -> str:
    """Return the configuration of an nginx that passes every request on and keeps its connections."""
    temporary = "".join(
        f"  {kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off;\nworker_processes 1;\npid {directory}/nginx.pid;\nerror_log stderr notice;\n"
        "events { worker_connections 4096; }\n"
        f"http {{\n{temporary}  access_log off;\n  keepalive_requests {_NEVER_ENDING};\n"
        f"  upstream cluster {{ server {upstream}; keepalive 256; keepalive_requests {_NEVER_ENDING}; }}\n"
        f"  server {{ listen {_LOOPBACK}:{port} http2; location / {{ grpc_pass grpc://cluster; }} }}\n}}\n"
    )


def _socket(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _version(program: Path, option: str) -> str:
    """Return the version that a program reports.

    Raises:
        PeerMissing: it cannot be run.
    """
    try:
        done = subprocess.run([program, option], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise PeerMissing(f"{program} cannot be run: {error}") from error
    found = re.search(r"/(\d+\.\d+\.\d+)", done.stdout + done.stderr)
    if found is None:
        raise PeerMissing(f"{program} reports no version")
    return found[1]
