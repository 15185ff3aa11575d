from pathlib import Path

from benchmarks import proxies


def test_envoy_listens_on_loopback_and_passes_everything_to_the_upstream() -> None:
    resources = proxies.envoy_config(4711, "127.0.0.1:19530")["static_resources"]
    (listener,), (cluster,) = resources["listeners"], resources["clusters"]
    assert listener["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 4711}
    (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 19530}


def test_nginx_keeps_its_connections_and_has_one_worker() -> None:
    config = proxies.nginx_config(4711, "127.0.0.1:19530", Path("/srv"))
    assert "listen 127.0.0.1:4711 http2;" in config
    assert "upstream cluster { server 127.0.0.1:19530; keepalive 256;" in config
    assert "worker_processes 1;" in config
    assert config.count("keepalive_requests 1000000000;") == 2


def test_files_of_nginx_stay_in_its_directory() -> None:
    config = proxies.nginx_config(4711, "127.0.0.1:19530", Path("/srv/own"))
    paths = [line.split()[1] for line in config.splitlines() if "_path " in line or line.startswith("pid ")]
    assert len(paths) == 6
    assert all(path.startswith("/srv/own/") for path in paths)
