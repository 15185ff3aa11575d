"""Two teams share one server, and each searches its own collection only.

The administrator puts scikit-learn's handwritten digits into two collections, the even ones for one team and the odd
ones for the other, and creates a role for each team and a user for each member. Every member then recognises unseen
digits by their nearest neighbours in the team's own collection, and is refused in the other team's.

    python examples/team_search.py --uri http://localhost:19530

needs a running server (`kiteward serve`), pymilvus and scikit-learn. The token of the administrator comes from --token,
from KITEWARD_TOKEN, or is that of a fresh server. What the example creates it also removes, before and after.
"""

import argparse
import logging
import os
import secrets
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import grpc
import numpy as np
from pymilvus import DataType, MilvusClient
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

PIXELS = 64
NEIGHBOURS = 5
WANTED_ACCURACY = 0.95


@dataclass(frozen=True, slots=True)
class Team:
    """A team with its part of the digits.

    Attributes:
        name: what its role is called.
        collection: where its vectors are.
        members: the users who hold the role.
        remainder: which digits are the team's, by their remainder modulo 2.
    """

    name: str
    collection: str
    members: tuple[str, ...]
    remainder: int


TEAMS = (
    Team("team_even", "even_digits", ("even_ada", "even_ben"), 0),
    Team("team_odd", "odd_digits", ("odd_cleo", "odd_dan"), 1),
)


@dataclass(frozen=True, slots=True)
class Digits:
    """Handwritten digits: 8 x 8 pixels each, and which digit it is."""

    pixels: np.ndarray
    labels: np.ndarray

    def of(self, team: Team) -> "Digits":
        """Return the digits of one team."""
        own = self.labels % 2 == team.remainder
        return Digits(self.pixels[own], self.labels[own])


def load() -> tuple[Digits, Digits]:
    """Return the digits to search in and those to search for."""
    pixels, labels = load_digits(return_X_y=True)
    known, unseen, known_labels, unseen_labels = train_test_split(
        pixels / pixels.max(), labels, test_size=0.2, random_state=0, stratify=labels
    )
    return Digits(known, known_labels), Digits(unseen, unseen_labels)


def clean_up(administrator: MilvusClient) -> None:
    """Remove what the example creates, as far as it is there."""
    roles = administrator.list_roles()
    for team in TEAMS:
        administrator.drop_collection(team.collection)
        for member in team.members:
            administrator.drop_user(member)
        if team.name in roles:
            administrator.drop_role(team.name, force_drop=True)


def fill(administrator: MilvusClient, team: Team, digits: Digits) -> None:
    """Create the collection of a team and put its digits there."""
    schema = administrator.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("label", DataType.INT64)
    schema.add_field("pixels", DataType.FLOAT_VECTOR, dim=PIXELS)
    index = administrator.prepare_index_params()
    index.add_index("pixels", index_type="AUTOINDEX", metric_type="L2")
    administrator.create_collection(team.collection, schema=schema, index_params=index)
    rows = [
        {"id": number, "label": int(label), "pixels": pixels.tolist()}
        for number, (pixels, label) in enumerate(zip(digits.pixels, digits.labels, strict=True))
    ]
    administrator.insert(team.collection, rows)


def admit(administrator: MilvusClient, team: Team) -> dict[str, str]:
    """Create the role of a team and a user for each member; return their tokens, which are shown to nobody."""
    administrator.create_role(team.name)
    administrator.grant_privilege_v2(team.name, "CollectionReadOnly", team.collection, "default")
    tokens = {}
    for member in team.members:
        password = f"Aa1-{secrets.token_urlsafe(24)}"
        administrator.create_user(member, password)
        administrator.grant_role(member, team.name)
        tokens[member] = f"{member}:{password}"
    return tokens


def accuracy(client: MilvusClient, team: Team, unseen: Digits) -> float:
    """Return which part of the unseen digits their nearest neighbours in the team's collection name rightly."""
    answers = client.search(
        team.collection, data=unseen.pixels.tolist(), anns_field="pixels", limit=NEIGHBOURS, output_fields=["label"]
    )
    votes = [Counter(hit["entity"]["label"] for hit in hits).most_common(1)[0][0] for hits in answers]
    return float(np.mean(np.array(votes) == unseen.labels))


def refusal(client: MilvusClient, team: Team) -> str | None:
    """Search another team's collection, and return the reason for which that is refused, or None if it is not."""
    try:
        client.search(team.collection, data=[[0.0] * PIXELS], anns_field="pixels", limit=1)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.PERMISSION_DENIED:
            return str(error.details())
        raise
    return None


def report(client: MilvusClient, member: str, team: Team, unseen: Digits) -> bool:
    """Let one member search, print how that went, and tell whether all was as it should be."""
    fine = True
    print(f"{member} sees {', '.join(client.list_collections())}")
    found = accuracy(client, team, unseen.of(team))
    fine &= found > WANTED_ACCURACY
    print(f"  {team.collection}: {found:.1%} of {len(unseen.of(team).labels)} unseen digits recognised")
    for other in TEAMS:
        if other is not team:
            reason = refusal(client, other)
            fine &= reason is not None
            print(f"  {other.collection}: " + (f"refused, {reason}" if reason else "NOT REFUSED"))
    return fine


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Two teams share one server, and each searches its own collection only."
    )
    parser.add_argument("--uri", default="http://localhost:19530", help="the server (default: %(default)s)")
    parser.add_argument(
        "--token",
        default=os.environ.get("KITEWARD_TOKEN", "root:Milvus"),
        help="user:password of an administrator (default: KITEWARD_TOKEN, or that of a fresh server)",
    )
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Run the example; 0 if each team could search its own collection well and the other's not at all."""
    options = arguments(given)
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs refusals at length; here they are expected
    known, unseen = load()
    print(f"{len(known.labels) + len(unseen.labels)} digits of {PIXELS} pixels: {len(known.labels)} to search in")
    fine = True
    with closing(MilvusClient(uri=options.uri, token=options.token, dedicated=True)) as administrator:
        clean_up(administrator)
        try:
            tokens = {}
            for team in TEAMS:
                fill(administrator, team, known.of(team))
                tokens |= admit(administrator, team)
                print(
                    f"{team.name}: {len(known.of(team).labels)} in {team.collection}, for {' and '.join(team.members)}"
                )
            for team in TEAMS:
                for member in team.members:
                    with closing(MilvusClient(uri=options.uri, token=tokens[member], dedicated=True)) as client:
                        fine &= report(client, member, team, unseen)
        finally:
            clean_up(administrator)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
