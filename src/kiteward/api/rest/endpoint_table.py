"""The table of all REST endpoints, by path.

What declares an endpoint is imported when an endpoint beside it is first looked for: a command needs one of them, and a
server imports all when it starts.
"""

import importlib
import itertools
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from kiteward.api.rest.admin_api import endpoints_of
from kiteward.api.rest.endpoints import OWN_PREFIX, PREFIX, Endpoint, Table
from kiteward.domain.deferred import DeferredParts
from kiteward.iam.json_api import CONTENTS

_OF_MILVUS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "users": ("users",),
        "roles": ("roles",),
        "privilege_groups": ("privilege_groups",),
        "databases": ("databases",),
        "collections": ("collections", "create_collection", "alter_collection"),
        "partitions": ("partitions",),
        "indexes": ("indexes",),
        "aliases": ("aliases",),
        "entities": ("entities", "searches"),
        "jobs": ("jobs",),
        "cluster": ("cluster",),
    }
)
"""Category of Milvus's endpoints -> the modules of `kiteward.api.rest` that declare them; others are the cluster's."""

_OTHER: Final = "cluster"
_WITH_FORM: Final = "token_exchange"
"""The topic whose endpoint takes a form, which no operation declares."""

_OWN: Final = MappingProxyType({path: topic for topic, names in CONTENTS.items() for path in names.values()})


def table_of(endpoints: Iterable[Endpoint[Any]]) -> Table:
    """Return the endpoints by full path.

    Raises:
        ValueError: two have the same path.
    """
    table: dict[str, Endpoint[Any]] = {}
    for endpoint in endpoints:
        path = f"{endpoint.prefix}{endpoint.path}"
        if path in table:
            raise ValueError(f"endpoint `{endpoint.path}` is in the table twice")
        table[path] = endpoint
    return MappingProxyType(table)


def _part_of(path: str) -> str | None:
    """Return the part of the table that has a path, if any has: a prefix with a category of Milvus, or with a topic."""
    if path.startswith(OWN_PREFIX):
        topic = _OWN.get(path.removeprefix(OWN_PREFIX))
        return None if topic is None else f"{OWN_PREFIX}{topic}"
    category = path.removeprefix(PREFIX).partition("/")[0]
    return f"{PREFIX}{category if category in _OF_MILVUS else _OTHER}"


def _make(part: str) -> Table:
    topic = part.removeprefix(OWN_PREFIX)
    modules = _OF_MILVUS[part.removeprefix(PREFIX)] if topic == part else ("token_endpoint",) * (topic == _WITH_FORM)
    declared = [importlib.import_module(f"kiteward.api.rest.{module}").ENDPOINTS for module in modules]
    own = () if topic == part else endpoints_of(topic)
    return table_of((*own, *itertools.chain.from_iterable(declared)))


_PARTS: Final = (*(f"{PREFIX}{category}" for category in _OF_MILVUS), *(f"{OWN_PREFIX}{topic}" for topic in CONTENTS))

TABLE: Final[Table] = DeferredParts(_PARTS, _part_of, _make)
"""Every endpoint."""
