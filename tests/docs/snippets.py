"""Reads the code blocks of a document, Markdown or HTML inside it, and runs them unchanged: Python, or bash."""

import ast
import html
import json
import os
import re
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.server import ROOT_TOKEN, RunningServer

_FENCED = re.compile(r"^(?P<indent>[ \t]*)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)
_HTML = re.compile(r"<pre>\s*<code(?P<attributes>[^>]*)>(?P<text>.*?)</code>\s*</pre>", re.DOTALL)
_LANGUAGE = re.compile(r'class="language-(\w+)"')
_TAG = re.compile(r"<[^>]+>")
_CLOUD = "https://inxx-xxxxxxxxxxxx.api.gcp-us-west1.zillizcloud.com:19530"


@dataclass(frozen=True, slots=True)
class Snippet:
    """One block of code.

    Attributes:
        language: as the document labels it; empty without a label.
        text: the code.
    """

    language: str
    text: str

    def at(self, server: RunningServer) -> str:
        """Return the code with the endpoint of a server in place of the document's; nothing else changes."""
        text = self.text
        if _CLOUD in text:
            text = text.replace(_CLOUD, server.uri).replace('token="user:password"', f'token="{ROOT_TOKEN}"')
        return text.replace("localhost", "127.0.0.1").replace("19530", str(server.port))


def of(document: Path, language: str | None = None) -> list[Snippet]:
    """Return the code blocks of a document in their order, all or those of one language."""
    found = sorted(_blocks(document.read_text(encoding="utf-8")), key=lambda entry: entry[0])
    return [snippet for _, snippet in found if language is None or snippet.language == language]


def _blocks(text: str) -> Iterator[tuple[int, Snippet]]:
    for match in _FENCED.finditer(text):
        yield match.start(), Snippet(match["language"], textwrap.dedent(match["text"]))
    for match in _HTML.finditer(text):
        label = _LANGUAGE.search(match["attributes"])
        yield match.start(), Snippet(label[1] if label else "", html.unescape(_TAG.sub("", match["text"])))


def run(code: str, names: dict[str, Any], *, only: slice = slice(None)) -> Any:
    """Run code as an interactive session would and return what its last expression shows, or None.

    Args:
        code: the code.
        names: the variables of the session, which go on into the next block.
        only: which of its statements.
    """
    statements = ast.parse(code).body[only]
    last = statements.pop() if isinstance(statements[-1], ast.Expr) else None
    exec(compile(ast.Module(statements, []), "<document>", "exec"), names)  # noqa: S102  that is what it is for
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), "<document>", "eval"), names)  # noqa: S307  as above


class Shell:
    """A bash in which block after block runs; what one exports, the next one has."""

    def __init__(self, home: Path) -> None:
        """Begin without anything of the surroundings but the path to programs.

        Args:
            home: a directory to be made; curl finds its settings there.
        """
        home.mkdir()
        # The status follows the answer; no block of a document has to change for it.
        (home / ".curlrc").write_text('silent\nshow-error\nmax-time = 30\nwrite-out = "\\n%{http_code}"\n')
        self._home = home
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}

    def export(self, **variables: str) -> None:
        """Set variables, as a reader does who fills in what a document leaves open."""
        self._environment |= variables

    def run(self, text: str) -> str:
        """Run a block, which must succeed, and return what it prints."""
        block, left = self._home / "block", self._home / "environment"
        block.write_text(text, encoding="utf-8")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", 'source "$1"; env --null >"$2"', "bash", str(block), str(left)],  # noqa: S607  the reader's own bash
            env=self._environment,
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), text
        pairs = left.read_text(encoding="utf-8").split("\0")
        self._environment = dict(pair.split("=", 1) for pair in pairs if pair)
        return done.stdout

    def curl(self, text: str) -> tuple[int, Any]:
        """Run a block that calls curl once, and return the HTTP status and the JSON it was answered with."""
        answer, _, status = self.run(text).rpartition("\n")
        return int(status), json.loads(answer)
