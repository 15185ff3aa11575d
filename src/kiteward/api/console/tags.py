"""The pages about the tags of a user or an API key, which row policies read."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.forms import Action, Field, path_below, reason_at_field
from kiteward.api.console.lists import Asked, Found, ListPage, in_memory
from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.domain.errors import RequestRefused
from kiteward.iam.json_api.tags import HolderNamed, TaggedUsers, TagNamed, Tags, TagsChanged, TagsGiven, TagsNamed


async def described(request: ConsoleRequest, errors: dict[str, Reason] | None = None) -> Response:
    """Show the tags of a user or an API key, with a form for one more."""
    found = await request.client.invoke("DescribeTags", HolderNamed(**_holder(request)), Tags)
    values: dict[str, Any] = {"tags": found, "here": _here(request), "fields": _fields(request)}
    return request.page_with_errors("tags.html", errors, **values) if errors else request.page("tags.html", **values)


def _fields(request: ConsoleRequest) -> tuple[Field, ...]:
    return Field("tag_key", hint=request.text("tags.key_hint"), required=True), Field("tag_value", required=True)


async def set_tag(request: ConsoleRequest) -> Response:
    """Set a tag."""
    key, value = request.form_text("tag_key"), request.form_text("tag_value")
    needed = {"tag_key": key, "tag_value": value}
    errors = {name: request.complaint("field.needed") for name, given in needed.items() if not given}
    if errors:
        return await described(request, errors)
    try:
        await request.client.invoke("SetTags", TagsGiven(**_holder(request), tags={key: value}), TagsChanged)
    except RequestRefused as error:
        return await described(request, reason_at_field(request, error, _fields(request), tags=_field_of(error)))
    return request.stay(_here(request), done="tag_set")


def _field_of(error: RequestRefused) -> str:
    """Return the field of a refused tag: that of its value, if the reason is about the value."""
    return "tag_value" if error.code.startswith("tag_value") else "tag_key"


async def _delete(request: ConsoleRequest) -> None:
    named = TagsNamed(**_holder(request), keys=[request.query_value("key")])
    await request.client.invoke("DeleteTags", named, TagsChanged)


async def _about(request: ConsoleRequest) -> dict[str, str]:
    names = request.names
    return {"key": request.query_value("key"), "name": names.get("name") or names["key_id"]}


async def _read(request: ConsoleRequest, asked: Asked, arguments: Mapping[str, Any]) -> Found:
    key, value = asked.filters["key"], asked.filters["value"]
    if not (key and value):
        return Found((), 0)
    found = await request.client.invoke("ListTaggedUsers", TagNamed(key=key, value=value), TaggedUsers)
    return in_memory(found.user_names, arguments, {"userName": str})


_TAGGED: Final = ListPage("tagged-users", "tagged.html", _read, {"userName": str}, ("key", "value"))


def _holder(request: ConsoleRequest) -> dict[str, Any]:
    names = request.names
    return {"user_name": names["name"]} if "name" in names else {"key_id": names["key_id"]}


def _here(request: ConsoleRequest) -> str:
    names = request.names
    return (
        path_below("users", names["name"], "tags") if "name" in names else path_below("keys", names["key_id"], "tags")
    )


def _pages(path: str) -> tuple[Page, ...]:
    return (
        Page(path, described, set_tag),
        Action(f"{path}/delete", "tag_delete", _delete, _here, about=_about).page(),
    )


PAGES: Final = (*_pages("users/{name}/tags"), *_pages("keys/{key_id}/tags"), *_TAGGED.pages())
