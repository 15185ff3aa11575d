"""Finds the citations of a file and tells where each should lead.

A citation is one of these, with whatever white space or comment marker a line break brings in between:

- `contract 4.8`, `contract 4.6 rule 7`, `contract Q36`, `contract appendix A`, several by commas, `and`, `to`;
- `design 5`;
- `decision 0030`, or a link to the record;
- a link of a Markdown page to a file of this repository, with or without an anchor;
- a path of this repository in backticks on a Markdown page, or below `docs/` in a Python file;
- `(rule 7)` of a rule that the docstring of the same module numbers.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

_REFERENCE: Final = r"(?:\d+(?:\.\d+)?(?: +(?:rule|step) +\d+)?|Q\d+|appendix +[A-Z])"
_JOINT: Final = r"(?:,? +(?:and +|to +)?)"
_CONTRACT: Final = re.compile(rf"\b[Cc]ontract +(?P<first>{_REFERENCE})(?P<more>(?:{_JOINT}{_REFERENCE}\b(?!\.?\d))*)")
_CONTRACT_LIKE: Final = re.compile(r"\b[Cc]ontracts?\W{1,4}(?:(?:sections?|clauses?|§)\W{1,2})?(?:\d|Q\d|appendix\b)")
_DESIGN: Final = re.compile(r"\b[Dd]esign +(?P<number>\d+)\b(?!\.\d)")
_DESIGN_LIKE: Final = re.compile(r"\b[Dd]esign\W{1,4}(?:(?:sections?|§)\W{1,2})?\d")
_DECISION: Final = re.compile(r"\b[Dd]ecisions? +(?P<numbers>\d{4}(?:(?:, | and | or )\d{4})*)\b")
_DECISION_LIKE: Final = re.compile(r"\b[Dd]ecisions?[ (#:,]{1,3}\d{1,4}\b(?!,\d)|\bdecisions/\d{4}(?!-)")
_DECISION_LINK: Final = re.compile(
    r"\[(?:[Dd]ecision )?(?P<said>\d{4})\]\((?P<target>[^)]*/)?(?P<number>\d{4})-[^)]*\)"
)
_QUIRK: Final = re.compile(r"\bQ(?P<first>\d+)(?: +to +Q(?P<last>\d+))?\b")
_BARE: Final = re.compile(r"\b(?P<word>[\w`]+) +[\[(][1-9]\.\d{1,2}(?:, [1-9]\.\d{1,2})*[\])]")
_OWN_SECTION: Final = re.compile(r"\((?P<number>\d{1,2}\.\d{1,2})(?=[,)])|\b[Ss]ection +(?P<whole>\d+(?:\.\d+)?)\b")
_VERSIONS: Final = frozenset({"2.3", "2.4", "3.0"})
"""Versions of Milvus in parentheses on the pages of the contract."""
_RULE: Final = re.compile(r"\(rules? (?P<first>\d)(?: and (?P<second>\d))?\)")
_LINK: Final = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_PATH: Final = re.compile(r"`(?P<path>[\w.\-]+(?:/[\w.\-]+)+\.(?:py|md|sh|toml|json))`")
_PAGE: Final = re.compile(r"\bdocs/[\w/\-]+\.md\b")
_BREAK: Final = re.compile(r"\n[ \t]*(?:#|//|>)?[ \t]*")
_HEADING: Final = re.compile(r"^#{1,6} +(?P<title>.+?) *$", re.MULTILINE)
_FENCE: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_NUMBERED: Final = re.compile(r"^(?:Appendix )?(?P<number>\d+(?:\.\d+)?|[A-Z])[.:]? ")
_STEP: Final = re.compile(r"^(?P<number>\d+)\. ", re.MULTILINE)

CONTRACT: Final = "docs/milvus-contract.md"
CONTRACT_PAGES: Final = "docs/contract"
DESIGN: Final = "docs/design.md"
DECISIONS: Final = "docs/decisions"


@dataclass(frozen=True, slots=True)
class Broken:
    """A citation that leads nowhere, or that is not in the form that can be followed.

    Attributes:
        file: path below the root.
        line: where it begins, from 1.
        text: as it stands.
        reason: what is missing.
    """

    file: str
    line: int
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: `{self.text}`: {self.reason}"


def _without_code(text: str) -> str:
    """Blank fenced blocks, in which a `#` begins no heading and brackets no link."""
    return _FENCE.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), text)


def anchors(text: str) -> frozenset[str]:
    """Return the anchors of a page, made from its headings as GitHub makes them."""
    seen: dict[str, int] = {}
    found = set()
    for heading in _HEADING.finditer(_without_code(text)):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading["title"]).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return frozenset(found)


def sections(text: str) -> Mapping[str, frozenset[str]]:
    """Return the numbered sections of a page, each with the numbers of the list items in it."""
    plain = _without_code(text)
    heads = [(match.start(), _NUMBERED.match(match["title"])) for match in _HEADING.finditer(plain)]
    numbered = [(start, head["number"]) for start, head in heads if head is not None]
    ends = [*(start for start, _ in numbered[1:]), len(plain)]
    return {
        number: frozenset(step["number"] for step in _STEP.finditer(plain, start, end))
        for (start, number), end in zip(numbered, ends, strict=False)
    }


class Library:
    """The documents that citations lead to."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def contract(self) -> Mapping[str, frozenset[str]]:
        """Sections and appendices of the contract, each with the numbers of its rules."""
        pages = [self.root / CONTRACT, *sorted((self.root / CONTRACT_PAGES).glob("*.md"))]
        return {name: steps for page in pages for name, steps in sections(page.read_text("utf-8")).items()}

    @cached_property
    def quirks(self) -> frozenset[str]:
        """Numbers of the rows `| Q36 | …` of section 8."""
        pages = sorted((self.root / CONTRACT_PAGES).glob("*.md"))
        rows = re.compile(r"^\| Q(\d+) \|", re.MULTILINE)
        return frozenset(number for page in pages for number in rows.findall(page.read_text("utf-8")))

    @cached_property
    def design(self) -> Mapping[str, frozenset[str]]:
        """Sections of the design."""
        return sections((self.root / DESIGN).read_text("utf-8"))

    @cached_property
    def decisions(self) -> frozenset[str]:
        """Numbers of the decision records."""
        return frozenset(path.name[:4] for path in (self.root / DECISIONS).glob("[0-9][0-9][0-9][0-9]-*.md"))

    def missing_from_contract(self, reference: str) -> str:
        """Return why a reference such as `4.6 rule 7`, `Q36` or `appendix A` leads nowhere, or empty."""
        words = reference.split()
        if reference.startswith("Q"):
            return "" if reference[1:] in self.quirks else "the contract has no such quirk"
        name = words[-1] if words[0] == "appendix" else words[0]
        if name not in self.contract:
            return "the contract has no such section"
        if "rule" in words or "step" in words:
            return "" if words[-1] in self.contract[name] else "the section has no such rule"
        return ""


Found = tuple[int, str, str]
"""Where a citation begins in its file, its text, and why it leads nowhere."""


def _in_wrong_form(flat: str, right: re.Pattern[str], like: re.Pattern[str], form: str) -> Iterator[Found]:
    """Yield what looks like a citation and is not one that can be followed."""
    good = {match.start() for match in right.finditer(flat)}
    for match in like.finditer(flat):
        if match.start() not in good:
            yield match.start(), match[0], f"write `{form}`"


def _of_the_contract(library: Library, flat: str) -> Iterator[Found]:
    for match in _CONTRACT.finditer(flat):
        for reference in re.findall(_REFERENCE, match[0]):
            if reason := library.missing_from_contract(reference):
                yield match.start(), match[0], reason
    for match in _QUIRK.finditer(flat):
        wanted = {str(number) for number in range(int(match["first"]), int(match["last"] or match["first"]) + 1)}
        if not wanted or wanted - library.quirks:
            yield match.start(), match[0], "the contract has no such quirk"
    yield from _in_wrong_form(flat, _CONTRACT, _CONTRACT_LIKE, "contract 4.8")


def _of_the_design(library: Library, flat: str) -> Iterator[Found]:
    for match in _DESIGN.finditer(flat):
        if match["number"] not in library.design:
            yield match.start(), match[0], "the design has no such section"
    yield from _in_wrong_form(flat, _DESIGN, _DESIGN_LIKE, "design 5")


def _of_decisions(library: Library, flat: str) -> Iterator[Found]:
    for match in _DECISION.finditer(flat):
        if set(re.findall(r"\d{4}", match["numbers"])) - library.decisions:
            yield match.start(), match[0], "there is no such decision record"
    yield from _in_wrong_form(flat, _DECISION, _DECISION_LIKE, "decision 0030")


def _of_pages(library: Library, text: str) -> Iterator[Found]:
    for match in _PAGE.finditer(text):
        if not (library.root / match[0]).exists():
            yield match.start(), match[0], "there is no such page"


def _of_rules(text: str, flat: str) -> Iterator[Found]:
    """Yield `(rule 7)` where the module numbers no such rule."""
    numbered = {step["number"] for step in _STEP.finditer(text)}
    for match in _RULE.finditer(flat):
        if {match["first"], match["second"] or match["first"]} - numbered:
            yield match.start(), match[0], "no rule of this number in this module"


def _of_links(library: Library, page: Path, text: str, flat: str) -> Iterator[Found]:
    for match in _LINK.finditer(_without_code(text)):
        if reason := _missing(library, page, match["target"]):
            yield match.start(), match["target"], reason
    for match in _DECISION_LINK.finditer(flat):
        if match["said"] != match["number"]:
            yield match.start(), match[0], "it leads to another decision record"


def _missing(library: Library, page: Path, target: str) -> str:
    """Return why a link leads nowhere, or empty."""
    if re.match(r"[a-z]+:", target):
        return ""
    path, _, anchor = target.partition("#")
    found = (page.parent / path).resolve() if path else page
    if not found.exists():
        return "there is no such file"
    if anchor and (found.suffix != ".md" or anchor not in anchors(found.read_text("utf-8"))):
        return "the page has no such heading"
    return ""


def _of_paths(library: Library, page: Path, text: str) -> Iterator[Found]:
    for match in _PATH.finditer(text):
        places = (library.root, library.root / "src/kiteward", page.parent)
        if not any((place / match["path"]).exists() for place in places):
            yield match.start(), match[0], "there is no such file"


def _of_own_sections(library: Library, flat: str) -> Iterator[Found]:
    """Yield sections that a page of the contract names without the word."""
    for match in _OWN_SECTION.finditer(flat):
        number = match["number"] or match["whole"]
        if number not in library.contract and number not in _VERSIONS:
            yield match.start(), match[0], "the contract has no such section"


def _without_the_word(text: str, flat: str) -> Iterator[Found]:
    """Yield numbers in brackets behind a word, which are sections of something that is not named."""
    for match in _BARE.finditer(flat):
        start = match.start()
        line = text[text.rfind("\n", 0, start) + 1 : text.find("\n", start)]
        if match["word"] not in ("in", "return", "yield") and not re.search(r"[=|]", line):
            yield start, match[0], "write `contract 4.8`"


def broken(library: Library, path: Path) -> Sequence[Broken]:
    """Return the citations of a file that lead nowhere.

    Args:
        library: what citations lead to.
        path: a text file below the library's root.
    """
    text = path.read_text("utf-8")
    # A citation may be broken over lines; as many blanks instead keep every position.
    flat = _BREAK.sub(lambda line: " " * len(line[0]), text)
    name = path.relative_to(library.root).as_posix()
    of_the_contract = name.startswith((CONTRACT, CONTRACT_PAGES))
    found = [*_of_the_contract(library, flat), *_of_the_design(library, flat), *_of_decisions(library, flat)]
    if path.suffix == ".md":
        found += _of_links(library, path, text, flat)
    else:
        found += _of_pages(library, text)
    if path.suffix == ".md" and not name.startswith((DECISIONS, "CHANGELOG")):
        # Records and the changelog describe the past, when a module may have had another name.
        found += _of_paths(library, path, text)
    if path.suffix == ".py":
        found += _of_rules(text, flat)
    found += _of_own_sections(library, flat) if of_the_contract else _without_the_word(text, flat)
    return [Broken(name, text.count("\n", 0, start) + 1, seen, reason) for start, seen, reason in sorted(found)]
