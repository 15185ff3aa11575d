"""The JSON Schema of a file: the published one is current, accepts what is accepted, and describes every field."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from kiteward.iam.policy_files import checking
from kiteward.iam.policy_files.document import SCHEMA_FILE, schema

DOCUMENTS = Path(__file__).parents[4] / "docs"
PUBLISHED = DOCUMENTS / SCHEMA_FILE

VALID: list[dict[str, Any]] = [
    {"version": 1},
    {"version": 1, "users": {}, "roles": {}, "privilegeGroups": {}, "rowPolicies": [], "groupRoles": []},
    {
        "version": 1,
        "privilegeGroups": {"team": {"privileges": ["Search", "CollectionReadOnly"]}},
        "roles": {
            "reader": {
                "description": "reads",
                "grants": [
                    {"privilege": "team"},
                    {"privilege": "*", "database": "default", "collection": "docs", "objectType": "Collection"},
                ],
                "limits": {"requestsPerSecond": 0.5, "burst": 3, "concurrentRequests": 2},
            }
        },
        "users": {
            "alice": {"enabled": False, "roles": ["reader"], "tags": {"team": "red"}, "limits": {}},
            "bob": {"identity": {"issuer": "https://login.example", "subject": "4711"}},
            "carol": {"scim": True},
        },
        "rowPolicies": [
            {
                "collection": "docs",
                "enforced": True,
                "force": False,
                "policies": {"own": {"type": "RESTRICTIVE", "actions": ["Insert"], "check": "true", "roles": []}},
            }
        ],
        "groupRoles": [{"issuer": "scim", "group": "staff-*", "pattern": True, "role": "reader"}],
    },
]

INVALID: list[dict[str, Any]] = [
    {},
    {"version": 2},
    {"version": 1, "user": {}},
    {"version": 1, "users": None},
    {"version": 1, "users": {"alice": {"password": "secret"}}},
    {"version": 1, "users": {"alice": {"roles": "reader"}}},
    {"version": 1, "users": {"alice": {"tags": {"team": 3}}}},
    {"version": 1, "roles": {"reader": {"grants": [{"collection": "docs"}]}}},
    {"version": 1, "roles": {"reader": {"limits": {"burst": "many"}}}},
    {"version": 1, "rowPolicies": [{"collection": "docs", "policies": {"own": {"actions": []}}}]},
    {"version": 1, "rowPolicies": [{"collection": "docs", "policies": {"own": {"actions": ["Read"]}}}]},
    {"version": 1, "groupRoles": [{"issuer": "scim", "group": "staff"}]},
]


def test_the_published_schema_is_the_one_of_the_command_line() -> None:
    assert json.loads(PUBLISHED.read_text()) == schema()


@pytest.mark.parametrize("values", VALID)
def test_what_is_accepted_is_valid(values: dict[str, Any]) -> None:
    assert checking.read(values)[1] == []
    jsonschema_rs.validate(schema(), values)


@pytest.mark.parametrize("values", INVALID)
def test_what_is_refused_is_not_valid(values: dict[str, Any]) -> None:
    assert checking.read(values)[1]
    assert not jsonschema_rs.is_valid(schema(), values)


def test_every_field_has_a_description_and_no_part_takes_others() -> None:
    for name, part in schema()["$defs"].items():
        if part.get("type") != "object":
            continue
        assert part["description"], name
        assert part["additionalProperties"] is False
        for field, described in part["properties"].items():
            assert described.get("description"), f"{name}.{field}"


def rows(part: str, place: str) -> Iterator[str]:
    """Return the rows of the table of fields, of a part and of what is below it."""
    known = schema()["$defs"]
    for field, described in known[part]["properties"].items():
        path = f"{place}{field}"
        required = " Required." if field in known[part].get("required", []) else ""
        default = f" Default: `{described['default']}`." if described.get("default") else ""
        yield f"| `{path}` | {described['description']}{required}{default} |"
        for below, joined in (("additionalProperties", ".NAME."), ("items", "[].")):
            yield from _below(described.get(below, {}), path + joined)
        for each in (described, *described.get("anyOf", [])):
            yield from _below(each, f"{path}.")


def _below(described: Any, place: str) -> Iterator[str]:
    part = described.get("$ref", "").rpartition("/")[2]
    if part and schema()["$defs"][part].get("type") == "object":
        yield from rows(part, place)


def test_every_field_is_in_the_table_of_the_document() -> None:
    table = (DOCUMENTS / "policy-as-code.md").read_text().partition("| --- | --- |\n| `version` ")
    assert ("| `version` " + table[2]).splitlines() == list(rows("PolicyDocument", ""))


def test_the_example_of_the_document_is_valid() -> None:
    text = (DOCUMENTS / "policy-as-code.md").read_text()
    example = text.partition("```yaml\n")[2].partition("```")[0]
    values = yaml.safe_load(example)
    assert checking.read(values)[1] == []
    jsonschema_rs.validate(schema(), values)
