"""The steps that a document shows in one tab for each language, and programs made of a language's blocks.

A block runs as it stands, but for the endpoint and for the mistakes in `CORRECTIONS`. Around the blocks of a document
stands the smallest program that compiles: what they import, the client they take for granted, and a pause after each.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.docs import snippets
from tests.docs.snippets import Snippet
from tests.support.server import ROOT_TOKEN, RunningServer

STEPS: Final[Mapping[str, Sequence[str]]] = {
    "users_and_roles.md": ("create a user", "change its password", "list users", "create a role", "list roles"),
    "cluster-credentials.en.md": ("reset a password",),
    "cluster-credentials.zh.md": ("reset a password",),
}
"""What each document with tabs shows, in its order."""

LANGUAGES: Final[Mapping[str, str]] = {
    "python": "Python",
    "java": "Java",
    "go": "Go",
    "javascript": "Node",
    "bash": "cURL",
}
"""Labels of blocks, and what the tabs are called here."""

NOT_A_STEP: Final = {("users_and_roles.md", "bash", 3)}
"""Blocks that show an answer, not a program."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A mistake of a document, and the nearest form without it.

    Attributes:
        mistake: in one line.
        replacements: pairs of text that is there once, and text for its place.
        refusal: what the server answers to the block as it stands; empty when that cannot run at all.
    """

    mistake: str
    replacements: Sequence[tuple[str, str]]
    refusal: str = ""


_GO_NAMES: Final = Correction(
    "module, package and variables are named that do not exist, `onFinish` takes one argument, and `err` goes unused",
    (
        ("milvus-io/milvus/v2/milvusclient", "milvus-io/milvus/client/v2/milvusclient"),
        ("client.NewUpdatePasswordOption", "milvusclient.NewUpdatePasswordOption"),
        ("func(ctx context.Context, err error)", "func(err error)"),
        ("err := mclient.UpdatePassword", "err = client.UpdatePassword"),
        ("opts, callOpts)", "opts, callOption)"),
    ),
)

CORRECTIONS: Final[Mapping[tuple[str, str, int], Correction]] = {
    ("users_and_roles.md", "python", 3): Correction(
        "a line of Java has strayed to its end",
        (("import io.milvus.v2.service.rbac.request.CreateRoleReq;\n", ""),),
    ),
    ("users_and_roles.md", "java", 3): Correction(
        "the request is made and never sent", ((".build();", ".build();\nclient.createRole(createRoleReq);"),)
    ),
    ("users_and_roles.md", "javascript", 1): Correction(
        "old and new password have changed places",
        (
            ("newPassword: 'P@ssw0rd'", "newPassword: 'NewP@ssw0rd'"),
            ("oldPassword: 'NewP@ssw0rd'", "oldPassword: 'P@ssw0rd'"),
        ),
        refusal="old password not correct for user_1",
    ),
    ("cluster-credentials.en.md", "go", 0): _GO_NAMES,
    ("cluster-credentials.zh.md", "go", 0): _GO_NAMES,
}
"""By document, language and step."""


def steps(document: Path, language: str) -> list[str]:
    """Return the blocks of a language, unchanged, one for each step of a document."""
    blocks = snippets.of(document, language)
    found = [block.text for n, block in enumerate(blocks) if (document.name, language, n) not in NOT_A_STEP]
    assert len(found) == len(STEPS[document.name]), f"{document.name} has other {language} blocks than is known"
    return found


def ready(document: Path, language: str, server: RunningServer) -> list[str]:
    """Return the blocks of a language with the endpoint and the corrections put in."""
    made = []
    for number, text in enumerate(steps(document, language)):
        corrected = Snippet(language, text).at(server)
        correction = CORRECTIONS.get((document.name, language, number))
        for wrong, right in correction.replacements if correction else ():
            assert corrected.count(wrong) == 1, f"{document.name} no longer says {wrong!r}"
            corrected = corrected.replace(wrong, right)
        made.append(corrected)
    return made


def go_program(chapters: Mapping[str, Sequence[str]]) -> str:
    """Return a program in Go that runs chapters of blocks, each in a function of its own.

    Args:
        chapters: the blocks of each document by its name.
    """
    imports = {'"bufio"', '"context"', '"encoding/json"', '"fmt"', '"os"'}
    functions = []
    for name, blocks in chapters.items():
        lines = []
        for number, block in enumerate(blocks):
            hoisted = re.match(r"import \(\n(.*?)\n\)\n", block, re.DOTALL)
            imports |= set(hoisted[1].split()) if hoisted else set()
            listed = re.search(r"^(\w+), err := client\.List", block, re.MULTILINE)
            lines.append(block[hoisted.end() :] if hoisted else block)
            lines.append(f'pause("{name}", {number}, {listed[1] if listed else "nil"}, err)')
        functions.append(f"func() {{\n{_opened(blocks, _GO_CLIENT)}" + "\n".join(lines) + "\n}()")
    body = "\n".join(functions)
    return f"package main\n\nimport (\n{chr(10).join(sorted(imports))}\n)\n{_GO_PAUSE}\nfunc main() {{\n{body}\n}}\n"


def java_program(chapters: Mapping[str, Sequence[str]]) -> str:
    """Return a class `Snippets` in Java that runs chapters of blocks, each in a method of its own."""
    imports = {f"import {name};" for name in _JAVA_NAMES}
    methods, calls = [], []
    for position, (name, blocks) in enumerate(chapters.items()):
        lines = []
        for number, block in enumerate(blocks):
            imports |= set(re.findall(r"^import .*;$", block, re.MULTILINE))
            lines.append(re.sub(r"^import .*;\n", "", block, flags=re.MULTILINE))
            listed = re.match(r"List<String> (\w+) =", block)
            lines.append(f'pause("{name}", {number}, {listed[1] if listed else "null"});')
        calls.append(f"chapter{position}();")
        body = _opened(blocks, _JAVA_CLIENT) + "\n".join(lines)
        methods.append(f"static void chapter{position}() throws Exception {{\n{body}\nclient.close();\n}}")
    main = f"public static void main(String[] arguments) throws Exception {{\n{chr(10).join(calls)}\n}}"
    members = "\n".join([_JAVA_PAUSE, *methods, main])
    return f"{chr(10).join(sorted(imports))}\npublic class Snippets {{\n{members}\n}}\n"


def node_program(chapters: Mapping[str, Sequence[str]]) -> str:
    """Return a script for Node that runs chapters of blocks, each in a function of its own.

    What the last expression of a block yields is shown. Blocks after the first have a scope of their own, because they
    import the SDK once more.
    """
    functions = []
    for name, blocks in chapters.items():
        lines = ["let shown, client, milvusClient;"]
        if not any("new MilvusClient" in block for block in blocks):
            lines.append(_NODE_CLIENT)
        for number, block in enumerate(blocks):
            # The first block's client goes on into the others, as it does where one types them.
            text = block.replace("const client = ", "client = ")
            head, last = re.fullmatch(r"(.*?)((?:await )?\w+\.\w+\(.*?\);?)\s*", text, re.DOTALL).groups()  # type: ignore[union-attr]
            lines.append(f"{{\n{head}\nshown = await ({last.removesuffix(';')});\n}}")
            lines.append(f'await pause("{name}", {number}, shown);')
        lines.append("await (client ?? milvusClient).closeConnection();")
        functions.append("await (async () => {\n" + "\n".join(lines) + "\n})();")
    return f"(async () => {{\n{_NODE_PAUSE}\n{chr(10).join(functions)}\ninput.close();\n}})();\n"


def _opened(blocks: Sequence[str], client: str) -> str:
    """Return what a chapter begins with: a client, unless its blocks make one."""
    makes_one = any("milvusclient.New(" in block or "new MilvusClientV2(" in block for block in blocks)
    return "" if makes_one else client


_GO_CLIENT: Final = f"""
client, err := milvusclient.New(context.Background(), &milvusclient.ClientConfig{{
    Address: os.Args[1],
    APIKey: "{ROOT_TOKEN}",
}})
"""

_GO_PAUSE: Final = """
var input = bufio.NewReader(os.Stdin)

func pause(document string, step int, shown []string, err error) {
    if err != nil {
        panic(err)
    }
    line, _ := json.Marshal(map[string]any{"pause": document, "step": step, "shown": shown})
    fmt.Printf("\\n%s\\n", line)
    input.ReadString('\\n')
}
"""

_JAVA_NAMES: Final = (
    "io.milvus.v2.client.ConnectConfig",
    "io.milvus.v2.client.MilvusClientV2",
    "io.milvus.v2.service.rbac.request.CreateRoleReq",
    "io.milvus.v2.service.rbac.request.UpdatePasswordReq",
    "java.util.List",
)
"""What blocks use that import nothing: the documents leave it to their reader."""

_JAVA_CLIENT: Final = f"""
MilvusClientV2 client = new MilvusClientV2(ConnectConfig.builder()
        .uri("http://" + System.getenv("ADDRESS")).token("{ROOT_TOKEN}").build());
"""

_JAVA_PAUSE: Final = """
static void pause(String document, int step, List<String> shown) throws Exception {
    var line = new com.google.gson.JsonObject();
    line.addProperty("pause", document);
    line.addProperty("step", step);
    line.add("shown", new com.google.gson.Gson().toJsonTree(shown));
    System.out.println(line);
    while (System.in.read() != '\\n') {}
}
"""

_NODE_CLIENT: Final = f"""
const {{ MilvusClient }} = require("@zilliz/milvus2-sdk-node");
milvusClient = new MilvusClient({{ address: process.env.ADDRESS, token: "{ROOT_TOKEN}" }});
"""

_NODE_PAUSE: Final = """
const input = require("node:readline").createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();
async function pause(document, step, shown) {
    process.stdout.write(JSON.stringify({ pause: document, step, shown }) + "\\n");
    await lines.next();
}
"""
