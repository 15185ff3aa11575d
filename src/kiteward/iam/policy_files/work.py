"""What a file changes: the changes that were found, what is wrong, and the one draft of all of it."""

import contextlib
import functools
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Protocol

from msgspec import UnsetType

from kiteward.audit.events import Event
from kiteward.authz.model import GrantKey
from kiteward.authz.policy import Condition, Decision, PolicySnapshot
from kiteward.domain.error_codes import ErrorDetail
from kiteward.domain.errors import AccessDenied, EngineError, RequestRefused
from kiteward.domain.identity import Principal
from kiteward.iam.caller import Caller
from kiteward.iam.policy_files.checking import text_of
from kiteward.iam.policy_files.document import PolicyLimits
from kiteward.iam.recorded_states import add_result
from kiteward.iam.row_policies import Place
from kiteward.iam.services import CollectionField, Collections, Services
from kiteward.store.draft import Draft
from kiteward.store.transaction import Transaction

_EXPRESSION: Final = re.compile(r"`(using|check)_expr`")
"""The arguments of Milvus's RPC that are `using` and `check` in a file."""


class Action(StrEnum):
    """What happens to an object, or to a part of it."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


class Kind(StrEnum):
    """What kind of object a file changes."""

    PRIVILEGE_GROUP = "privilegeGroup"
    ROLE = "role"
    USER = "user"
    ROW_POLICIES = "rowPolicies"
    GROUP_ROLE = "groupRole"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference of an object.

    Attributes:
        action: what happens to this part.
        what: the part: `description`, `role reader`, `tag team`.
        before, after: its values as text; empty where there is none, or the part says it all.
    """

    action: Action
    what: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What a file changes of one object.

    Attributes:
        action: what happens to it.
        kind: what it is.
        name: its name.
        differences: what differs.
        deletion: whether an object with a name is deleted, which has to be allowed.
    """

    action: Action
    kind: Kind
    name: str
    differences: tuple[Difference, ...] = ()
    deletion: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a file cannot be applied.

    Attributes:
        path: the place in the file, as text.
        message: what is wrong there.
        details: the same as codes, for programs.
    """

    path: str
    message: str
    details: tuple[ErrorDetail, ...]


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """One change, for the audit trail.

    Attributes:
        event: its kind.
        operation: the operation that makes this change alone.
        details: what it changes; never a secret.
    """

    event: Event
    operation: str
    details: Mapping[str, Any]


class PolicyCaller(Caller, Protocol):
    """A caller whose changes are recorded one by one."""

    @property
    def record_change(self) -> Callable[[RecordedChange], None]:
        """Add a change to those that the audit trail records besides the request when it has succeeded."""
        ...


class DraftCaller:
    """Lets services make their changes in a draft. Implements `Caller`."""

    def __init__(self, caller: PolicyCaller, draft: Draft) -> None:
        self._caller = caller
        self._transaction = draft.transaction
        self._snapshot = PolicySnapshot.compile(draft.policy)
        self.recorded: dict[str, Any] = {}

    @property
    def principal(self) -> Principal:
        return self._caller.principal

    @property
    def snapshot(self) -> PolicySnapshot:
        return self._snapshot

    @property
    def tentative(self) -> bool:
        return True

    @property
    def change(self) -> Callable[[], AbstractAsyncContextManager[Transaction]]:
        return lambda: contextlib.nullcontext(self._transaction)

    @property
    def record(self) -> Callable[..., None]:
        return functools.partial(add_result, self.recorded)

    def enforce(self, condition: Condition, decision: Decision, *, given: str) -> None:  # noqa: ARG002  see `Caller`
        decision.require_allowed()


class SeenCollections:
    """The collections of the engine, as a draft has seen them; it does not hold them. Implements `Collections`.

    Attributes:
        unseen: the collections as they are.
    """

    def __init__(self, collections: Collections) -> None:
        self.unseen = collections
        self._seen: dict[tuple[str, str], Mapping[str, CollectionField]] = {}

    @property
    def shared(self) -> bool:
        return self.unseen.shared

    def held(self) -> AbstractAsyncContextManager[None]:
        return contextlib.nullcontext()

    async def fields(self, database: str, name: str) -> Mapping[str, CollectionField]:
        if (database, name) not in self._seen:
            self._seen[database, name] = await self.unseen.fields(database, name)
        return self._seen[database, name]

    async def unchanged(self) -> bool:
        """Return whether they still have the fields that were seen. Raises EngineError."""
        try:
            return all([await self.unseen.fields(*name) == seen for name, seen in self._seen.items()])
        except RequestRefused:
            return False  # one of them is gone


@dataclass(slots=True)
class ObjectWork:
    """What was changed of one object so far; see `ObjectChange`."""

    action: Action = Action.CHANGE
    deletion: bool = False
    differences: list[Difference] = field(default_factory=list)


class Work:
    """The work on one file, in one draft.

    Attributes:
        services: what services work with.
        caller: makes changes in the draft.
        draft: the draft.
        transaction: its transaction.
        collections: the collections of the engine, as they were seen.
        records: what was changed, for the audit trail.
        faults: what cannot be changed, and why.
        places: the collections whose row policies the file is about, as it names them -> as the engine does.
        aliased: what is granted on aliases, as the file names it -> as it is stored, on the collection behind.
    """

    def __init__(self, services: Services, caller: PolicyCaller, draft: Draft) -> None:
        self.collections = SeenCollections(services.collections)
        self.services = replace(services, collections=self.collections)
        self.caller = DraftCaller(caller, draft)
        self.draft = draft
        self.transaction = draft.transaction
        self.records: list[RecordedChange] = []
        self.faults: list[Fault] = []
        self.places: dict[Place, Place] = {}
        self.aliased: dict[GrantKey, GrantKey] = {}
        self._objects: defaultdict[tuple[Kind, str], ObjectWork] = defaultdict(ObjectWork)

    @contextlib.contextmanager
    def at(self, *path: str | int) -> Iterator[None]:
        """Take note of what is refused in the block, as a fault at a place; the work goes on after the block."""
        try:
            yield
        except (RequestRefused, AccessDenied, EngineError) as error:
            told = _EXPRESSION.sub(r"`\1`", str(error))
            self.faults.append(Fault(text_of(path), told, error.details))

    @contextlib.asynccontextmanager
    async def recorded(self, event: Event, operation: str, **details: Any) -> AsyncIterator[None]:
        """Record the change that services make in the block, with what they add to its result."""
        self.caller.recorded = {}
        yield
        told = {"result": self.caller.recorded} if self.caller.recorded else {}
        self.records.append(RecordedChange(event, operation, {**details, **told}))

    def object(self, kind: Kind, name: str) -> ObjectWork:
        """Return what was changed of an object so far, to be added to."""
        return self._objects[kind, name]

    def changes(self) -> list[ObjectChange]:
        """Return what was changed, in the order of kinds and names; not objects of which nothing differs."""
        kinds = list(Kind)
        return [
            ObjectChange(held.action, kind, name, tuple(held.differences), held.deletion)
            for (kind, name), held in sorted(
                self._objects.items(), key=lambda item: (kinds.index(item[0][0]), item[0][1])
            )
            if held.action is not Action.CHANGE or held.differences
        ]


def of_sets(word: str, before: Collection[str], after: Collection[str]) -> list[Difference]:
    """Return the differences of two sets of names, each with a word for what they are."""
    lost = [Difference(Action.REMOVE, f"{word} {name}") for name in sorted(set(before) - set(after))]
    return [*lost, *(Difference(Action.ADD, f"{word} {name}") for name in sorted(set(after) - set(before)))]


def of_values(what: str, before: str, after: str) -> list[Difference]:
    """Return the difference of two values, if they differ."""
    if before == after:
        return []
    action = Action.ADD if not before else Action.CHANGE if after else Action.REMOVE
    return [Difference(action, what, before, after)]


def of_limits(before: PolicyLimits, after: PolicyLimits) -> list[Difference]:
    """Return the difference of limits, if they differ."""
    return of_values(
        "limits", *(", ".join(f"{name} {value:g}" for name, value in each) for each in _numbers(before, after))
    )


def _numbers(*limits: PolicyLimits) -> Iterator[list[tuple[str, float]]]:
    for each in limits:
        named = (
            ("requestsPerSecond", each.requests_per_second),
            ("burst", each.burst),
            ("concurrentRequests", each.concurrent_requests),
        )
        yield [(name, value) for name, value in named if not isinstance(value, UnsetType)]
