"""Finds expressions that docs/glossary.md does not use, in the prose of sources and documents.

Prose is what people read: comments, docstrings, string literals, console strings, help texts and documents.
Identifiers, code spans (between backticks), link targets and names of documents are not prose. `rules.toml` has the
rules, and the exemptions with their reasons.

`backlog.txt` lists the source files that still have findings, with their number. A file may not have more than it
lists, and not fewer either: `python -m tests.vocabulary --update` lowers the numbers, and refuses to raise their sum.
"""

import io
import re
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[2]
RULES: Final = Path(__file__).with_name("rules.toml")
BACKLOG: Final = Path(__file__).with_name("backlog.txt")

_FOLDERS: Final = (".ci", "benchmarks", "deploy", "docs", "examples", "findings", "src", "tests")
_FILES: Final = ("CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "README.md", "pyproject.toml")
_SUFFIXES: Final = frozenset(
    ".css .go .html .java .js .json .md .mjs .py .sh .sql .toml .txt .yaml .yml".split()  # noqa: SIM905  reads better
)
_GENERATED: Final = frozenset({"__pycache__", "node_modules", "package-lock.json"})
_NOT_PROSE: Final = re.compile(r"`[^`]*`|\]\([^)\s]*\)|\S+\.md\b")
_NAME: Final = re.compile(r"[\w.-]*\w")
_FIELD: Final = re.compile(r"\{[^{}]*\}")
_COMMENT_MARK: Final = re.compile(r"^\s*(?:#+:?|//+|--|/?\*+|\|)?\s?")
_STRING_PREFIX: Final = re.compile(r"^[a-zA-Z]*(?:\"\"\"|'''|\"|')|(?:\"\"\"|'''|\"|')$")


@dataclass(frozen=True, slots=True)
class Rule:
    """An expression that is not used.

    Attributes:
        pattern: what is not used; a space in it stands for any run of white space, line ends included.
        instead: what to write.
        examples: texts that the rule must find.
        spared: texts that it must leave alone.
    """

    pattern: re.Pattern[str]
    instead: str
    examples: tuple[str, ...]
    spared: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exemption:
    """A place where expressions stay.

    Attributes:
        path: files for which it holds, as a pattern.
        text: the text inside which a finding is none; empty for the whole file.
        reason: why.
    """

    path: str
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """An expression that was found.

    Attributes:
        path: the file, below the project's directory.
        line: its line, counted from 1.
        found: the words.
        instead: what to write.
    """

    path: str
    line: int
    found: str
    instead: str

    def __str__(self) -> str:
        """Return the finding as one line."""
        return f"{self.path}:{self.line}: {self.found!r}: write {self.instead}"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The rules and their exemptions."""

    rules: tuple[Rule, ...]
    exemptions: tuple[Exemption, ...]

    def check(self, path: str, text: str) -> Iterator[Finding]:
        """Yield what is found in a file.

        Args:
            path: the file, below the project's directory; its suffix says how it is read.
            text: its content.
        """
        exempt = [each for each in self.exemptions if fnmatchcase(path, each.path)]
        if any(not each.text for each in exempt):
            return
        blocks = _python(text) if path.endswith(".py") else _lines(text)
        for prose, starts in blocks:
            kept = [span for each in exempt for span in _spans(prose, each.text)]
            for rule in self.rules:
                for match in rule.pattern.finditer(prose):
                    if not any(start <= match.start() and match.end() <= end for start, end in kept):
                        line = max(number for offset, number in starts if offset <= match.start())
                        yield Finding(path, line, " ".join(match[0].split()), rule.instead)


def load(file: Path = RULES) -> Vocabulary:
    """Return the vocabulary of a file of rules."""
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    rules = (
        Rule(
            re.compile(each["expression"].replace(" ", r"\s+"), re.IGNORECASE),
            each["instead"],
            tuple(each["examples"]),
            tuple(each["spared"]),
        )
        for each in document["rule"]
    )
    exemptions = (Exemption(each["path"], each.get("text", ""), each["reason"]) for each in document["exemption"])
    return Vocabulary(tuple(rules), tuple(exemptions))


def check_project(vocabulary: Vocabulary, root: Path = PROJECT) -> list[Finding]:
    """Return what is found in all sources and documents, in the order of files and lines."""
    found = [each for path, text in read_project(root) for each in vocabulary.check(path, text)]
    return sorted(found, key=lambda each: (each.path, each.line))


def read_backlog(file: Path = BACKLOG) -> dict[str, int]:
    """Return how many findings each listed file still has."""
    lines = (line.split() for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {path: int(number) for number, path in lines}


def compare(found: Iterable[Finding], backlog: Mapping[str, int]) -> list[str]:
    """Return what is wrong, one message a line; empty when the findings are those of the backlog."""
    findings = list(found)
    counts = Counter(each.path for each in findings)
    messages = [str(each) for each in findings if counts[each.path] > backlog.get(each.path, 0)]
    messages += [
        f"{path}: {counts[path]} findings, while the backlog lists {number}: run python -m tests.vocabulary --update"
        for path, number in backlog.items()
        if counts[path] < number
    ]
    return messages


def render_backlog(found: Iterable[Finding]) -> str:
    """Return the text of the backlog that lists these findings."""
    counts = sorted(Counter(each.path for each in found).items())
    head = "# Source files with expressions that docs/glossary.md does not use, and how many. It only shrinks.\n"
    return head + "".join(f"{number:4} {path}\n" for path, number in counts)


def read_project(root: Path = PROJECT) -> Iterator[tuple[str, str]]:
    """Yield every source and document: its path below the project's directory, and its text."""
    for path in _project_files(root):
        yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")


def _project_files(root: Path) -> Iterator[Path]:
    for name in _FILES:
        yield root / name
    for folder in _FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            written = not _GENERATED.intersection(path.relative_to(root).parts)
            if written and path.is_file() and (path.suffix in _SUFFIXES or (folder == ".ci" and not path.suffix)):
                yield path


Block = tuple[str, list[tuple[int, int]]]
"""Prose in one piece, and at which offsets which lines begin."""


def _lines(text: str) -> Iterator[Block]:
    """Yield paragraphs: neighbouring lines that are not empty once their comment mark is taken off."""
    numbered = ((number, _COMMENT_MARK.sub("", line)) for number, line in enumerate(text.splitlines(), 1))
    yield from _paragraphs(numbered)


def _python(text: str) -> Iterator[Block]:
    """Yield comments and string literals; those of neighbouring lines are one piece."""
    pieces: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            pieces.append((token.start[0], _COMMENT_MARK.sub("", token.string)))
        elif token.type == tokenize.STRING or tokenize.tok_name[token.type] == "FSTRING_MIDDLE":
            literal = token.string if "f" not in token.string.split('"')[0].lower() else _FIELD.sub("_", token.string)
            lines = _STRING_PREFIX.sub("", literal).split("\n")
            if not _NAME.fullmatch(lines[0]) or len(lines) > 1:
                pieces += enumerate(lines, token.start[0])
    yield from _paragraphs(pieces)


def _paragraphs(pieces: Iterable[tuple[int, str]]) -> Iterator[Block]:
    prose, starts, last = "", list[tuple[int, int]](), 0
    for number, piece in pieces:
        if prose and (not piece.strip() or number > last + 1):
            yield _NOT_PROSE.sub(_blank, prose), starts
            prose, starts = "", []
        starts.append((len(prose), number))
        prose += piece + "\n"
        last = number
    if prose:
        yield _NOT_PROSE.sub(_blank, prose), starts


def _blank(span: re.Match[str]) -> str:
    return span[0][0] + re.sub(r"\S", "_", span[0][1:-1]) + span[0][-1]


def _spans(prose: str, text: str) -> Iterator[tuple[int, int]]:
    pattern = r"\s+".join(re.escape(word) for word in text.split())
    return ((match.start(), match.end()) for match in re.finditer(pattern, prose, re.IGNORECASE))
