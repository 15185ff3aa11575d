"""What a filter for Milvus may divide by.

Milvus divides whole numbers by the instruction of its processor, and its process may end where that has no result: for
a divisor of 0, for -1 under the least number, and for a fraction that is cut to 0. A field may hold such a number in
any row, and no Milvus was found that divides by a field. The embedded engine has a result for each: none, or infinity.
"""

from typing import Final

from kiteward.filters.refusals import refusal
from kiteward.filters.tree import Expression, ListOf, Literal, Template

_DIVISIONS: Final = frozenset("/%")


def check_divisor(operator: str, divisor: Expression | ListOf, position: int = 0) -> None:
    """Require that Milvus can divide by something, where that is no template: its value is checked when it is known.

    Args:
        operator: of the arithmetic.
        divisor: what follows the operator.
        position: the offset of its first character; 0 if it is not known.

    Raises:
        FilterSyntaxError: it is no number, or 0, -1, or between them and 1.
    """
    if operator not in _DIVISIONS or isinstance(divisor, Template):
        return
    value = divisor.value if isinstance(divisor, Literal) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        problem = f"Milvus divides by numbers only, not by what is computed or stored: `{operator}`"
    elif value == -1 or -1 < value < 1:
        problem = f"Milvus cannot divide by {value}: `{operator}`"
    else:
        return
    raise refusal(problem, position, right="divide by a number above 1 or below -1, or by 1")
