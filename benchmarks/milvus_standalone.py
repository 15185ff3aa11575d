"""Runs Milvus 2.3.5 standalone with authorisation on until its input ends. It needs the package `milvus` alone."""

import signal
import socket
import sys
from pathlib import Path

import milvus


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _etcd_config(directory: Path) -> Path:
    """Write a configuration with ports for the etcd inside Milvus, which would otherwise take its usual ones."""
    client, peer = (f"http://127.0.0.1:{_free_port()}" for _ in range(2))
    path = directory / "etcd.yaml"
    path.write_text(
        "name: default\n"
        f"listen-client-urls: {client}\nadvertise-client-urls: {client}\n"
        f"listen-peer-urls: {peer}\ninitial-advertise-peer-urls: {peer}\ninitial-cluster: default={peer}\n"
    )
    return path


def main() -> None:
    """Run it with its files in the directory given as the only argument."""
    directory = Path(sys.argv[1]).absolute()
    # Unpacking the binaries takes longer than starting them, so they stay with the environment.
    binaries = Path(sys.prefix) / "milvus-binaries"
    binaries.mkdir(exist_ok=True)
    (directory / "bin").symlink_to(binaries)
    config = milvus.MilvusServerConfig(data_dir=str(directory))
    config.set("authorization_enabled", True)
    config.template_text = config.template_text.replace(
        "\netcd:\n", f"\netcd:\n  config:\n    path: {_etcd_config(directory)}\n", 1
    )
    # What was written is found at once, whatever consistency a client asks for.
    config.template_text = config.template_text.replace("gracefulTime: 5000", "gracefulTime: 0", 1)
    config.configs.update({key: _free_port() for key in config.configurable_items if key.endswith("_port")})
    server = milvus.MilvusServer(config)
    server.webservice_port = _free_port()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.start()
        print(f"ready on 127.0.0.1:{server.listen_port}", flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()


if __name__ == "__main__":
    main()
