"""Pages with one form: its fields, and for dangerous actions its effects."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.domain.errors import RequestRefused

_WORD: Final = re.compile(r"[A-Z]")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form; `field.<name>` is its label.

    Attributes:
        name: its name.
        kind: `text`, `number`, `password`, `textarea`, `select`, `check` or `checks`.
        hint: the text below the label, or empty.
        options: values and labels of a choice.
        sections: the value of an option -> the heading of the section that begins with it, of `checks`.
        value: its initial value.
        required: whether it must be filled in.
        autocomplete: the HTML attribute for browsers and password managers.
        reload: the text of a button beside a `text`, which shows the form again for its value; empty for none. What it
            sends has the field `reload`.
        complete: what kind of names is offered while one types, as of `completion.py`; empty for none.
        label: the name whose label it has, if not its own.
        optional: whether its label says so, where it may be left empty; its hint says more of one that does not.
    """

    name: str
    kind: str = "text"
    hint: str = ""
    options: Sequence[tuple[str, str]] = ()
    sections: Mapping[str, str] = field(default_factory=dict)
    value: str = ""
    required: bool = False
    autocomplete: str = "off"
    reload: str = ""
    complete: str = ""
    label: str = ""
    optional: bool = True


@dataclass(frozen=True, slots=True)
class Form:
    """A page with one form.

    Attributes:
        title: its heading.
        button: the text of its button.
        back: the path that the link for cancelling leads to.
        fields: its fields.
        effects: texts about the effects of the action.
        dangerous: whether the action removes something.
        policy: the password policy to show, if the form asks for a new password.
        typed: the name that has to be typed to confirm the action; empty for none.
        intro: why the page is shown; empty where its heading says that.
    """

    title: str
    button: str
    back: str
    fields: Sequence[Field] = ()
    effects: Sequence[str] = ()
    dangerous: bool = False
    policy: Any = None
    typed: str = ""
    intro: str = ""


def show(request: ConsoleRequest, form: Form, errors: Mapping[str, Reason] | None = None) -> Response:
    """Return the page of a form, with the values entered so far and the errors by field."""
    if errors:
        return request.page_with_errors("form.html", errors, shown=form, unsaved=_is_changed(request, form))
    return request.page("form.html", shown=form, unsaved=_is_changed(request, form))


def _is_changed(request: ConsoleRequest, form: Form) -> bool:
    """Return whether a form that came back has anything else than when it was first shown."""
    if not request.form:
        return False
    return bool(form.typed and request.form_raw("typed_name")) or any(
        _was_changed(request.form_values(each.name), each) for each in form.fields
    )


def _was_changed(given: Sequence[str], field: Field) -> bool:
    if field.kind == "checks":
        return sorted(given) != sorted(field.value.split())
    first = field.options[0][0] if field.kind == "select" and field.options else ""
    return "".join(given).replace("\r\n", "\n") != (field.value or first)


def reason_at_field(
    request: ConsoleRequest, error: RequestRefused, fields: Iterable[Field], **renamed: str
) -> dict[str, Reason]:
    """Return the text of a refusal, keyed by the field of the form that it concerns; by `""` if it concerns none.

    What else is wrong with the request is there too, one reason for each field.

    Args:
        request: the request.
        error: the refusal.
        fields: the fields of the form; the argument `userName` belongs to the field `user_name`.
        renamed: argument of the operation -> the field that fills it, where the names differ.
    """
    known = {field.name for field in fields}
    found: dict[str, Reason] = {}
    for each in (error, *error.others):
        name = renamed.get(each.field) or _WORD.sub(lambda word: f"_{word[0].lower()}", each.field)
        found.setdefault(name if name in known else "", request.reason(each.details))
    return found


def path_below(page: str, *names: str) -> str:
    """Return the path of a page, with names quoted."""
    return "/".join((f"/console/{page}", *(quote(name, safe="") for name in names)))


@dataclass(frozen=True, slots=True)
class Action:
    """An action with a page that asks for confirmation.

    Its texts are `<key>.title`, `<key>.effect`, `<key>.button` and `done.<key>`.

    Attributes:
        path: the path of the page.
        key: the prefix of its texts.
        run: carries out the action.
        back: returns the path of the page to show after it.
        effects: returns further texts about its effects.
        typed: the name, among those in the path, that has to be typed to confirm the action; empty for none.
        about: returns further values of its texts, besides the names in the path.
        removes: whether the page above its own, which is about one thing, is not there afterwards.
        dangerous: whether it takes something away, rather than what its opposite gives back at any time.
    """

    path: str
    key: str
    run: Callable[[ConsoleRequest], Awaitable[Any]]
    back: Callable[[ConsoleRequest], str]
    effects: Callable[[ConsoleRequest], Awaitable[list[str]]] | None = None
    typed: str = ""
    about: Callable[[ConsoleRequest], Awaitable[Mapping[str, str]]] | None = None
    removes: bool = False
    dangerous: bool = True

    def page(self) -> Page:
        """Return the page that asks for confirmation and carries out the action."""

        async def ask(request: ConsoleRequest, errors: Mapping[str, Reason] | None = None) -> Response:
            further = [] if self.effects is None else await self.effects(request)
            return show(request, await self._form(request, further), errors)

        async def act(request: ConsoleRequest) -> Response:
            if self.typed and request.form_text("typed_name") != request.names[self.typed]:
                return await ask(request, {"typed_name": request.complaint("typed_name.differs")})
            try:
                await self.run(request)
            except RequestRefused as error:
                return show(request, await self._form(request, ()), {"": request.reason(error.details)})
            removed = self._above(request) if self.removes else ""
            return request.finish(self.back(request), done=self.key, removed=removed)

        return Page(self.path, ask, act)

    def _above(self, request: ConsoleRequest) -> str:
        """Return the path of the page above that of the action."""
        return quote(request.http_request.url.path).rpartition("/")[0]

    async def _form(self, request: ConsoleRequest, further: Sequence[str]) -> Form:
        text, names = request.text, request.names
        if self.about is not None:
            names = {**names, **await self.about(request)}
        return Form(
            text(f"{self.key}.title", **names),
            text(f"{self.key}.button"),
            self._above(request) if self.removes else self.back(request),
            effects=[text(f"{self.key}.effect", **names), *further],
            dangerous=self.dangerous,
            typed=names[self.typed] if self.typed else "",
        )


@dataclass(frozen=True, slots=True)
class Description:
    """The page that changes the description of one thing; an empty one clears it.

    Its texts are `<key>.title` and `done.<key>`.

    Attributes:
        path: the path of the page.
        key: the prefix of its texts.
        held: returns the present description.
        change: replaces the description.
        back: returns the path of the page to show after it.
    """

    path: str
    key: str
    held: Callable[[ConsoleRequest], Awaitable[str]]
    change: Callable[[ConsoleRequest, str], Awaitable[Any]]
    back: Callable[[ConsoleRequest], str]

    def page(self) -> Page:
        """Return the page that shows the form and carries out the change."""

        async def ask(request: ConsoleRequest) -> Response:
            return show(request, self._form(request, await self.held(request)))

        async def act(request: ConsoleRequest) -> Response:
            try:
                await self.change(request, request.form_text("description"))
            except RequestRefused as error:
                form = self._form(request, "")
                return show(request, form, reason_at_field(request, error, form.fields))
            return request.finish(self.back(request), done=self.key)

        return Page(self.path, ask, act)

    def _form(self, request: ConsoleRequest, held: str) -> Form:
        text = request.text
        field = Field("description", "textarea", hint=text("describe.what"), value=held)
        return Form(text(f"{self.key}.title", **request.names), text("save"), self.back(request), [field])
