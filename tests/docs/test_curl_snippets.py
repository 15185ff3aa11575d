"""The cURL blocks of the users' documents run unchanged, and print what the documents say."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.docs import snippets
from tests.docs.snippets import Shell, Snippet
from tests.support import raw_grpc
from tests.support.server import ROOT_TOKEN, RunningServer

RUN_HERE = {
    "users_and_roles.md": {0, 1, 2, 4, 5},
    "cluster-credentials.en.md": {0},
    "cluster-credentials.zh.md": {0},
    "authenticate.md": set(),
    "milvusclient-update_password.md": set(),
}
"""Which `bash` blocks of which document the tests below run, counted from 0."""

REPOSITORY = Path(__file__).resolve().parents[2]

NOT_RUN = {("users_and_roles.md", 3): "what listing the users shows, not a command"}

DONE = {"code": 0, "data": {}}

_PLACEHOLDERS = ("CLUSTER_ENDPOINT", "TOKEN")
"""What a block takes from its environment; the cluster credential documents never say how they are set."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """A server, and the shell in which a reader follows a document.

    Attributes:
        server: fresh, with `root` and nothing else.
        shell: what is exported in one block holds in the next.
    """

    server: RunningServer
    shell: Shell

    def shows(self, snippet: Snippet) -> Any:
        """Run a block unchanged and return the JSON that it prints; the status must be HTTP 200."""
        text = snippet.at(self.server)
        changed = set(snippet.text.splitlines()) ^ set(text.splitlines())
        assert all(line.startswith("export CLUSTER_ENDPOINT=") for line in changed)
        status, answer = self.shell.curl(text)
        assert status == 200
        return answer


@pytest.fixture
def terminal(documents: Path, server: RunningServer, tmp_path: Path) -> Terminal:
    for program in ("bash", "curl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    return Terminal(server, Shell(tmp_path / "shell"))


def test_every_bash_block_of_every_document_is_run_or_excused(documents: Path) -> None:
    found = {path.name: set(range(len(snippets.of(path, "bash")))) for path in documents.glob("*.md")}
    decided = {
        name: numbers | {number for other, number in NOT_RUN if other == name} for name, numbers in RUN_HERE.items()
    }
    assert found == decided


def test_no_block_of_another_language_is_curl_in_disguise(documents: Path) -> None:
    others = [each for path in documents.glob("*.md") for each in snippets.of(path) if each.language != "bash"]
    assert others
    assert [each for each in others if "curl " in each.text or "/vectordb/" in each.text] == []


def test_users_and_roles_document_runs_on_a_fresh_server(documents: Path, terminal: Terminal) -> None:
    create_user, update_password, list_users, shown_users, create_role, list_roles = snippets.of(
        documents / "users_and_roles.md", "bash"
    )
    (shown_roles,) = (each for each in snippets.of(documents / "users_and_roles.md") if "['admin'" in each.text)
    uri = terminal.server.uri
    assert terminal.shows(create_user) == DONE
    assert raw_grpc.accepts(uri, "user_1:P@ssw0rd")
    assert terminal.shows(update_password) == DONE
    assert raw_grpc.accepts(uri, "user_1:P@ssw0rd!")
    assert not raw_grpc.accepts(uri, "user_1:P@ssw0rd")
    users = yaml.safe_load(shown_users.text)
    assert terminal.shows(list_users) == {"code": 0, "data": users} == {"code": 0, "data": ["root", "user_1"]}
    assert terminal.shows(create_role) == DONE
    answer = terminal.shows(list_roles)
    assert answer["code"] == 0
    # The document leaves out `public`, which every Milvus has too.
    assert sorted(answer["data"]) == sorted([*yaml.safe_load(shown_roles.text), "public"])
    # A second time there is nothing left to do, and the answer says so.
    assert terminal.shows(create_user)["code"] == 1100
    refused = terminal.shows(update_password)
    assert refused["code"] == 1400
    assert refused["message"].startswith("old password not correct for user_1")
    assert raw_grpc.accepts(uri, "user_1:P@ssw0rd!")


@pytest.mark.parametrize("document", ["cluster-credentials.en.md", "cluster-credentials.zh.md"])
@pytest.mark.parametrize("token", [ROOT_TOKEN, "user_1:P@ssw0rd*"], ids=["administrator", "the user itself"])
def test_cluster_credential_documents_reset_a_password(
    documents: Path, terminal: Terminal, document: str, token: str
) -> None:
    (create_user, *_) = snippets.of(documents / "users_and_roles.md", "bash")
    (reset,) = snippets.of(documents / document, "bash")
    uri = terminal.server.uri
    # These two speak of a user who is there, and whose password ends in an asterisk.
    assert terminal.shows(Snippet("bash", create_user.text.replace('"P@ssw0rd"', '"P@ssw0rd*"'))) == DONE
    assert raw_grpc.accepts(uri, "user_1:P@ssw0rd*")
    terminal.shell.export(**dict(zip(_PLACEHOLDERS, (uri, token), strict=True)))
    assert terminal.shows(reset) == DONE
    assert raw_grpc.accepts(uri, "user_1:NewP@ssw0rd")
    assert not raw_grpc.accepts(uri, "user_1:P@ssw0rd*")


def test_block_without_a_credential_is_refused(documents: Path, terminal: Terminal) -> None:
    _, _, list_users, *_ = snippets.of(documents / "users_and_roles.md", "bash")
    terminal.shell.export(CLUSTER_ENDPOINT=terminal.server.uri, TOKEN="root:not-the-one")
    assert terminal.shell.curl(list_users.text) == (401, {"code": 1800, "message": "user hasn't authenticated"})


def test_our_own_documents_show_what_their_curl_shows(terminal: Terminal) -> None:
    terminal.shell.export(CLUSTER_ENDPOINT=terminal.server.uri, TOKEN=ROOT_TOKEN)
    (rest,) = snippets.of(REPOSITORY / "docs" / "rest.md", "sh")
    shown = terminal.shows(rest)
    assert f"answers `{json.dumps(shown, separators=(',', ':'))}`" in (REPOSITORY / "docs" / "rest.md").read_text()
    # In the README's tour there is a user by now, whose role is revoked.
    alice = rest.text.replace("users/list", "users/create").replace("{}", '{"userName":"alice","password":"P@ssw0rd"}')
    assert terminal.shows(Snippet("sh", alice)) == DONE
    blocks = snippets.of(REPOSITORY / "README.md")
    (number,) = (number for number, each in enumerate(blocks) if each.language == "sh" and "curl " in each.text)
    status, answer = terminal.shell.curl(blocks[number].at(terminal.server))
    assert (status, answer) == (200, json.loads(blocks[number + 1].text))
