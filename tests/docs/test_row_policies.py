"""The blocks of docs/row-policies.md run unchanged, and print what the document says."""

import os
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from tests.docs import snippets
from tests.docs.snippets import Shell
from tests.support.server import RunningServer

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "row-policies.md"
SEEN = ("['draft', 'offer', 'price list']", "['contract', 'offer', 'price list']")
PRINTED = (
    "",
    "",
    "",
    "\n".join((*SEEN, "")),
    "3\nMilvusException\n",
    "row 0 violates `check_expr` of the row policy own of the collection documents\n",
    "2\n",
    """3 of 4
own PERMISSIVE 2
shared PERMISSIVE 0
team PERMISSIVE 1
tenant RESTRICTIVE 0
1 True ['own']
3 False []
""",
)


def test_the_document_about_row_policies_does_what_it_says(server: RunningServer, tmp_path: Path) -> None:
    blocks = snippets.of(DOCUMENT, "python")
    assert len(blocks) == len(PRINTED), "every Python block of the document is in this test"
    names: dict[str, Any] = {}
    for block, expected in zip(blocks, PRINTED, strict=True):
        with redirect_stdout(StringIO()) as printed:
            snippets.run(block.at(server), names)
        assert printed.getvalue() == expected
    for client in ("alice", "bob", "root"):
        names[client].close()
    shell = Shell(tmp_path / "home")
    shell.export(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    (commands,) = snippets.of(DOCUMENT, "sh")
    told = shell.run(commands.at(server))
    assert "default.documents: enforced" in told
    assert "by Query, alice reaches 3 of 4 rows, through own, team\n" in told
    text = DOCUMENT.read_text(encoding="utf-8")
    assert all(f"`{line}`" in text for line in (*SEEN, "3", "2", "MilvusException"))
    assert [block.text for block in snippets.of(DOCUMENT) if not block.language] == [PRINTED[5], PRINTED[7]]
