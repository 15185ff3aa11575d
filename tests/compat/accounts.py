"""Users with just these privileges, and how a refusal looks to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from pymilvus import MilvusClient
from tests.support.server import ROOT_TOKEN

PASSWORD = "Str0ng-enough"


def grant(root: MilvusClient, role: str, *grants: tuple[str, str] | tuple[str, str, str]) -> None:
    """Create a role with grants, each (privilege or group, collection[, database])."""
    root.create_role(role)
    for privilege, collection, *database in grants:
        root.grant_privilege_v2(role, privilege, collection, *database)


def token(name: str) -> str:
    """Return what a user made by `add` signs in with."""
    return f"{name}:{PASSWORD}"


def add(root: MilvusClient, name: str, *grants: tuple[str, str] | tuple[str, str, str]) -> None:
    """Create a user; with grants, also a role `<name>_role` that holds them and is held by the user alone."""
    root.create_user(name, PASSWORD)
    if grants:
        grant(root, f"{name}_role", *grants)
        root.grant_role(name, f"{name}_role")


@contextmanager
def signed_in(uri: str, name: str, **options: Any) -> Iterator[MilvusClient]:
    """Give a client of its own to a user made by `add`."""
    client = MilvusClient(uri=uri, token=token(name), dedicated=True, **options)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def signed_in_as_root(uri: str, **options: Any) -> Iterator[MilvusClient]:
    """Give an administrator a client of its own, for example on another database."""
    client = MilvusClient(uri=uri, token=ROOT_TOKEN, dedicated=True, **options)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def denied(privilege: str, name: str, database: str = "default") -> Iterator[None]:
    """Expect the refusal for lack of a privilege, in the documented words."""
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED, caught.value
    assert caught.value.details() == f"Privilege{privilege}: permission deny to {name} in the `{database}` database"
