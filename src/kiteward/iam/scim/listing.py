"""Lists of resources: by filter, a page at a time."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from kiteward.iam.scim.filters import Filter, parse_filter
from kiteward.iam.scim.matching import matches, required_values
from kiteward.iam.scim.schemas import ResourceSchema
from kiteward.store.scim_records import ScimSelection

MOST_LISTED: Final = 1000
"""Most resources of one page."""

_CHUNK: Final = 250
"""Resources that are read and compared before the event loop gets control again."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to list.

    Attributes:
        filter: a filter, or empty for all.
        start: the number of the first resource, counted from 1.
        count: most resources; less than 1 for their number alone.
        members: whether groups are listed with their members.
    """

    filter: str = ""
    start: int = 1
    count: int = 100
    members: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """A page of resources, and how many there are in all."""

    resources: Sequence[Mapping[str, Any]]
    total: int


class Documents(Protocol):
    """The resources of one type."""

    async def count(self) -> int:
        """Return how many there are."""
        ...

    async def read(self, selection: ScimSelection, found: Filter | None) -> Sequence[dict[str, Any]]:
        """Return resources as they are shown, sorted by id, with what a filter compares."""
        ...


async def listed(schema: ResourceSchema, documents: Documents, query: Query) -> Page:
    """Return a page of the resources that meet a filter, sorted by id.

    Raises:
        InvalidArgument: the filter cannot be read.
    """
    count, skipped = max(0, min(query.count, MOST_LISTED)), max(1, query.start) - 1
    if not query.filter.strip():
        page = await documents.read(ScimSelection(offset=skipped, limit=count), None) if count else ()
        return Page(page, await documents.count())
    found = parse_filter(schema, query.filter)
    total, page = 0, []
    async for document in _candidates(schema, documents, found):
        if matches(found, document):
            total += 1
            if skipped < total <= skipped + count:
                page.append(document)
    return Page(page, total)


async def _candidates(schema: ResourceSchema, documents: Documents, found: Filter) -> AsyncIterator[dict[str, Any]]:
    """Yield every resource that may meet a filter; indexes of the store find those with required values."""
    required = required_values(found)
    key = required.get("userName" if schema.attribute("userName") else "displayName")
    after = ""
    while True:
        selection = ScimSelection(
            key=key,
            external_id=required.get("externalId"),
            resource_id=required.get("id"),
            member=required.get("members.value"),
            after=after,
            limit=_CHUNK,
        )
        chunk = await documents.read(selection, found)
        for document in chunk:
            yield document
        if len(chunk) < _CHUNK:
            return
        after = chunk[-1]["id"]
        await asyncio.sleep(0)
