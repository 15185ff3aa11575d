"""The data directory of every released version is served by this one, with everything that was in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient
from tests.support import server
from tests.support.earlier_data import READER, ROOT, ROWS, VERSIONS, unpacked, vector

from kiteward.audit.reader import AuditQuery, AuditReader
from kiteward.audit.verify import verify
from kiteward.cli.main import main
from kiteward.store.database_file import defects_of, revision_of
from kiteward.store.revisions import known

EVERY = tuple(VERSIONS)


@dataclass(frozen=True, slots=True)
class Upgraded:
    """A server on the data directory of an earlier version.

    Attributes:
        running: the server.
        facts: what is known about the directory.
        lines: how many lines its audit trail had.
    """

    running: server.RunningServer
    facts: dict[str, Any]
    lines: int

    def client(self, token: str) -> MilvusClient:
        """Return a client."""
        return MilvusClient(uri=self.running.uri, token=token)


@pytest.fixture(scope="module", params=EVERY)
def upgraded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    """A server for each version, which has migrated the store at its start."""
    directory = tmp_path_factory.mktemp("upgraded")
    facts = unpacked(request.param, directory)
    assert revision_of(directory / "data/store.db") != known()[-1]
    lines = verify(directory / "data/audit").lines
    assert lines > 10
    with server.running(directory / "data", config="kiteward: {metrics: {enabled: false}}") as running:
        yield Upgraded(running, facts, lines)


def test_every_released_version_has_a_data_directory_here() -> None:
    changelog = (Path(__file__).parents[2] / "CHANGELOG.md").read_text(encoding="utf-8")
    released = [line.split("]")[0].removeprefix("## [") for line in changelog.splitlines() if line.startswith("## [")]
    assert [each for each in released if each != "Unreleased"] == [*EVERY]


def test_tables_are_those_of_this_version_and_whole(upgraded: Upgraded) -> None:
    store = upgraded.running.data_dir / "store.db"
    assert revision_of(store) == known()[-1]
    assert defects_of(store) == []


def test_users_roles_and_grants_are_those_that_they_were(upgraded: Upgraded) -> None:
    root = upgraded.client(ROOT)
    assert sorted(root.list_users()) == ["emma", "noah", "root"]
    assert root.describe_user("emma")["roles"] == ("reader",)
    privileges = {each["privilege"] for each in root.describe_role("reader")["privileges"]}
    assert privileges == {"Query", "Search"}
    assert [each["privilege_group"] for each in root.list_privilege_groups()].count("looking") == 1


def test_passwords_and_keys_are_accepted_and_allow_what_they_did(upgraded: Upgraded) -> None:
    for token in (READER, upgraded.facts["key"]):
        client = upgraded.client(token)
        found = client.search("docs", data=[vector(7)], limit=1)
        assert found[0][0]["id"] == 7
        with pytest.raises(Exception, match="PrivilegeInsert"):
            client.insert("docs", [{"id": 999, "vector": vector(1), "text": "x"}])


def test_rows_are_there_those_of_the_write_ahead_log_too(upgraded: Upgraded) -> None:
    root = upgraded.client(ROOT)
    rows = root.query("current", filter="id >= 0", output_fields=["text"], limit=1000)
    assert {row["id"]: row["text"] for row in rows} == {
        **{number: f"row {number}" for number in range(ROWS)},
        **{ROWS + number: "late" for number in range(5)},
    }
    assert sorted(root.list_collections()) == ["closed", "docs"]


def test_audit_trail_goes_on_where_it_was(upgraded: Upgraded) -> None:
    trail = upgraded.running.data_dir / "audit"
    verified = verify(trail)
    assert verified.findings == ()
    assert verified.lines > upgraded.lines
    assert any(
        entry["operation"] == "CreateCredential"
        for entry in AuditReader(trail).every(AuditQuery())
        if "operation" in entry
    )


def test_it_can_be_backed_up_and_restored(upgraded: Upgraded, tmp_path: Path) -> None:
    backup, restored = str(tmp_path / "backup"), tmp_path / "restored"
    assert main(["backup", "create", "--data-dir", str(upgraded.running.data_dir), "--to", backup]) == 0
    assert main(["backup", "restore", backup, "--data-dir", str(restored)]) == 0
    assert defects_of(restored / "store.db") == []
