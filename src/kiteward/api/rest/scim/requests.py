"""Reads queries, conditions and bodies of SCIM requests."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.requests import Request

from kiteward.iam.json_api.scim import Listed
from kiteward.iam.scim.faults import invalid_syntax, invalid_value

SEARCH_URN: Final = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

MOST_CONTAINERS: Final = 300_000
"""Objects and lists in one body at most."""

_DEFAULT_COUNT: Final = 100
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,9}")
_TAG: Final = re.compile(r'(?:W/)?("[^"]*"|\*)')


@dataclass(frozen=True, slots=True)
class Projection:
    """Which attributes are returned (RFC 7644, 3.9), in lower case: only `wanted`, or all but `unwanted`."""

    wanted: frozenset[str] = frozenset()
    unwanted: frozenset[str] = frozenset()

    def leaves_out(self, attribute: str) -> bool:
        """Return whether no part of an attribute is returned."""
        name = attribute.lower()
        if self.wanted:
            return not any(each == name or each.startswith(f"{name}.") for each in self.wanted)
        return name in self.unwanted


@dataclass(frozen=True, slots=True)
class Search:
    """A list that is asked for."""

    listed: Listed
    projection: Projection


def projection_of(parameters: Mapping[str, Any]) -> Projection:
    """Return which attributes a query, or the body of a search, asks for.

    Raises:
        InvalidArgument: it gives both.
    """
    wanted, unwanted = (_names(parameters.get(name)) for name in ("attributes", "excludedAttributes"))
    if wanted and unwanted:
        raise invalid_syntax("`attributes` and `excludedAttributes` exclude each other: give one of them")
    return Projection(wanted, unwanted)


def search_of(parameters: Mapping[str, Any]) -> Search:
    """Return the list that a query, or the body of a search, asks for.

    Raises:
        InvalidArgument: a number is none, or the filter no text.
    """
    found = parameters.get("filter") or ""
    if not isinstance(found, str):
        raise invalid_syntax("`filter` must be a text")
    projection = projection_of(parameters)
    listed = Listed(
        filter=found,
        start=_number(parameters, "startIndex", 1),
        count=_number(parameters, "count", _DEFAULT_COUNT),
        members=not projection.leaves_out("members"),
    )
    return Search(listed, projection)


def versions_of(request: Request, header: str) -> list[str]:
    """Return the versions that a condition in a header names, as `meta.version` spells them, or `*`."""
    found = _TAG.findall(request.headers.get(header, ""))
    return [tag if tag == "*" else f"W/{tag}" for tag in found]


def object_of(raw: bytes | bytearray) -> dict[str, Any]:
    """Return the JSON object that a body is.

    Raises:
        InvalidArgument: it is none.
    """
    if raw.count(b"{") + raw.count(b"[") > MOST_CONTAINERS:
        raise invalid_syntax(f"the body holds more than {MOST_CONTAINERS} objects and lists")
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid_syntax("the body is no JSON") from None
    if not isinstance(body, dict):
        raise invalid_syntax("the body must be a JSON object")
    return body


def require_search(body: Mapping[str, Any]) -> None:
    """Require that a body is a search.

    Raises:
        InvalidArgument: it is none.
    """
    schemas = body.get("schemas")
    if not isinstance(schemas, list) or SEARCH_URN not in schemas:
        raise invalid_syntax(f"`schemas` must be a list with {SEARCH_URN}")


def _names(given: Any) -> frozenset[str]:
    """Return names of attributes in lower case, without the URN of their schema."""
    texts: Sequence[Any] = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else ()
    names = (str(each).strip().lower() for each in texts)
    return frozenset(name.rpartition(":")[2] for name in names if name)


def _number(parameters: Mapping[str, Any], name: str, default: int) -> int:
    given = parameters.get(name)
    if given is None:
        return default
    text = str(given)
    if isinstance(given, bool) or not _NUMBER.fullmatch(text):
        raise invalid_value(name, "must be a whole number")
    return int(text)
