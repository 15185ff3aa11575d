"""Reads and writes at full speed while policies, tags, role bindings and the switches of a collection change.

Every request is decided by the rules of one moment between its beginning and its end: never by rules whose change was
acknowledged before it began.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tests.access.equivalence.random_values import Draw
from tests.row_policies.cases import Case
from tests.row_policies.model import Model
from tests.row_policies.operations import Reply, refused
from tests.row_policies.rules import Action
from tests.row_policies.target import Client, Target, serving
from tests.row_policies.wire import Key
from tests.row_policies.writes import Write

_READERS: Final = 8
_WRITERS: Final = 6
_CASE: Final = 20_000
"""Requests of one case; then there are other rows, policies and users."""

_KEPT: Final = 2_000
"""States that are remembered: more than there are changes during one request."""

_MOST_ROWS: Final = 40
"""Rows that a writer has at most, about."""


@dataclass(frozen=True, slots=True)
class State:
    """The rules after a change.

    Attributes:
        seen: keys that each caller may query and search, of the rows that nobody writes.
        rules: the rules, without rows.
    """

    seen: Mapping[str, frozenset[Key]]
    rules: Model


@dataclass(slots=True)
class History:
    """The rules before the first change and after each.

    Attributes:
        states: the latest ones.
        made: how many there have been.
        acknowledged: number of the latest one whose change was acknowledged.
    """

    states: deque[State] = field(default_factory=lambda: deque(maxlen=_KEPT))
    made: int = 0
    acknowledged: int = 0

    def add(self, state: State) -> None:
        """Add the rules after a change that is about to be made."""
        self.states.append(state)
        self.made += 1

    def wrong(self, first: int, fits: Callable[[State], bool]) -> str:
        """Return why an answer is wrong, in words.

        Args:
            first: the state that was acknowledged when the request began.
            fits: whether the answer is that of a state.
        """
        numbered = list(enumerate(self.states, self.made - len(self.states)))
        assert numbered[0][0] <= first, "too many changes during one request"
        fitting = [number for number, state in numbered if fits(state)]
        if any(number >= first for number in fitting):
            return ""
        if fitting:
            return f"decided by the rules of change {fitting[-1]}, although change {first} was acknowledged before"
        return f"decided by the rules of no one change from {first} on"


async def changes_during_requests(requests: int, seed: int, tell: Callable[[int], None]) -> tuple[int, str]:
    """Run the race; return how many requests were made, and what was wrong.

    Args:
        requests: reads and writes.
        seed: of the first case.
        tell: is called with the number of requests from time to time.
    """
    done = 0
    async with serving() as target:
        while done < requests:
            race = _Race(Case(seed + done // _CASE), target, min(_CASE, requests - done))
            wrong = await race.run()
            done += race.done
            tell(done)
            if wrong:
                return done, wrong
    return done, ""


class _Race:
    def __init__(self, case: Case, target: Target, requests: int) -> None:
        self._case = case
        self._target = target
        self._left = requests
        self._history = History()
        self._writers: list[_Writer] = []
        self.done = 0
        self.over = False

    async def run(self) -> str:
        """Set the case up, run readers and writers beside the changes, and clear up."""
        async with self._target.client() as client, contextlib.AsyncExitStack() as stack:
            await self._case.prepare(client)
            self._note()
            clients = [await stack.enter_async_context(self._target.client()) for _ in range(_READERS + _WRITERS)]
            for each in clients:
                each.adopt(client)
            self._writers = [_Writer(self._case, self._target, number) for number in range(_WRITERS)]
            changer = asyncio.create_task(self._change(client))
            loops = [self._repeat(each, number) for number, each in enumerate(clients)]
            wrong = await asyncio.gather(*loops)
            self.over = True
            wrong += [await changer, "" if any(wrong) else await self._differences()]
            await self._case.finish(client)
        return next((each for each in wrong if each), "")

    def _note(self) -> None:
        self._history.add(State(self._case.seen(), self._case.rules()))

    async def _change(self, client: Client) -> str:
        """Change the rules again and again."""
        draw = Draw(self._case.seed)
        while not self.over:
            change = self._case.draw_change(draw)
            change.apply()
            self._note()
            wrong = await change.send(client.ask)
            if wrong:
                self.over = True
                return f"{change}: {wrong}"
            self._history.acknowledged = self._history.made - 1
        return ""

    async def _repeat(self, client: Client, number: int) -> str:
        """Make requests again and again; the first clients read, the others write."""
        draw = Draw(self._case.seed + number + 1)
        while self._left > 0 and not self.over:
            self._left -= 1
            self.done += 1
            if number < _READERS:
                wrong = await self._read(client, draw)
            else:
                wrong = await self._writers[number - _READERS].write(client, draw, self._history)
            if wrong:
                self.over = True
                return wrong
        return ""

    async def _read(self, client: Client, draw: Draw) -> str:
        caller, action, message = self._case.draw_plain_read(draw)
        first = self._history.acknowledged
        reply = await client.ask(caller, action.name.capitalize(), message)
        wrong = refused(reply)
        if not wrong:
            keys = self._case.known(self._case.keys_in(action, reply.message))
            wrong = self._history.wrong(first, lambda state: state.seen[f"{caller} {action}"] == keys)
        return f"{caller}: {action.name}: {wrong}" if wrong else ""

    async def _differences(self) -> str:
        """Return how what is stored differs from what was written, in words."""
        every = Model(self._case.schema)
        every.stored = self._case.stored()
        for writer in self._writers:
            every.stored.update(writer.model.stored)
        wrong = every.differences(await self._target.stored(self._case.database, self._case.collection))
        return f"wrongly written: {wrong}" if wrong else ""


class _Writer:
    """Writes rows under keys that nobody else writes, one request after the other."""

    def __init__(self, case: Case, target: Target, number: int) -> None:
        self._case = case
        self._target = target
        self.model, self._writes = case.writer(number)

    async def write(self, client: Client, draw: Draw, history: History) -> str:
        """Make one write; return what was wrong."""
        caller = self._case.draw_caller(draw)
        known = sorted(self.model.stored, key=str)
        if known and (len(known) > _MOST_ROWS or draw.chance(0.3)):
            return await self._delete(client, caller, draw.some(known, 3), history)
        operation: Any = self._writes.draw_rows(draw, caller)
        assert isinstance(operation, Write)
        first = history.acknowledged
        reply = await client.ask(caller, operation.method, operation.message)
        wrong = history.wrong(first, lambda state: self._fits(operation, reply, state))
        if not wrong and reply.carried_out:
            wrong = operation.store(reply, operation.rows_after(self.model), self.model)
        told = "written" if reply.carried_out else reply.reason
        return f"{operation}: {told}: {wrong}" if wrong else ""

    def _fits(self, operation: Write, reply: Reply, state: State) -> bool:
        model = replace(state.rules, stored=self.model.stored, _seen={})
        forbidden = operation.forbidden(model)
        return not forbidden if reply.carried_out else bool(forbidden or operation.unchecked(model))

    async def _delete(self, client: Client, caller: str, keys: list[Key], history: History) -> str:
        message = self._writes.deletion(keys)
        first = history.acknowledged
        reply = await client.ask(caller, "Delete", message)
        wrong = refused(reply)
        if wrong:
            return f"{caller}: Delete {keys}: {wrong}"
        name = self._case.schema.key.name
        rows = await self._target.stored(self._case.database, self._case.collection, message.expr)
        gone = set(keys) - {row[name] for row in rows}

        def fits(state: State) -> bool:
            return gone == {
                key for key in keys if state.rules.allowed(caller, Action.DELETE, self.model.stored[key].row)
            }

        wrong = history.wrong(first, fits)
        for key in gone:
            del self.model.stored[key]
        self.model.changed()
        return f"{caller}: Delete {keys} deleted {sorted(gone, key=str)}: {wrong}" if wrong else ""
