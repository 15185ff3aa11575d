"""Declarations of the table as a whole, and the type they are made with."""

import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kiteward.api import rest
from kiteward.api.rest import endpoint_table
from kiteward.api.rest.admin_api import endpoints_of
from kiteward.api.rest.endpoint_table import TABLE, table_of
from kiteward.api.rest.endpoints import OWN_PREFIX, PREFIX, Body, Endpoint, Nothing, RequestContext, ResponseData
from kiteward.domain.deferred import DeferredParts
from kiteward.iam.json_api import CONTENTS
from kiteward.iam.json_api.base import Arguments

ADMINISTRATION = {
    "users": {"list", "describe", "create", "update_password", "drop", "grant_role", "revoke_role"},
    "roles": {
        "list",
        "describe",
        "create",
        "alter",
        "drop",
        "grant_privilege",
        "revoke_privilege",
        "grant_privilege_v2",
        "revoke_privilege_v2",
    },
    "privilege_groups": {"create", "drop", "list", "add_privileges_to_group", "remove_privileges_from_group"},
}
"""Contract 5.2."""

SPELLED_BY_MILVUS = {"resource_groups"}


async def nothing(_context: RequestContext, _body: Body) -> Nothing:
    return Nothing()


@pytest.mark.parametrize("category", ADMINISTRATION)
def test_every_endpoint_of_the_contract_is_there(category: str) -> None:
    paths = [path.removeprefix(PREFIX).split("/", 1) for path in TABLE]
    assert {action for each, action in paths if each == category} == ADMINISTRATION[category]


def test_a_path_stands_once_in_the_table() -> None:
    endpoint = Endpoint("a/b", Body, Nothing, nothing, "Do nothing.")
    with pytest.raises(ValueError, match="`a/b` is in the table twice"):
        table_of([endpoint, endpoint])


def test_the_table_has_every_endpoint_that_a_module_declares_and_finds_each_by_itself() -> None:
    declared: list[Endpoint[Any]] = []
    for found in pkgutil.iter_modules(rest.__path__):
        declared += getattr(importlib.import_module(f"{rest.__name__}.{found.name}"), "ENDPOINTS", ())
    for topic in CONTENTS:
        declared += endpoints_of(topic)
    paths = [endpoint.prefix + endpoint.path for endpoint in declared]
    assert len(set(paths)) == len(paths)
    assert set(paths) == set(TABLE)
    for path in paths:
        fresh = DeferredParts(endpoint_table._PARTS, endpoint_table._part_of, endpoint_table._make)
        assert fresh[path].prefix + fresh[path].path == path


@pytest.mark.parametrize("endpoint", TABLE.values(), ids=lambda endpoint: endpoint.prefix + endpoint.path)
def test_a_declaration_is_well_formed(endpoint: Endpoint[Body]) -> None:
    assert endpoint.summary.endswith(".")
    if endpoint.oauth:
        # RFC 6749 and RFC 8693 spell its members.
        assert issubclass(endpoint.body, msgspec.Struct)
        return
    assert re.fullmatch(r"[a-z_]+(/[a-z_0-9]+)+", endpoint.path)
    own = endpoint.prefix == OWN_PREFIX
    assert issubclass(endpoint.body, Arguments if own else Body)
    assert endpoint.extra is None or issubclass(endpoint.extra, ResponseData)
    spelled = [field.encode_name for field in msgspec.structs.fields(endpoint.body)]
    assert own or "dbName" in spelled
    assert not [name for name in spelled if "_" in name and name not in SPELLED_BY_MILVUS]


def test_the_service_decides_nothing() -> None:
    """It names privileges where they are granted or listed, and nowhere else; nor does it know the policy."""
    folder = Path(rest.__path__[0])
    for path in folder.glob("*.py"):
        source = path.read_text("utf-8")
        assert "kiteward.authz.policy" not in source, path
        assert "kiteward.authz.model" not in source, path
        assert "kiteward.authn" not in source, path
        if path.name in {"app.py", "bodies.py", "credentials.py", "headers.py"}:
            assert "privilege" not in source, path
