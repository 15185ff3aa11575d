"""Reads and writes policies as YAML, strictly: with the line of everything, and nothing that YAML guesses.

Text stays text unless it is a number, true, false or null as JSON has them. Tags, anchors and repeated keys are
refused.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from kiteward.iam.policy_files.checking import Path

LARGEST: Final = 8 * 1024 * 1024
"""Most bytes of a file."""

_DEEPEST: Final = 16
"""Most levels of a file; a policy has seven."""

_WORDS: Final[Mapping[str, Any]] = {"true": True, "false": False, "null": None, "~": None, "": None}
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_LONGEST_NUMBER: Final = 64
"""Most characters of a number."""

_WIDTH: Final = 120

_BREAKS: Final = frozenset("\x85\u2028\u2029")
"""Characters that end a line of YAML, but not one of JSON: they are written as escapes."""

# The parser in C is ten times as fast, and has the same results. It is missing where libyaml is.
_Loader: Final[type[Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class YamlFault:
    """What is wrong in a file.

    Attributes:
        line: its line, from 1.
        message: what is wrong, and what would be right.
    """

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A file that was read.

    Attributes:
        values: what it says, as plain values.
        lines: place -> its line, from 1: of a key, or of an entry of a list.
        faults: what is wrong in it.
    """

    values: Any
    lines: Mapping[Path, int]
    faults: tuple[YamlFault, ...]

    def line_of(self, path: Path) -> int:
        """Return the line of a place, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(text: str) -> YamlFile:
    """Return what a file says, with everything that is wrong in its form."""
    if len(text.encode()) > LARGEST:
        return YamlFile(None, {}, (YamlFault(1, f"the file is larger than {LARGEST // 1024 // 1024} MiB"),))
    try:
        fault = next(_forbidden(text), None)
        documents = [] if fault else list(yaml.compose_all(text, _Loader))
    except yaml.YAMLError as error:
        return YamlFile(None, {}, (_syntax_fault(error),))
    if fault:
        return YamlFile(None, {}, (fault,))
    if len(documents) != 1 or documents[0] is None:
        return YamlFile(None, {}, (YamlFault(1, "a policy is one document that begins with `version: 1`"),))
    reading = _Reading()
    values = reading.value(documents[0], ())
    return YamlFile(values, reading.lines, tuple(reading.faults))


def write(values: Mapping[str, Any]) -> str:
    """Return plain values as YAML, in their order."""
    return str(yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH))


class _Dumper(yaml.SafeDumper):
    """Writes lists inside maps with an indent, as people do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002  as its base has it
        super().increase_indent(flow, False)

    def represent_text(self, text: str) -> yaml.Node:
        """Quote what `read` would take for something else."""
        style = '"' if _BREAKS.intersection(text) else "'" if _is_special(text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def represent_number(self, number: float) -> yaml.Node:
        """Write whole numbers without a point."""
        return self.represent_int(int(number)) if number.is_integer() else self.represent_float(number)


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(float, _Dumper.represent_number)
_Dumper.add_multi_representer(dict, _Dumper.represent_dict)  # what a server answers is of a class of its own


def _forbidden(text: str) -> Iterator[YamlFault]:
    """Yield what YAML has and a policy has not, before anything is built of it."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        line = _line(event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            yield YamlFault(line, "this is nested deeper than any policy")
        elif isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            yield YamlFault(line, "anchors and aliases of YAML are not read: write it out")
        elif getattr(event, "tag", None):
            yield YamlFault(line, "tags of YAML are not read: leave `!` out, or put the text in quotes")


def _syntax_fault(error: yaml.YAMLError) -> YamlFault:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it has characters that YAML does not allow"
    return YamlFault(1 if mark is None else mark.line + 1, f"this is not YAML: {problem}")


class _Reading:
    """Builds plain values of nodes."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.faults: list[YamlFault] = []

    def value(self, node: yaml.Node, path: Path) -> Any:
        """Return the value of a node."""
        self.lines.setdefault(path, _line(node))
        if isinstance(node, yaml.MappingNode):
            return self._map(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(each, (*path, position)) for position, each in enumerate(node.value)]
        scalar = _scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(scalar, float) and math.isinf(scalar):
            self.faults.append(YamlFault(_line(node), "this number is larger than any in a policy"))
        return scalar

    def _map(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, each in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.faults.append(YamlFault(_line(key), "a key must be text"))
                continue
            name = str(key.value)
            here = (*path, name)
            if name in values:
                first = self.lines[here]
                self.faults.append(YamlFault(_line(key), f"`{name}` is here twice: it is in line {first} already"))
                continue
            self.lines[here] = _line(key)
            values[name] = self.value(each, here)
        return values


def _scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    if node.style or not _is_special(text):  # the parser in C has an empty style where nothing is quoted
        return text
    return _WORDS[text] if text in _WORDS else json.loads(text)


def _is_special(text: str) -> bool:
    """Return whether a text without quotes stands for something else than itself."""
    return text in _WORDS or (len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text) is not None)


def _line(part: yaml.Node | yaml.Event) -> int:
    return 1 if part.start_mark is None else int(part.start_mark.line) + 1
