"""Ids that were returned in responses, and the collection that each belongs to.

Some requests select by id instead of by name. An id that the engine has returned for a collection is authorized as that
collection. Any other id selects an object that is not known here.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from kiteward.milvus import messages

_CAPACITY: Final = 100_000
"""Most ids that are kept; the oldest are removed first."""

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "collectionID": "collection",
        "collection_id": "collection",
        "compactionID": "compaction",
        "segmentIDs": "segment",
    }
)
"""Field that selects by id -> the kind of object. Other ids are not kept."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The collection that an id belongs to."""

    database: str
    collection: str


Ids = Iterable[tuple[str, int, str]]
"""Kind of an id, the id, and the collection it belongs to."""

IdsOf = Callable[[bytes, tuple[str, ...]], Ids]
"""Returns the ids in a serialised response, given the collections that the request was about."""


class ObjectIds:
    """The ids of collections, segments and compactions that were returned.

    INVARIANT: no id outlives the name of its collection. A change that drops or renames a collection calls `forget`
    before and after, and a response to a request that was in flight meanwhile is ignored.
    """

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._owners: OrderedDict[tuple[str, int], Owner] = OrderedDict()
        self._forgotten = 0

    def mark(self) -> int:
        """Return the mark that `learn` takes with the response to a request that is sent now."""
        return self._forgotten

    def learn(
        self,
        answer: bytes,
        *,
        ids_of: IdsOf,
        database: str,
        collections: tuple[str, ...],
        mark: int,
    ) -> None:
        """Keep the ids in a response.

        Args:
            answer: the response of an RPC that succeeded.
            ids_of: returns the ids in such a response.
            database: the database of the request.
            collections: the collections of the request, aliases resolved.
            mark: what `mark` returned before the engine was called.
        """
        if mark != self._forgotten:
            return
        for kind, number, collection in ids_of(answer, collections):
            if not number:
                continue  # it selects nothing
            self._owners.pop((kind, number), None)
            self._owners[kind, number] = Owner(database, collection)
        while len(self._owners) > self._capacity:
            self._owners.popitem(last=False)

    def owner(self, path: str, given: int | str) -> Owner | None:
        """Return the collection that the id in a request's field belongs to, or None if it is not known here."""
        return None if isinstance(given, str) else self._owners.get((KINDS.get(path, ""), given))

    def keep(self, holds: Callable[[str, int, str, str], bool]) -> None:
        """Remove the ids that no longer belong to their collection.

        Args:
            holds: returns whether an id does, by its kind, the id, and the database and name of its collection.
        """
        gone = [
            (kind, number)
            for (kind, number), owner in self._owners.items()
            if not holds(kind, number, owner.database, owner.collection)
        ]
        for key in gone:
            del self._owners[key]

    def forget(self, database: str, collection: str | None) -> None:
        """Remove the ids of a collection, or for None of all collections of a database."""
        self._forgotten += 1
        gone = [
            key
            for key, owner in self._owners.items()
            if owner.database == database and collection in (None, owner.collection)
        ]
        for key in gone:
            del self._owners[key]


def of_described_collection(answer: bytes, _: tuple[str, ...]) -> Ids:
    """Return the id in a response of DescribeCollection."""
    response = messages.read_response(messages.DescribeCollectionResponse, answer)
    if response.collection_name in response.aliases:
        return []  # Milvus 2.3 returns the name as given, which has become an alias
    return [("collection", response.collectionID, response.collection_name)]


def of_listed_collections(answer: bytes, _: tuple[str, ...]) -> Ids:
    """Return the ids in a response of ShowCollections."""
    response = messages.read_response(messages.ShowCollectionsResponse, answer)
    return [
        ("collection", number, name)
        for name, number in zip(response.collection_names, response.collection_ids, strict=False)
    ]


def of_flushed_segments(answer: bytes, _: tuple[str, ...]) -> Ids:
    """Return the ids of segments in a response of Flush."""
    response = messages.read_response(messages.FlushResponse, answer)
    return [
        ("segment", number, name)
        for segments in (response.coll_segIDs, response.flush_coll_segIDs)
        for name, numbers in segments.items()
        for number in numbers.data
    ]


def of_compaction(answer: bytes, collections: tuple[str, ...]) -> Ids:
    """Return the id in a response of ManualCompaction."""
    response = messages.read_response(messages.ManualCompactionResponse, answer)
    return [("compaction", response.compactionID, name) for name in collections]


def of_persistent_segments(answer: bytes, collections: tuple[str, ...]) -> Ids:
    """Return the ids in a response of GetPersistentSegmentInfo."""
    response = messages.read_response(messages.GetPersistentSegmentInfoResponse, answer)
    return [("segment", info.segmentID, name) for info in response.infos for name in collections]


def of_query_segments(answer: bytes, collections: tuple[str, ...]) -> Ids:
    """Return the ids in a response of GetQuerySegmentInfo."""
    response = messages.read_response(messages.GetQuerySegmentInfoResponse, answer)
    return [("segment", info.segmentID, name) for info in response.infos for name in collections]
