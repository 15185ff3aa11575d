"""`python -m benchmarks.row_policies`: what row policies cost a search and an insert, and how well searches find.

Each figure compares two requests to the same running server that take turns: a search under a policy with the same
search by somebody who bypasses policies and sends the same filter; an insert that is checked with one that is not.
"""

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
from pymilvus import DataType, MilvusClient
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc

from benchmarks import peers, report
from benchmarks.frames import authorization
from benchmarks.peers import ROOT_TOKEN, Peer

COLLECTION: Final = "rows"
DIMENSION: Final = 64
NEAREST: Final = 10
PASSWORD: Final = "Kite-ward-1"
ROLE: Final = "row_reader"
SHARES: Final = (0.001, 0.01, 0.1, 0.5)
"""Which parts of the rows the readers may see."""

SEARCH_TARGET: Final = 1.10
INSERT_TARGET: Final = 1.25
RECALL_TARGET: Final = 0.99
CLIFF_TARGET: Final = 1.25
"""How many times as long a search may take when a thousand users with policies of their own take turns."""

USERS: Final = 1_000
INSERTED: Final = 10_000
_SEARCHES: Final = 100
_QUESTIONS: Final = 200
_BATCH: Final = 5_000
_SEED: Final = 20_261


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows: vectors, and for each the tenant of each share that it belongs to."""

    vectors: np.ndarray
    tenants: Sequence[Sequence[str]]


class Administration:
    """The RPCs that pymilvus has no methods for, as root."""

    def __init__(self, peer: Peer) -> None:
        self._channel = grpc.insecure_channel(peer.address)
        self._stub = milvus_pb2_grpc.MilvusServiceStub(self._channel)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def create_policy(
        self, collection: str, name: str, using: str, check: str = "", *, roles: Sequence[str] = ()
    ) -> None:
        """Create a row policy for reads, and for inserts where `check` is given."""
        action = milvus_pb2.RowPolicyAction
        self._call(
            "CreateRowPolicy",
            milvus_pb2.CreateRowPolicyRequest(
                collection_name=collection,
                policy_name=name,
                actions=[action.Query, action.Search, *([action.Insert, action.Upsert] if check else [])],
                roles=roles,
                using_expr=using,
                check_expr=check,
            ),
        )

    def tag(self, user: str, **tags: str) -> None:
        """Give a user tags."""
        self._call("AddUserTags", milvus_pb2.AddUserTagsRequest(user_name=user, tags=tags))

    def _call(self, rpc: str, request: Any) -> None:
        status = getattr(self._stub, rpc)(request, metadata=_metadata(ROOT_TOKEN))
        if status.code:
            raise RuntimeError(f"{rpc}: {status.reason}")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a target was required and is not reached, else 0."""
    arguments = _arguments(argv)
    ratios: list[report.Ratio] = []
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kiteward-bench-")))
        peer = stack.enter_context(peers.kiteward(directory / "kiteward"))
        root = stack.enter_context(client(peer, ROOT_TOKEN))
        administration = stack.enter_context(contextlib.closing(Administration(peer)))
        _say(f"filling {arguments.rows:,} rows")
        stored = fill(root, administration, arguments.rows)
        for share in SHARES:
            ratios += searches(peer, root, stored, share, arguments.rounds)
        ratios.append(many_users(peer, root, administration, arguments.rounds))
        ratios.append(inserts(peer, root, administration, arguments.rounds))
    print(report.ratios_table(ratios))
    return 1 if arguments.require and any(ratio.progress == "not reached" for ratio in ratios) else 0


def fill(root: MilvusClient, administration: Administration, rows: int) -> Stored:
    """Create the collection with one string field for each share, the readers, and a policy for each field.

    The reader of a share has the tag `tenant_<share>` and a role of its own, for which the policy is.
    """
    drawn = np.random.default_rng(_SEED)
    vectors = drawn.standard_normal((rows, DIMENSION)).astype(np.float32)
    tenants = [["mine" if seen else "theirs" for seen in drawn.random(rows) < share] for share in SHARES]
    schema = root.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    for number in range(len(SHARES)):
        schema.add_field(_field(number), DataType.VARCHAR, max_length=16)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    index = root.prepare_index_params()
    index.add_index("vector", index_type="HNSW", metric_type="L2", params={"M": 16, "efConstruction": 200})
    root.create_collection(COLLECTION, schema=schema, properties={"rls.enabled": "true"})
    for start in range(0, rows, _BATCH):
        end = min(rows, start + _BATCH)
        columns = {_field(number): tenants[number][start:end] for number in range(len(SHARES))}
        root.insert(
            COLLECTION,
            [
                {"id": row, "vector": vectors[row], **{name: values[row - start] for name, values in columns.items()}}
                for row in range(start, end)
            ],
        )
    root.flush(COLLECTION)
    root.create_index(COLLECTION, index)
    root.load_collection(COLLECTION)
    for number in range(len(SHARES)):
        _create_user(root, _reader(number), _role(number), ("Search", "Query"), COLLECTION)
        administration.tag(_reader(number), tenant="mine")
        administration.create_policy(
            COLLECTION, _role(number), f"{_field(number)} == $current_principal_tags['tenant']", roles=[_role(number)]
        )
    return Stored(vectors, tenants)


def searches(peer: Peer, root: MilvusClient, stored: Stored, share: float, rounds: int) -> list[report.Ratio]:
    """Compare searches under a policy with the same by root with the filter, and with the exact answer."""
    number = SHARES.index(share)
    condition = f'{_field(number)} == "mine"'
    questions = np.random.default_rng(_SEED + number).standard_normal((_QUESTIONS, DIMENSION)).astype(np.float32)
    _say(f"searching where {share:.1%} of the rows are visible")
    with client(peer, f"{_reader(number)}:{PASSWORD}") as reader:
        rates = in_turns(
            {
                "under a policy": lambda: ask(reader, questions[:_SEARCHES]),
                "with the filter": lambda: ask(root, questions[:_SEARCHES], condition),
            },
            rounds,
        )
        found = ask(reader, questions)
    ratio = report.paired(
        f"search, {share:.1%} visible, time",
        {name: [1 / rate for rate in figures] for name, figures in rates.items()},
        ours="under a policy",
        against="with the filter",
        target=SEARCH_TARGET if share >= SHARES[1] else None,
        at_most=True,
    )
    visible = np.flatnonzero(np.array(stored.tenants[number]) == "mine")
    recall = recalled(found, exact(questions, stored.vectors, visible))
    return [
        ratio,
        report.Ratio(f"recall@{NEAREST}, {share:.1%} visible", "exact", recall, recall, recall, target=RECALL_TARGET),
    ]


def many_users(peer: Peer, root: MilvusClient, administration: Administration, rounds: int) -> report.Ratio:
    """Compare searches by a thousand users in turn, each with a tag of its own, with as many by one of them."""
    _say(f"creating {USERS:,} users with a policy and a tag each")
    names = [f"many{number}" for number in range(USERS)]
    root.create_role("many")
    root.grant_privilege_v2("many", "Search", COLLECTION, "default")
    keys = {}
    for name in names:
        root.create_user(name, PASSWORD)
        root.grant_role(name, "many")
        administration.tag(name, tenant=f"of {name}")
        keys[name] = _metadata(f"{name}:{PASSWORD}")
    administration.create_policy(
        COLLECTION, "many", f"{_field(1)} == $current_principal_tags['tenant']", roles=["many"]
    )
    request = _search_request()
    with grpc.insecure_channel(peer.address) as channel:
        stub = milvus_pb2_grpc.MilvusServiceStub(channel)

        def search(asking: Sequence[str]) -> None:
            for name in asking:
                answer = stub.Search(request, metadata=keys[name])
                if answer.status.code:
                    raise RuntimeError(answer.status.reason)

        search(names)  # the first request of each verifies a password
        drawn = random.Random(_SEED)
        rates = in_turns(
            {
                "1,000 users": lambda: search(drawn.sample(names, USERS)),
                "one user": lambda: search(names[:1] * USERS),
            },
            rounds,
        )
    return report.paired(
        "search, 1,000 users with tags, time",
        {name: [1 / rate for rate in figures] for name, figures in rates.items()},
        ours="1,000 users",
        against="one user",
        target=CLIFF_TARGET,
        at_most=True,
    )


def inserts(peer: Peer, root: MilvusClient, administration: Administration, rounds: int) -> report.Ratio:
    """Compare inserts of 10,000 rows into a collection with policies by a writer and by root, who bypasses them."""
    schema = root.create_schema(auto_id=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("owner", DataType.VARCHAR, max_length=64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    for name, properties in (("checked", {"rls.enabled": "true"}), ("unchecked", {})):
        root.create_collection(name, schema=schema, properties=properties)
    _create_user(root, "writer", "row_writer", ("Insert",), "checked", "unchecked")
    own = "owner == $current_principal"
    administration.create_policy("checked", "own", own, own)
    vectors = np.random.default_rng(_SEED).standard_normal((INSERTED, DIMENSION)).astype(np.float32)
    rows = [{"owner": "writer", "vector": vector} for vector in vectors]
    _say(f"inserting {INSERTED:,} rows at a time")
    with client(peer, f"writer:{PASSWORD}") as writer:
        rates = in_turns(
            {
                "checked": lambda: writer.insert("checked", rows),
                "unchecked": lambda: writer.insert("unchecked", rows),
            },
            rounds,
        )
    return report.paired(
        f"insert of {INSERTED:,} rows, time",
        {name: [1 / rate for rate in figures] for name, figures in rates.items()},
        ours="checked",
        against="unchecked",
        target=INSERT_TARGET,
        at_most=True,
    )


def in_turns(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Do works in turns, another one first in each round, and return the rounds a second of each."""
    for work in works.values():
        work()
    rates: dict[str, list[float]] = {name: [] for name in works}
    order = list(works)
    for turn in range(rounds):
        for name in order[turn % len(order) :] + order[: turn % len(order)]:
            begun = time.perf_counter()
            works[name]()
            rates[name].append(1 / (time.perf_counter() - begun))
    return rates


def ask(reader: MilvusClient, questions: np.ndarray, condition: str = "") -> list[list[int]]:
    """Search for one vector at a time, and return the ids that each search found."""
    found = []
    for question in questions:
        hits = reader.search(COLLECTION, data=[question], anns_field="vector", filter=condition, limit=NEAREST)
        found.append([hit["id"] for hit in hits[0]])
    return found


def exact(questions: np.ndarray, vectors: np.ndarray, visible: np.ndarray) -> list[list[int]]:
    """Return the visible rows that are closest to each question, by comparing with all of them."""
    held = vectors[visible]
    return [
        visible[np.argsort(((held - question) ** 2).sum(axis=1), kind="stable")[:NEAREST]].tolist()
        for question in questions
    ]


def recalled(found: Sequence[Sequence[int]], right: Sequence[Sequence[int]]) -> float:
    """Return which part of the right rows was found."""
    hits = sum(len({*one} & {*other}) for one, other in zip(found, right, strict=True))
    return hits / sum(len(each) for each in right)


@contextlib.contextmanager
def client(peer: Peer, token: str) -> Iterator[MilvusClient]:
    """Connect as a user."""
    with contextlib.closing(MilvusClient(uri=f"http://{peer.address}", token=token, dedicated=True)) as connected:
        yield connected


def _create_user(root: MilvusClient, name: str, role: str, privileges: Sequence[str], *collections: str) -> None:
    root.create_user(name, PASSWORD)
    root.create_role(role)
    for collection in collections:
        for privilege in privileges:
            root.grant_privilege_v2(role, privilege, collection, "default")
    root.grant_role(name, role)


def _search_request() -> Any:
    group = milvus_pb2.SearchRequest(collection_name=COLLECTION, nq=1, dsl_type=common_pb2.DslType.BoolExprV1)
    vector = np.zeros(DIMENSION, np.float32).tobytes()

    group.placeholder_group = common_pb2.PlaceholderGroup(
        placeholders=[
            common_pb2.PlaceholderValue(tag="$0", type=common_pb2.PlaceholderType.FloatVector, values=[vector])
        ]
    ).SerializeToString()
    for key, value in {"anns_field": "vector", "topk": str(NEAREST), "metric_type": "L2", "params": "{}"}.items():
        group.search_params.add(key=key, value=value)
    return group


def _metadata(token: str) -> Sequence[tuple[str, str]]:
    return (("authorization", authorization(token)),)


def _field(number: int) -> str:
    return f"tenant{number}"


def _role(number: int) -> str:
    return f"{ROLE}{number}"


def _reader(number: int) -> str:
    return f"reader_of_share{number}"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.row_policies", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each takes its turn (default: 7)")
    parser.add_argument("--rows", type=int, default=50_000, help="rows of the collection (default: 50,000)")
    parser.add_argument("--require", action="store_true", help="fail if a target is not reached")
    return parser.parse_args(argv)


def _say(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
