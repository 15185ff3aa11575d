"""Everything that is wrong in the form of a file is found at once, with its place and what would be right."""

from typing import Any

import msgspec
import pytest

from kiteward.iam.policy_files import checking
from kiteward.iam.policy_files.document import PolicyDocument


def told(**sections: Any) -> dict[str, str]:
    return {checking.text_of(fault.path): fault.message for fault in checking.read({"version": 1, **sections})[1]}


def test_a_file_without_faults_is_read() -> None:
    document, faults = checking.read({"version": 1, "users": {"alice": {"limits": {"requestsPerSecond": 1}}}})
    assert faults == []
    assert isinstance(document, PolicyDocument)
    assert document.roles is msgspec.UNSET


def test_all_faults_are_found_at_once() -> None:
    assert told(
        roles={
            "reader": {
                "grnts": [],
                "grants": [{"privilege": 3}, {"colection": "x"}, {"privilege": "Query", "objectType": "collection"}],
                "limits": None,
            }
        },
        users=[],
        rowPolicies=[{"collection": "docs", "enforced": "yes", "policies": {"own": {"actions": []}}}],
        elephants={},
    ) == {
        "roles.reader.grnts": "is unknown: did you mean `grants`?",
        "roles.reader.grants[0].privilege": (
            "must be text (in quotes where it looks like a number, true, false or null), not a number"
        ),
        "roles.reader.grants[1].colection": "is unknown: did you mean `collection`?",
        "roles.reader.grants[1]": "lacks `privilege`",
        "roles.reader.grants[2].objectType": (
            "`collection` is not one of Collection, Global, User: did you mean `Collection`?"
        ),
        "roles.reader.limits": "has no value: a map is needed, or leave it out",
        "users": "must be a map ({} for none), not a list",
        "rowPolicies[0].enforced": "must be true or false, not text",
        "rowPolicies[0].policies.own.actions": "must not be empty",
        "elephants": (
            "is unknown: known here are `version`, `privilegeGroups`, `roles`, `users`, `rowPolicies`, `groupRoles`"
        ),
    }


@pytest.mark.parametrize(
    ("values", "path", "message"),
    [
        ({}, "", "lacks `version`"),
        ({"version": 2}, "version", "must be 1: this is the only version that is known here"),
        ({"version": True}, "version", "must be a whole number, not true or false"),
        ([], "", "must be a map, not a list"),
        (None, "", "has no value: a map is needed, or leave it out"),
    ],
)
def test_the_version_is_needed_and_known(values: Any, path: str, message: str) -> None:
    document, faults = checking.read(values)
    assert document is None
    assert [(checking.text_of(fault.path), fault.message) for fault in faults] == [(path, message)]
