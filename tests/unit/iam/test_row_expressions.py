"""Expressions of new row policies against the fields of a collection: each refusal says what would be right."""

import pytest

from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import RequestRefused
from kiteward.iam.row_expressions import check_expression
from kiteward.iam.services import CollectionField

FIELDS = {
    field.name: field
    for field in (
        CollectionField("id", "Int64", generated=True),
        CollectionField("owner", "VarChar"),
        CollectionField("public", "Bool"),
        CollectionField("level", "Int8"),
        CollectionField("count", "Int64"),
        CollectionField("teams", "Array", "VarChar"),
        CollectionField("numbers", "Array", "Int32"),
        CollectionField("flags", "Array", "Bool"),
        CollectionField("scores", "Array", "Double"),
        CollectionField("price", "Double"),
        CollectionField("meta", "JSON"),
        CollectionField("vector", "FloatVector"),
        CollectionField("maybe", "VarChar", nullable=True),
    )
}


@pytest.mark.parametrize(
    "text",
    [
        "owner == $current_principal",
        "owner == 'alice'",
        "$current_principal == owner",
        "owner in ['a', $current_principal_tags['team']]",
        "public == true",
        "level in [-128, 127]",
        "count == -9223372036854775807",
        "id == 1",
        "array_contains(teams, $current_principal_tags['team'])",
        "array_contains_any(teams, ['a', 'b'])",
        "array_contains_all(numbers, [1, 2])",
        "$current_principal_tags['level'] == 'high' or owner == $current_principal",
        "true",
        "(owner == 'a' and level == 1) or public == false",
    ],
)
def test_what_fits_the_fields_is_accepted(text: str) -> None:
    check_expression("using_expr", text, FIELDS)


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        (
            "owners == 'a'",
            "ROW_POLICY_FIELD_UNKNOWN",
            "`using_expr` reads owners, which the collection does not declare",
        ),
        ("owner == 'a' or typo == 'b'", "ROW_POLICY_FIELD_UNKNOWN", "reads typo"),
        ("meta == 'a'", "ROW_POLICY_FIELD_TYPE", "meta is of type JSON: row policies read VarChar, Bool, integers"),
        ("vector == 1", "ROW_POLICY_FIELD_TYPE", "vector is of type FloatVector"),
        ("price == 1", "ROW_POLICY_FIELD_TYPE", "price is of type Double"),
        ("array_contains(scores, 1)", "ROW_POLICY_FIELD_TYPE", "scores is of type Array<Double>"),
        ("array_contains(flags, true)", "ROW_POLICY_FIELD_TYPE", "flags is of type Array<Bool>"),
        ("maybe == 'a'", "ROW_POLICY_FIELD_NULLABLE", "maybe is nullable: row policies read fields that always have"),
        ("teams == 'a'", "ROW_POLICY_OPERATOR_ARRAY", "teams is an array: use array_contains"),
        ("teams in ['a']", "ROW_POLICY_OPERATOR_ARRAY", "teams is an array"),
        ("array_contains(owner, 'a')", "ROW_POLICY_OPERATOR_SCALAR", "owner is no array: use == or in"),
        ("owner == 1", "ROW_POLICY_LITERAL_TYPE", "owner is of type VarChar: compare it with values of that type"),
        ("level == 'a'", "ROW_POLICY_LITERAL_TYPE", "level is of type Int8"),
        ("level == true", "ROW_POLICY_LITERAL_TYPE", "level is of type Int8"),
        ("public == 1", "ROW_POLICY_LITERAL_TYPE", "public is of type Bool"),
        ("array_contains_any(numbers, ['a'])", "ROW_POLICY_LITERAL_TYPE", "numbers is of type Int32"),
        ("level == 128", "ROW_POLICY_LITERAL_RANGE", "level is of type Int8, whose values are from -128 to 127"),
        ("array_contains(numbers, 2147483648)", "ROW_POLICY_LITERAL_RANGE", "from -2147483648 to 2147483647"),
        ("level == $current_principal", "ROW_POLICY_VARIABLE_TYPE", "level is of type Int8: variables are text"),
        ("array_contains(numbers, $current_principal)", "ROW_POLICY_VARIABLE_TYPE", "variables are text"),
        ("not owner == 'a'", "FILTER_INVALID", ""),
        ("owner != 'a'", "FILTER_INVALID", ""),
        ("owner like 'a%'", "FILTER_INVALID", ""),
        ("owner == level", "FILTER_INVALID", ""),
        ("meta['a'] == 'b'", "FILTER_INVALID", ""),
        ("owner == 'a", "FILTER_INVALID", ""),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would_be_right(text: str, code: str, told: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        check_expression("using_expr", text, FIELDS)
    assert refused.value.code is ErrorCode[code]
    assert told in str(refused.value)


def test_a_generated_value_is_unknown_when_a_row_is_written() -> None:
    with pytest.raises(RequestRefused, match="the engine generates the values of id") as refused:
        check_expression("check_expr", "id == 1", FIELDS)
    assert (refused.value.code, refused.value.field) == (ErrorCode.ROW_POLICY_FIELD_GENERATED, "checkExpr")
