"""The blocks of the README's first steps run unchanged, and print what the README says."""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from tests.docs import snippets
from tests.support import server as servers

README = Path(__file__).resolve().parents[2] / "README.md"
PRINTED = [
    "",
    "['films']\nThe Kite\nFalse\n",
    "PrivilegeInsert: permission deny to alice in the `default` database\n",
    "[]\n",
    "",
]


def test_the_tour_of_the_readme_prints_what_it_says(tmp_path: Path) -> None:
    blocks = snippets.of(README, "python")
    assert len(blocks) == len(PRINTED), "every Python block of the README is in this test"
    names: dict[str, Any] = {}
    with servers.running(tmp_path / "data") as server:
        for block, expected in zip(blocks, PRINTED, strict=True):
            with redirect_stdout(StringIO()) as printed:
                snippets.run(block.at(server), names)
            assert printed.getvalue() == expected
        names["root"].close()
        names["alice"].close()
    text = README.read_text(encoding="utf-8")
    assert "It prints `['films']`, `The Kite` and `False`" in text
    assert f"```\n{PRINTED[2]}```" in text
    assert "prints `[]`" in text
