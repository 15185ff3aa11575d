"""The tables of the contract agree with the message descriptors, and with what the product does."""

import contextlib
import re
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.descriptor import Descriptor
from tests.access.table import CLOSED, OPEN, UNANNOTATED

from kiteward.api.grpc.status import STATUSES, MilvusStatus
from kiteward.api.rest.status import ROWS
from kiteward.authz.privileges import BUILT_IN_GROUPS, PRIVILEGES
from kiteward.config.keys import KEYS
from kiteward.milvus import messages

PAGES: Final = Path(__file__).resolve().parents[2] / "docs/contract"
NOT_PINNED: Final = {"master", "gone after 2.3"}
"""What the column "Since proto" says of RPCs that the pinned protocol lacks."""

BEYOND_PINNED: Final = {"CreateRowPolicyRequest"}
"""Messages of appendix C that are those of proto master."""

OF_MASTER: Final = {"ManageRLS", "ViewRLS", "SkipRLS"}
"""Privileges of proto master that the product has (decision 0043)."""

OF_KITEWARD: Final = {"CallProvider", "ProvisionUsers", "ExchangeToken"}
"""Privileges that no Milvus has (decisions 0050, 0065 and 0066)."""

NONE: Final = "—"
NOT_READ: Final = "not read"


def table(page: str, heading: str, number: int = 0) -> list[list[str]]:
    """Return the cells of the rows of a table.

    Args:
        page: name of the page.
        heading: how the heading of its section begins.
        number: which table of the section, from 0.
    """
    text = (PAGES / page).read_text("utf-8")
    _, _, section = text.partition(f"\n## {heading}")
    assert section, heading
    blocks = re.findall(r"(?:^\|.*\n)+", section.partition("\n## ")[0], re.MULTILINE)
    rows = blocks[number].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_annotated_rpcs_have_the_privilege_and_the_field_that_their_message_names() -> None:
    listed: dict[str, tuple[str, ...]] = {}
    for rpc, request, object_type, privilege, name, _, since, _ in table("privileges.md", "4.2"):
        if since not in NOT_PINNED:
            number = re.search(r"#(\d+)", name)
            listed[rpc] = (request.strip("`"), object_type, privilege, number[1] if number else "-1")
    declared = {}
    for rpc, method in messages.METHODS.items():
        found = messages.annotation(rpc)
        if found is not None:
            index = found.names_index or found.name_index
            declared[rpc] = (method.request.DESCRIPTOR.name, found.object_type, found.privilege, str(index))
    assert listed == declared


def test_level_of_an_annotated_rpc_is_the_level_of_its_privilege() -> None:
    for rpc, _, _, privilege, _, level, since, _ in table("privileges.md", "4.2"):
        if since not in NOT_PINNED:
            assert level == PRIVILEGES[privilege].level, rpc


def test_rpcs_without_an_annotation_are_all_listed_with_what_kiteward_needs() -> None:
    listed = {row[0]: row[2] for row in table("privileges.md", "4.3")}
    assert set(listed) == {rpc for rpc in messages.METHODS if messages.annotation(rpc) is None}
    for rpc, needs in listed.items():
        wanted = {CLOSED: "closed", OPEN: "nothing"}.get(UNANNOTATED[rpc], UNANNOTATED[rpc])
        assert wanted in needs, rpc


def test_catalogue_is_that_of_the_product() -> None:
    rows = [row for row in table("privileges.md", "4.4") if row[5] != "master" and row[3] not in (NONE, "(group)")]
    listed = {name.strip("`"): (kind, level, group) for _, name, kind, level, group, _, _ in rows if kind != "(group)"}
    smallest = {name: group for group, members in [*BUILT_IN_GROUPS.items()][::-1] for name in members}
    assert listed == {
        name: (each.object_type.value if each.by_v1 else NONE, each.level.value, smallest[name])
        for name, each in PRIVILEGES.items()
        if name not in OF_MASTER | OF_KITEWARD
    }


def test_numbers_of_the_catalogue_are_those_of_the_protocol() -> None:
    values: Any = messages.ObjectPrivilege
    declared = {
        re.sub(r"^Privilege(Group(?=Cluster|Database|Collection|ReadOnly|ReadWrite|Admin))?", "", name): str(number)
        for name, number in values.items()
    }
    listed = {row[1].strip("`"): row[0] for row in table("privileges.md", "4.4") if row[5] != "master"}
    listed.pop("Expr")
    assert listed == declared


@pytest.mark.parametrize(
    "codes",
    [
        {each.code for each in STATUSES.values() if isinstance(each, MilvusStatus)},
        {each.code for each in ROWS.values()} - {500},
    ],
    ids=["grpc", "rest"],
)
def test_every_code_that_clients_get_is_in_the_appendix(codes: set[int]) -> None:
    listed = {int(code) for row in table("appendices.md", "Appendix A") for code in re.findall(r"\d+", row[0])}
    assert codes <= listed


def test_keys_that_are_read_are_marked_so() -> None:
    keys = {key.name for key in KEYS if not key.name.startswith(("kiteward.", "tls."))}
    read: set[str] = set()
    unread: set[str] = set()
    for names, _, _, here in table("appendices.md", "Appendix B"):
        first, *others = names.split(" / ")
        folder = first.rpartition(".")[0]
        whole = {first, *(other if "." in other else f"{folder}.{other}" for other in others)}
        (unread if here.startswith(NOT_READ) else read).update(whole)
    assert keys <= read
    assert not keys & unread


def test_field_numbers_of_the_appendix_are_those_of_the_messages() -> None:
    compared = 0
    for names, fields in table("appendices.md", "Appendix C"):
        for name, declared in zip(names.split(" / "), fields.split(" / "), strict=False):
            message = _declared(name)
            if message is None or name in BEYOND_PINNED:
                continue
            actual = {field.number: field.name for field in message.fields}
            for number, field in re.findall(r"\b(\d+) (?:repeated |optional )?([A-Za-z_]{3,})", declared):
                assert actual.get(int(number)) == field, f"{name}: {number} {field}"
                compared += 1
    assert compared > 50


def _declared(name: str) -> Descriptor | None:
    """Return what the pinned protocol declares of a message, None where it has none of the name."""
    pool = messages.descriptor_of(messages.ConnectRequest).file.pool
    for package in ("milvus", "common", "schema", "rg"):
        with contextlib.suppress(KeyError):
            return pool.FindMessageTypeByName(f"milvus.proto.{package}.{name}")
    return None
