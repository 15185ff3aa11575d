"""What lines of the audit trail hold, as people read it: labels and values instead of JSON, in a page's language.

What a label stands for is said in the catalogues below `audit.detail.`, and values of a fixed set below `audit.value.`.
A name that has none there is shown as it is. The same rules hold at any depth of a value.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from kiteward.api.console.audit_reasons import in_language
from kiteward.api.console.language import Language
from kiteward.gateway.audit_details import NOT_RECORDED
from kiteward.milvus.messages import common_pb2, milvus_pb2, schema_pb2

_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])[A-Z]")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$")
_OBJECTS: Final = ("object", "object_name", "collection_name", "collection")
_DATABASES: Final = ("database", "db_name")
_IDENTIFIER: Final = re.compile(r"(.+_)?(id|ids|digest)|expect|made_by_key")
_PLACED: Final = re.compile(r"(?P<place>.+): (?P<code>[a-z_]+)", re.DOTALL)
"""A code of what applying a policy file warns of, behind the collection that it is about."""

_ELSEWHERE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "outcome": "audit.outcome",
        "scope": "audit.scope",
        "kind": "audit.kind",
        "sections": "audit.detail",
        "state": "key.state",
        "type": "row_policy.kind",
        "policy_type": "row_policy.kind",
    }
)
"""Details whose values have their words below another key."""

_NUMBERED: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "actions": milvus_pb2.RowPolicyAction,
        "consistency": common_pb2.ConsistencyLevel,
        "data_type": schema_pb2.DataType,
        "element_type": schema_pb2.DataType,
        "type": schema_pb2.FunctionType,
        "state": schema_pb2.FieldState,
    }
)
"""Details that are a number of an enumeration of Milvus, whose names are shown as Milvus spells them."""

_BY_NAME: Final = frozenset({"tags", "row_tags", "operations", "roles", "users", "privilege_groups", "policies"})
"""Details whose mappings have keys that people chose, or names of operations: no labels."""

_STATES_OF_TAGS: Final = frozenset({"before", "after"})
"""Details of a change of tags that are such mappings too."""

_ROW: Final = frozenset({"name", "changed", "refused", "details"})
"""What a change of many says about each of them."""


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


def facts_of(text: Language, details: Mapping[str, Any], *, of_tags: bool = False) -> list[Fact]:
    """Return the details of a line as facts; what a change did, its `result`, follows after what was asked for.

    Args:
        text: the language of the page.
        details: the details.
        of_tags: whether the line is a change of tags, whose states before and after it are tags.
    """
    words = _Words(text, _BY_NAME | _STATES_OF_TAGS if of_tags else _BY_NAME)
    facts = []
    for name, value in details.items():
        if name == "result" and isinstance(value, dict):
            facts += [each for each in facts_of(text, value, of_tags=of_tags) if each not in facts]
        else:
            identifies = _IDENTIFIER.fullmatch(normal(name)) is not None
            facts.append(Fact(label_of(text, name), words.values(normal(name), value), identifies))
    return facts


def label_of(text: Language, name: str) -> str:
    """Return the label of a detail."""
    return text.texts.get(f"audit.detail.{normal(name)}", name)


def normal(name: str) -> str:
    """Return the name of a detail as it is spelt in the catalogues: `userName` and `user_name` are the same."""
    return _CAPITAL.sub(lambda match: f"_{match[0]}", name).lower()


@dataclass(frozen=True, slots=True)
class _Words:
    """Writes values for people.

    Attributes:
        text: the language of the page.
        by_name: the details whose mappings have keys that people chose.
    """

    text: Language
    by_name: frozenset[str]

    def values(self, name: str, value: Any) -> tuple[str, ...]:
        """Return the value of a detail, or the values of its list."""
        if isinstance(value, list):
            return tuple(self._one(_of_element(name, each), each) for each in value)
        return () if value is None else (self._one(name, value),)

    def _one(self, name: str, value: Any) -> str:
        text = self.text
        match value:
            case None:
                return text("none")
            case bool():
                return text("yes") if value else text("no")
            case dict():
                return self._mapping(name, value) or text("none")
            case list():
                return text("audit.comma").join(self._within(_of_element(name, each), each) for each in value)
            case str() if value == NOT_RECORDED:
                return text("audit.value.not_recorded")
            case str() if _MOMENT.match(value):
                return value[:19].replace("T", " ")
            case _:
                return _word(text, name, value) or str(value)

    def _within(self, name: str, value: Any) -> str:
        """Return a part of a value; one that has parts itself is between brackets."""
        said = self._one(name, value)
        held = value if isinstance(value, dict) and not self._phrase(value) else ()
        return self.text("brackets", value=said) if len(held) > 1 else said

    def _mapping(self, name: str, value: Mapping[str, Any]) -> str:
        phrase = self._phrase(value)
        if phrase:
            return phrase
        labels = (lambda each: each) if name in self.by_name else (lambda each: label_of(self.text, each))
        parts = [(labels(key), self._within(normal(key), each)) for key, each in value.items() if not _is_empty(each)]
        return self._joined(self.text("audit.pair", label=label, value=said) for label, said in parts)

    def _phrase(self, value: Mapping[str, Any]) -> str:
        """Return what is said in a phrase: a grant, a tag, a reason, or one of many; empty for anything else."""
        text = self.text
        if value.keys() == {"key", "value"}:
            return f"{value['key']} = {self._one('value', value['value'])}"
        if value.keys() == _ROW:
            done = text("audit.changed" if value["changed"] else "audit.unchanged")
            refused = text("sentence.separator").join(map(self._phrase, value["details"])) or value["refused"]
            return text("audit.pair", label=value["name"], value=refused or done)
        if "code" in value and f"reason.{value['code']}" in text.texts:
            return text(f"reason.{value['code']}", **value.get("parameters", {})).replace("`", "")
        return self._grant(value)

    def _grant(self, value: Mapping[str, Any]) -> str:
        given = {normal(name): each for name, each in value.items()}
        if not isinstance(given.get("privilege"), str):
            return ""
        target = ".".join(_first(given, names) or "*" for names in (_DATABASES, _OBJECTS))
        phrase = self.text("audit.granted", privilege=given["privilege"], target=target)
        known = {"privilege", "object_type", "granted_by", *_OBJECTS, *_DATABASES}
        further = {name: each for name, each in given.items() if name not in known}
        return self._joined([phrase, *filter(None, [self._mapping("", further)])])

    def _joined(self, parts: Iterable[str]) -> str:
        return self.text("audit.semicolon").join(parts)


def _word(text: Language, name: str, value: str | float) -> str:
    """Return the word for a value of a fixed set; empty for any other value."""
    prefix = _ELSEWHERE.get(name)
    said = text.texts.get(f"audit.value.{name}.{value}") or text.texts.get(f"{prefix}.{normal(str(value))}")
    if said is not None:
        return said
    if isinstance(value, int) and name in _NUMBERED and value in _NUMBERED[name].values():
        return str(_NUMBERED[name].Name(value))
    placed = _PLACED.fullmatch(value) if name == "warnings" and isinstance(value, str) else None
    if placed and f"audit.value.warnings.{placed['code']}" in text.texts:
        return text("audit.pair", label=placed["place"], value=text(f"audit.value.warnings.{placed['code']}"))
    return in_language(text, value) if name == "subject_rejected" and isinstance(value, str) else ""


def _of_element(name: str, element: Any) -> str:
    """Return the name of an element of a list; a mapping has none, because only the list's own keys are chosen."""
    return "" if isinstance(element, dict) else name


def _is_empty(value: Any) -> bool:
    """Return whether a part of a value says nothing."""
    return value in ("", [], {})


def _first(given: Mapping[str, Any], names: Iterable[str]) -> str:
    return next((str(given[name]) for name in names if given.get(name)), "")
