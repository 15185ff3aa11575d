"""JSON bodies with things changed: members lost, doubled, renamed, nested, and of other types."""

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.access.equivalence.random_values import Draw
from tests.fuzz import canaries

_VALUES: Final[Sequence[Any]] = (
    *(None, True, False, 0, -1, 1, 7, 2**31, 2**63, 2**64, -(2**63) - 1, 0.5, 1e308, -0.0, "", "0", "*", " ", "\x00"),
    *("ü", "\ud7ff", "x" * 300, [], [[]], {}, {"": ""}, [None], [{}], [0.1, 0.2], ["id"], {"params": {}}),
)
_NAMES_AND_VALUES: Final = (*canaries.NAMES, *_VALUES)
_MEMBERS: Final = (
    *("dbName", "collectionName", "collectionNames", "aliasName", "userName", "roleName", "privilege", "objectName"),
    *(
        "newCollectionName",
        "partitionName",
        "filter",
        "limit",
        "offset",
        "data",
        "search",
        "params",
        "keyId",
        "unknown",
    ),
)
_RAW: Final = (b"", b"null", b"[]", b'"text"', b"7", b"{", b"{}", b"\xff\xfe{}", b'{"a":}', b"{} {}", b"\xef\xbb\xbf{}")
_MOST_CHANGES: Final = 3
_DEPTH: Final = 40


def mutated(draw: Draw, document: Any) -> bytes:
    """Return a body made of a document with a few things changed."""
    if isinstance(document, bytes) or draw.chance(0.03):
        return draw.of(_RAW)
    changed = json.loads(json.dumps(document))
    for _ in range(draw.number(draw.of((1, 1, _MOST_CHANGES)))):
        draw.of(_CHANGES)(draw, changed)
    payload = json.dumps(changed, ensure_ascii=draw.chance(0.5)).encode(errors="replace")
    return _respelled(draw, payload) if draw.chance(0.15) else payload


def _respelled(draw: Draw, payload: bytes) -> bytes:
    """Double a member, cut the text, or change one byte of it."""
    kind = draw.number(3)
    if kind == 1 and payload.startswith(b"{") and len(payload) > 2:
        member = json.dumps({draw.of(_MEMBERS): draw.of(canaries.NAMES)})[1:-1].encode()
        return b"{" + member + b", " + payload[1:]
    if kind == 2:
        return payload[: draw.random.randrange(len(payload) + 1)]
    bent = bytearray(payload)
    if bent:
        bent[draw.random.randrange(len(bent))] = draw.random.randrange(256)
    return bytes(bent)


def _objects(value: Any) -> list[dict[str, Any]]:
    found = [value] if isinstance(value, dict) else []
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        found += _objects(each)
    return found


def _some_object(draw: Draw, document: Any) -> dict[str, Any]:
    """Return the document itself, or an object inside."""
    return document if draw.chance(0.6) else draw.of(_objects(document))


def _drop(draw: Draw, document: Any) -> None:
    held = _some_object(draw, document)
    if held:
        del held[draw.of(list(held))]


def _replace(draw: Draw, document: Any) -> None:
    held = _some_object(draw, document)
    if held:
        held[draw.of(list(held))] = copy.deepcopy(draw.of(_VALUES))


def _name(draw: Draw, document: Any) -> None:
    held = _some_object(draw, document)
    named = [name for name, value in held.items() if isinstance(value, str)]
    if named:
        held[draw.of(named)] = draw.of(canaries.NAMES)


def _add(draw: Draw, document: Any) -> None:
    _some_object(draw, document)[draw.of(_MEMBERS)] = copy.deepcopy(draw.of(_NAMES_AND_VALUES))


def _wrap(draw: Draw, document: Any) -> None:
    held = _some_object(draw, document)
    if held:
        name = draw.of(list(held))
        held[name] = [held[name]] if draw.chance(0.5) else {name: held[name]}


def _deepen(draw: Draw, document: Any) -> None:
    value: Any = copy.deepcopy(draw.of(_VALUES))
    for _ in range(draw.number(_DEPTH)):
        value = [value] if draw.chance(0.5) else {"x": value}
    _some_object(draw, document)[draw.of(_MEMBERS)] = value


def _respell(draw: Draw, document: Any) -> None:
    """Spell the name of a member in another case."""
    held = _some_object(draw, document)
    if held:
        name = draw.of(list(held))
        held[draw.of((name.upper(), name.lower(), f" {name}", f"{name}\x00"))] = held.pop(name)


_CHANGES: Final[Sequence[Callable[[Draw, Any], None]]] = (
    _drop,
    _replace,
    _replace,
    _name,
    _name,
    _name,
    _add,
    _wrap,
    _deepen,
    _respell,
)
