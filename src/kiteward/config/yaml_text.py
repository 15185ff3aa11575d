"""Reads YAML. It is loaded where there is some: most commands have neither a configuration file nor lists to read."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml


class NotYaml(ValueError):
    """A text is not YAML; as text it is the place, empty if that is not known."""


def document_of(text: str) -> tuple[Any, Mapping[str, int]]:
    """Return a document, None if there is none, and the number of the line of each dotted key in it.

    Raises:
        NotYaml: it cannot be read. The parser's message is dropped: it shows a part of the text, which may be secret.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        lines = dict(_lines(node, "", set()))
        document = None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise NotYaml("" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}") from None
    finally:
        loader.dispose()
    return document, lines


def _lines(node: yaml.Node | None, prefix: str, seen: set[int]) -> Iterator[tuple[str, int]]:
    """Yield each dotted key below a node with the number of its line; what is referred to again, where it is first."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, each in enumerate(node.value):
            yield from _lines(each, f"{prefix.removesuffix('.')}[{number}].", seen)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield f"{prefix}{key.value}", key.start_mark.line + 1
                yield from _lines(value, f"{prefix}{key.value}.", seen)
