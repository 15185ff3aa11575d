"""Objects of a real Milvus 2.3.5 are changed around a server: what callers reach then, and what they do not."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Final

import grpc
import pytest
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException
from tests.compat import accounts
from tests.support import audit_lines, raw_grpc
from tests.support import server as servers
from tests.support.server import ROOT_TOKEN, RunningServer
from tests.support.upstream import Upstream

AGE: Final = 2
"""Seconds that the catalog of the server may be old."""

VANISHED_AFTER: Final = 5

_WITHIN: Final = 30.0
_NAMES: Final = itertools.count()


@pytest.fixture(scope="module")
def server(milvus: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose catalog is read every second, and which removes the grants of what has vanished."""
    catalog = f"catalog: {{maximumAge: {AGE}, vanishedAfter: {VANISHED_AFTER}, removeVanishedGrants: true}}"
    engine = milvus.engine_settings().removesuffix("}") + f", {catalog}}}"
    directory = tmp_path_factory.mktemp("around") / "data"
    with servers.running(directory, config=f"kiteward: {{{engine}}}") as running:
        yield running


@pytest.fixture(scope="module")
def root(server: RunningServer) -> Iterator[MilvusClient]:
    """The administrator's client."""
    with accounts.signed_in_as_root(server.uri) as client:
        yield client


@pytest.fixture(scope="module")
def around(milvus: Upstream) -> Iterator[MilvusClient]:
    """A client of the Milvus itself."""
    with closing(MilvusClient(uri=milvus.uri, token=ROOT_TOKEN, dedicated=True)) as client:
        yield client


class Case:
    """Two collections of a test: `docs`, which `reader` is allowed to use, and `secret`, which only others are.

    Attributes:
        docs, secret, alias: names; the alias is not created yet.
    """

    def __init__(self, server: RunningServer, root: MilvusClient, around: MilvusClient) -> None:
        number = next(_NAMES)
        self.docs, self.secret, self.alias = f"docs{number}", f"secret{number}", f"alias{number}"
        self.reader = f"reader{number}"
        self._server = server
        for name, key in ((self.docs, 1), (self.secret, 2)):
            create(around, name, key)
        privileges = ("Query", "Insert", "Delete", "DescribeCollection", "DropCollection", "RenameCollection")
        accounts.add(root, self.reader, *((privilege, self.docs) for privilege in privileges))

    def call(self, method: str, **fields: Any) -> Any:
        """Call an RPC as the reader; again while the catalog is too old to decide by, as on a machine that is busy."""
        header = raw_grpc.authorization(accounts.token(self.reader))
        begun = time.monotonic()
        while True:
            try:
                return raw_grpc.call(self._server.uri, method, header=header, **fields)
            except grpc.RpcError as error:
                waits = error.code() is grpc.StatusCode.UNAVAILABLE and "the catalog" in (error.details() or "")
                if not waits or time.monotonic() - begun > _WITHIN:
                    raise
            time.sleep(0.05)

    def reads(self, name: str) -> list[int]:
        """Return the keys that the reader gets from a collection or alias; none where it is refused."""
        try:
            found = self.call("Query", collection_name=name, expr="id > 0", output_fields=["id"], guarantee_timestamp=1)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED, error
            return []
        return [key for column in found.fields_data for key in column.scalars.long_data.data]


def create(client: MilvusClient, name: str, key: int) -> None:
    """Create a collection that holds one entity with this key."""
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)
    client.insert(name, [{"id": key, "vector": [1.0, 2.0]}])


@pytest.fixture
def case(server: RunningServer, root: MilvusClient, around: MilvusClient) -> Case:
    return Case(server, root, around)


def until(condition: Callable[[], bool]) -> tuple[float, float]:
    """Wait until something holds; return after how many seconds it was asked last without that, and with it."""
    begun = asked = time.monotonic()
    failed = begun
    while not condition():
        assert time.monotonic() - begun < _WITHIN, "it does not become so"
        failed = asked
        time.sleep(0.05)
        asked = time.monotonic()
    return failed - begun, time.monotonic() - begun


def test_alias_that_the_server_does_not_know_yet_is_judged_as_its_collection(case: Case, around: MilvusClient) -> None:
    around.create_alias(case.secret, case.alias)
    assert case.reads(case.alias) == []
    around.create_alias(case.docs, f"{case.alias}_b")
    assert case.reads(f"{case.alias}_b") == [1]


def test_moved_and_dropped_alias_leads_to_nothing_that_was_not_judged(case: Case, around: MilvusClient) -> None:
    around.create_alias(case.docs, case.alias)
    assert case.reads(case.alias) == [1]
    around.alter_alias(case.secret, case.alias)
    begun = time.monotonic()
    while found := case.reads(case.alias):
        assert found == [1]  # what it named when it was read
        assert time.monotonic() - begun < _WITHIN
    around.drop_alias(case.alias)
    assert case.reads(case.alias) == []


def test_collection_that_becomes_an_alias_is_reached_by_its_name_within_the_age_only(
    case: Case, around: MilvusClient
) -> None:
    assert case.reads(case.docs) == [1]
    around.drop_collection(case.docs)
    around.create_alias(case.secret, case.docs)
    assert until(lambda: case.reads(case.docs) == [])[0] < AGE + 1
    # The engine itself refuses these by an alias; the server refuses them before.
    for method, fields in (
        ("DropCollection", {"collection_name": case.docs}),
        ("RenameCollection", {"oldName": case.docs, "newName": case.docs}),
    ):
        with pytest.raises(grpc.RpcError):
            case.call(method, **fields)
    assert case.secret in around.list_collections()


def test_description_of_what_became_an_alias_is_withheld(case: Case, around: MilvusClient) -> None:
    assert case.call("DescribeCollection", collection_name=case.docs).status.code == 0
    around.drop_collection(case.docs)
    around.create_alias(case.secret, case.docs)
    for _ in range(20):
        try:
            described = case.call("DescribeCollection", collection_name=case.docs)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            continue
        assert described.status.code == 100
        assert not described.schema.fields


def test_engine_refuses_to_drop_or_rename_by_an_alias(case: Case, milvus: Upstream, around: MilvusClient) -> None:
    around.create_alias(case.secret, case.alias)
    header = raw_grpc.authorization(ROOT_TOKEN)
    for method, fields in (
        ("DropCollection", {"collection_name": case.alias}),
        ("RenameCollection", {"oldName": case.alias, "newName": "x"}),
    ):
        assert raw_grpc.call(milvus.uri, method, header=header, **fields).code == 65535
    assert case.secret in around.list_collections()


def test_renamed_collection_is_another_one_for_who_had_its_name(case: Case, around: MilvusClient) -> None:
    assert case.reads(case.docs) == [1]
    around.rename_collection(case.docs, f"{case.docs}_old")
    assert case.reads(case.docs) == []
    assert case.reads(f"{case.docs}_old") == []


def test_dropped_database_is_missing_here(root: MilvusClient, server: RunningServer, around: MilvusClient) -> None:
    around.create_database("passing")
    with accounts.signed_in_as_root(server.uri, db_name="passing") as client:
        assert client.list_collections() == []
    around.drop_database("passing")

    def is_missing() -> bool:
        found = raw_grpc.call(
            server.uri, "ShowCollections", header=raw_grpc.authorization(ROOT_TOKEN), db_name="passing"
        )
        return bool(found.status.code == 800)

    assert until(is_missing)[0] < AGE + 1
    assert "passing" not in root.list_databases()


def test_grants_of_what_vanished_are_recorded_and_removed(
    case: Case, root: MilvusClient, server: RunningServer, around: MilvusClient
) -> None:
    role = f"{case.reader}_role"
    assert case.reads(case.docs) == [1]
    assert case.docs in str(root.describe_role(role))
    around.create_alias(case.docs, case.alias)
    assert case.reads(case.alias) == [1]
    around.alter_alias(case.secret, case.alias)
    until(lambda: case.reads(case.alias) == [])  # so the catalog was read while the collection was there
    around.drop_collection(case.docs)
    assert until(lambda: case.docs not in str(root.describe_role(role)))[1] >= VANISHED_AFTER - AGE

    def recorded() -> list[tuple[str, str]]:
        found = audit_lines.lines(server.data_dir / "audit")
        return [
            (line["operation"], line["details"]["object"])
            for line in found
            if line["operation"] in ("VanishCollection", "RemoveVanishedGrants")
        ]

    until(lambda: ("RemoveVanishedGrants", case.docs) in recorded())
    assert ("VanishCollection", case.docs) in recorded()


def test_changes_of_ours_keep_their_grants_in_order(case: Case, root: MilvusClient, around: MilvusClient) -> None:
    new_name = f"{case.docs}_new"
    assert case.reads(case.docs) == [1]
    root.rename_collection(case.docs, new_name)
    assert case.reads(new_name) == [1]
    around.rename_collection(case.secret, case.docs)
    assert case.reads(case.docs) == []
    with pytest.raises(MilvusException, match=r"already exist|duplicated"):
        root.rename_collection(new_name, case.docs)
    assert case.reads(new_name) == [1]
    root.drop_collection(new_name)
    create(around, new_name, 7)
    assert case.reads(new_name) == []
