"""What a rule says of many rows, most of which have equal values in the fields that it reads."""

from collections.abc import Mapping

from kiteward.authz.row_policies import BoundRule
from kiteward.filters import fields_of, matches
from kiteward.gateway.row_access.fields import Value


class Verdicts:
    """Evaluates a rule once for equal values.

    Attributes:
        names: the fields that the rule reads, in the order in which values are given.
    """

    def __init__(self, rule: BoundRule) -> None:
        self.names = tuple(sorted(fields_of(rule.expression)))
        self._expression = rule.expression
        self._known: dict[tuple[Value | None, ...], bool] = {}

    def allow(self, values: tuple[Value | None, ...]) -> bool:
        """Return whether the rule allows a row with these values."""
        known = self._known.get(values)
        if known is None:
            row = dict(zip(self.names, values, strict=True))
            known = self._known[values] = matches(self._expression, row)
        return known

    def allow_row(self, row: Mapping[str, Value | None]) -> bool:
        """Return whether the rule allows a row that has at least the fields that it reads."""
        return self.allow(tuple(row[name] for name in self.names))
