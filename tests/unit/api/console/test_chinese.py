"""Chinese pages: full-width punctuation between Chinese, also where texts are composed; one word for Schema.

`test_language` has the sentences for reasons.
"""

import html
import re
from pathlib import Path
from typing import Final

import pytest
from tests.unit.api.console.explorer.exploring import HERE, exploring
from tests.unit.api.console.test_app import Browser

import kiteward.api.console
from kiteward.api.console.language import catalogues
from kiteward.api.console.pages import PAGES

ENGLISH, CHINESE = (catalogues()[name].texts for name in ("en", "zh"))
SOURCE: Final = Path(kiteward.api.console.__file__).parent
HAN: Final = "[\u4e00-\u9fff]"
ASCII: Final = re.compile(r"[,;!?](?=\s|[^\x00-\x7f]|$)|(?<=\S):(?=\s|[^\x00-\x7f]|$)|[()]")
"""Punctuation that a Chinese text has full-width: neither the commas of numbers nor the colons of moments."""

OF_OTHERS: Final = {
    "audit_export.py": "a cell of a file, whose columns are names in English",
    "audit_lines.py": "names of collections, which are code",
    "audit_values.py": "the length of what is shown, which is measured",
    "browsers.py": "the names of a browser and of its system",
    "cells.py": "the numbers of a vector, which are code",
    "row_policies.py": "what is typed into a field",
    "security.py": "a header",
}
"""Sources that join texts with ASCII punctuation, with the reason."""


def wrong(text: str) -> bool:
    """Return whether a text has Chinese and ASCII punctuation, apart from names between backticks."""
    plain = re.sub(r"`[^`]*`|\{\{.*?\}\}|\{\w+\}", "x", text)
    return re.search(HAN, plain) is not None and ASCII.search(plain) is not None


def test_chinese_texts_have_chinese_punctuation() -> None:
    assert {key: text for key, text in CHINESE.items() if wrong(text)} == {}


def test_schema_is_called_schema_everywhere() -> None:
    about = {key for key, text in ENGLISH.items() if re.search("schema", re.sub("`[^`]*`", "", text), re.IGNORECASE)}
    assert len(about) > 2
    assert {key: CHINESE[key] for key in about if not re.search("Schema|`schema`", CHINESE[key])} == {}


def test_templates_and_sources_compose_texts_with_punctuation_of_the_catalogues() -> None:
    composed = re.compile(r"""\(\{\{|\}\}\)|\}\}, |\}\}: (?!\{%)|join\(["'](, |; |: )["']\)""")
    found = [
        f"{path.name}: {each[0]}"
        for path in (SOURCE / "templates").rglob("*.html")
        for each in composed.finditer(re.sub(r"""=".*?"(?=[\s>{])""", "", path.read_text("utf-8")))
    ]
    assert found == []
    joining = re.compile(r"""["'](, |; |: )["']\s*\.join""")
    joined = {path.name for path in SOURCE.rglob("*.py") if joining.search(path.read_text("utf-8"))}
    assert joined == set(OF_OTHERS)


def faulty(page: str) -> list[str]:
    """Return the texts of a page that mix Chinese with ASCII punctuation, apart from code and what people typed."""
    body = re.sub(r"<(script|style|code|pre|textarea)\b.*?</\1>", "x", page, flags=re.DOTALL)
    shown = re.sub(r"</?(span|strong|a|b|em|x)\b[^>]*>", "", body)
    return [text for each in re.split(r"<[^>]+>", shown) if wrong(text := html.unescape(each).strip())]


async def chinese(browser: Browser, path: str, **form: str | list[str]) -> list[str]:
    """Open a page, or send a form, and return what is wrong with its texts."""
    browser.client.headers["Accept-Language"] = "zh"
    answer = await (browser.send(path, **form) if form else browser.open(path))
    assert answer.status_code in (200, 303, 403, 422, *(() if form else (404, 410))), path
    assert form or re.search(HAN, answer.text) or "location" in answer.headers or "<html" not in answer.text, path
    return [f"{path}: {each}" for each in faulty(answer.text)]


async def test_pages_mix_no_chinese_with_ascii_punctuation() -> None:
    async with exploring() as browser:
        await browser.harness.role("reader", ("Query", "default", "docs"))
        await browser.harness.user("ann", "reader")
        found = []
        for change in ("disable", "enable"):
            found += await chinese(browser, "change-users", change=change, selected=["ann"])
            found += await chinese(browser, "change-users", change=change, selected=["ann"], apply="1")
        paths = [page.path for page in PAGES if "{" not in page.path and not page.path.endswith((".csv", "export"))]
        assert len(paths) > 30
        for path in (
            *paths,
            HERE,
            *(f"{HERE}/{part}" for part in ("rows", "search", "row?key=1")),
            "users/ann",
            "roles/reader",
        ):
            found += await chinese(browser, path)
        wrong_index = {"name_0": "v", "type_0": "SparseFloatVector", "index_0": "HNSW", "metric_0": "L2"}
        found += await chinese(browser, "new-collection", collection_name="c", database="default", **wrong_index)
    assert found == []


@pytest.mark.parametrize("text", ["vector (4 维)", "维, AUTOINDEX", "1 到 10, AUTOINDEX", "名称: boss"])
def test_faults_are_found(text: str) -> None:
    assert faulty(f"<p>{text}</p>") == [text]
    assert faulty("<p>共 1,234 行，12:30，<code>a, (b)</code></p>") == []  # noqa: RUF001  Chinese
