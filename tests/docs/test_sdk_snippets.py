"""The documents' tabs run in every language they show, with the published SDKs; pymilvus sees what came of it.

What was found is in docs/compatibility.md, which these tests write.
"""

import importlib.metadata
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from pymilvus import MilvusClient
from tests.docs import snippets, tabs, test_documents
from tests.docs.conftest import forget_everything
from tests.docs.snippets import Shell, Snippet
from tests.docs.tabs import CORRECTIONS, LANGUAGES, STEPS
from tests.support import generated_sections, json_programs, raw_grpc, toolchains
from tests.support.server import ROOT_TOKEN, RunningServer

REPOSITORY: Final = Path(__file__).resolve().parents[2]
TABLE: Final = REPOSITORY / "docs" / "compatibility.md"
OLD: Final = {("cluster-credentials.en.md", "bash"): "P@ssw0rd*", ("cluster-credentials.zh.md", "bash"): "P@ssw0rd*"}
NEW: Final = {("users_and_roles.md", "bash"): "P@ssw0rd!"}
"""Passwords that a tab has instead of `P@ssw0rd` and `NewP@ssw0rd`."""

PYTHON_ALONE: Final = {
    "authenticate.md": ("create a user", "log in", "reset a password", "delete a user", "list users"),
    "milvusclient-update_password.md": ("signature", "change a password"),
}
"""Documents without tabs, which `test_documents.py` runs."""

NODE: Final = REPOSITORY / "tests" / "compat" / "node"
WITHIN: Final = 200.0

pytestmark = pytest.mark.timeout(toolchains.MAKING_WITHIN + WITHIN + 60)


@dataclass
class Reading:
    """All documents followed in one language, on one server.

    Attributes:
        language: label of its blocks.
        server: fresh; each document finds and leaves it so.
        root: looks at what came of a step, by another SDK or in another language.
        passed: the steps that have done what their document says.
    """

    language: str
    server: RunningServer
    root: MilvusClient
    passed: list[tuple[str, int]] = field(default_factory=list)

    def begin(self, document: str) -> None:
        """Put in place what a document takes for granted."""
        forget_everything(self.root)
        if document != "users_and_roles.md":
            self.root.create_user("user_1", OLD.get((document, self.language), "P@ssw0rd"))

    def check(self, document: str, step: int, shown: Any) -> None:
        """Demand that a step has done what its document says."""
        old = OLD.get((document, self.language), "P@ssw0rd")
        new = NEW.get((document, self.language), "NewP@ssw0rd")
        match STEPS[document][step]:
            case "create a user":
                assert raw_grpc.accepts(self.server.uri, f"user_1:{old}")
            case "change its password" | "reset a password":
                assert raw_grpc.accepts(self.server.uri, f"user_1:{new}")
                assert not raw_grpc.accepts(self.server.uri, f"user_1:{old}")
            case "list users":
                assert names(shown) == sorted(self.root.list_users()) == ["root", "user_1"]
            case "create a role":
                assert "role_a" in self.root.list_roles()
            case "list roles":
                assert names(shown) == sorted(self.root.list_roles()) == ["admin", "public", "role_a"]
        self.passed.append((document, step))


def names(shown: Any) -> list[str]:
    """Return the names in what listing users or roles shows; Node shows the whole answer."""
    if isinstance(shown, dict):
        shown = shown.get("usernames") or [each["role"]["name"] for each in shown["results"]]
    return sorted(shown)


def by_program(reading: Reading, chapters: Mapping[str, list[str]], home: Path) -> None:
    """Run the blocks of a compiled language, or of Node, in one program."""
    address = reading.server.uri.removeprefix("http://")
    cwd = home
    match reading.language:
        case "go":
            # The program is made once for any port.
            port = f":{reading.server.port}"
            source = tabs.go_program(chapters).replace(f'"127.0.0.1{port}"', "os.Args[1]")
            command = [*toolchains.go("snippets", source), address]
        case "java":
            (home / "Snippets.java").write_text(tabs.java_program(chapters), encoding="utf-8")
            command = toolchains.java(home / "Snippets.java")
        case _:
            command = [*toolchains.node(), "--input-type=commonjs", "--eval", tabs.node_program(chapters)]
            cwd = NODE
    waiting = [(document, step) for document in chapters for step in range(len(chapters[document]))]

    def hear(line: Mapping[str, Any]) -> None:
        assert waiting.pop(0) == (line["pause"], line["step"])
        reading.check(line["pause"], line["step"], line["shown"])
        if waiting and waiting[0][1] == 0:
            reading.begin(waiting[0][0])

    reading.begin(waiting[0][0])
    ended = json_programs.run(command, hear, within=WITHIN, environment={"ADDRESS": address}, cwd=cwd)
    assert ended[0] == 0, ended[1]
    assert waiting == []


def by_python(reading: Reading, chapters: Mapping[str, list[str]], home: Path) -> None:
    """Run the blocks of Python here."""
    for document, blocks in chapters.items():
        reading.begin(document)
        session: dict[str, Any] = {}
        for step, block in enumerate(blocks):
            reading.check(document, step, snippets.run(block, session))
        session["client"].close()


def by_curl(reading: Reading, chapters: Mapping[str, list[str]], home: Path) -> None:
    """Run the blocks of bash in a shell."""
    for program in ("bash", "curl"):
        toolchains.installed(program, package=program)
    shell = Shell(home / "shell")
    shell.export(CLUSTER_ENDPOINT=reading.server.uri, TOKEN=ROOT_TOKEN)
    for document, blocks in chapters.items():
        reading.begin(document)
        for step, block in enumerate(blocks):
            status, answer = shell.curl(block)
            assert (status, answer["code"]) == (200, 0), answer
            reading.check(document, step, answer["data"])


RUNNERS: Final[Mapping[str, Callable[[Reading, Mapping[str, list[str]], Path], None]]] = {
    "python": by_python,
    "bash": by_curl,
}


@pytest.fixture
def root(server: RunningServer) -> Iterator[MilvusClient]:
    """The administrator's client, in Python."""
    with closing(MilvusClient(uri=server.uri, token=ROOT_TOKEN, dedicated=True)) as client:
        yield client


@pytest.fixture(scope="module")
def readings() -> dict[str, Reading]:
    """What was read in this run, by language."""
    return {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_tab_does_what_its_document_says(
    documents: Path,
    server: RunningServer,
    root: MilvusClient,
    readings: dict[str, Reading],
    tmp_path: Path,
    language: str,
) -> None:
    reading = Reading(language, server, root)
    chapters = {name: tabs.ready(documents / name, language, server) for name in STEPS}
    RUNNERS.get(language, by_program)(reading, chapters, tmp_path)
    assert reading.passed == [(name, step) for name in STEPS for step in range(len(STEPS[name]))]
    readings[language] = reading


def test_mistaken_block_of_node_is_refused_as_it_stands(
    documents: Path, server: RunningServer, root: MilvusClient
) -> None:
    (name, language, step), correction = next(each for each in CORRECTIONS.items() if each[1].refusal)
    assert language == "javascript"
    Reading(language, server, root).begin(name)
    blocks = [Snippet(language, text).at(server) for text in tabs.steps(documents / name, language)[: step + 1]]
    command = [*toolchains.node(), "--input-type=commonjs", "--eval", tabs.node_program({name: blocks})]
    shown: list[Any] = []
    ended = json_programs.run(command, lambda line: shown.append(line["shown"]), within=WITHIN, cwd=NODE)
    assert ended[0] == 0, ended[1]
    assert shown[step]["reason"].startswith(correction.refusal)
    assert raw_grpc.accepts(server.uri, "user_1:P@ssw0rd")


def test_the_table_says_what_was_found(documents: Path, readings: dict[str, Reading]) -> None:
    missing = [name for language, name in LANGUAGES.items() if language not in readings]
    if missing:
        pytest.skip(f"nothing was found out about {', '.join(missing)} in this run")
    generated_sections.demand(TABLE, "tests/docs/test_sdk_snippets.py", f"{versions()}\n{table(readings)}")


def versions() -> str:
    """Return the table of the SDKs that are run."""
    compat = REPOSITORY / "tests" / "compat"
    wanted = json.loads((compat / "node" / "package.json").read_text())["dependencies"]
    node = sorted(
        (each.rpartition("@")[2] for name, each in wanted.items() if "milvus2-sdk-node" in name), reverse=True
    )
    go = re.search(r"^require (\S+) v(\S+)$", (compat / "go" / "go.mod").read_text(), re.MULTILINE)
    java = re.search(
        r"<artifactId>(milvus-sdk-java)</artifactId>\s*<version>(.*?)<", (compat / "java" / "pom.xml").read_text()
    )
    older = re.search(r"^pymilvus==(\S+)", (REPOSITORY / "requirements" / "pymilvus25.lock").read_text(), re.MULTILINE)
    assert go is not None
    assert java is not None
    assert older is not None
    rows = [
        ("Python", "pymilvus", f"{importlib.metadata.version('pymilvus')}, {older[1]}"),
        ("Java", f"io.milvus:{java[1]}", java[2]),
        ("Go", go[1], go[2]),
        ("Node", "@zilliz/milvus2-sdk-node", ", ".join(node)),
    ]
    lines = [f"| {language} | `{package}` | {version} |" for language, package, version in rows]
    return "\n".join(["| language | SDK | version |", "| --- | --- | --- |", *lines, ""])


def table(readings: Mapping[str, Reading]) -> str:
    """Return the table of documents, steps and languages, and the mistakes below it."""
    lines = [f"| document | step | {' | '.join(LANGUAGES.values())} |", "| --- | --- |" + " --- |" * len(LANGUAGES)]
    mistakes: list[str] = []
    for document, steps in STEPS.items():
        for step, title in enumerate(steps):
            cells = [cell(readings[language], document, step, mistakes) for language in LANGUAGES]
            lines.append(f"| `{document}` | {title} | {' | '.join(cells)} |")
    for document, steps in PYTHON_ALONE.items():
        for step, title in enumerate(steps):
            reason = test_documents.NOT_RUN.get((document, step))
            cells = ["not a program" if reason else "runs", *["-"] * (len(LANGUAGES) - 1)]
            lines.append(f"| `{document}` | {title} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(f"{number}. {text}" for number, text in enumerate(mistakes, 1))])


def cell(reading: Reading, document: str, step: int, mistakes: list[str]) -> str:
    """Return how a step went in one language, and add the document's mistake to those that are listed."""
    correction = CORRECTIONS.get((document, reading.language, step))
    how = "runs" if (document, step) in reading.passed else "**fails**"
    if correction is None:
        return how
    if correction.mistake not in mistakes:
        mistakes.append(correction.mistake)
    return f"{how}, corrected ({mistakes.index(correction.mistake) + 1})"


def test_documents_with_python_alone_are_run_elsewhere() -> None:
    for document, steps in PYTHON_ALONE.items():
        left_out = {step for name, step in test_documents.NOT_RUN if name == document}
        assert test_documents.RUN_HERE[document] | left_out == set(range(len(steps)))
    assert {*STEPS, *PYTHON_ALONE} == set(test_documents.RUN_HERE)
