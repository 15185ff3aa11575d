"""The pages about the second factors of the signed-in user: list, enrol, remove, and new recovery codes."""

from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console import security
from kiteward.api.console.forms import Field, reason_at_field
from kiteward.api.console.one_time_secrets import address, page_of, show_once
from kiteward.api.console.qr_code import qr_code
from kiteward.api.console.request import ENROLMENT, ConsoleRequest, Page, Reason
from kiteward.api.console.tickets import OneTimeSecret
from kiteward.domain.errors import RequestRefused
from kiteward.domain.identity import Secret
from kiteward.iam.json_api.accounts import PerhapsNamed
from kiteward.iam.json_api.base import Arguments, Done
from kiteward.iam.json_api.second_factors import (
    AppConfirmed,
    Enrolled,
    FactorRemoved,
    ListedFactors,
    NewPasskey,
    PasskeyOptions,
    PasskeyWanted,
    Proved,
    RecoveryCodes,
    StartedApp,
)

_LABEL: Final = Field("label")
_PASSWORD: Final = Field("password", "password", required=True, autocomplete="current-password")
_CODE: Final = Field("code", required=True, autocomplete="one-time-code")
_PROOF: Final = (_PASSWORD, _CODE)

_Errors = dict[str, Reason] | None


async def show(request: ConsoleRequest) -> Response:
    """Show the second factors of the signed-in user, and what can be enrolled."""
    return request.page("second_factors.html", held=await _held(request))


async def app_form(request: ConsoleRequest, errors: _Errors = None) -> Response:
    """Show what an authenticator app is to be given, and the form that confirms it."""
    started = await request.client.invoke("StartApp", Arguments(), StartedApp)
    values: dict[str, Any] = {
        # Shown to the user whose app needs them, and on no other page.
        "secret": started.secret.reveal(),
        "uri": started.uri.reveal(),
        "qr_code": qr_code(started.uri),
        "fields": (_CODE, _PASSWORD, _LABEL),
    }
    if errors:
        return request.page_with_errors("second_factor_app.html", errors, **values)
    return request.page("second_factor_app.html", **values)


async def confirm_app(request: ConsoleRequest) -> Response:
    """Let the app count from now on, if the code and the password are right."""
    errors = _missing(request, "code", "password")
    if errors:
        return await app_form(request, errors)
    given = AppConfirmed(
        password=Secret(request.form_raw("password")),
        code=Secret(request.form_text("code")),
        label=request.form_text("label"),
    )
    try:
        enrolled = await request.client.invoke("ConfirmApp", given, Enrolled)
    except RequestRefused as error:
        return await app_form(request, reason_at_field(request, error, (_CODE, _PASSWORD, _LABEL)))
    return await _enrolled(request, enrolled)


async def passkey_form(request: ConsoleRequest, errors: _Errors = None) -> Response:
    """Show the form for making a passkey."""
    made = await request.client.invoke("StartPasskey", PasskeyWanted(), PasskeyOptions)
    values: dict[str, Any] = {"options": made.options, "fields": (_PASSWORD, _LABEL)}
    if errors:
        return request.page_with_errors("second_factor_passkey.html", errors, **values)
    return request.page("second_factor_passkey.html", **values)


async def add_passkey(request: ConsoleRequest) -> Response:
    """Add the passkey that a device has made, if the password is right."""
    errors = _missing(request, "password")
    if not errors and not request.form_raw("passkey"):
        errors = {"": request.complaint("passkey.script")}
    if errors:
        return await passkey_form(request, errors)
    given = NewPasskey(
        password=Secret(request.form_raw("password")),
        passkey=Secret(request.form_raw("passkey")),
        label=request.form_text("label"),
    )
    try:
        enrolled = await request.client.invoke("AddPasskey", given, Enrolled)
    except RequestRefused as error:
        return await passkey_form(request, reason_at_field(request, error, (_PASSWORD, _LABEL)))
    return await _enrolled(request, enrolled)


async def remove_form(request: ConsoleRequest, errors: _Errors = None) -> Response:
    """Show the form for removing a second factor."""
    return await _proof_form(request, "factor_remove", errors)


async def remove(request: ConsoleRequest) -> Response:
    """Remove a second factor, if the password and a second factor are right."""
    errors = _missing_proof(request)
    if errors:
        return await remove_form(request, errors)
    given = FactorRemoved(factor_id=request.names["factor"], **_proof(request))
    try:
        await request.client.invoke("RemoveFactor", given, Done)
    except RequestRefused as error:
        return await remove_form(request, reason_at_field(request, error, _PROOF))
    return request.redirect(ENROLMENT, done="factor_remove")


async def codes_form(request: ConsoleRequest, errors: _Errors = None) -> Response:
    """Show the form for new recovery codes."""
    return await _proof_form(request, "codes_renew", errors)


async def renew_codes(request: ConsoleRequest) -> Response:
    """Replace the recovery codes, which are shown once, if the password and a second factor are right."""
    errors = _missing_proof(request)
    if errors:
        return await codes_form(request, errors)
    try:
        renewed = await request.client.invoke("RenewRecoveryCodes", Proved(**_proof(request)), RecoveryCodes)
    except RequestRefused as error:
        return await codes_form(request, reason_at_field(request, error, _PROOF))
    return await show_once(request, _codes(request, renewed.recovery_codes))


async def _proof_form(request: ConsoleRequest, key: str, errors: _Errors) -> Response:
    """Show a form that takes the password and a second factor."""
    held = await _held(request)
    usable = held.passkeys and any(each.kind == "passkey" for each in held.factors)
    wanted = PasskeyWanted(new=False)
    options = (await request.client.invoke("StartPasskey", wanted, PasskeyOptions)).options if usable else ""
    named = [each for each in held.factors if each.factor_id == request.names.get("factor")]
    name = next((each.label or request.text(f"factor.{each.kind}") for each in named), request.text("column.factor"))
    values: dict[str, Any] = {
        "key": key,
        "title": request.text(f"{key}.title", name=name),
        "button": request.text(f"{key}.button", name=name),
        "last": bool(named) and named == list(held.factors),
        "options": options,
        "fields": (_PASSWORD,),
    }
    if errors:
        return request.page_with_errors("second_factor_proof.html", errors, **values)
    return request.page("second_factor_proof.html", **values)


async def _held(request: ConsoleRequest) -> ListedFactors:
    return await request.client.invoke("ListFactors", PerhapsNamed(), ListedFactors)


async def _enrolled(request: ConsoleRequest, enrolled: Enrolled) -> Response:
    """Show the recovery codes that come with a first second factor, in the session that takes the place of this one."""
    codes, token = enrolled.recovery_codes, enrolled.token
    if codes is None:
        return request.redirect(ENROLMENT, done="factor_enrolled")
    shown = _codes(request, codes)
    if not enrolled.session_id:
        return page_of(request, shown)
    if token is None:
        return await show_once(request, shown)
    ticket = await request.tickets.put(enrolled.session_id, token, shown)
    response = request.redirect(address(ticket, shown))
    security.set_session_cookie(response, request.http_request, token)
    return response


def _codes(request: ConsoleRequest, codes: Secret) -> OneTimeSecret:
    return OneTimeSecret(request.text("codes_made.title"), request.text("codes_made.what"), codes, ENROLMENT)


def _proof(request: ConsoleRequest) -> dict[str, Secret]:
    return {
        "password": Secret(request.form_raw("password")),
        "code": Secret(request.form_text("code")),
        "passkey": Secret(request.form_raw("passkey")),
    }


def _missing(request: ConsoleRequest, *names: str) -> dict[str, Reason]:
    return {name: request.complaint("field.needed") for name in names if not request.form_raw(name).strip()}


def _missing_proof(request: ConsoleRequest) -> dict[str, Reason]:
    return _missing(request, "password") | ({} if request.form_raw("passkey") else _missing(request, "code"))


PAGES: Final = (
    Page("second-factors", show),
    Page("second-factors/app", app_form, confirm_app),
    Page("second-factors/passkey", passkey_form, add_passkey),
    Page("second-factors/recovery-codes", codes_form, renew_codes),
    Page("second-factors/{factor}/remove", remove_form, remove),
)
