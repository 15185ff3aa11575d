"""A live server with users in it, what a fuzzer may know of its state, and how requests reach it."""

import base64
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, Final, Protocol

from tests.fuzz import canaries
from tests.fuzz.channels import GrpcChannel, RestChannel
from tests.fuzz.embedded_contents import EmbeddedContents
from tests.fuzz.identities import RootClient, create_identities
from tests.fuzz.marked_engine import MarkedEngine
from tests.fuzz.requests import BROKEN_OFF, Answer, Sent, as_form, carried_out
from tests.support.gateway import quick_directory
from tests.support.listeners import LOOPBACK

from kiteward.api.health_settings import HealthSettings
from kiteward.authn.hashing import TESTING
from kiteward.bootstrap.server import Server, StartEngine
from kiteward.config.settings import Settings
from kiteward.engine.embedded.supervisor import EmbeddedEngine
from kiteward.store.sql import SqlStore

GET_VERSION: Final = "/milvus.proto.milvus.MilvusService/GetVersion"


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is there that the callers may not change.

    Attributes:
        policy: roles, grants and groups.
        users: users but for the callers, with what tells whether the password is another.
        keys: API keys of others.
        stored: what the engine holds beside the callers' own.
    """

    policy: object
    users: object
    keys: object
    stored: object

    def differences(self, other: "Inventory") -> str:
        """Return what is not the same, in words."""
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in self.__slots__)
        return "; ".join(f"{name}: {_beyond(one, two)}" for name, one, two in pairs if one != two)


def _beyond(before: Any, after: Any) -> str:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        return ", ".join(f"{name}: {before.get(name)} became {after.get(name)}" for name in changed)
    return f"{before} became {after}"


class Stored(Protocol):
    """What the engine holds.

    Attributes:
        own_names: names that callers have given to what is their own.
    """

    own_names: set[str]

    async def inventory(self) -> dict[str, object]:
        """Return what there is beside the callers' own."""
        ...


class Target:
    """A running server; made by `live`.

    Attributes:
        tokens: credential by caller, as clients write it; without one for a caller who shows none.
        key_ids: ids of the API keys that were created at the beginning.
        secrets: what no answer may hold.
    """

    def __init__(self, server: Server, store: SqlStore, stored: Stored) -> None:
        self._server = server
        self._store = store
        self._stored = stored
        self.tokens: dict[str, str] = {}
        self.key_ids: tuple[str, ...] = ()
        self.secrets: tuple[bytes, ...] = ()
        self._exempt: frozenset[str] = frozenset()
        self._written: set[str] = set()
        self._guarded: tuple[str, ...] = ()
        self._revision = -1
        self._administered: tuple[object, object, object] = (None, None, None)
        self._grpc = GrpcChannel(LOOPBACK, server.port)
        self._rest = RestChannel(LOOPBACK, server.port)

    @property
    def own_names(self) -> Collection[str]:
        """Names that callers have given to what is their own, and what they have written there."""
        return self._stored.own_names | self._written

    async def ask(self, requests: Sequence[Sent]) -> list[Answer]:
        """Send requests side by side and return their answers, in the same order."""
        answers: list[Answer] = [BROKEN_OFF] * len(requests)
        for rest in (False, True):
            places = [place for place, sent in enumerate(requests) if sent.rest is rest]
            prepared = [self._prepared(requests[place]) for place in places]
            for place, answer in zip(places, await (self._rest if rest else self._grpc).ask(prepared), strict=True):
                answers[place] = answer
                if requests[place].writes and carried_out(requests[place], answer):
                    self._written.update(word.decode() for word in canaries.MARKED.findall(requests[place].text))
        return answers

    async def all_authenticated(self, callers: Sequence[str]) -> bool:
        """Return whether the server is up and authenticates these callers."""
        answers = await self.ask([Sent(caller, GET_VERSION, b"") for caller in callers])
        return all(answer.status == 0 for answer in answers)

    async def inventory(self) -> Inventory:
        """Return what is there now."""
        revision = await self._store.revision()
        if revision != self._revision:
            self._administered, self._revision = await self._administration(), revision
        return Inventory(*self._administered, await self._stored.inventory())

    async def populate(self) -> None:
        """Make users, roles, grants and keys."""
        identities = await create_identities(RootClient(self.ask_as_root))
        self.tokens |= identities.tokens
        self.key_ids, self.secrets, self._exempt = identities.key_ids, identities.secrets, identities.exempt
        self._guarded = identities.key_ids[: identities.others]
        self._revision = -1
        self._written.clear()

    async def ask_as_root(self, path: str, payload: bytes) -> Answer:
        """Send one request of `root`."""
        self.tokens.setdefault("root", "root:Milvus")
        return (await self.ask([Sent("root", path, payload)]))[0]

    async def _administration(self) -> tuple[object, object, object]:
        """Return policy, users and keys; of the callers who own something only the roles."""
        policy = await self._store.policy()
        users = {
            user.name: ("roles", user.roles)
            if user.name in self._exempt
            else (user.credential_id, user.description, user.roles, user.enabled, user.one_time, user.previous)
            for user in await self._store.users()
        }
        known = {key.key_id: astuple(replace(key, used_at=None)) for key in await self._store.keys()}
        return (
            {"roles": policy.roles, "grants": policy.grants, "groups": policy.groups},
            users,
            {key_id: known.get(key_id) for key_id in self._guarded},
        )

    def _prepared(self, sent: Sent) -> Sent:
        """Return a request with its credential, and with the ids of keys in place of their placeholders."""
        for name, key_id in zip(canaries.KEY_IDS, self.key_ids, strict=False):
            if name.encode() in sent.payload:
                sent = replace(sent, payload=sent.payload.replace(name.encode(), key_id.encode()))
        sent = as_form(sent)
        token = self.tokens.get(sent.caller)
        if token is None:
            return sent
        value = f"Bearer {token}" if sent.rest else base64.b64encode(token.encode()).decode()
        return replace(sent, fields=(("authorization", value), *sent.fields))

    async def close(self) -> None:
        """Hang up."""
        await self._grpc.close()
        await self._rest.close()


@contextlib.asynccontextmanager
async def live() -> AsyncIterator[Target]:
    """Start a server with an engine in memory, on the loopback address, and stop it at the end."""
    engine = MarkedEngine()

    async def start(_: object) -> MarkedEngine:
        return engine

    async with _serving(start, lambda _: engine) as target:
        yield target


@contextlib.asynccontextmanager
async def live_embedded() -> AsyncIterator[Target]:
    """Start a server with the embedded engine."""
    async with _serving(EmbeddedEngine.start, EmbeddedContents) as target:
        yield target


@contextlib.asynccontextmanager
async def _serving(start: StartEngine, stock: Callable[[str], Stored]) -> AsyncIterator[Target]:
    async with contextlib.AsyncExitStack() as stack:
        directory = stack.enter_context(quick_directory())
        settings = Settings(data_dir=directory / "data", port=0, metrics=HealthSettings(enabled=False))
        server = await Server.start(settings, hashing=TESTING, start_engine=start)
        stack.push_async_callback(server.stop)
        store = await SqlStore.open(directory / "data" / "store.db")
        stack.push_async_callback(store.close)
        stored = stock(f"http://{LOOPBACK}:{server.port}")
        if isinstance(stored, EmbeddedContents):
            await stored.fill()
        target = Target(server, store, stored)
        stack.push_async_callback(target.close)
        await target.populate()
        yield target
