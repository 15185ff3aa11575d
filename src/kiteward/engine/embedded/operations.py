"""How each RPC is executed: beside all others as a read, or as a write under which locks.

The server says at the start of the process which RPCs read and which write (`Access`); an RPC that it does not list is
not served. Which locks a write holds follows from the fields of its request. What these cannot say, a method of the
servicer declares with `executed`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeVar

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc

from kiteward.engine.base import Access
from kiteward.engine.embedded.database import ServedDatabase

# (database, collection). The catalogue of a database is locked by the empty collection name, which sorts first.
LockKey = tuple[str, str]

_Method = TypeVar("_Method", bound=Callable[..., Message])

_NAMES: Final = ("collection_name", "oldName", "newName", "alias")
_LISTS_OF_NAMES: Final = ("collection_names",)
"""Fields of requests that name collections, by name or alias."""

_DECLARED: Final = "declared_execution"


class Execution(Enum):
    """What a method of the servicer declares about its execution."""

    ON_THE_LOOP = auto()
    """It is a read that takes less time than handing it to a thread.

    It reads names at most, opens no file, and takes no lock once the aliases of a database have been read.
    """
    WITHOUT_EFFECT = auto()
    """It writes in Milvus and changes nothing here, so that it runs as a read."""
    LOCKS_CATALOG = auto()
    """It is a write that holds the catalogue of its database as well."""
    LOCKS_DATABASE = auto()
    """It is a write that holds every collection of its database, and its catalogue: none is created meanwhile."""


_OF_READS: Final = frozenset({Execution.ON_THE_LOOP})


def executed(how: Execution) -> Callable[[_Method], _Method]:
    """Declare how a method of the servicer is executed."""

    def declare(method: _Method) -> _Method:
        setattr(method, _DECLARED, how)
        return method

    return declare


@dataclass(frozen=True, slots=True)
class LockRule:
    """Which locks a write holds.

    Attributes:
        names: fields of the request that name one collection each.
        lists: fields of the request that name several.
        catalog: whether it holds the catalogue of its database, and each name as given besides what it stands for.
        database: whether it holds every collection of its database.
    """

    names: tuple[str, ...]
    lists: tuple[str, ...]
    catalog: bool
    database: bool

    def keys(self, database: ServedDatabase, name: str, request: Message) -> set[LockKey]:
        """Return the locks of a request.

        An alias is locked as its collection, which so cannot change midway.

        Args:
            database: what is served.
            name: the name of the request's database.
            request: a message that has the fields of this rule.
        """
        given: list[str] = [getattr(request, field) for field in self.names]
        for field in self.lists:
            given.extend(getattr(request, field))
        keys = {_resolved(database, name, each) for each in given}
        if self.catalog:
            keys.update((name, each) for each in ("", *given))
        if self.database and database.is_known(name):
            keys.update((name, each) for each in database.list_collections(database_name=name))
        return keys


@dataclass(frozen=True, slots=True)
class Rpc:
    """One RPC that is served.

    Attributes:
        name: its name in the Milvus service.
        request_type: the generated message class.
        locks: which locks it holds; None for a read.
        on_the_loop: whether it is executed on the event loop.
    """

    name: str
    request_type: type[Message]
    locks: LockRule | None
    on_the_loop: bool


def served_rpcs(servicer: type[object], listed: Mapping[str, Access]) -> Sequence[Rpc]:
    """Return the RPCs to serve: those that are listed and that the servicer implements.

    Args:
        servicer: the class that implements RPCs.
        listed: RPC name -> what it does to stored data.

    Raises:
        ValueError: a listed name is no RPC of the Milvus service, a write has no locks, or a declaration contradicts
            the list.
    """
    methods = milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"].methods_by_name
    unknown = sorted(listed.keys() - methods.keys())
    if unknown:
        raise ValueError(f"no such RPC: {', '.join(unknown)}")
    return [
        _rpc(name, GetMessageClass(methods[name].input_type), access, getattr(getattr(servicer, name), _DECLARED, None))
        for name, access in listed.items()
        if getattr(servicer, name) is not getattr(milvus_pb2_grpc.MilvusServiceServicer, name)
    ]


def _rpc(name: str, request_type: type[Message], access: Access, declared: Execution | None) -> Rpc:
    reads = access is Access.READ
    if declared is not None and (declared in _OF_READS) is not reads:
        raise ValueError(f"{name} is listed as a {access}, which cannot be executed as {declared.name}")
    if reads or declared is Execution.WITHOUT_EFFECT:
        return Rpc(name, request_type, locks=None, on_the_loop=declared is Execution.ON_THE_LOOP)
    fields = request_type.DESCRIPTOR.fields_by_name
    rule = LockRule(
        names=tuple(field for field in _NAMES if field in fields),
        lists=tuple(field for field in _LISTS_OF_NAMES if field in fields),
        catalog=access is Access.CATALOG_CHANGE or declared in (Execution.LOCKS_CATALOG, Execution.LOCKS_DATABASE),
        database=declared is Execution.LOCKS_DATABASE,
    )
    if not (rule.names or rule.lists or rule.catalog):
        raise ValueError(f"{name} is listed as a {access}, names no collection and declares no locks")
    return Rpc(name, request_type, locks=rule, on_the_loop=False)


def _resolved(database: ServedDatabase, name: str, collection: str) -> LockKey:
    if not database.is_known(name):
        return (name, collection)
    return (name, database.resolve_collection_name(collection, database_name=name))
