"""The pages about the row policies of a collection: create, change, drop, enforce, and preview who sees what."""

import re
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.forms import Action, Field, Form, path_below, reason_at_field, show
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.authz.row_policies import USING_ACTIONS, PolicyType, RowAction
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import NotFound, RequestRefused
from kiteward.iam.json_api.row_policies import (
    CollectionNamed,
    Enabling,
    Policy,
    PolicyGiven,
    PolicyNamed,
    Protection,
    form_of,
)
from kiteward.iam.json_api.row_preview import PreviewedRows, PreviewRequest
from kiteward.iam.row_policy_forms import check_form

_BETWEEN: Final = re.compile(r"[\s,]+")
_ACTIONS: Final = tuple((action.value, action.value) for action in RowAction)


async def protection(request: ConsoleRequest) -> Protection:
    """Return the row policies of the collection in the path."""
    return await request.client.invoke("DescribeRowPolicies", CollectionNamed(**_place(request)), Protection)


def _place(request: ConsoleRequest) -> dict[str, Any]:
    return {"db_name": request.names["database"], "collection_name": request.names["name"]}


def _back(request: ConsoleRequest) -> str:
    return path_below("collections", request.names["database"], request.names["name"])


# One policy


async def create_form(request: ConsoleRequest) -> Response:
    """Show the form for a new policy."""
    return show(request, _form(request))


async def create(request: ConsoleRequest) -> Response:
    """Create a policy."""
    return await _put(request, "MakeRowPolicy", request.form_text("policy_name"), None)


async def change_form(request: ConsoleRequest) -> Response:
    """Show the form for changing a policy."""
    return show(request, _form(request, await _policy(request)))


async def change(request: ConsoleRequest) -> Response:
    """Replace a policy."""
    held = await _policy(request)
    return await _put(request, "ChangeRowPolicy", held.policy_name, held)


async def _policy(request: ConsoleRequest) -> Policy:
    found = await protection(request)
    name = request.names["policy"]
    for policy in found.policies:
        if policy.policy_name == name:
            return policy
    raise NotFound(
        f"row policy not found: {name}", ErrorDetail(ErrorCode.ROW_POLICY_NOT_FOUND, {"name": name}), field="policyName"
    )


async def _put(request: ConsoleRequest, operation: str, name: str, held: Policy | None) -> Response:
    form = _form(request, held)
    errors = {} if name else {"policy_name": request.complaint("field.needed")}
    if not request.form_values("actions"):
        errors["actions"] = request.complaint("field.choose_one")
    given = PolicyGiven(
        **_place(request),
        policy_name=name,
        actions=request.form_values("actions"),
        policy_type=request.form_text("policy_type"),
        roles=_words(request, "roles"),
        using_expr=request.form_text("using_expr"),
        check_expr=request.form_text("check_expr"),
        description=request.form_text("description"),
    )
    try:
        if not errors:
            await request.client.invoke(operation, given, Protection)
            return request.finish(_back(request), done="row_policy_new" if held is None else "row_policy_edit")
        check_form(request.client.gateway.naming, form_of(given))
    except RequestRefused as error:
        errors = {**reason_at_field(request, error, form.fields), **errors}
    return show(request, form, errors)


def _form(request: ConsoleRequest, held: Policy | None = None) -> Form:
    """Return the form of a policy, with the values of one that is there already."""
    text = request.text
    types = [(kind.value, text(f"row_policy.type.{kind.lower()}")) for kind in PolicyType]
    fields = [
        Field("policy_type", "select", options=types, value=held.policy_type if held else PolicyType.PERMISSIVE),
        Field(
            "actions",
            "checks",
            hint=text("row_policy.actions"),
            options=_ACTIONS,
            value=" ".join(held.actions) if held else "Query Search",
        ),
        Field(
            "using_expr", "textarea", text("row_policy.using"), value=held.using_expr if held else "", optional=False
        ),
        Field(
            "check_expr", "textarea", text("row_policy.check"), value=held.check_expr if held else "", optional=False
        ),
        Field("roles", hint=text("row_policy.roles"), value=", ".join(held.roles) if held else "", complete="roles"),
        Field("description", value=held.description if held else ""),
    ]
    if held is None:
        fields.insert(0, Field("policy_name", hint=text("row_policy.name"), required=True))
        title = text("row_policy_new.title", collection=request.names["name"])
        return Form(title, text("row_policy_new.button"), _back(request), fields)
    title = text("row_policy_edit.title", name=held.policy_name)
    return Form(title, text("row_policy_edit.button"), _back(request), fields)


def _words(request: ConsoleRequest, field: str) -> list[str]:
    return [word for word in _BETWEEN.split(request.form_text(field)) if word]


async def _drop(request: ConsoleRequest) -> None:
    named = PolicyNamed(**_place(request), policy_name=request.names["policy"])
    await request.client.invoke("RemoveRowPolicy", named, Protection)


async def _what_is_dropped(request: ConsoleRequest) -> list[str]:
    policy = await _policy(request)
    return [request.text(f"row_policy_drop.{policy.policy_type.lower()}")]


# Whether policies are enforced


async def enforce_form(request: ConsoleRequest) -> Response:
    """Show the form for enforcing the policies, with its effects."""
    return show(request, await _enforcing(request))


async def _enforcing(request: ConsoleRequest) -> Form:
    text = request.text
    found = await protection(request)
    shown = [
        policy.policy_name
        for policy in found.policies
        if policy.policy_type == PolicyType.PERMISSIVE and {RowAction.QUERY, RowAction.SEARCH} & {*policy.actions}
    ]
    listed = text("list.separator").join(shown)
    effects = [text("row_policies_enforce.effect"), text("row_policies_enforce.without")]
    effects.append(text("row_policies_enforce.shown", names=listed) if shown else text("row_policies_enforce.nobody"))
    hint = text("row_policies_enforce.forced")
    return Form(
        text("row_policies_enforce.title", **request.names),
        text("row_policies_enforce.button"),
        _back(request),
        [Field("force", "check", hint=hint, value="1" if found.force else "")],
        effects=effects,
        dangerous=True,
    )


async def enforce(request: ConsoleRequest) -> Response:
    """Enforce the policies, or change on whom they are enforced."""
    wanted = Enabling(**_place(request), force=bool(request.form_text("force")))
    try:
        await request.client.invoke("EnableRowPolicies", wanted, Protection)
    except RequestRefused as error:
        form = await _enforcing(request)
        return show(request, form, reason_at_field(request, error, form.fields))
    return request.finish(_back(request), done="row_policies_enforce")


async def _stop(request: ConsoleRequest) -> None:
    await request.client.invoke("DisableRowPolicies", CollectionNamed(**_place(request)), Protection)


# Previews


async def preview(request: ConsoleRequest) -> Response:
    """Show how many rows somebody sees, and through which policies."""
    asked = {name: request.query_value(name).strip() for name in ("user", "key", "action", "primary_keys")}
    fields = _preview_fields(request, asked)
    values: dict[str, Any] = {**_place(request), "fields": fields, "found": None}
    if not asked["action"]:
        return request.page("row_preview.html", **values)
    question = PreviewRequest(
        **_place(request),
        user_name=asked["user"],
        key_id=asked["key"],
        action=asked["action"],
        primary_keys=[word for word in _BETWEEN.split(asked["primary_keys"]) if word],
    )
    try:
        found = await request.client.invoke("PreviewRows", question, PreviewedRows)
    except RequestRefused as error:
        errors = reason_at_field(request, error, fields, userName="user", keyId="key")
        return request.page_with_errors("row_preview.html", errors, **values)
    return request.page("row_preview.html", **{**values, "found": found, "sentence": _sentence(request, found)})


def _preview_fields(request: ConsoleRequest, asked: Mapping[str, str]) -> list[Field]:
    text = request.text
    actions = [(action.value, action.value) for action in RowAction if action in USING_ACTIONS]
    return [
        Field("user", hint=text("row_preview.user"), value=asked["user"], complete="users"),
        Field("key", hint=text("row_preview.key_id"), value=asked["key"]),
        Field("action", "select", options=actions, value=asked["action"]),
        Field("primary_keys", hint=text("row_preview.keys_hint"), value=asked["primary_keys"]),
    ]


def _sentence(request: ConsoleRequest, found: PreviewedRows) -> str:
    """Return the answer in one sentence: as whom, how many rows, through what."""
    who = found.user_name if found.key_id is None else request.text("row_preview.key", key=found.key_id)
    through = [
        f"`{each.policy_name}`"
        for each in found.policies
        if each.policy_type == PolicyType.PERMISSIVE and each.rows != 0
    ]
    kind = "bypassed" if found.bypassed else "some" if found.visible_rows else "none"
    return request.text(
        f"row_preview.{kind}",
        who=who,
        verb=request.text(f"row_preview.verb.{found.action.lower()}"),
        visible=f"{found.visible_rows:,}",
        total=f"{found.total_rows:,}",
        policies=request.text("list.separator").join(through),
    )


_COLLECTION: Final = "collections/{database}/{name}"

PAGES: Final = (
    Page(f"{_COLLECTION}/new-policy", create_form, create),
    Page(f"{_COLLECTION}/policies/{{policy}}", change_form, change),
    Action(f"{_COLLECTION}/policies/{{policy}}/drop", "row_policy_drop", _drop, _back, _what_is_dropped).page(),
    Page(f"{_COLLECTION}/enforce", enforce_form, enforce),
    Action(f"{_COLLECTION}/stop-enforcing", "row_policies_stop", _stop, _back).page(),
    Page(f"{_COLLECTION}/preview", preview),
)
