"""Random changes by an administrator: of policies, tags, role bindings, the switches of a collection, its segments."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from tests.access.equivalence.random_values import Draw
from tests.row_policies import wire
from tests.row_policies.model import Model
from tests.row_policies.operations import Ask, Place, shown
from tests.row_policies.rules import TAG_KEYS, Policy, Rules
from tests.row_policies.values import Pool

from kiteward.milvus import messages

ROOT: Final = "root"
_MOST_POLICIES: Final = 8
_FEWEST_POLICIES: Final = 3


class Change:
    """A request of an administrator, and what it does to the model once it is acknowledged."""

    alone = True

    def __init__(self, method: str, message: Any, apply: Callable[[], None]) -> None:
        """Set up a change.

        Args:
            method: an RPC, or one of our own endpoints.
            message: the request, or the body.
            apply: what it does to the model.
        """
        self._method = method
        self._message = message
        self.apply = apply

    async def run(self, ask: Ask) -> str:
        wrong = await self.send(ask)
        if not wrong:
            self.apply()
        return wrong

    async def send(self, ask: Ask) -> str:
        """Make the change, not in the model; return what was wrong, or nothing."""
        reply = await ask(ROOT, self._method, self._message)
        return "" if reply.carried_out else f"refused: {reply.reason}"

    def __str__(self) -> str:
        return f"{ROOT}: {self._method} {shown(self._message)}"


class Changes:
    """Draws changes of a collection's rules and of its users."""

    def __init__(
        self, model: Model, rules: Rules, pool: Pool, place: Place, *, users: Sequence[str], roles: Sequence[str]
    ) -> None:
        self._model = model
        self._rules = rules
        self._pool = pool
        self._place = place
        self._users = users
        self._roles = roles
        self._made = 0

    def draw(self, draw: Draw) -> Change:
        """Return a change."""
        if not self._model.enabled and draw.chance(0.4):
            return self.switch("rls.enabled", on=True)
        roll, policies = draw.random.random(), self._model.policies
        if len(policies) < _FEWEST_POLICIES or (roll < 0.3 and len(policies) < _MOST_POLICIES):
            return self.create(self.policy(draw))
        if roll < 0.45:
            return self._drop(draw.of(sorted(policies)))
        if roll < 0.7:
            return self._tag(draw)
        if roll < 0.85:
            return self._bind(draw)
        if roll < 0.93:
            return self.flush()
        return draw.of((self.switch("rls.enabled", on=False), self.switch("rls.force", on=not self._model.forced)))

    def draw_beside_writes(self, draw: Draw) -> Change:
        """Return a change that waits for no write: of tags, role bindings or policies."""
        roll = draw.random.random()
        if roll < 0.7:
            return self._tag(draw) if roll < 0.4 else self._bind(draw)
        policies = self._model.policies
        return self._drop(draw.of(sorted(policies))) if len(policies) > 1 else self.create(self.policy(draw))

    def policy(self, draw: Draw) -> Policy:
        """Return a policy with a name of its own."""
        self._made += 1
        return self._rules.policy(draw, f"p{self._made}", restrictive=draw.chance(0.12))

    def create(self, policy: Policy) -> Change:
        """Return the creation of a policy: by the RPC if that can."""
        using, check = policy.using.text if policy.using else "", policy.check.text if policy.check else ""

        def apply() -> None:
            self._model.policies[policy.name] = policy
            self._model.changed()

        if not policy.permissive:
            body = {
                "dbName": self._place.database,
                "collectionName": self._place.names[0],
                "policyName": policy.name,
                "policyType": "RESTRICTIVE",
                "actions": [action.name.capitalize() for action in sorted(policy.actions)],
                "roles": sorted(policy.roles),
                "usingExpr": using,
                "checkExpr": check,
            }
            return Change("row_policies/create", body, apply)
        message = self._message(
            "CreateRowPolicy",
            policy_name=policy.name,
            actions=sorted(policy.actions),
            roles=sorted(policy.roles),
            using_expr=using,
            check_expr=check,
            description="of a test",
        )
        return Change("CreateRowPolicy", message, apply)

    def switch(self, name: str, *, on: bool) -> Change:
        """Return the change of a property of the collection."""
        message = self._message("AlterCollection", properties=wire.pairs({name: "true" if on else "false"}))

        def apply() -> None:
            if name == "rls.enabled":
                self._model.enabled = on
            else:
                self._model.forced = on
            self._model.changed()

        return Change("AlterCollection", message, apply)

    def tagging(self, user: str, tags: dict[str, str]) -> Change:
        """Return the addition of tags."""
        message = _request("AddUserTags", user_name=user, tags=tags)
        return Change("AddUserTags", message, lambda: self._retag(user, tags))

    def flush(self) -> Change:
        """Return what makes a segment of the rows that are in memory."""
        message = _request("Flush", db_name=self._place.database, collection_names=[self._place.names[0]])
        return Change("Flush", message, lambda: None)

    def _drop(self, name: str) -> Change:
        def apply() -> None:
            del self._model.policies[name]
            self._model.changed()

        return Change("DropRowPolicy", self._message("DropRowPolicy", policy_name=name), apply)

    def _tag(self, draw: Draw) -> Change:
        user = draw.of(self._users)
        if draw.chance(0.6):
            return self.tagging(user, {key: draw.of(self._pool.tags) for key in draw.some(TAG_KEYS, 2)})
        keys = draw.some(TAG_KEYS, 2)
        message = _request("DeleteUserTags", user_name=user, tag_keys=keys)
        return Change("DeleteUserTags", message, lambda: self._retag(user, {}, without=keys))

    def _bind(self, draw: Draw) -> Change:
        user, role = draw.of(self._users), draw.of(self._roles)
        held = role in self._model.people[user].roles
        message = _request("OperateUserRole", username=user, role_name=role, type=1 if held else 0)

        def apply() -> None:
            self._of(user, lambda person: replace(person, roles=person.roles ^ {role}))

        return Change("OperateUserRole", message, apply)

    def _retag(self, user: str, tags: dict[str, str], *, without: Sequence[str] = ()) -> None:
        def retagged(person: Any) -> Any:
            kept = {key: value for key, value in person.tags.items() if key not in without}
            return replace(person, tags={**kept, **tags})

        self._of(user, retagged)

    def _of(self, user: str, change: Callable[[Any], Any]) -> None:
        self._model.people[user] = change(self._model.people[user])
        self._model.changed()

    def _message(self, operation: str, **fields: Any) -> Any:
        return _request(operation, db_name=self._place.database, collection_name=self._place.names[0], **fields)


def _request(operation: str, **fields: Any) -> Any:
    return messages.method_of(operation).request(**fields)
