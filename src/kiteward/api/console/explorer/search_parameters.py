"""Parameters of a search: those of each index, and the range that scores have to be in."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kiteward.api.console.explorer.schema import IndexRow
from kiteward.api.console.request import ConsoleRequest, Reason

RADIUS: Final = "radius"
RANGE_FILTER: Final = "range_filter"
DISTANCES: Final = ("L2", "HAMMING", "JACCARD")
"""The metrics by which a smaller number is nearer."""

_WHOLE: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of searches with an index.

    Attributes:
        name: its name.
        least: the least value.
        most: the greatest value.
        whole: whether it is a whole number.
    """

    name: str
    least: float
    most: float
    whole: bool = True


_NPROBE: Final = Parameter("nprobe", 1, 65_536)
_EF: Final = Parameter("ef", 1, 32_768)
_REFINE: Final = Parameter("refine_k", 1, 100, whole=False)
_DROP: Final = Parameter("drop_ratio_search", 0, 0.99, whole=False)
_SEARCH_LIST: Final = Parameter("search_list", 1, 65_535)
_GRAPH: Final = (Parameter("itopk_size", 1, 65_536), Parameter("search_width", 1, 65_536), _EF)

OF_INDEX: Final[Mapping[str, Sequence[Parameter]]] = {
    "IVF_FLAT": (_NPROBE,),
    "IVF_SQ8": (_NPROBE,),
    "IVF_PQ": (_NPROBE,),
    "IVF_RABITQ": (_NPROBE, Parameter("rbq_query_bits", 0, 8), _REFINE),
    "BIN_IVF_FLAT": (_NPROBE,),
    "SCANN": (_NPROBE, Parameter("reorder_k", 1, 65_536)),
    "HNSW": (_EF,),
    "HNSW_SQ": (_EF, _REFINE),
    "HNSW_PQ": (_EF, _REFINE),
    "HNSW_PRQ": (_EF, _REFINE),
    "DISKANN": (_SEARCH_LIST,),
    "AISAQ": (_SEARCH_LIST,),
    "AUTOINDEX": (Parameter("level", 1, 10),),
    "SPARSE_INVERTED_INDEX": (_DROP,),
    "SPARSE_WAND": (_DROP,),
    "GPU_IVF_FLAT": (_NPROBE,),
    "GPU_IVF_PQ": (_NPROBE,),
    "GPU_CAGRA": _GRAPH,
}
"""The parameters that a search gives an index, by the name of its type. Others, such as FLAT, have none."""


class Unfit(Exception):
    """Fields of the form have values that cannot be searched with; `errors` has the reasons by the field."""

    def __init__(self, field: str, reason: Reason, others: Mapping[str, Reason] | None = None) -> None:
        super().__init__(field)
        self.errors = {field: reason, **(others or {})}


def together(*checks: Callable[[], Any]) -> list[Any]:
    """Return what each check returns.

    Raises:
        Unfit: some of them raise it; it has the errors of all.
    """
    made: list[Any] = []
    errors: dict[str, Reason] = {}
    for check in checks:
        try:
            made.append(check())
        except Unfit as unfit:
            errors |= unfit.errors
    if errors:
        field = next(iter(errors))
        raise Unfit(field, errors[field], errors)
    return made


@dataclass(frozen=True, slots=True)
class Offered:
    """A parameter as the form offers it: `fields` are the vector fields whose index has it, with the index's type."""

    parameter: Parameter
    fields: Sequence[tuple[str, str]]


def offered(indexes: Mapping[str, IndexRow]) -> list[Offered]:
    """Return the parameters that the indexes of a collection have."""
    found: dict[Parameter, list[tuple[str, str]]] = {}
    for field, index in indexes.items():
        for parameter in OF_INDEX.get(index.type, ()):
            found.setdefault(parameter, []).append((field, index.type))
    return [Offered(parameter, fields) for parameter, fields in found.items()]


def tuning(request: ConsoleRequest, given: Mapping[str, str], index: IndexRow | None) -> dict[str, float]:
    """Return the values for the index that is searched.

    Args:
        request: the request.
        given: what the form has, by name; empty for the usual value.
        index: the index of the searched field; None where there is none, or it is not known.

    Raises:
        Unfit: a value is out of range, or the index has no such parameter.
    """
    kind = index.type if index else ""
    known = {each.name: each for each in OF_INDEX.get(kind, ())}
    made = {}
    for name, text in given.items():
        if not text:
            continue
        if name not in known:
            raise Unfit(name, Reason(request.text("explorer.parameter_of_another", name=name, index=kind or "?")))
        made[name] = _value(request, known[name], text)
    return made


def _value(request: ConsoleRequest, parameter: Parameter, text: str) -> float:
    number = math.nan if parameter.whole and not _WHOLE.fullmatch(text) else _number(text)
    if parameter.least <= number <= parameter.most:
        return int(number) if parameter.whole else number
    key = "explorer.parameter_whole" if parameter.whole else "explorer.parameter_number"
    raise Unfit(parameter.name, Reason(request.text(key, least=f"{parameter.least:,}", most=f"{parameter.most:,}")))


def score_range(request: ConsoleRequest, given: Mapping[str, str], metric: str) -> dict[str, float]:
    """Return the range of scores to find, empty for none.

    Args:
        request: the request.
        given: what the form has as `radius` and `range_filter`.
        metric: the metric of the search, or empty where it is not known.

    Raises:
        Unfit: a bound is no number, the radius is missing, or the range is empty.
    """
    made = {}
    for name in (RADIUS, RANGE_FILTER):
        if given.get(name):
            made[name] = _number(given[name])
            if not math.isfinite(made[name]):
                raise Unfit(name, request.complaint("explorer.number_needed"))
    if RANGE_FILTER not in made:
        return made
    if RADIUS not in made:
        raise Unfit(RADIUS, request.complaint("explorer.radius_needed"))
    if metric in DISTANCES and made[RANGE_FILTER] >= made[RADIUS]:
        raise Unfit(RANGE_FILTER, Reason(request.text("explorer.range_of_distances", metric=metric)))
    if metric and metric not in DISTANCES and made[RANGE_FILTER] <= made[RADIUS]:
        raise Unfit(RANGE_FILTER, Reason(request.text("explorer.range_of_similarities", metric=metric)))
    return made


def _number(text: str) -> float:
    try:
        return float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan
