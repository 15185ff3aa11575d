"""The audit trail of replicas that share a store: what one of them did is found on every other."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support import postgresql
from tests.support.audit_lines import lines

from kiteward.cli.main import main
from kiteward.domain.errors import CommitUnknown
from kiteward.store.connections import WriteTransaction
from kiteward.store.postgresql.settings import PostgresqlSettings

OnReplica = Callable[..., tuple[int, str]]


@pytest.fixture
def database(cluster: postgresql.Cluster, migrated: str) -> Iterator[PostgresqlSettings]:
    with cluster.database(options=migrated) as settings:
        yield settings


@pytest.fixture
def on(
    database: PostgresqlSettings,
    cluster: postgresql.Cluster,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> OnReplica:
    """Runs a command on one of two replicas, where bob is an administrator."""
    monkeypatch.setenv("KITEWARD_STORE_URL", cluster.url(database.database))
    monkeypatch.setenv("KITEWARD_STORE_PASSWORD", postgresql.PASSWORD)

    def run(replica: str, *words: str) -> tuple[int, str]:
        monkeypatch.setenv("KITEWARD_REPLICAS_NAME", replica)
        status = main([*words, "--data-dir", str(tmp_path / replica)])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    status, printed = run("a", "init", "--admin", "bob")
    assert status == 0, printed
    return run


def entries(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines()]


def test_change_on_one_replica_is_found_on_another_in_full(on: OnReplica) -> None:
    assert on("a", "users", "create", "alice", "--role", "admin")[0] == 0
    status, printed = on("b", "audit", "search", "--json", "--operation", "CreateUserAccount", "--user", "alice")
    ended, committed = entries(printed)
    assert (status, committed["outcome"], ended["outcome"]) == (0, "committed", "succeeded")
    assert (committed["replica"], ended["replica"]) == ("a", "a")
    assert committed["details"]["userName"] == "alice"
    assert committed["details"]["roles"] == ["admin"]
    assert (ended["stored"], committed["request_id"]) == (committed["seq"], ended["request_id"])
    assert "result" in ended["details"]
    nothing = on("b", "audit", "search", "--replica", "b", "--operation", "CreateUserAccount")[1]
    assert nothing == "kiteward: no line matches\n"


def test_failed_change_is_found_on_another_and_has_not_committed(on: OnReplica) -> None:
    assert on("a", "users", "disable", "nobody")[0] == 1
    found = entries(on("b", "audit", "search", "--json", "--operation", "DisableUser")[1])
    assert [entry["outcome"] for entry in found] == ["failed"]


def test_every_line_of_a_replica_is_read_with_its_scope(on: OnReplica, tmp_path: Path) -> None:
    on("a", "users", "create", "alice")
    on("a", "users", "list")
    reads = on("a", "audit", "search", "--json", "--scope", "replica", "--kind", "administrative_read")[1]
    assert entries(reads)
    assert {line["replica"] for line in lines(tmp_path / "a" / "audit")} == {"a"}
    status, printed = on("a", "audit", "search", "--kind", "administrative_read")
    assert (status, "--scope replica" in printed) == (1, True)


def test_all_chains_are_verified_and_compared(on: OnReplica, tmp_path: Path, cluster: postgresql.Cluster) -> None:
    on("a", "users", "create", "alice")
    on("b", "users", "create", "carol")
    places = [str(tmp_path / name / "audit") for name in "ab"]
    status, printed = on("a", "audit", "verify", *places)
    assert status == 0, printed
    assert [text.split(":")[0] for text in printed.splitlines()] == [
        f"{places[0]} (a)",
        f"{places[1]} (b)",
        "the store (a, b)",
    ]
    noted = [line.rpartition(" ")[2] for line in printed.splitlines()]
    words = [word for each in noted for word in ("--noted", each)]
    assert on("b", "audit", "verify", *places, *words)[0] == 0
    status, printed = on("b", "audit", "verify", *places, "--noted", f"3:{'0' * 64}")
    assert (status, "none of these chains has line 3" in printed) == (1, True)


def test_event_that_was_taken_from_the_store_is_missed(
    on: OnReplica, database: PostgresqlSettings, cluster: postgresql.Cluster
) -> None:
    on("a", "users", "create", "alice")
    assert on("a", "audit", "verify")[0] == 0
    cluster.sql("DELETE FROM audit_events WHERE seq = 2", database=database.database)
    status, printed = on("a", "audit", "verify")
    assert (status, "wrong: the store: " in printed) == (1, True)


def test_trail_is_followed_and_exported_from_the_store(on: OnReplica) -> None:
    on("a", "users", "create", "alice")
    tail = entries(on("b", "audit", "tail", "--json", "-n", "2")[1])
    assert [entry["seq"] for entry in tail] == sorted(entry["seq"] for entry in tail)
    exported = entries(on("b", "audit", "export", "--format", "ocsf", "--operation", "CreateUserAccount")[1])
    assert exported[-1]["class_uid"] == 3001
    assert exported[-1]["metadata"]["loggers"][0]["device"]["hostname"] == "a"


def test_explanation_of_a_line_reads_the_scope_that_it_is_given(on: OnReplica) -> None:
    on("a", "users", "create", "alice")
    (number, *_) = [
        entry["seq"] for entry in entries(on("b", "audit", "search", "--json", "--operation", "CreateUserAccount")[1])
    ]
    status, printed = on("b", "explain", "--line", str(number))
    assert status == 0, printed


def test_unused_access_is_judged_by_the_uses_of_all_replicas(on: OnReplica) -> None:
    on("a", "users", "create", "alice")
    status, printed = on("b", "access", "--unused-since", "2026-01-01", "--json")
    assert status == 0, printed
    assert datetime.fromisoformat(json.loads(printed)["recordedSince"]) > datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("is_made", [True, False])
def test_change_whose_commit_is_not_known_shares_its_fate_with_its_event(
    on: OnReplica, monkeypatch: pytest.MonkeyPatch, is_made: bool
) -> None:
    commit = WriteTransaction.commit
    seen: list[str] = []

    async def lost(self: WriteTransaction) -> None:
        if "alice" in seen and len(seen) == 1:
            seen.append("lost")
            if is_made:
                await commit(self)
            raise CommitUnknown
        await commit(self)

    from kiteward.store.transaction import Users  # noqa: PLC0415  patched here alone

    add = Users.add

    async def noticed(self: Users, name: str, *arguments: Any, **more: Any) -> None:
        await add(self, name, *arguments, **more)
        seen.extend([name] if name == "alice" else [])

    with monkeypatch.context() as broken:
        broken.setattr(WriteTransaction, "commit", lost)
        broken.setattr(Users, "add", noticed)
        assert on("a", "users", "create", "alice")[0] == 1
    assert seen == ["alice", "lost"]
    on("a", "users", "list")
    found = entries(on("b", "audit", "search", "--json", "--user", "alice")[1])
    there = "alice" in on("b", "users", "list")[1]
    assert there is is_made
    assert [entry["outcome"] for entry in found] == (["failed", "committed"] if is_made else ["failed"])
    assert found[0]["error"] == "CommitUnknown"
    assert "stored" not in found[0]
