"""What audit events can hold: names of details and their fixed values, as operations and sources declare them."""

import ast
import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
from msgspec.structs import fields as fields_of
from tests.support.python_sources import syntax_tree

import kiteward
from kiteward.domain.identity import Secret
from kiteward.gateway.audit_details import Elements, paths_of
from kiteward.gateway.operations import OPERATIONS
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.milvus import messages
from kiteward.milvus.messages import schema_pb2

_SOURCE: Final = Path(kiteward.__file__).parent
_LAYERS: Final = ("gateway", "iam", "authn", "audit", "bootstrap")
_RECORDING: Final = frozenset({"note_system_event", "store_system_event", "_system", "record", "note", "recorded"})
"""Functions whose keyword arguments are recorded."""

_OF_THE_EVENT: Final = frozenset({"error", "whole"})
_PARTS_OF_SCHEMAS: Final = ("CollectionSchema", "FieldSchema", "FunctionSchema", "StructArrayFieldSchema")


def _structures(kind: Any, seen: frozenset[type] = frozenset()) -> Iterator[type[msgspec.Struct]]:
    """Return the structures that a type has, such as the elements of a list."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in seen:
        yield kind
        for field in fields_of(kind):
            yield from _structures(field.type, seen | {kind})
    for each in get_args(kind):
        yield from _structures(each, seen)


@functools.cache
def _fields() -> Sequence[msgspec.structs.FieldInfo]:
    """Return the fields of our own operations that are recorded, also those of structures within them."""
    found: list[msgspec.structs.FieldInfo] = []
    for row in ADMIN_OPERATIONS.values():
        recorded = list(fields_of(row.arguments))
        if row.changes:
            recorded += [each for each in fields_of(row.outcome) if each.encode_name not in row.unrecorded_results]
        within = {kind for field in recorded for kind in _structures(field.type)}
        found += [*recorded, *(field for kind in within for field in fields_of(kind))]
    return found


def of_own_operations() -> set[str]:
    """Return the names of details of our own operations."""
    return {field.encode_name for field in _fields()}


def texts_of_own_operations() -> set[str]:
    """Return the names of those that are texts, or lists of texts."""
    return {field.encode_name for field in _fields() if _has(field.type, str)}


def _has(kind: Any, wanted: type) -> bool:
    return kind is wanted or any(_has(each, wanted) for each in get_args(kind))


def of_rpcs() -> set[str]:
    """Return the names of details of RPCs, and those of schemas."""
    names = set().union(*(_names(row.recorded) for row in OPERATIONS.values() if row.recorded))
    schemas = (schema_pb2.DESCRIPTOR.message_types_by_name[name] for name in _PARTS_OF_SCHEMAS)
    return names.union(*((field.name for field in each.fields) for each in schemas))


def _names(recorded: Mapping[str, Any]) -> set[str]:
    below = [_names(place.fields) for place in recorded.values() if isinstance(place, Elements)]
    return set(recorded).union(*below)


def numbers_of_rpcs() -> dict[str, set[int]]:
    """Return the details of RPCs that are enumerations of Milvus, with their numbers; a single 0 is not recorded."""
    found: dict[str, set[int]] = {}
    for operation, row in OPERATIONS.items():
        for name, place in (row.recorded or {}).items():
            field = _at(messages.descriptor_of(messages.method_of(operation).request), paths_of(place)[0])
            if field is not None and field.enum_type is not None:
                found.setdefault(name, set()).update(
                    each.number for each in field.enum_type.values if each.number or field.is_repeated
                )
    for kind in _PARTS_OF_SCHEMAS:
        for field in schema_pb2.DESCRIPTOR.message_types_by_name[kind].fields:
            if field.enum_type is not None:
                found.setdefault(field.name, set()).update(each.number for each in field.enum_type.values)
    return found


def _at(descriptor: Any, path: str) -> Any:
    name, _, below = path.partition(".")
    field = descriptor.fields_by_name[name]
    return _at(field.message_type, below) if below and field.message_type is not None else field


def enumerations_of_own_operations() -> dict[str, set[str]]:
    """Return the details of our own operations that are enumerations, and secrets, of which one text is recorded."""
    found: dict[str, set[str]] = {}
    for field in _fields():
        for kind in _enumerations(field.type):
            found.setdefault(field.encode_name, set()).update(str(each.value) for each in kind)
    for row in ADMIN_OPERATIONS.values():
        for field in fields_of(row.outcome) if row.changes else ():
            if _has(field.type, Secret) and field.encode_name not in row.unrecorded_results:
                found.setdefault(field.encode_name, set()).add("issued")
    return found


def _enumerations(kind: Any) -> Iterable[type[Enum]]:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [kind]
    return [found for each in get_args(kind) for found in _enumerations(each)]


@dataclass(frozen=True, slots=True)
class _Source:
    """One source: its calls, its assignments by the name of the variable, and its functions by their names."""

    calls: list[ast.Call]
    stored: Mapping[str, list[Any]]
    functions: Mapping[str, list[ast.FunctionDef]]

    @classmethod
    def of(cls, text: str) -> "_Source":
        calls, stored, functions = [], defaultdict(list), defaultdict(list)
        for node in ast.walk(syntax_tree(text)):
            if isinstance(node, ast.Call):
                calls.append(node)
            elif isinstance(node, ast.FunctionDef):
                functions[node.name].append(node)
            elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    stored[ast.unparse(target).partition("[")[0]].append(node)
        return cls(calls, stored, functions)


@functools.cache
def of_sources() -> Mapping[str, frozenset[str]]:
    """Return the names of details that sources record by hand -> the texts that they give as values."""
    paths = [path for layer in _LAYERS for path in (_SOURCE / layer).rglob("*.py")]
    sources = [_Source.of(path.read_text("utf-8")) for path in paths]
    public: dict[str, list[ast.FunctionDef]] = defaultdict(list)
    for each in sources:
        for name, functions in each.functions.items():
            public[name] += [] if name.startswith("_") else functions
    found: dict[str, set[str]] = {}
    for source in sources:
        for name, value in _given(source, public):
            if name not in _OF_THE_EVENT:
                found.setdefault(name, set()).update({value.value} if _is_text(value) else ())
    return {name: frozenset(values) for name, values in found.items()}


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _given(source: _Source, public: Mapping[str, list[ast.FunctionDef]]) -> Iterator[tuple[str, Any]]:
    for call in source.calls:
        name = _name(call)
        for each in call.keywords:
            if name == "AuditEvent" and each.arg == "details":
                yield from _pairs(each.value)
            elif name in _RECORDING:
                if each.arg is not None:
                    yield each.arg, each.value
                yield from _held(each.value, source, public)


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _held(value: ast.expr, source: _Source, public: Mapping[str, list[ast.FunctionDef]]) -> Iterator[tuple[str, Any]]:
    """Return what an expression holds that is recorded: a mapping, that of a variable, or what a function returns."""
    stored = source.stored.get(value.id, []) if isinstance(value, ast.Name) else []
    for node in [value, *(each.value for each in stored if each.value is not None)]:
        yield from _pairs(node)
        for name in {_name(call) for call in ast.walk(node) if isinstance(call, ast.Call)}:
            for function in source.functions.get(name, public.get(name, ())):
                yield from _pairs(function)
    for node in stored:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
            yield str(target.slice.value), node.value


def _pairs(node: ast.AST) -> Iterator[tuple[str, Any]]:
    for each in ast.walk(node):
        for key, value in zip(each.keys, each.values, strict=True) if isinstance(each, ast.Dict) else ():
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, value
