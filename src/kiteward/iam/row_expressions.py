"""Checks the expressions of a new row policy against the fields of its collection.

A policy reads declared fields that always have a value. So none of its conditions means something else on one of the
two engines, and none holds because a field is misspelt, missing or null.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import FilterSyntaxError, InvalidArgument
from kiteward.filters import (
    And,
    Call,
    Comparison,
    Dialect,
    Expression,
    Field,
    ListOf,
    Literal,
    Membership,
    Or,
    Principal,
    Tag,
    parse,
)
from kiteward.iam.services import CollectionField

_INTEGERS: Final[Mapping[str, int]] = {"Int8": 8, "Int16": 16, "Int32": 32, "Int64": 64}
"""Types of integers, with their bits."""

_TEXT: Final = "VarChar"
_BOOLEAN: Final = "Bool"
_ARRAY: Final = "Array"

_READABLE: Final = "VarChar, Bool, integers, and arrays of VarChar or integers"

ARGUMENTS: Final = {"using_expr": "usingExpr", "check_expr": "checkExpr"}
"""The arguments of operations that hold the expressions."""


def check_expression(name: str, text: str, fields: Mapping[str, CollectionField]) -> None:
    """Check an expression of a row policy.

    Args:
        name: `using_expr` or `check_expr`.
        text: the expression.
        fields: the declared fields of the collection, by name.

    Raises:
        RequestRefused: it cannot be parsed, or does not fit the fields; the error says what would be right.
    """
    _Check(name, fields).condition(parsed(name, text))


def parsed(name: str, text: str) -> Expression:
    """Return what an expression of a row policy means.

    Args:
        name: `using_expr` or `check_expr`.
        text: the expression.

    Raises:
        FilterSyntaxError: it cannot be parsed.
    """
    try:
        return parse(text, Dialect.POLICY)
    except FilterSyntaxError as error:
        told = f"`{name}`: {error}"
        raise FilterSyntaxError(told, *error.details, field=ARGUMENTS[name], position=error.position) from None


class _Check:
    """The check of one expression."""

    def __init__(self, name: str, fields: Mapping[str, CollectionField]) -> None:
        self._name = name
        self._fields = fields

    def condition(self, tree: Expression) -> None:
        if isinstance(tree, And | Or):
            for operand in tree.operands:
                self.condition(operand)
        elif isinstance(tree, Comparison):
            self._values([tree.left, tree.right], array=False)
        elif isinstance(tree, Membership) and isinstance(tree.values, ListOf):
            self._values([tree.field, *tree.values.items], array=False)
        elif isinstance(tree, Call):
            self._values(tree.arguments, array=True)

    def _values(self, values: Sequence[object], *, array: bool) -> None:
        """Check what one condition compares: a field with values, or a variable with texts.

        Args:
            values: both sides.
            array: whether it is a function of arrays.
        """
        flat = [item for value in values for item in (value.items if isinstance(value, ListOf) else (value,))]
        named = [value.name for value in flat if isinstance(value, Field)]
        if len(named) > 1:
            self._refuse(
                f"`{self._name}` compares {named[0]} with {named[1]}: compare a field with a value or a variable",
                ErrorDetail(ErrorCode.ROW_POLICY_FIELDS_COMPARED),
            )
        kind = self._kind(named[0], array=array) if named else _TEXT
        shown = named[0] if named else "$current_principal"
        for value in flat:
            if isinstance(value, Literal):
                self._literal(shown, kind, value.value)
            elif isinstance(value, Principal | Tag) and kind != _TEXT:
                self._refuse(
                    f"{shown} is of type {kind}: variables are text, to be compared with VarChar or arrays of VarChar",
                    ErrorDetail(ErrorCode.ROW_POLICY_VARIABLE_TYPE, {"name": shown, "type": kind}),
                )

    def _kind(self, name: str, *, array: bool) -> str:
        """Return the type of a field's values, or of the elements of an array."""
        field = self._fields.get(name)
        if field is None:
            self._refuse(
                f"`{self._name}` reads {name}, which the collection does not declare: row policies read declared "
                "fields, not keys of the dynamic field",
                ErrorDetail(ErrorCode.ROW_POLICY_FIELD_UNKNOWN, {"name": name}),
            )
        kind = field.element if field.kind == _ARRAY else field.kind
        if not (kind in (_TEXT, *_INTEGERS) or (kind == _BOOLEAN and field.kind != _ARRAY)):
            shown = f"Array<{field.element}>" if field.kind == _ARRAY else field.kind
            self._refuse(
                f"{name} is of type {shown}: row policies read {_READABLE}",
                ErrorDetail(ErrorCode.ROW_POLICY_FIELD_TYPE, {"name": name, "type": shown}),
            )
        if field.nullable:
            self._refuse(
                f"{name} is nullable: row policies read fields that always have a value",
                ErrorDetail(ErrorCode.ROW_POLICY_FIELD_NULLABLE, {"name": name}),
            )
        if field.generated and self._name == "check_expr":
            self._refuse(
                f"the engine generates the values of {name}, which are not known when a row is written",
                ErrorDetail(ErrorCode.ROW_POLICY_FIELD_GENERATED, {"name": name}),
            )
        self._require_operator(field, array=array)
        return kind

    def _require_operator(self, field: CollectionField, *, array: bool) -> None:
        if (field.kind == _ARRAY) is array:
            return
        if array:
            self._refuse(
                f"{field.name} is no array: use == or in",
                ErrorDetail(ErrorCode.ROW_POLICY_OPERATOR_SCALAR, {"name": field.name}),
            )
        self._refuse(
            f"{field.name} is an array: use array_contains, array_contains_all or array_contains_any",
            ErrorDetail(ErrorCode.ROW_POLICY_OPERATOR_ARRAY, {"name": field.name}),
        )

    def _literal(self, name: str, kind: str, value: object) -> None:
        expected = {_TEXT: str, _BOOLEAN: bool}.get(kind, int)
        if type(value) is not expected:
            self._refuse(
                f"{name} is of type {kind}: compare it with values of that type",
                ErrorDetail(ErrorCode.ROW_POLICY_LITERAL_TYPE, {"name": name, "type": kind}),
            )
        if kind in _INTEGERS and isinstance(value, int):
            beyond = 1 << (_INTEGERS[kind] - 1)
            least, most = -beyond, beyond - 1
            if not least <= value <= most:
                self._refuse(
                    f"{name} is of type {kind}, whose values are from {least} to {most}",
                    ErrorDetail(
                        ErrorCode.ROW_POLICY_LITERAL_RANGE, {"name": name, "type": kind, "least": least, "most": most}
                    ),
                )

    def _refuse(self, message: str, detail: ErrorDetail) -> NoReturn:
        raise InvalidArgument(message, detail, field=ARGUMENTS[self._name])
