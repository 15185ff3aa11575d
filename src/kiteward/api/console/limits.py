"""The pages about limits of requests: of a user, an API key or a role, and a list of all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.forms import Action, Field, path_below, reason_at_field
from kiteward.api.console.lists import Asked, Found, ListPage
from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.domain.errors import RequestRefused
from kiteward.domain.request_limits import RequestLimits
from kiteward.iam.json_api.base import Done
from kiteward.iam.json_api.limits import HolderKind, LimitedNamed, Limits, LimitsGiven, LimitsListing, ShownLimits
from kiteward.iam.json_api.shapes import Changed
from kiteward.iam.request_limits import check_limits

_NUMBERS: Final = ("requests_per_second", "burst", "concurrent_requests")
_DECIMAL: Final = ("requests_per_second",)


@dataclass(frozen=True, slots=True)
class _LimitPages:
    """The pages about the limits of one kind of holder.

    Attributes:
        section: the page below which they are: `users`, `keys` or `roles`.
        name: the part of the path that names the holder.
        argument: the argument of the operations that names it.
    """

    section: str
    name: str
    argument: str

    def pages(self) -> tuple[Page, ...]:
        """Return the page with the limits, and the one that asks whether to remove them."""
        path = f"{self.section}/{{{self.name}}}/limits"
        return (
            Page(path, self.described, self.set_limits),
            Action(f"{path}/delete", "limits_delete", self._delete, self._here, about=self._about).page(),
        )

    async def described(self, request: ConsoleRequest, errors: dict[str, Reason] | None = None) -> Response:
        """Show the limits, with a form to set them."""
        found = await request.client.invoke("DescribeLimits", LimitedNamed(**self._holder(request)), ShownLimits)
        values: dict[str, Any] = {
            "limits": found,
            "section": self.section,
            "holder": request.names[self.name],
            "here": self._here(request),
            "fields": _fields(request, found),
        }
        if errors:
            return request.page_with_errors("limits.html", errors, **values)
        return request.page("limits.html", **values)

    async def set_limits(self, request: ConsoleRequest) -> Response:
        """Set the limits that the form gives; an empty field removes one."""
        given, errors = _given(request)
        if errors:
            return await self.described(request, errors)
        wanted = LimitsGiven(**self._holder(request), **given)
        try:
            await request.client.invoke("SetLimits", wanted, Done)
        except RequestRefused as error:
            return await self.described(request, reason_at_field(request, error, _fields(request)))
        return request.stay(self._here(request), done="limits_set")

    async def _delete(self, request: ConsoleRequest) -> None:
        await request.client.invoke("DeleteLimits", LimitedNamed(**self._holder(request)), Changed)

    async def _about(self, request: ConsoleRequest) -> dict[str, str]:
        return {"name": request.names[self.name]}

    def _here(self, request: ConsoleRequest) -> str:
        return path_below(self.section, request.names[self.name], "limits")

    def _holder(self, request: ConsoleRequest) -> dict[str, Any]:
        return {self.argument: request.names[self.name]}


def _fields(request: ConsoleRequest, found: ShownLimits | None = None) -> tuple[Field, ...]:
    """Return the fields of the form, with the holder's own limits."""
    own = None if found is None else found.own
    values = {name: "" if own is None else _shown(getattr(own, name)) for name in _NUMBERS}
    return tuple(Field(name, hint=request.text(f"limits.{name}_hint"), value=values[name]) for name in _NUMBERS)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.12g}"


def _given(request: ConsoleRequest) -> tuple[Mapping[str, Any], dict[str, Reason]]:
    """Return the numbers of the form, and the errors of fields that hold none."""
    given: dict[str, Any] = {}
    errors: dict[str, Reason] = {}
    for name in _NUMBERS:
        text = request.form_text(name).strip()
        try:
            if text:
                given[name] = float(text) if name in _DECIMAL else int(text)
        except ValueError:
            errors[name] = request.complaint("field.decimal" if name in _DECIMAL else "field.number")
    return given, {**_out_of_range(request, given, errors), **errors} if errors else {}


def _out_of_range(request: ConsoleRequest, given: Mapping[str, Any], wrong: Mapping[str, Reason]) -> dict[str, Reason]:
    """Return the errors of the other fields, as the operation would refuse them."""
    limits = {**dict.fromkeys(wrong, 1), **given}
    try:
        check_limits(RequestLimits(*(limits.get(name) for name in _NUMBERS)))
    except RequestRefused as error:
        return reason_at_field(request, error, _fields(request))
    return {}


async def _read(request: ConsoleRequest, asked: Asked, arguments: Mapping[str, Any]) -> Found:
    wanted = LimitsListing(**arguments, holder=asked.filters["holder"])
    found = await request.client.invoke("ListLimits", wanted, Limits)
    return Found(found.limits, found.total or 0)


async def _holders(_console_request: ConsoleRequest) -> dict[str, Any]:
    return {"holders": tuple(HolderKind)}


_LIST: Final = ListPage(
    "limits",
    "limited.html",
    _read,
    {
        "holder": lambda limit: limit.holder,
        "name": lambda limit: limit.name,
        "requestsPerSecond": lambda limit: limit.requests_per_second,
        "burst": lambda limit: limit.burst,
        "concurrentRequests": lambda limit: limit.concurrent_requests,
    },
    ("holder",),
    _holders,
)


PAGES: Final = (
    *_LimitPages("users", "name", "user_name").pages(),
    *_LimitPages("keys", "key_id", "key_id").pages(),
    *_LimitPages("roles", "name", "role_name").pages(),
    *_LIST.pages(),
)
