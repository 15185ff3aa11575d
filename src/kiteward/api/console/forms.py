"""Pages with one form: what is asked for, and for dangerous actions what will happen."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.domain.errors import RequestRefused

_WORD: Final = re.compile(r"[A-Z]")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form; `field.<name>` is its label.

    Attributes:
        name: its name.
        kind: `text`, `number`, `password`, `textarea`, `select` or `checks`.
        hint: the text below the label, or empty.
        options: values and labels, of a choice.
        value: what stands in it at first.
        required: whether it must be filled in.
        autocomplete: what browsers and password managers fill in.
    """

    name: str
    kind: str = "text"
    hint: str = ""
    options: Sequence[tuple[str, str]] = ()
    value: str = ""
    required: bool = False
    autocomplete: str = "off"


@dataclass(frozen=True, slots=True)
class Form:
    """A page with one form.

    Attributes:
        title: its heading.
        button: what is pressed.
        back: where it leads who changes their mind.
        fields: what is asked for.
        effects: what will happen.
        dangerous: whether it takes something away.
        policy: what a new password must be, where one is asked for.
    """

    title: str
    button: str
    back: str
    fields: Sequence[Field] = ()
    effects: Sequence[str] = ()
    dangerous: bool = False
    policy: Any = None


def show(request: ConsoleRequest, form: Form, errors: Mapping[str, str] | None = None) -> Response:
    """Return the page of a form, with what was typed and what is wrong with it."""
    if errors:
        return request.page_with_errors("form.html", errors, shown=form)
    return request.page("form.html", shown=form)


def reason_at_field(
    request: ConsoleRequest, error: RequestRefused, fields: Iterable[Field], **renamed: str
) -> dict[str, str]:
    """Return what a refusal says, by the field of a form that it stands at; above the form where it has none.

    Args:
        request: the request.
        error: the refusal.
        fields: the fields of the form; an argument `userName` is the field `user_name`.
        renamed: argument of the operation -> the field that it is filled from, where the names differ.
    """
    name = renamed.get(error.field) or _WORD.sub(lambda word: f"_{word[0].lower()}", error.field)
    return {name if any(field.name == name for field in fields) else "": request.reason(error)}


def path_below(page: str, *names: str) -> str:
    """Return the address of a page, with names quoted."""
    return "/".join((f"/console/{page}", *(quote(name, safe="") for name in names)))


@dataclass(frozen=True, slots=True)
class Action:
    """Something that is asked about before it is done; `<key>.title`, `.effect`, `.button` and `done.<key>` say what.

    Attributes:
        path: of the page that asks.
        key: of its texts.
        run: does it.
        back: the page it leads back to.
        effects: further lines about what will happen.
    """

    path: str
    key: str
    run: Callable[[ConsoleRequest], Awaitable[Any]]
    back: Callable[[ConsoleRequest], str]
    effects: Callable[[ConsoleRequest], Awaitable[list[str]]] | None = None

    def page(self) -> Page:
        """Return the page that asks, and does it."""

        async def ask(request: ConsoleRequest) -> Response:
            further = [] if self.effects is None else await self.effects(request)
            return show(request, self._form(request, further))

        async def act(request: ConsoleRequest) -> Response:
            try:
                await self.run(request)
            except RequestRefused as error:
                return show(request, self._form(request, ()), {"": request.reason(error)})
            return request.redirect(self.back(request), done=self.key)

        return Page(self.path, ask, act)

    def _form(self, request: ConsoleRequest, further: Sequence[str]) -> Form:
        text, names = request.text, request.names
        return Form(
            text(f"{self.key}.title", **names),
            text(f"{self.key}.button"),
            self.back(request),
            effects=[text(f"{self.key}.effect", **names), *further],
            dangerous=True,
        )
