"""Details of audit lines as people read them, in both languages."""

import inspect
import re
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import fields as fields_of
from tests.unit.api.console.recorded_details import (
    enumerations_of_own_operations,
    numbers_of_rpcs,
    of_own_operations,
    of_rpcs,
    of_sources,
    texts_of_own_operations,
)

import kiteward
from kiteward.api.console.audit_values import facts_of, normal
from kiteward.api.console.language import Language, catalogues
from kiteward.audit.events import AuditEvent
from kiteward.audit.reader import KINDS, OUTCOMES
from kiteward.authn.local_sign_in import LocalSignIn
from kiteward.authn.password_policy import POLICIES
from kiteward.authn.second_factor.rules import RequiredOf
from kiteward.authz.row_policies import PolicyType
from kiteward.config.engine_keys import EMBEDDED
from kiteward.config.store_keys import FILE
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.second_factors import FactorKind
from kiteward.gateway.audit_details import NOT_RECORDED
from kiteward.iam.json_api.limits import HolderKind
from kiteward.iam.many import KeyChange, UserChange
from kiteward.iam.policy_files.document import PolicyDocument
from kiteward.iam.row_policies import warnings_of
from kiteward.store.intent_records import IntentKind
from kiteward.store.listings import KeyState, UserState

TEXTS = catalogues()
OF_THE_LINE = {"event", "outcome", "details", "duration", "parts"}
"""Fields that the page of a line shows under another name, or in another place."""


def told(details: dict[str, Any], language: str = "en") -> list[tuple[str, str]]:
    return [(fact.label, fact.text) for fact in facts_of(TEXTS[language], details)]


def done(name: str, *, changed: bool = True) -> dict[str, Any]:
    return {"name": name, "changed": changed, "refused": "", "details": []}


def refused(name: str) -> dict[str, Any]:
    detail = {"code": "user_not_found", "parameters": {"name": name}, "quoted": ""}
    return {"name": name, "changed": False, "refused": "as the gateway says it", "details": [detail]}


NOT_ENFORCED = "d.c: There are row policies, and they are not enforced"


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
        (
            {
                "userNames": ["boss", "eve"],
                "change": "disable",
                "result": {"rows": [done("boss"), done("eve", changed=False)]},
            },
            [("Users", "boss, eve"), ("Change", "Disable"), ("Result", "boss: changed, eve: no change")],
        ),
        ({"rows": [refused("eve")]}, [("Result", "eve: There is no user eve.")]),
        (
            {"before": {"policy": "own", "type": "RESTRICTIVE", "actions": ["Query"], "roles": [], "check_expr": ""}},
            [("Before", "Policy: own; Type: Restrictive; Actions: Query")],
        ),
        (
            {"users": [{"user": "ann", "roles": ["a", "b"]}], "roles": [{"role": "r", "description": ""}]},
            [("Users", "User: ann; Roles: a, b"), ("Roles", "Role: r")],
        ),
        (
            {"policy": {"version": 1, "roles": {"role": {"grants": [{"privilege": "Query", "database": "d"}]}}}},
            [("Policy", "Version: 1; Roles: role: Grants: Query on d.*")],
        ),
        (
            {"policy": {"users": {"ann": {"tags": {"user": "x"}, "limits": {"burst": 2, "requestsPerSecond": 1}}}}},
            [("Policy", "Users: ann: (Tags: user: x; Limits: (Burst: 2; Requests per second: 1))")],
        ),
        (
            {"schema": {"fields": [{"name": "v", "data_type": 101, "type_params": [{"key": "dim", "value": "4"}]}]}},
            [("Schema", "Fields: (Name: v; Data type: FloatVector; Type parameters: dim = 4)")],
        ),
        ({"removed": 1, "consistency": 2}, [("Removed", "Yes"), ("Consistency", "Bounded")]),
        ({"properties": [{"key": "token", "value": NOT_RECORDED}]}, [("Properties", "token = Not recorded")]),
        (
            {"sections": ["groupRoles"], "kind": "api_key"},
            [("Sections", "Roles of groups"), ("Kind", "Changes of API keys")],
        ),
        ({"warnings": ["d.c: row_policies_not_enforced"]}, [("Warnings", NOT_ENFORCED)]),
        (
            {"limits": {"rate": 3}, "operations": {"Query": 3}},
            [("Limits", "Requests per second: 3"), ("Operations", "Query: 3")],
        ),
    ],
)
def test_values_are_written_for_people(details: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert told(details) == expected


def test_values_are_in_the_language_of_the_page() -> None:
    details = {"enabled": True, "grant": [{"privilege": "Search", "dbName": "d", "collectionName": "c"}]}
    assert told(details, "zh") == [("已启用", "是"), ("授予", "d.c 上的 Search")]
    details = {
        "change": "disable",
        "before": {"burst": 1, "grants": {"a": 1, "b": 2}},
        "result": {"rows": [done("eve")]},
    }
    assert told(details, "zh") == [
        ("更改", "停用"),
        ("之前", "突发请求数：1；授权：（a：1；b：2）"),  # noqa: RUF001  Chinese
        ("结果", "eve：已更改"),  # noqa: RUF001  Chinese
    ]


def test_identifiers_that_programs_made_are_told_from_names() -> None:
    details = {"keyId": "k", "userName": "emma", "sessionId": "s", "keyIds": ["k"], "digest": "d", "madeByKey": "k"}
    identified = [fact.identifies for fact in facts_of(TEXTS["en"], {**details, "result": {"factorId": "f"}})]
    assert identified == [True, False, True, True, True, True, True]


def test_names_of_tags_are_no_labels() -> None:
    details = {"tags": {"user": "x"}, "result": {"before": {"role": "y"}, "after": {"user": "x"}}}
    found = [(fact.label, fact.text) for fact in facts_of(TEXTS["en"], details, of_tags=True)]
    assert found == [("Tags", "user: x"), ("Before", "role: y"), ("After", "user: x")]


FIXED: dict[str, set[str]] = {
    "change": {*UserChange, *KeyChange},
    "kind": {*KINDS, *FactorKind},
    "proved_by": {*FactorKind},
    "outcome": {*OUTCOMES},
    "state": {*UserState, *KeyState},
    "holder": {*HolderKind},
    "because": {*IntentKind},
    "policy_type": {*PolicyType},
    "sections": {field.encode_name for field in fields_of(PolicyDocument)} - {"version"},
    "warnings": set(
        re.findall(
            r"row_policies_\w+",
            " ".join(ErrorCode[name] for name in re.findall(r"ErrorCode\.(\w+)", inspect.getsource(warnings_of))),
        )
    ),
    "local_sign_in": {*LocalSignIn},
    "second_factor": {*RequiredOf},
    "password_policy": {*POLICIES},
    "store": {FILE},
    "engine": {EMBEDDED},
    "of": {"unauthenticated callers"},
}
"""Details that sources record as texts of a fixed set, by their names in the catalogues."""

CHOSEN: Final = (
    "add added by_user_name check check_expr collection collection_name collection_names contains database db_name "
    "description digest display_name expect expires_at factor_id factors file files filter granted granted_to "
    "grants group group_id group_roles host id issuer issuers kept_roles key_id key_ids keys label made_by_key "
    "members name networks object object_name objects other_role_name path policies policy policy_name prefix "
    "primary_keys privilege privilege_group_name privilege_groups privileges remove renamed replica request_id "
    "resource role role_name roles row_policies row_tags scim_id scim_user_name session_id sha256 shows source "
    "subject super_users tags target_user_name to to_database to_object user user_name user_names users using "
    "using_expr value version versions"
)
"""Details that are names and texts that people chose, ids, moments and addresses: they stay as they are."""

OF_MILVUS: Final = frozenset(
    {"action", "actions", "object_type", "operation", "operations", "sort", "subject_token_type"}
)
"""Details of a fixed set whose values are names of Milvus, of its protocol, of fields of REST, or of a standard."""

REASONS: Final = frozenset({"refused", "subject_rejected"})
"""Details that are reasons, said by their codes or forms; see `audit_reasons`."""

NUMBERS: Final = (
    "after authorization before burst bytes changed concurrent_requests data_operations enabled events first_seq "
    "force grant grants last_seq limits lines old_password_verified one_time password_changed pattern port "
    "public_seeds removed requests requests_per_second revoke root_bypass sealed tls"
)
"""Details that sources record as numbers, as yes or no, or with parts that are looked at one by one."""


def enumerated() -> dict[str, set[str]]:
    """Return all details with values of a fixed set, and these."""
    found = {name: set(map(str, values)) for name, values in FIXED.items()}
    for name, values in enumerations_of_own_operations().items():
        found.setdefault(normal(name), set()).update(values)
    for name, given in of_sources().items():
        if given:
            found.setdefault(normal(name), set()).update(given)
    return {name: values for name, values in found.items() if name not in OF_MILVUS}


@pytest.mark.parametrize("language", TEXTS)
def test_every_value_of_a_fixed_set_has_words(language: str) -> None:
    bare = []
    for name, values in enumerated().items():
        for value in sorted(values):
            said = told({name: value}, language)[0][1]
            if said == value or bool(re.search("[\u4e00-\u9fff]", said)) is not (language == "zh"):
                bare.append((name, value, said))
    assert bare == []
    assert len(enumerated()) > 15


@pytest.mark.parametrize("language", TEXTS)
def test_no_number_of_an_enumeration_of_milvus_is_shown(language: str) -> None:
    numbers = [(name, number) for name, numbers in numbers_of_rpcs().items() for number in numbers]
    assert len(numbers) > 50
    assert [(name, number) for name, number in numbers if told({name: number}, language)[0][1] == str(number)] == []


def test_every_text_that_is_recorded_is_either_of_a_fixed_set_or_stays_as_it_is() -> None:
    told_as = {normal(name) for name in (*texts_of_own_operations(), *of_sources())}
    fixed, chosen, others = enumerated().keys(), set(CHOSEN.split()), OF_MILVUS | REASONS | {*NUMBERS.split()}
    assert sorted(told_as - fixed - chosen - others) == []
    assert sorted(fixed & chosen) == []
    assert sorted((chosen | others) - told_as) == []


@pytest.mark.parametrize("language", TEXTS.values(), ids=TEXTS)
def test_everything_that_is_recorded_has_a_label(language: Language) -> None:
    names = of_rpcs() | of_own_operations() | set(of_sources())
    assert len(names) > 150
    assert [name for name in sorted(names) if f"audit.detail.{normal(name)}" not in language.texts] == []


def test_every_field_of_a_line_has_a_label() -> None:
    names = {*AuditEvent._fields, "kind", "code", "duration_ms"} - OF_THE_LINE
    assert [name for name in sorted(names) if f"audit.field.{name}" not in TEXTS["en"].texts] == []


@pytest.mark.parametrize("language", TEXTS.values(), ids=TEXTS)
def test_every_transport_of_a_line_has_a_name(language: Language) -> None:
    sources = "".join(path.read_text("utf-8") for path in Path(kiteward.__file__).parent.rglob("*.py"))
    named = {*re.findall(r'transport="(\w+)"', sources), "rest", "scim"}
    assert named >= {"grpc", "console", "local"}
    assert [name for name in named if f"audit.transport.{name}" not in language.texts] == []
