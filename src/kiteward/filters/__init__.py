"""The filter language: trees of filters, read from text by the grammar of a dialect, and written as text again.

The public face is what this module exports. `parse` reads, `write` writes, and nothing else makes text of a filter:
a policy and a user's filter are joined as trees (`conjoin`), and values become text in `quote` alone.
`dialect.py` says what each reader of filters takes; docs/engine-filters.md says it to users.
"""

from kiteward.filters.combining import TemplateValue, conjoin, fields_of, fill
from kiteward.filters.dialect import MAX_LENGTH, MAX_NESTING, Dialect
from kiteward.filters.evaluate import Value, matches
from kiteward.filters.parser import parse
from kiteward.filters.quoting import quote
from kiteward.filters.tree import (
    And,
    Arithmetic,
    Call,
    Comparison,
    Constant,
    Exists,
    Expression,
    Field,
    IsNull,
    JsonPath,
    Like,
    ListOf,
    Literal,
    Membership,
    Moment,
    Not,
    Or,
    Principal,
    Range,
    Tag,
    Template,
)
from kiteward.filters.writer import write

__all__ = [
    "MAX_LENGTH",
    "MAX_NESTING",
    "And",
    "Arithmetic",
    "Call",
    "Comparison",
    "Constant",
    "Dialect",
    "Exists",
    "Expression",
    "Field",
    "IsNull",
    "JsonPath",
    "Like",
    "ListOf",
    "Literal",
    "Membership",
    "Moment",
    "Not",
    "Or",
    "Principal",
    "Range",
    "Tag",
    "Template",
    "TemplateValue",
    "Value",
    "conjoin",
    "fields_of",
    "fill",
    "matches",
    "parse",
    "quote",
    "write",
]
