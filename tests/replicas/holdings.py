"""What one worker has in the store, and what is known of it."""

from collections.abc import Mapping
from itertools import count
from typing import Any, Final

from tests.replicas.model import Register
from tests.replicas.world import COLLECTION

_SPACING: Final = 10_000_000
"""Numbers of one worker; they begin with a digit other than 0, so that all have the same length."""


class Holdings:
    """A user with a role, an API key and a row policy.

    Attributes:
        numbers: yields numbers that nobody else has.
        values: name -> what is known of a value.
        second: whether there is a second API key.
        live_session: whether there is a session; it may also expire.
        key: the API key.
        second_key, second_key_id: one that is revoked soon.
        session: the cookie of a session at one server.
        session_at: the number of that server.
        abandoned: whether nobody knows any more what it has.
    """

    def __init__(self, number: int) -> None:
        self.numbers = count(_SPACING * (10 + number))
        self.user = f"user{number}"
        self.role = f"role{number}"
        self.key = ""
        self.second_key = ""
        self.second_key_id = ""
        self.session = ""
        self.session_at = 0
        self.abandoned = False
        self.values: Final[Mapping[str, Register[Any]]] = {
            "password": Register(f"Old-password-{self.user}"),
            "enabled": Register(True),
            "bound": Register(True),
            "granted": Register(True),
            "policy": Register(next(self.numbers)),
            "tag": Register(next(self.numbers)),
        }
        self.second: Register[bool] = Register(False)
        self.live_session: Register[bool] = Register(False)

    def register(self, name: str) -> Register[Any]:
        """Return what is known of a value."""
        return self.second if name == "second_key" else self.values[name]

    def request(self, name: str, value: Any) -> tuple[str, dict[str, Any]]:
        """Return path and body of the request that sets a value."""
        binding = {"userName": self.user, "roleName": self.role}
        requests = {
            "password": ("kiteward/users/reset_password", {"userName": self.user, "newPassword": value}),
            "enabled": (f"kiteward/users/{'enable' if value else 'disable'}", {"userName": self.user}),
            "bound": (f"vectordb/users/{'grant' if value else 'revoke'}_role", binding),
            "granted": ("kiteward/roles/change_grants", self._grants("grant" if value else "revoke")),
            "policy": ("kiteward/row_policies/update", self.policy(value)),
            "tag": ("kiteward/tags/set", {"userName": self.user, "tags": {"team": f"tag {value}"}}),
            "second_key": ("kiteward/api_keys/revoke", {"keyId": self.second_key_id}),
        }
        return requests[name]

    def preparations(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the requests that make everything but the API key, in their order."""
        user = {"userName": self.user, "password": self.values["password"].latest(), "roles": [self.role]}
        return [
            ("vectordb/roles/create", {"roleName": self.role}),
            ("kiteward/users/create", user),
            self.request("granted", True),
            ("kiteward/row_policies/create", self.policy(self.values["policy"].latest())),
            self.request("tag", self.values["tag"].latest()),
        ]

    def policy(self, number: int) -> dict[str, Any]:
        """Return the row policy, whose filter has a number and the tag of the user."""
        return {
            "collectionName": COLLECTION,
            "policyName": f"policy_of_{self.user}",
            "roles": [self.role],
            "actions": ["Query"],
            "policyType": "PERMISSIVE",
            "usingExpr": f"owner in ['policy {number}', $current_principal_tags['team']]",
        }

    def _grants(self, verb: str) -> dict[str, Any]:
        grant = {"privilege": "Query", "dbName": "default", "collectionName": COLLECTION}
        return {"roleName": self.role, verb: [grant]}
