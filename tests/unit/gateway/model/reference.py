"""The reference: what every request must answer, by the contract and our decisions alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.unit.gateway.model.authorization import Authorizer, Policy
from tests.unit.gateway.model.world import World


@dataclass(frozen=True, slots=True)
class Step:
    """One request of one caller.

    Attributes:
        caller: the user that calls.
        password: what it presents.
        operation: RPC name.
        message: the decoded request.
        database: the connection's database.
    """

    caller: str
    password: str
    operation: str
    message: Any
    database: str = ""

    def __str__(self) -> str:
        text = " ".join(str(self.message).split())
        connection = f" over {self.database}" if self.database else ""
        return f"{self.caller}:{self.password}{connection} {self.operation}({text})"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request leads to.

    Attributes:
        verdict: `ok`, `status`, or the name of a gRPC status code.
        code: of a status, with
        legacy: its older form.
        content: what an answer tells, in a form that compares.
        forwarded: what reaches the engine: the database and the names, aliases resolved; None for nothing.
    """

    verdict: str
    code: int = 0
    legacy: int = 0
    content: Any = None
    forwarded: tuple[str, ...] | None = None


DENIED: Final = Outcome("PERMISSION_DENIED")
UNAUTHENTICATED: Final = Outcome("UNAUTHENTICATED")
DONE: Final = Outcome("ok")


def refused(code: int, legacy: int) -> Outcome:
    """Return the outcome of a request that a handler refuses."""
    return Outcome("status", code, legacy)


@dataclass(slots=True)
class User:
    """One user."""

    password: str
    description: str = ""
    roles: set[str] = field(default_factory=set)


def _has_unnamed_value(message: Any) -> bool:
    """Return whether a request holds a value of an enum that the protocol gives no name to [decision 0046]."""
    enums = (field for field in message.DESCRIPTOR.fields if field.enum_type is not None and not field.is_repeated)
    return any(getattr(message, field.name) not in field.enum_type.values_by_number for field in enums)


Rule = Callable[["Reference", Step, Authorizer], Outcome]


@dataclass(slots=True)
class Reference:
    """Everything that decides, as it must be after the steps so far.

    Attributes:
        rules: operation -> its rule, which also makes the change.
    """

    rules: Mapping[str, Rule]
    users: dict[str, User]
    world: World = field(default_factory=World)
    policy: Policy = field(default_factory=Policy)

    def expect(self, step: Step) -> Outcome:
        """Return what a step must lead to, and go on to the state after it."""
        user = self.users.get(step.caller)
        if user is None or user.password != step.password:
            return UNAUTHENTICATED
        if _has_unnamed_value(step.message):
            return refused(1100, 5)
        return self.rules[step.operation](self, step, Authorizer(self.policy, step.caller, user.roles))
