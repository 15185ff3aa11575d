"""A request with several faults is refused for the one that Milvus finds first: names before the rest."""

from typing import Any

import pytest
from tests.support.gateway import GatewayHarness

from kiteward.domain.errors import RequestRefused

SPACED = " r1 "


@pytest.mark.parametrize(
    ("operation", "fields", "fault"),
    [
        ("OperatePrivilegeGroup", {"group_name": SPACED, "type": 7}, "privilegeGroupName"),
        ("OperateUserRole", {"username": SPACED, "role_name": "admin", "type": 7}, "userName"),
        ("OperateUserRole", {"username": "alice", "role_name": SPACED, "type": 7}, "roleName"),
        ("CreateCredential", {"username": SPACED, "password": "no base64 !"}, "userName"),
        (
            "OperatePrivilegeV2",
            {"role": {"name": SPACED}, "grantor": {"privilege": {"name": "Query"}}, "type": 7},
            "roleName",
        ),
        (
            "OperatePrivilege",
            {
                "entity": {
                    "role": {"name": SPACED},
                    "object": {"name": "Nothing"},
                    "object_name": "docs",
                    "grantor": {"privilege": {"name": "Query"}},
                },
                "type": 7,
            },
            "roleName",
        ),
    ],
)
async def test_names_are_checked_before_types_and_encodings(
    harness: GatewayHarness, operation: str, fields: dict[str, Any], fault: str
) -> None:
    with pytest.raises(RequestRefused) as refusal:
        await harness.call(operation, **fields)
    assert refusal.value.field == fault
