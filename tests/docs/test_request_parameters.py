"""Every field of the requests about data and definitions has a line that says what becomes of it, as the code does."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from google.protobuf.descriptor import Descriptor

from kiteward.engine.embedded import parameters
from kiteward.engine.embedded.operations import served_rpcs
from kiteward.engine.embedded.servicer import EngineServicer
from kiteward.gateway import outbound
from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.operations.engine_rpcs import ENGINE_RPCS
from kiteward.gateway.operations.field_use import FieldUse, uses_of
from kiteward.gateway.operations.message_fields import MESSAGES as INNER
from kiteward.gateway.unheeded import NEVER, RULES
from kiteward.milvus import messages
from kiteward.milvus.field_paths import inner

PAGE: Final = (Path(__file__).resolve().parents[2] / "docs/request-parameters.md").read_text("utf-8")
WORDS: Final = (
    "honoured",
    "refused",
    "made true",
    "no effect, because",
    "see [",
    "`ignore_growing` is honoured",
    "the same",
)
VALUES: Final = frozenset(
    ("MsgBase", "KeyValuePair", "FieldData", "ScalarField", "VectorField", "IDs", "ValueField", "TemplateValue")
)
"""Messages that hold values: their fields say of which type a value is."""


class Line(NamedTuple):
    """What the page says of a field."""

    embedded: str
    milvus: str


def lines(heading: str) -> dict[str, Line]:
    """Return the lines of a section, one for each field or key that is named in the first cell."""
    _, _, section = PAGE.partition(f"\n### {heading}\n")
    assert section, heading
    found: dict[str, Line] = {}
    for row in re.findall(r"^\| (`.*) \|$", re.split(r"\n##", section)[0], re.MULTILINE):
        names, embedded, milvus = (cell.strip() for cell in row.split(" | "))
        for name in re.findall(r"`([^`]+)`", names):
            assert name not in found, f"{heading}.{name} has two lines"
            found[name] = Line(embedded, milvus)
    return found


def served() -> Mapping[str, Descriptor]:
    """Return the requests that the embedded engine takes, and the messages in them that select or define something."""
    found: dict[str, Descriptor] = {}

    def add(message: Descriptor) -> None:
        if message.name not in VALUES and not message.GetOptions().map_entry and message.name not in found:
            found[message.name] = message
            for field in message.fields:
                held = inner(field)
                if held is not None:
                    add(held)

    for rpc in served_rpcs(EngineServicer, ENGINE_RPCS):
        add(messages.descriptor_of(messages.method_of(rpc.name).request))
    return found


DETAILS: Final = frozenset(
    (
        *("FunctionChainOp", "FunctionChainExpr", "FunctionChainExprArg", "FunctionChainColumnArg"),
        *("FunctionParamValue", "FunctionParamArray", "FunctionParamObject"),
        *("OrderSpec", "SortSpec", "TopHitsSpec", "MetricAggSpec"),
    )
)
"""Parts of messages that the page has a line for: what becomes of the whole becomes of them."""

WITHOUT_FIELDS: Final = frozenset({"ListDatabasesRequest", "AllocTimestampRequest"})
MESSAGES: Final = {name: each for name, each in served().items() if name not in DETAILS | WITHOUT_FIELDS}


@pytest.mark.parametrize("name", MESSAGES)
def test_every_field_has_one_line_that_says_what_becomes_of_it(name: str) -> None:
    found = lines(name)
    assert found.keys() == {field.name for field in MESSAGES[name].fields if field.name != "base"}
    for line in found.values():
        assert line.embedded.startswith(WORDS), line
        assert line.milvus.startswith(WORDS), line


def refusals() -> Iterator[tuple[str, str, bool, str]]:
    """Yield message, field, whether the embedded engine refuses it, and from when on a Milvus takes it."""
    for rule in RULES:
        name, field = rule.message.rpartition(".")[2], rule.field.partition(".")[0]
        since = "" if rule.since is None else "never" if rule.since == NEVER else f"{rule.since[0]}.{rule.since[1]}"
        if name in MESSAGES:
            yield name, field, bool(rule.embedded), since


@pytest.mark.parametrize(("name", "field", "embedded", "since"), list(refusals()))
def test_page_says_of_each_refusal_by_whom_it_is_refused(name: str, field: str, embedded: bool, since: str) -> None:
    line = lines(name)[field]
    assert line.embedded.startswith("refused") is embedded
    if since == "never":
        assert line.milvus == "refused"
    elif since:
        assert line.milvus.startswith(f"refused before {since}")
    else:
        assert not line.milvus.startswith("refused")


def refused_by_all() -> set[tuple[str, str]]:
    """Return the fields that are refused for every engine: by the rows, in messages, and as addresses."""
    found = {
        (messages.method_of(row.name).request.DESCRIPTOR.name, field)
        for row in OPERATIONS.values()
        for field, use in uses_of(row).items()
        if use is FieldUse.REFUSED
    }
    found |= {(name.rpartition(".")[2], field) for name, held in INNER.items() for field in held.refused}
    return found | {
        (rule.message.rpartition(".")[2], rule.field) for rule in outbound.RULES if outbound.must_be_empty(rule)
    }


def test_everything_that_the_page_calls_refused_is_refused_by_a_rule() -> None:
    ruled = {(name, field) for name, field, _, _ in refusals()} | refused_by_all()
    whole = re.compile(r"refused (with `|unless it replaces)|refused: the embedded engine")
    for name in MESSAGES:
        for field, line in lines(name).items():
            if line.embedded.startswith("refused") and not whole.match(line.embedded):
                assert (name, field) in ruled, (name, field)


def test_what_is_refused_for_every_engine_is_called_so() -> None:
    for name, field in refused_by_all():
        if name in MESSAGES:
            assert lines(name)[field].embedded.startswith("refused"), (name, field)
            assert lines(name)[field].milvus.startswith("refused"), (name, field)


def test_rpcs_without_the_embedded_engine_are_listed() -> None:
    taken = {rpc.name for rpc in served_rpcs(EngineServicer, ENGINE_RPCS)} - {"LoadPartitions", "ReleasePartitions"}
    _, _, section = PAGE.partition("\n## RPCs that the embedded engine does not have\n")
    assert set(re.findall(r"`(\w+)`", section.partition("\n## ")[0])) == set(ENGINE_RPCS) - taken


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("Parameters of searches", parameters.SEARCH),
        ("Parameters of rankings", parameters.RANK),
        ("Parameters of queries", parameters.QUERY),
        ("Parameters of fields", parameters.FIELD),
    ],
)
def test_every_key_that_the_embedded_engine_takes_has_a_line(heading: str, keys: frozenset[str]) -> None:
    assert lines(heading).keys() - {"search_params", "rank_params", "query_params", "type_params"} == keys


def test_every_property_that_is_refused_is_listed() -> None:
    _, _, section = PAGE.partition("\n### Properties\n")
    assert set(parameters.PROPERTIES_WITHOUT_EFFECT) <= set(re.findall(r"`([^`]+)`", section.partition("\n## ")[0]))
