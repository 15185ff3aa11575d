"""The trail of a real server: every client and protocol is in it under its own name, over restarts and a kill."""

import json
import signal
from pathlib import Path
from typing import Any

import httpx
from pymilvus import MilvusClient
from tests.compat import accounts
from tests.support import command_line, raw_grpc
from tests.support import server as servers
from tests.support.server import RunningServer

from kiteward.audit.verify import verify


def searched(data_dir: Path, *words: str) -> list[dict[str, Any]]:
    """Return what `kiteward audit search` finds, newest first."""
    found = command_line.printed("audit", "search", "--json", "--data-dir", str(data_dir), *words)
    return [json.loads(line) for line in found.splitlines()]


def work(live: RunningServer) -> None:
    """Let two users work by SDK and REST, one of them beyond its privileges."""
    root = MilvusClient(uri=live.uri, token=servers.ROOT_TOKEN, dedicated=True)
    root.create_collection("audited", dimension=4)
    accounts.add(root, "auditor", ("Insert", "audited"), ("Query", "audited"))
    with accounts.signed_in(live.uri, "auditor") as client:
        client.insert("audited", [{"id": 1, "vector": [0.1, 0.2, 0.3, 0.4]}])
        with accounts.denied("DropCollection", "auditor"):
            client.drop_collection("audited")
    root.close()
    headers = {"Authorization": f"Bearer {accounts.token('auditor')}", "User-Agent": "team-tool/7"}
    answer = httpx.post(
        f"{live.uri}/v2/vectordb/entities/query",
        json={"collectionName": "audited", "filter": "id > 0"},
        headers=headers,
        timeout=30,
    )
    assert answer.json()["code"] == 0
    assert not raw_grpc.accepts(live.uri, "auditor:wrong")


def test_trail_of_a_server_tells_who_did_what_by_which_client_and_survives_a_kill(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    live = servers.start(data_dir)
    try:
        work(live)
        assert not raw_grpc.accepts(live.uri, "auditor:wrong again")
        root = MilvusClient(uri=live.uri, token=servers.ROOT_TOKEN, dedicated=True)
        root.create_user("last", accounts.PASSWORD)
        root.close()
    finally:
        live.process.send_signal(signal.SIGKILL)
        live.process.wait()
    verified = verify(data_dir / "audit")
    assert verified.findings == ()
    # What was acknowledged is there although nothing was closed.
    assert searched(data_dir, "--operation", "CreateCredential")[0]["details"] == {"user": "last"}
    (inserted,) = searched(data_dir, "--user", "auditor", "--operation", "Insert")
    assert inserted["client"].startswith("Python 3.")
    assert (inserted["transport"], inserted["resources"], inserted["outcome"]) == ("grpc", ["audited"], "succeeded")
    (queried,) = searched(data_dir, "--user", "auditor", "--operation", "Query")
    assert (queried["transport"], queried["client"]) == ("rest", "team-tool/7")
    refused = searched(data_dir, "--collection", "audited", "--outcome", "refused")
    assert {line["operation"] for line in refused} == {"DropCollection"}
    assert refused[0]["reason"] == "no role of `auditor` holds DropCollection on `default.audited`"
    failed = searched(data_dir, "--kind", "authentication")
    assert {(line["presented_user"], line["reason"]) for line in failed} == {("auditor", "wrong password")}
    with servers.running(data_dir):
        pass
    again = verify(data_dir / "audit", anchors=[(verified.last, verified.chain)])
    assert again.findings == ()
    assert [line["operation"] for line in searched(data_dir, "--kind", "system")] == ["Stop", "Start", "Start"]
