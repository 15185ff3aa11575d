"""The Python blocks of the users' documents run unchanged, and print what the documents say."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from pymilvus import MilvusClient, MilvusException, connections
from tests.docs import snippets
from tests.support import raw_grpc
from tests.support import server as servers
from tests.support.server import ROOT_TOKEN, RunningServer

RUN_HERE = {
    "users_and_roles.md": {0, 1, 2, 3, 4},
    "authenticate.md": {0, 1, 2, 3, 4},
    "milvusclient-update_password.md": {1},
    "cluster-credentials.en.md": {0},
    "cluster-credentials.zh.md": {0},
}
"""Which Python blocks of which document the tests below run, counted from 0."""

NOT_RUN = {("milvusclient-update_password.md", 0): "the signature of a function, not a program"}

LEGACY = "kiteward:\n  passwordPolicy: legacy\n"

# The blocks that use the older interface of pymilvus 3 are warned about, and meant to be.
pytestmark = pytest.mark.filterwarnings("ignore::pymilvus.decorators.PyMilvusDeprecationWarning")


def test_every_python_block_of_every_document_is_run_or_excused(documents: Path) -> None:
    found = {path.name: set(range(len(snippets.of(path, "python")))) for path in documents.glob("*.md")}
    decided = {
        name: numbers | {number for other, number in NOT_RUN if other == name} for name, numbers in RUN_HERE.items()
    }
    assert found == decided


def test_no_block_of_another_language_is_python_in_disguise(documents: Path) -> None:
    others = [each for path in documents.glob("*.md") for each in snippets.of(path) if each.language != "python"]
    assert others
    assert [each for each in others if "pymilvus" in each.text] == []


def check_passwords(server: RunningServer, accepted: list[str], *, refused: list[str]) -> None:
    """Hold the server to a document's rule for passwords."""
    with closing(MilvusClient(uri=server.uri, token=ROOT_TOKEN, dedicated=True)) as client:
        for number, password in enumerate(accepted):
            client.create_user(f"accepted_{number}", password)
            assert raw_grpc.accepts(server.uri, f"accepted_{number}:{password}")
        for password in refused:
            with pytest.raises(MilvusException):
                client.create_user("refused", password)
        assert "refused" not in client.list_users()


def test_users_and_roles_document_runs_on_a_fresh_server(documents: Path, server: RunningServer) -> None:
    create_user, update_password, list_users, create_role, list_roles = snippets.of(
        documents / "users_and_roles.md", "python"
    )
    shown = snippets.of(documents / "users_and_roles.md")
    users, roles = (yaml.safe_load(each.text) for each in shown if each.text.startswith("["))
    names: dict[str, Any] = {}
    snippets.run(create_user.at(server), names)
    assert raw_grpc.accepts(server.uri, "user_1:P@ssw0rd")
    snippets.run(update_password.at(server), names)
    assert raw_grpc.accepts(server.uri, "user_1:NewP@ssw0rd")
    assert not raw_grpc.accepts(server.uri, "user_1:P@ssw0rd")
    assert list(snippets.run(list_users.at(server), names)) == users == ["root", "user_1"]
    # A line of Java has strayed to the end of this block; all of the Python before it has run.
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'io\.milvus'"):
        snippets.run(create_role.at(server), names)
    # The document leaves out `public`, which every Milvus has too.
    listed = snippets.run(list_roles.at(server), names)
    assert [name for name in listed if name != "public"] == roles == ["admin", "role_a"]
    assert listed.count("public") == 1
    # Its rule for passwords: 8 to 64 characters, three of four classes.
    check_passwords(server, ["P@ssw0rd", "Aa1" + "x" * 61], refused=["P@ssw0r", "Aa1" + "x" * 62, "password"])
    names["client"].close()


def test_password_documents_run_and_the_old_password_is_refused_afterwards(
    documents: Path, server: RunningServer
) -> None:
    root = MilvusClient(uri=server.uri, token=ROOT_TOKEN, dedicated=True)
    for document, number in (
        ("milvusclient-update_password.md", 1),
        ("cluster-credentials.en.md", 0),
        ("cluster-credentials.zh.md", 0),
    ):
        if document.startswith("cluster-credentials"):
            root.create_user("user_1", "P@ssw0rd")  # these two speak of a user who is there
        names: dict[str, Any] = {}
        snippets.run(snippets.of(documents / document, "python")[number].at(server), names)
        assert raw_grpc.accepts(server.uri, "user_1:NewP@ssw0rd"), document
        assert not raw_grpc.accepts(server.uri, "user_1:P@ssw0rd"), document
        names["client"].close()
        root.drop_user("user_1")
    root.close()


@pytest.fixture
def no_connections() -> Iterator[None]:
    """Leave no connection of the older interface behind."""
    yield
    for alias, _ in connections.list_connections():
        connections.remove_connection(alias)


def connect(server: RunningServer, user: str, password: str) -> None:
    """Log in as another user, as the document says: disconnect and connect again."""
    connections.disconnect("default")
    connections.connect(alias="default", host="127.0.0.1", port=str(server.port), user=user, password=password)


@pytest.mark.usefixtures("no_connections")
def test_authentication_document_runs_under_its_password_policy(documents: Path, tmp_path: Path) -> None:
    create, log_in, reset, delete, list_users = snippets.of(documents / "authenticate.md", "python")
    names: dict[str, Any] = {}
    with servers.running(tmp_path / "data", config=LEGACY) as server:
        connect(server, "root", "Milvus")
        snippets.run(create.at(server), names)
        connections.disconnect("default")
        snippets.run(log_in.at(server), names)
        names["utility"].update_password("user", "password", "old_password", using="default")
        connect(server, "user", "old_password")
        # The block shows two ways to do the same. The first has done it, so that the second has no old password left.
        with pytest.raises(MilvusException, match="old password not correct for user") as caught:
            snippets.run(reset.at(server), names)
        assert caught.value.code == 1400
        assert raw_grpc.accepts(server.uri, "user:new_password")
        assert not raw_grpc.accepts(server.uri, "user:old_password")
        # The connection goes on with the new password, as the document says of resetting.
        names["utility"].update_password("user", "new_password", "old_password", using="default")
        connect(server, "root", "Milvus")
        snippets.run(reset.at(server), names, only=slice(-1, None))
        assert raw_grpc.accepts(server.uri, "user:new_password")
        assert not raw_grpc.accepts(server.uri, "user:old_password")
        snippets.run(delete.at(server), names)
        assert not raw_grpc.accepts(server.uri, "user:new_password")
        snippets.run(list_users.at(server), names)
        assert list(names["users"]) == ["root"]
        # Its rule for passwords: 6 to 256 characters.
        check_passwords(server, ["secret", "x" * 256], refused=["short", "x" * 257])


@pytest.mark.usefixtures("no_connections")
def test_super_users_of_the_authentication_document_reset_without_the_old_password(
    documents: Path, tmp_path: Path
) -> None:
    (config,) = snippets.of(documents / "authenticate.md", "yaml")
    with servers.running(tmp_path / "data", config=config.text) as server:
        root = MilvusClient(uri=server.uri, token=ROOT_TOKEN, dedicated=True)
        for name in ("foo", "bar"):
            root.create_user(name, "Or1ginal-one")
        root.update_password("bar", "forgotten", "Res3t-by-root")
        assert raw_grpc.accepts(server.uri, "bar:Res3t-by-root")
        assert not raw_grpc.accepts(server.uri, "bar:Or1ginal-one")
        with closing(MilvusClient(uri=server.uri, token="foo:Or1ginal-one", dedicated=True)) as foo:
            foo.update_password("foo", "forgotten", "Res3t-by-foo")
        assert raw_grpc.accepts(server.uri, "foo:Res3t-by-foo")
        bar = MilvusClient(uri=server.uri, token="bar:Res3t-by-root", dedicated=True)
        with closing(bar), pytest.raises(MilvusException, match="old password not correct for bar"):
            bar.update_password("bar", "forgotten", "Res3t-by-bar")
        root.close()


def test_configuration_that_enables_authentication_is_accepted_as_it_stands(documents: Path, tmp_path: Path) -> None:
    (values,) = (each for each in snippets.of(documents / "authenticate.md") if "authorizationEnabled" in each.text)
    config = yaml.safe_load(values.text)["extraConfigFiles"]["user.yaml"]
    assert yaml.safe_load(config) == {"common": {"security": {"authorizationEnabled": True}}}
    with servers.running(tmp_path / "data", config=config) as server:
        assert raw_grpc.accepts(server.uri, ROOT_TOKEN)
        assert raw_grpc.refusal(server.uri, "ListCredUsers", header=None)[1] == "missing authorization in header"
