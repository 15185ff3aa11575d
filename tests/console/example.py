"""A small company of made-up people, for the pictures of the walk-through: the same users and rows each time."""

import math
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from pymilvus import DataType, MilvusClient

ROOT: Final = "root:Milvus"
PASSWORD: Final = "Spokes-and-gears-7"
"""The password of everybody here, once root has changed the default one."""

ADMINISTRATOR: Final = "mira"

ROLES: Final = {
    "support_reader": "Reads and searches the support articles",
    "support_editor": "Writes support articles",
    "shop_search": "The search of the web shop",
    "analyst": "Reads everything in the database default",
}
"""Role -> description."""

GRANTS: Final = (
    ("support_reader", "Query", "articles"),
    ("support_reader", "Search", "articles"),
    ("support_editor", "CollectionReadWrite", "articles"),
    ("shop_search", "CollectionReadOnly", "products"),
    ("analyst", "CollectionReadOnly", "*"),
)
"""(role, privilege, collection)."""

USERS: Final = {
    "aiko": ("Support, Kyoto", ("support_editor",)),
    "lars": ("Support, Malmö", ("support_reader",)),
    "mira": ("Runs this server", ("admin",)),
    "nightly_import": ("Nightly job", ("support_editor",)),
    "noor": ("Product team", ("analyst", "shop_search")),
    "old_report": ("Not in use", ("analyst",)),
    "priya": ("Support, Pune", ("support_reader",)),
    "shop": ("The web shop", ("shop_search",)),
    "tomas": ("Joins next month", ()),
}
"""User -> description and roles. `old_report` is disabled."""

ARTICLES: Final = (
    ("Fitting a headlight", "everyone"),
    ("Why a rear light flickers", "everyone"),
    ("Charging the light's battery", "everyone"),
    ("Recall of light model L-20", "lars"),
    ("Adjusting a disc brake", "everyone"),
    ("Bleeding hydraulic brakes", "aiko"),
    ("Squealing brake pads", "everyone"),
    ("Complaint 4711: brake lever", "aiko"),
    ("Replacing a chain", "everyone"),
    ("Indexing the gears", "everyone"),
    ("Gear hub warranty cases", "aiko"),
    ("Chain wear limits", "everyone"),
    ("Choosing a tyre width", "everyone"),
    ("Mending a puncture", "everyone"),
    ("Tyre batch T-0912 returns", "lars"),
    ("Tubeless conversion", "everyone"),
)
"""(title, owner): four articles each of lights, brakes, drive and tyres."""


@dataclass(frozen=True, slots=True)
class Example:
    """The server of that company.

    Attributes:
        uri: its address.
        client: sends the requests.
    """

    uri: str
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def ask(self, path: str, token: str = f"root:{PASSWORD}", **body: Any) -> Any:
        """Ask REST below `/v2/`, and return what a request that succeeds is answered with."""
        answer = self.send(path, token, **body)
        assert answer["code"] == 0, answer
        return answer["data"]

    def send(self, path: str, token: str, **body: Any) -> Any:
        """Ask REST below `/v2/`, and return the answer, which may be a refusal."""
        head = {"Authorization": f"Bearer {token}", "User-Agent": "shop/2.4"}
        return self.client.post(f"{self.uri}/v2/{path}", json=body, headers=head).json()

    def fill(self) -> None:
        """Make everything, on a server on which nothing was made before; the password of root is changed."""
        self.ask("vectordb/users/update_password", ROOT, userName="root", password="Milvus", newPassword=PASSWORD)
        self._collections()
        for role, description in ROLES.items():
            self.ask("vectordb/roles/create", roleName=role, description=description)
        for role, privilege, collection in GRANTS:
            grant = {"privilege": privilege, "collectionName": collection, "dbName": "default"}
            self.ask("vectordb/roles/grant_privilege_v2", roleName=role, **grant)
        for user, (description, roles) in USERS.items():
            made: dict[str, Any] = {"password": PASSWORD, "description": description, "roles": list(roles)}
            self.ask("kiteward/users/create", userName=user, **made)
        self.ask("kiteward/users/disable", userName="old_report")
        policy: dict[str, Any] = {"actions": ["Query", "Search"]}
        policy["usingExpr"] = "owner in ['everyone', $current_principal]"
        self.ask("kiteward/row_policies/create", collectionName="articles", policyName="own_or_public", **policy)
        self.ask("kiteward/row_policies/enable", collectionName="articles")

    def refused(self) -> None:
        """Have a request refused: the newest one of the audit trail."""
        self.send("vectordb/entities/delete", f"lars:{PASSWORD}", collectionName="articles", filter="id == 4")

    def minute(self, number: int) -> None:
        """Send the requests of one minute of an ordinary morning."""
        for step in range(10 + round(8 * math.sin(number / 9)) + number % 5):
            user, collection = (("shop", "products"), ("priya", "articles"), ("lars", "articles"))[step % 3]
            body = {"collectionName": collection, "data": [vector(step)], "limit": 3, "annsField": "vector"}
            self.send("vectordb/entities/search", f"{user}:{PASSWORD}", **body)
        if number % 7 == 3:
            self.send("vectordb/entities/query", f"shop:{PASSWORD}", collectionName="articles", filter="id > 0")
        if number % 20 == 11:
            self.send("vectordb/collections/list", "tomas:forgotten")

    def _collections(self) -> None:
        client = MilvusClient(uri=self.uri, token=f"root:{PASSWORD}", dedicated=True)
        rows = [
            {"id": number, "title": title, "owner": owner, "vector": vector(number - 1)}
            for number, (title, owner) in enumerate(ARTICLES, 1)
        ]
        for name in ("articles", "products", "manuals"):
            schema = client.create_schema()
            schema.add_field("id", DataType.INT64, is_primary=True)
            schema.add_field("title", DataType.VARCHAR, max_length=200)
            schema.add_field("owner", DataType.VARCHAR, max_length=32)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
            index = client.prepare_index_params()
            index.add_index("vector", index_type="FLAT", metric_type="COSINE")
            client.create_collection(name, schema=schema, index_params=index)
            client.insert(name, rows)
        client.close()


def vector(number: int) -> list[float]:
    """Return the vector of an article, counted from 0: articles on one subject are near one another."""
    subject, nuance = divmod(number % len(ARTICLES), 4)
    return [1.0 if place == subject else round(0.1 * math.cos(nuance + 2 * place), 3) for place in range(8)]
