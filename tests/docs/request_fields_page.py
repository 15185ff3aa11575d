"""docs/request-fields.md, made from the operation table and the tables beside it.

`make request-fields` writes it; `tests/docs/test_request_fields_page.py` fails where it is not written.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.operations.field_use import FieldUse, uses_of
from kiteward.gateway.operations.message_fields import ENUMS, MESSAGES
from kiteward.gateway.parameters import PARAMETERS

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "request-fields.md"
HEADING: Final = "## Requests\n"
_PACKAGES: Final = "milvus.proto."


def tables() -> str:
    """Return the tables in Markdown, from the heading of the first one on."""
    return "\n".join((HEADING, *_requests(), "", *_messages(), "", *_parameters(), "", *_values(), ""))


def _requests() -> Iterator[str]:
    yield f"| RPC | {' | '.join(FieldUse)} |"
    yield "| --- |" + " --- |" * len(FieldUse)
    for row in OPERATIONS.values():
        if row.closed:
            continue
        uses = uses_of(row)
        cells = (_names(name for name, found in uses.items() if found is use) for use in FieldUse)
        yield f"| {row.name} | {' | '.join(cells)} |"


def _messages() -> Iterator[str]:
    yield "## Messages inside requests\n"
    yield "| message | accepted | refused |"
    yield "| --- | --- | --- |"
    for name, fields in MESSAGES.items():
        accepted = "(data)" if fields.bulk else _names(fields.accepted)
        yield f"| {name.removeprefix(_PACKAGES)} | {accepted} | {_names(fields.refused)} |"


def _parameters() -> Iterator[str]:
    yield "## Parameters\n"
    yield "| field | known |"
    yield "| --- | --- |"
    for each in PARAMETERS:
        yield f"| {each.message.removeprefix(_PACKAGES)}.{each.field} | {_names(sorted(each.known))} |"


def _values() -> Iterator[str]:
    yield "## Values of enums\n"
    yield "| enum | accepted |"
    yield "| --- | --- |"
    for name, numbers in ENUMS.items():
        yield f"| {name.removeprefix(_PACKAGES)} | {', '.join(map(str, sorted(numbers)))} |"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def with_tables(page: str) -> str:
    """Return a page with everything from the section `Requests` on replaced by the tables."""
    before, heading, _ = page.partition(HEADING)
    assert heading, "the page has no section `Requests`"
    return before + tables()


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
