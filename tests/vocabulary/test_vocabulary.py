"""Each rule of the vocabulary finds what it is for and leaves alone what it spares."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from tests.vocabulary import checker
from tests.vocabulary.checker import Exemption, Finding, Rule, Vocabulary

VOCABULARY = checker.load()


def found(path: str, text: str, *exemptions: Exemption) -> list[tuple[int, str]]:
    vocabulary = Vocabulary(VOCABULARY.rules, exemptions)
    return [(each.line, each.found) for each in vocabulary.check(path, text)]


@pytest.mark.parametrize("rule", VOCABULARY.rules, ids=lambda rule: rule.examples[0])
def test_each_rule_finds_its_examples_and_leaves_alone_what_it_spares(rule: Rule) -> None:
    assert rule.instead
    assert rule.examples
    assert rule.spared
    alone = Vocabulary((rule,), ())
    assert [text for text in rule.examples if not list(alone.check("page.md", text))] == []
    assert [text for text in rule.spared if list(alone.check("page.md", text))] == []


def test_no_rule_finds_what_another_one_says_instead() -> None:
    assert [each.instead for each in VOCABULARY.rules if list(VOCABULARY.check("page.md", each.instead))] == []


def test_comments_docstrings_and_literals_are_prose_and_identifiers_are_not() -> None:
    text = '''"""Bytes of
strangers."""

stranger = 1  # a stranger
log(f"{stranger} is a stranger")
text = "`stranger` here"
column = "stranger"
'''
    assert found("src/a.py", text) == [(2, "strangers"), (4, "stranger"), (5, "stranger")]


def test_an_expression_is_found_across_the_end_of_a_line_where_it_begins() -> None:
    assert found("src/a.py", "# a key comes\n# in only while it is enabled\n") == [(1, "comes in only")]
    assert found("src/a.py", 'x = (\n    "pages are let "\n    "in."\n)\n') == [(2, "let in")]
    assert found("page.md", "Pages are let\nin.\n") == [(1, "let in")]


def test_paragraphs_and_statements_apart_are_not_joined() -> None:
    assert found("page.md", "Pages are let\n\nin.\n") == []
    assert found("src/a.py", "# pages are let\n\n# in.\n") == []


def test_code_spans_link_targets_and_names_of_documents_are_not_prose() -> None:
    assert found("page.md", "`anew` and anew") == [(1, "anew")]
    assert found("page.md", "[see](make-anew.md), [it](#anew), or pages/make-anew.md and anew") == [(1, "anew")]


def test_an_exempt_text_stays_and_the_same_words_elsewhere_do_not() -> None:
    exemption = Exemption("src/*.py", "the names of strangers", "a text of Milvus")
    assert found("src/a.py", "# the names of strangers, and strangers\n", exemption) == [(1, "strangers")]
    assert found("pages/a.md", "the names of strangers", exemption) == [(1, "strangers")]


def test_an_exempt_file_is_not_read() -> None:
    assert found("pages/a.md", "strangers", Exemption("pages/a.md", "", "it lists the words")) == []


def test_every_exemption_gives_a_reason_and_is_needed() -> None:
    assert [each for each in VOCABULARY.exemptions if not each.reason] == []
    for each in VOCABULARY.exemptions:
        others = tuple(other for other in VOCABULARY.exemptions if other != each)
        without = Vocabulary(VOCABULARY.rules, others)
        more = [
            path
            for path, text in checker.read_project()
            if fnmatchcase(path, each.path) and list(without.check(path, text)) != list(VOCABULARY.check(path, text))
        ]
        assert more, f"no file needs the exemption {each}"


def test_the_backlog_may_only_shrink() -> None:
    findings = [Finding("src/a.py", 1, "anew", "again"), Finding("src/a.py", 2, "anew", "again")]
    assert checker.compare(findings, {"src/a.py": 2}) == []
    assert checker.compare(findings, {"src/a.py": 1}) == [str(each) for each in findings]
    assert checker.compare(findings, {}) == ["src/a.py:1: 'anew': write again", "src/a.py:2: 'anew': write again"]
    (stale,) = checker.compare(findings, {"src/a.py": 3})
    assert "--update" in stale


def test_a_written_backlog_reads_back(tmp_path: Path) -> None:
    file = tmp_path / "backlog.txt"
    file.write_text(checker.render_backlog([Finding("src/a.py", 1, "anew", "again")] * 2), encoding="utf-8")
    assert checker.read_backlog(file) == {"src/a.py": 2}


def test_documents_have_no_backlog() -> None:
    assert [path for path in checker.read_backlog() if path.endswith(".md")] == []
