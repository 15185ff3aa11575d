"""Names in docstrings resolve: classes, constants, functions with their modules, files, settings, RPCs."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from tests.support.python_sources import syntax_tree

from kiteward.authz.privileges import BUILT_IN_GROUPS, LEGACY_GROUPS, PRIVILEGES, ObjectType
from kiteward.config.keys import KEYS
from kiteward.milvus import messages

PROJECT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = PROJECT / "src"

_QUOTED: Final = re.compile(r"`([^`\n]+)`")
_CLASS: Final = re.compile(r"_?[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*")
_CONSTANT: Final = re.compile(r"_?[A-Z][A-Z0-9]*_[A-Z0-9_]+")
_DOTTED: Final = re.compile(r"_?[A-Za-z]\w*(?:\.\w+)+")

FOREIGN: Final = {
    "Authorization": "a header of HTTP",
    "Host": "a header of HTTP",
    "proxy.grpc.serverMaxRecvSize": "a setting of Milvus that is not read",
    "proxy.maxDimension": "a setting of Milvus that is not read",
    "quotaAndLimits.limits.topK": "a setting of Milvus that is not read",
    "extraConfigFiles.user.yaml": "a key of Milvus' Helm values",
    "milvus.yaml": "the configuration file of Milvus",
    "subprocess.PIPE": "a constant of the standard library",
    "ValidateDatabaseName": "a function of Milvus",
}
"""What is not ours: name -> what it is."""


class Names(ast.NodeVisitor):
    """What a module defines, imports, and gives its classes."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.found.add(node.name)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.found.add(node.name)
        self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.found.add(node.name)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.found.add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Store):
            self.found.add(node.attr)
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        self.found.add(node.arg)
        self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> None:
        self.found.add((node.asname or node.name).rpartition(".")[2])

    def visit_Constant(self, node: ast.Constant) -> None:
        """Take the values of enumerations and of literal types, which are names for those who send them."""
        if isinstance(node.value, str) and node.value.isidentifier():
            self.found.add(node.value)


@cache
def modules() -> dict[str, frozenset[str]]:
    """Return dotted module -> the names in it."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        names = Names()
        names.visit(syntax_tree(path.read_text("utf-8")))
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = frozenset(names.found)
    return found


@cache
def single_names() -> frozenset[str]:
    """Return every name that needs no qualifier: of the sources, the protocol and the privileges."""
    file = messages.descriptor_of(messages.ConnectRequest).file
    declared = ({*each.message_types_by_name, *each.enum_types_by_name} for each in (file, *file.dependencies))
    protocol = set(messages.METHODS).union(*declared)
    privileges = {*PRIVILEGES, *BUILT_IN_GROUPS, *LEGACY_GROUPS, *ObjectType, "All"}
    return frozenset().union(*modules().values(), protocol, privileges, FOREIGN)


def resolves(name: str, folder: Path) -> bool:
    """Return whether a name in a docstring of a module in `folder` resolves; anything that is not a name does."""
    if _CLASS.fullmatch(name) or _CONSTANT.fullmatch(name):
        return name in single_names()
    if name.endswith(".py"):
        return (folder / name).is_file() or (SOURCE / "kiteward" / name).is_file()
    if not _DOTTED.fullmatch(name):
        return True
    return name in FOREIGN or _is_setting(name) or _is_member(name) or _is_protocol(name)


def _is_setting(name: str) -> bool:
    return any(key.name == name or key.name.startswith(f"{name}.") for key in KEYS)


def _is_member(name: str) -> bool:
    """Return whether a name is a module, or has a module or class of ours and what is in it."""
    first, _, second = name.partition(".")
    if first.islower() and {first, second} <= single_names():
        return True  # a variable and what it has
    for module, names in modules().items():
        if f".{module}".endswith(f".{name}"):
            return True
        head, _, last = name.rpartition(".")
        owner, _, kind = head.rpartition(".")
        if last in names and (f".{module}".endswith(f".{head}") or (kind in names and f".{module}".endswith(owner))):
            return True
    return False


def _is_protocol(name: str) -> bool:
    """Return whether a name is a message of the protocol and a field of it, by name or number, or an enum."""
    package, _, last = name.rpartition(".")
    file = messages.descriptor_of(messages.ConnectRequest).file
    pool = file.pool
    for each in (file, *file.dependencies):
        message = each.message_types_by_name.get(package)
        if message is not None:
            return last in message.fields_by_name or last.isdecimal()
    try:
        pool.FindEnumTypeByName(f"milvus.proto.{package}.{last}")
    except KeyError:
        return False
    return True


def docstrings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yield docstrings, those that follow an assignment included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for each in node.body:
                if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
                    yield each.value


def unresolved(source: str, folder: Path) -> list[str]:
    """Return the names in the docstrings of a module that mean nothing."""
    quoted = (name for each in docstrings(syntax_tree(source)) for name in _QUOTED.findall(str(each.value)))
    return sorted({name for name in quoted if not resolves(name, folder)})


def test_every_name_in_a_docstring_resolves() -> None:
    found = {
        path.relative_to(SOURCE).as_posix(): names
        for path in sorted(SOURCE.rglob("*.py"))
        if (names := unresolved(path.read_text("utf-8"), path.parent))
    }
    assert found == {}


def test_name_that_means_nothing_is_found() -> None:
    folder = SOURCE / "kiteward" / "store"
    for name in (
        "StoreManager",
        "store.base.Shop",
        "shop.py",
        "kiteward.store.shop",
        "proxy.maxColour",
        "NO_SUCH_NAME",
    ):
        assert unresolved(f'"""What `{name}` does."""', folder) == [name]


def test_name_that_means_something_is_not() -> None:
    folder = SOURCE / "kiteward" / "store"
    for name in ("Store", "store.base.Store", "base.py", "kiteward.store.sql", "proxy.port", "FEED_LENGTH", "Search"):
        assert unresolved(f'"""What `{name}` does."""', folder) == []
