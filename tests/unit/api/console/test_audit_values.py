"""Details of audit lines as people read them, in both languages."""

from typing import Any, get_args

import msgspec
import pytest
from msgspec.structs import fields as fields_of

from kiteward.api.console.audit_values import facts_of, normal
from kiteward.api.console.language import Language, catalogues
from kiteward.audit.events import AuditEvent
from kiteward.gateway.audit_details import Elements
from kiteward.gateway.operations import OPERATIONS
from kiteward.iam.json_api import ADMIN_OPERATIONS

TEXTS = catalogues()
OF_THE_LINE = {"event", "outcome", "details", "duration", "parts"}
"""Fields that the page of a line shows under another name, or in another place."""


def told(details: dict[str, Any], language: str = "en") -> list[tuple[str, str]]:
    return [(fact.label, fact.text) for fact in facts_of(TEXTS[language], details)]


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"userName": "emma"}, [("User", "emma")]),
        ({"roles": ["a", "b"]}, [("Roles", "a, b")]),
        ({"roles": []}, [("Roles", "")]),
        ({"enabled": True, "force": False}, [("Enabled", "Yes"), ("For everybody", "No")]),
        (
            {"grant": [{"privilege": "Search", "dbName": "d", "collectionName": "c", "objectType": ""}]},
            [("Grant", "Search on d.c")],
        ),
        ({"grants": [{"privilege": "All", "object": "*", "role": "r"}]}, [("Grants", "All on *.*; Role: r")]),
        ({"tags": {"team": "red", "area": "eu"}}, [("Tags", "team: red; area: eu")]),
        ({"tags": [{"key": "team", "value": "red"}]}, [("Tags", "team = red")]),
        ({"after": {"burst": 5, "limit": None}}, [("After", "Burst: 5; At most: None")]),
        ({"result": {"expiresAt": "2026-12-04T20:55:38Z"}}, [("Expires", "2026-12-04 20:55:38")]),
        ({"userName": "emma", "result": {"userName": "emma", "keyId": "k"}}, [("User", "emma"), ("API key", "k")]),
        ({"somethingNew": 5}, [("somethingNew", "5")]),
        (
            {"passwordPolicy": "standard", "secondFactor": "off"},
            [("Password policy", "Standard"), ("Second factor required of", "Nobody")],
        ),
        ({"name": "standard"}, [("Name", "standard")]),
    ],
)
def test_values_are_written_for_people(details: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert told(details) == expected


def test_values_are_in_the_language_of_the_page() -> None:
    details = {"enabled": True, "grant": [{"privilege": "Search", "dbName": "d", "collectionName": "c"}]}
    assert told(details, "zh") == [("已启用", "是"), ("授予", "d.c 上的 Search")]


def test_identifiers_that_programs_made_are_told_from_names() -> None:
    details = {"keyId": "k", "userName": "emma", "sessionId": "s", "keyIds": ["k"], "digest": "d", "madeByKey": "k"}
    identified = [fact.identifies for fact in facts_of(TEXTS["en"], {**details, "result": {"factorId": "f"}})]
    assert identified == [True, False, True, True, True, True, True]


def names_of(recorded: Any) -> set[str]:
    below = [names_of(place.fields) for place in recorded.values() if isinstance(place, Elements)]
    return set(recorded).union(*below)


def names_within(kind: Any) -> set[str]:
    """Return the names of all members of the structures that a type has, such as those of a list's elements."""
    parts = fields_of(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else ()
    within = (names_within(each) for each in (*get_args(kind), *(field.type for field in parts)))
    return {field.encode_name for field in parts}.union(*within)


@pytest.mark.parametrize("language", TEXTS.values(), ids=TEXTS)
def test_everything_that_changes_record_has_a_label(language: Language) -> None:
    names = set().union(*(names_of(row.recorded) for row in OPERATIONS.values() if row.recorded))
    for row in ADMIN_OPERATIONS.values():
        names |= {field.encode_name for field in fields_of(row.arguments)}
        if row.changes:
            fields = [field for field in fields_of(row.outcome) if field.encode_name not in row.unrecorded_results]
            names |= {name for field in fields for name in (field.encode_name, *names_within(field.type))}
    assert len(names) > 80
    assert [name for name in sorted(names) if f"audit.detail.{normal(name)}" not in language.texts] == []


def test_every_field_of_a_line_has_a_label() -> None:
    names = {*AuditEvent._fields, "kind", "code", "duration_ms"} - OF_THE_LINE
    assert [name for name in sorted(names) if f"audit.field.{name}" not in TEXTS["en"].texts] == []
