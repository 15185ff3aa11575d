"""Every citation in sources, tests, benchmarks and documents leads somewhere.

The forms are those of `tests.docs.citations`; `docs/milvus-contract.md` says how to cite.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.citations import DECISIONS, Broken, Library, anchors, broken, sections

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "tests", "benchmarks", "docs", "deploy", "examples", "findings", "requirements", ".ci")
KINDS = {
    ".py",
    ".md",
    ".toml",
    ".yaml",
    ".yml",
    ".html",
    ".css",
    ".js",
    ".mjs",
    ".ts",
    ".go",
    ".java",
    ".sh",
    ".txt",
    "",
}
NOT_OURS = {"node_modules", "__pycache__", ".cache"}
EXAMPLES = {"tests/docs/citations.py", "tests/docs/test_citations.py"}
"""Files whose citations are examples of the forms, broken ones among them."""


def cited_in() -> Iterator[Path]:
    """Yield every text file of the repository in which something is cited."""
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.suffix in KINDS - {""})
    yield ROOT / "Makefile"
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            inside = path.relative_to(ROOT)
            if path.is_file() and path.suffix in KINDS and not NOT_OURS.intersection(inside.parts):
                yield path


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(ROOT)


def test_every_citation_leads_somewhere(library: Library) -> None:
    files = [path for path in cited_in() if path.relative_to(ROOT).as_posix() not in EXAMPLES]
    assert len(files) > 400
    found = [str(each) for path in files for each in broken(library, path)]
    assert not found, "\n".join(found)


def test_the_documents_that_are_cited_are_whole(library: Library) -> None:
    assert set(library.design) == {str(number) for number in range(1, 8)}
    assert {str(number) for number in range(11)} <= set(library.contract)
    assert {"4.1", "4.8", "4.12", "5.4", "A", "B", "C"} <= set(library.contract)
    assert library.contract["4.6"] >= {str(number) for number in range(1, 10)}
    assert library.quirks == {str(number) for number in range(1, len(library.quirks) + 1)}


def test_no_number_of_the_contract_or_design_is_used_twice() -> None:
    for pages in (
        [ROOT / "docs/design.md"],
        [ROOT / "docs/milvus-contract.md", *(ROOT / "docs/contract").glob("*.md")],
    ):
        numbers = [number for page in pages for number in sections(page.read_text("utf-8"))]
        assert len(numbers) == len(set(numbers))


def test_every_decision_record_is_in_the_index(library: Library) -> None:
    index = (ROOT / DECISIONS / "README.md").read_text("utf-8")
    rows = set(re.findall(r"^\| \[(\d{4})\]\(\1-", index, re.MULTILINE))
    assert rows == library.decisions - {"0000"}


def test_documents_stand_without_what_is_outside_the_repository() -> None:
    pages = [ROOT / "docs/design.md", ROOT / "docs/milvus-contract.md", *(ROOT / "docs/contract").glob("*.md")]
    for page in pages:
        text = page.read_text("utf-8")
        assert "documents/" not in text, page
        assert "../shared" not in text, page
        assert not [target for target in re.findall(r"\]\(([^)#\s]+)", text) if not (page.parent / target).exists()]


# The test of the test

CONTRACT = """# 4. Privileges
## 4.8 Which database is checked
1. One rule.
2. Another rule.
## Appendix A: error codes
| # | Quirk |
| --- | --- |
| Q1 | one |
| Q2 | two |
"""


@pytest.fixture
def small(tmp_path: Path) -> Library:
    """A repository with a contract, a design and one decision record."""
    for name, text in {
        "docs/milvus-contract.md": "# The contract\n## 0. Sources\n",
        "docs/contract/privileges.md": CONTRACT,
        "docs/design.md": "# Design\n## 5. Where it breaks\n",
        "docs/decisions/0030-who.md": "# 0030: Who\n",
        "docs/limits.md": "# Limits\n\n## Bytes, and `more`\n\n## Bytes, and `more`\n",
        "src/kiteward/net/tls.py": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Library(tmp_path)


def seen(library: Library, name: str, text: str) -> list[Broken]:
    """Return what is broken in a file of that name and text."""
    path = library.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return [*broken(library, path)]


@pytest.mark.parametrize(
    "text",
    [
        "contract 4.8",
        "Contract 4.8 rule 2, and more",
        "contract 4, 4.8, Q2 and appendix A",
        "contract 4.8, in its column for 3.0",
        "contract Q1 to Q2",
        "(contract\n    # 4.8, Q2)",
        "design 5",
        "decision 0030",
        "import contracts of 3 layers",
        "a decision at 100,000 grants; a design of 2024",
    ],
)
def test_citation_that_leads_somewhere_is_not_reported(small: Library, text: str) -> None:
    assert seen(small, "src/kiteward/one.py", f'"""{text}."""\n') == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("contract 4.9", "no such section"),
        ("contract 4.8, 9.9", "no such section"),
        ("contract 4.8 and 7", "no such section"),
        ("contract 4.8 rule 3", "no such rule"),
        ("contract appendix B", "no such section"),
        ("contract 4.8,\n    # 4.7", "no such section"),
        ("contract Q3", "no such quirk"),
        ("a quirk, Q3", "no such quirk"),
        ("contract Q2 to Q3", "no such quirk"),
        ("contract, section 4.8", "write `contract 4.8`"),
        ("contract (4.8)", "write `contract 4.8`"),
        ("as written (4.8)", "write `contract 4.8`"),
        ("as written [4.8, 4.9]", "write `contract 4.8`"),
        ("design 6", "no such section"),
        ("design section 5", "write `design 5`"),
        ("decision 0031", "no such decision"),
        ("decisions 0030 and 0031", "no such decision"),
        ("docs/decisions/0030", "write `decision 0030`"),
        ("decision 30", "write `decision 0030`"),
        ("docs/absent.md", "no such page"),
        ("read last (rule 4)", "no rule"),
    ],
)
def test_broken_citation_is_found(small: Library, text: str, reason: str) -> None:
    found = seen(small, "src/kiteward/one.py", f'"""Says something.\n\nAs {text}.\n"""\n')
    assert found
    assert all(reason in each.reason for each in found)
    assert {each.line for each in found} == {3}
    assert str(found[0]).startswith("src/kiteward/one.py:3: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[there](limits.md)", ""),
        ("[there](limits.md#bytes-and-more-1)", ""),
        ("[there](https://example.org/absent.md#nowhere)", ""),
        ("[there](absent.md)", "there is no such file"),
        ("[there](limits.md#absent)", "the page has no such heading"),
        ("[there](#absent)", "the page has no such heading"),
        ("`net/tls.py`", ""),
        ("`net/absent.py`", "there is no such file"),
        ("```\n[there](absent.md)\n```", ""),
        ("[decision 0030](decisions/0030-who.md)", ""),
        (
            "[decision 0030](decisions/0030-who.md) of [0031](decisions/0030-who.md)",
            "it leads to another decision record",
        ),
    ],
)
def test_link_of_a_page_leads_to_a_file_and_heading(small: Library, text: str, reason: str) -> None:
    found = seen(small, "docs/page.md", f"# Page\n{text}\n")
    assert [each.reason for each in found] == ([reason] if reason else [])


def test_page_of_the_contract_may_name_its_sections_bare(small: Library) -> None:
    assert seen(small, "docs/contract/rpcs.md", "As elsewhere (4.8), in section 4, since 2.6 (3.0).\n") == []
    found = seen(small, "docs/contract/rpcs.md", "As elsewhere (4.9), in section 12.\n")
    assert [each.text for each in found] == ["(4.9", "section 12"]


def test_anchors_are_those_of_github() -> None:
    page = "# One, `two` & three\n## [Four](five.md)\n```\n# no heading\n```\n## Four\n"
    assert anchors(page) == {"one-two--three", "four", "four-1"}
