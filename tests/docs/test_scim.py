"""The blocks of docs/scim.md run unchanged, on a server with its settings, and make a key that provisions users."""

import os
import re
import sys
from pathlib import Path
from typing import Any, Final

import httpx
from pymilvus import MilvusClient
from tests.docs import snippets
from tests.docs.snippets import Shell
from tests.support import server as servers
from tests.support.server import RunningServer

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "scim.md"
ALICE: Final = "alice@corp.example"


def provision(server: RunningServer, key: str) -> httpx.Response:
    """Ask for a user, as a provider does."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/scim+json"}
    user = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": ALICE}
    return httpx.post(f"{server.uri}/scim/v2/Users", json=user, headers=headers, timeout=60)


def test_a_provider_creates_the_user_whom_the_document_names_with_the_key_that_it_makes(tmp_path: Path) -> None:
    settings = snippets.of(DOCUMENT, "yaml")[0]
    (role,) = snippets.of(DOCUMENT, "python")
    directory, groups = snippets.of(DOCUMENT, "bash")
    shell = Shell(tmp_path / "reader")
    shell.export(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    (tmp_path / "reader" / "kiteward.yaml").write_text(settings.text)
    names: dict[str, Any] = {}
    with servers.running(tmp_path / "reader" / "data", config=settings.text) as server:
        snippets.run(role.at(server), names)
        root: MilvusClient = names["root"]
        elsewhere = re.findall(r"^key: (\S+)$", shell.run(directory.text), re.MULTILINE)[-1]
        assert provision(server, elsewhere).status_code == 401, "the key is for the network of the provider"
        without = re.sub(r" --network \S+", "", directory.text.splitlines()[1])
        (key,) = re.findall(r"^key: (\S+)$", shell.run(without), re.MULTILINE)
        assert provision(server, key).status_code == 201
        assert "scim_alice_corp.example" in root.list_users()
        root.create_role("viewer")
        root.create_role("reader")
        shell.run(groups.text)
        root.create_user("bob", "Some-password-1")
        shell.run("kiteward scim hand-over bob --scim-user-name bob@corp.example --config kiteward.yaml")
        assert "bob@corp.example" in shell.run("kiteward users list --wide")
        assert shell.run("kiteward scim take-back bob") == "done\n"
        root.close()
