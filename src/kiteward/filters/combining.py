"""What is done with trees: which fields they read, values in place of templates, a policy and a filter joined."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from kiteward.filters.quoting import quote
from kiteward.filters.refusals import refusal
from kiteward.filters.tree import (
    And,
    Call,
    Constant,
    Expression,
    Field,
    JsonPath,
    ListOf,
    Literal,
    Membership,
    Template,
)

TemplateValue = bool | int | float | str | Sequence["TemplateValue"]
"""A value that a request has for a template."""


def fields_of(tree: Expression) -> frozenset[str]:
    """Return the names of the fields that a filter reads; `$meta` stands for keys of the dynamic field by its name."""
    return frozenset(_fields_in(tree))


def _fields_in(node: object) -> Iterator[str]:
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Field):
            yield each.name
        elif isinstance(each, JsonPath):
            yield each.root
        elif isinstance(each, tuple):
            waiting.extend(each)
        elif is_dataclass(each):
            waiting.extend(getattr(each, part.name) for part in fields(each))


def conjoin(policy: Expression, user: Expression | None) -> Expression:
    """Return the filter for what both a policy and a user's filter allow.

    Args:
        policy: the policy, with values in place of its variables.
        user: the user's filter; None for no filter.
    """
    if policy == Constant(False):
        return policy
    if user is None:
        # Milvus Lite answers a list of primary keys alone in its order, with repetitions and without a limit.
        return And((policy, Constant(True))) if isinstance(policy, Membership) else policy
    if policy == Constant(True):
        return user
    return And((*_conjuncts(policy), *_conjuncts(user)))


def _conjuncts(tree: Expression) -> tuple[Expression, ...]:
    return tree.operands if isinstance(tree, And) else (tree,)


def fill(tree: Expression, values: Mapping[str, TemplateValue]) -> Expression:
    """Return a filter with values in place of its templates.

    Args:
        tree: the filter.
        values: name -> value of each template. Others are ignored, as the engines do.

    Raises:
        FilterSyntaxError: a template has no value, or one that a filter cannot hold there.
    """
    filled: Expression = _filled(tree, values)
    return filled


def _filled(node: Any, values: Mapping[str, TemplateValue]) -> Any:
    """Return a node or a tuple of nodes with values in place of templates."""
    if isinstance(node, tuple):
        return tuple(_filled(each, values) for each in node)
    if isinstance(node, Template):
        if node.name not in values:
            raise refusal(f"the template `{{{node.name}}}` has no value", right="send one with the filter")
        return _literal(node.name, values[node.name])
    if isinstance(node, Literal | Field) or not is_dataclass(node) or isinstance(node, type):
        return node
    filled = replace(node, **{part.name: _filled(getattr(node, part.name), values) for part in fields(node)})
    if not _fits(filled):
        raise refusal("a template has a list where a value belongs, or a value where a list belongs")
    return filled


def _fits(node: Any) -> bool:
    """Return whether lists are where a node takes lists, and values where it takes values."""
    match node:
        case ListOf():
            return True
        case Membership(field, values):
            return _is_flat(values) and not isinstance(field, ListOf)
        case Call(function, (_, argument)) if function.endswith(("_all", "_any")):
            return isinstance(argument, ListOf) and bool(argument.items)
        case Call("json_contains"):
            return True
        case Call(_, arguments):
            return not any(isinstance(each, ListOf) for each in arguments)
    return not any(isinstance(getattr(node, part.name), ListOf) for part in fields(node))


def _is_flat(values: Any) -> bool:
    return isinstance(values, ListOf) and not any(isinstance(each, ListOf) for each in values.items)


def _literal(name: str, value: TemplateValue) -> Literal | ListOf:
    if isinstance(value, bool | int | float | str):
        quote(value)  # refuses what a filter cannot hold
        return Literal(value)
    if isinstance(value, list | tuple):
        return ListOf(tuple(_literal(name, each) for each in value))
    raise refusal(f"the value of `{{{name}}}` is of a type that a filter cannot hold")
