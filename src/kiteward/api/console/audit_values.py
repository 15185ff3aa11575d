"""What lines of the audit trail hold, as people read it: labels and values instead of JSON, in a page's language.

What a label stands for is said in the catalogues below `audit.detail.`. A name that has none there is shown as it is.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kiteward.api.console.language import Language

_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])[A-Z]")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$")
_OBJECTS: Final = ("object", "object_name", "collection_name", "collection")
_DATABASES: Final = ("database", "db_name")
_IDENTIFIER: Final = re.compile(r"(.+_)?(id|ids|digest)|expect|made_by_key")


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and what it stands for.

    Attributes:
        label: the label.
        values: one or several values; empty for none.
        identifies: whether they are identifiers that programs made, such as the id of a key.
    """

    label: str
    values: tuple[str, ...]
    identifies: bool = False

    @property
    def text(self) -> str:
        """The values as one text."""
        return ", ".join(self.values)


def facts_of(text: Language, details: Mapping[str, Any]) -> list[Fact]:
    """Return the details of a line as facts; what a change did, its `result`, follows after what was asked for."""
    facts = []
    for name, value in details.items():
        if name == "result" and isinstance(value, dict):
            facts += [each for each in facts_of(text, value) if each not in facts]
        else:
            values = _of_setting(text, name, value) or _values(text, value)
            facts.append(Fact(label_of(text, name), values, _IDENTIFIER.fullmatch(normal(name)) is not None))
    return facts


def label_of(text: Language, name: str) -> str:
    """Return the label of a detail."""
    return text.texts.get(f"audit.detail.{normal(name)}", name)


def normal(name: str) -> str:
    """Return the name of a detail as it is spelt in the catalogues: `userName` and `user_name` are the same."""
    return _CAPITAL.sub(lambda match: f"_{match[0]}", name).lower()


def _of_setting(text: Language, name: str, value: Any) -> tuple[str, ...]:
    """Return a value of a setting that has a name of its own in the catalogues; nothing for any other one."""
    said = text.texts.get(f"audit.value.{normal(name)}.{value}") if isinstance(value, str) else None
    return (said,) if said else ()


def _values(text: Language, value: Any) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(_value(text, each) for each in value)
    return () if value is None else (_value(text, value),)


def _value(text: Language, value: Any) -> str:
    match value:
        case None:
            return text("none")
        case bool():
            return text("yes") if value else text("no")
        case dict():
            return _grant(text, value) or "; ".join(_pairs(text, value)) or text("none")
        case list():
            return ", ".join(_value(text, each) for each in value) or text("none")
        case str() if _MOMENT.match(value):
            return value[:19].replace("T", " ")
        case _:
            return str(value)


def _grant(text: Language, value: Mapping[str, Any]) -> str:
    """Return a grant as one phrase; empty for anything else."""
    given = {normal(name): each for name, each in value.items()}
    if not isinstance(given.get("privilege"), str):
        return ""
    target = ".".join(_first(given, names) or "*" for names in (_DATABASES, _OBJECTS))
    phrase = text("audit.granted", privilege=given["privilege"], target=target)
    known = {"privilege", "object_type", "granted_by", *_OBJECTS, *_DATABASES}
    return "; ".join([phrase, *_pairs(text, {name: each for name, each in given.items() if name not in known})])


def _first(given: Mapping[str, Any], names: Iterable[str]) -> str:
    return next((str(given[name]) for name in names if given.get(name)), "")


def _pairs(text: Language, value: Mapping[str, Any]) -> list[str]:
    """Return the parts of a value, each with its label; a tag is its key and its value."""
    if value.keys() == {"key", "value"}:
        return [f"{_value(text, value['key'])} = {_value(text, value['value'])}"]
    return [text("audit.pair", label=label_of(text, name), value=_value(text, each)) for name, each in value.items()]
