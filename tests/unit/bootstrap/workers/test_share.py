"""What one worker has of the settings of its server."""

import socket
from dataclasses import replace
from pathlib import Path

from kiteward.audit.exports.settings import OtlpSettings
from kiteward.audit.settings import AuditSettings
from kiteward.authn.hashing import HashingProfile
from kiteward.bootstrap.workers.share import hashing_share, share_of
from kiteward.config.settings import Settings
from kiteward.gateway.replicas.settings import ReplicaSettings
from kiteward.net.budget import MEBIBYTE

SERVER = Settings(workers=3, engine_requests=4, limit_replicas=2, replicas=ReplicaSettings("one"))


def test_each_worker_has_a_name_among_the_replicas() -> None:
    assert [share_of(SERVER, number).replicas.name for number in (1, 2, 3)] == ["one/1", "one/2", "one/3"]
    assert share_of(replace(SERVER, replicas=ReplicaSettings()), 2).replicas.name == f"{socket.gethostname()}/2"


def test_limits_of_requests_are_divided_among_workers_too() -> None:
    assert share_of(SERVER, 1).limit_replicas == 6
    assert share_of(SERVER, 1).engine_requests == 2
    assert share_of(replace(SERVER, engine_requests=0), 1).engine_requests == 0


def test_memory_is_divided() -> None:
    whole, part = SERVER.byte_limits, share_of(SERVER, 2).byte_limits
    for name in ("unauthenticated", "unauthenticated_address", "authenticated", "address", "user"):
        assert getattr(part, name) == getattr(whole, name) // 3
    assert part.wait == whole.wait
    small = replace(SERVER, byte_limits=replace(whole, user=2 * MEBIBYTE))
    assert share_of(small, 2).byte_limits.user == MEBIBYTE


def test_one_worker_sends_the_audit_trail_on_that_all_write() -> None:
    otlp = OtlpSettings("https://collector:4318/v1/logs")
    server = replace(SERVER, audit=AuditSettings(directory=Path("/trail"), otlp=otlp))
    first, second = share_of(server, 1).audit, share_of(server, 2).audit
    assert (first.otlp, second.otlp) == (otlp, None)
    assert first.directory == second.directory == Path("/trail")


def test_everything_else_is_that_of_the_server() -> None:
    divided = {"replicas", "audit", "byte_limits", "engine_requests", "limit_replicas"}
    part = share_of(SERVER, 2)
    for name in Settings.__slots__:
        assert name in divided or getattr(part, name) == getattr(SERVER, name), name


def test_threads_that_hash_are_divided_and_one_is_left() -> None:
    assert hashing_share(HashingProfile(workers=8), 3).workers == 2
    assert hashing_share(HashingProfile(workers=1), 3).workers == 1
