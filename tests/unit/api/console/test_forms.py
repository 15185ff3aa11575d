"""Where the reason of a refusal is shown: at the field whose argument is at fault, else above the form."""

import re
from collections.abc import Iterable
from typing import Any, cast

import pytest
from tests.unit.api.console.test_app import browsing

from kiteward.api.console.forms import Field, reason_at_field
from kiteward.api.console.request import ConsoleRequest, Reason
from kiteward.domain.error_codes import ErrorDetail
from kiteward.domain.errors import InvalidArgument

FIELDS = (Field("user_name"), Field("new_password"))


class Asked:
    """A request whose page says of an error which codes it has."""

    @staticmethod
    def reason(details: Iterable[ErrorDetail]) -> Reason:
        return Reason(" ".join(detail.code for detail in details))


@pytest.mark.parametrize(
    ("argument", "field"),
    [("userName", "user_name"), ("newPassword", "new_password"), ("password", "new_password"), ("roles", ""), ("", "")],
)
def test_reason_stands_at_the_field_of_the_argument_at_fault(argument: str, field: str) -> None:
    error = InvalidArgument("not so: password", field=argument)
    request = cast("ConsoleRequest", Asked())
    at = reason_at_field(request, error, FIELDS, password="new_password")
    assert at == {field: Reason("invalid_argument")}


@pytest.mark.parametrize(
    ("path", "typed", "changed"),
    [
        ("users/root/disable", {}, False),
        ("users/root/disable", {"csrf_of": "x"}, False),
        ("users/alice/delete", {"typed_name": ""}, False),
        ("users/alice/delete", {"typed_name": "bob"}, True),
        ("new-user", {"user_name": "", "description": "", "new_password": ""}, False),
        ("new-user", {"user_name": "", "description": "x"}, True),
        ("new-user", {"user_name": "", "one_time": "1"}, True),
        ("new-user", {"user_name": "9 lives"}, True),
        ("new-user", {"user_name": "", "roles": "admin"}, True),
        ("users/alice/reset", {"new_password": "x", "keep_old_for": "0"}, True),
    ],
)
async def test_a_form_that_comes_back_is_changed_only_where_something_was_typed(
    path: str, typed: dict[str, str], changed: bool
) -> None:
    async with browsing() as browser:
        await browser.harness.user("alice")
        await browser.sign_in()
        answer = await browser.send(path, **typed)
        assert answer.status_code == 422
        assert ("data-unsaved" in answer.text) is changed


async def test_the_reloaded_page_of_a_secret_leads_to_where_another_is_made() -> None:
    async with browsing() as browser:
        await browser.harness.user("alice")
        await browser.sign_in()
        for path, form, where in (
            ("new-user", {"user_name": "bob"}, "/console/users/bob"),
            ("users/alice/reset", {"keep_old_for": "0"}, "/console/users/alice"),
            ("new-key", {"expires_in_days": "1"}, "/console/keys"),
        ):
            answer = await browser.send(path, **form)
            address = answer.headers["location"].removeprefix("/console/")
            assert (await browser.open(address)).status_code == 200
            again = await browser.open(address)
            assert again.status_code == 410
            assert f'<a class="button" href="{where}">Back</a>' in again.text
        elsewhere = await browser.open("once/x?back=https%3A%2F%2Fevil.example")
        assert '<a class="button" href="/console/">' in elsewhere.text


@pytest.mark.parametrize(
    ("path", "typed", "wrong"),
    [
        (
            "new-user",
            {"user_name": "9 lives", "new_password": "short", "description": "x" * 1_100},
            {"user_name", "new_password", "description"},
        ),
        (
            "users/root/limits",
            {"requests_per_second": "lots", "burst": "0", "concurrent_requests": "-1"},
            {"requests_per_second", "burst", "concurrent_requests"},
        ),
        ("users/root/limits", {"requests_per_second": "5", "burst": "x", "concurrent_requests": "7"}, {"burst"}),
        ("users/root/limits", {"burst": "x", "concurrent_requests": "0"}, {"burst", "concurrent_requests"}),
        (
            "users/root/limits",
            {"requests_per_second": "0", "burst": "0", "concurrent_requests": "1"},
            {"requests_per_second", "burst"},
        ),
        ("new-role", {"role_name": "9 lives", "source": "ghost"}, {"role_name", "source"}),
        (
            "new-role",
            {"role_name": "9 lives", "source": "admin", "description": "x" * 1_100},
            {"role_name", "source", "description"},
        ),
        ("new-role", {"role_name": "9 lives", "description": "x" * 1_100}, {"role_name", "description"}),
        (
            "new-group",
            {"group_name": "9 lives", "privileges": ["Query", "CreateDatabase"]},
            {"group_name", "privileges"},
        ),
        ("new-group", {"group_name": "Query", "privileges": ["Isert"]}, {"group_name", "privileges"}),
        (
            "collections/default/docs/new-policy",
            {"policy_name": "", "policy_type": "PERMISSIVE", "using_expr": "id >", "description": "x" * 1_100},
            {"policy_name", "actions", "using_expr", "description"},
        ),
        (
            "collections/default/docs/new-policy",
            {
                "policy_name": "9 lives",
                "policy_type": "PERMISSIVE",
                "actions": ["Query", "Insert"],
                "using_expr": "id >",
                "check_expr": "id == ",
                "description": "x" * 1_100,
            },
            {"policy_name", "description", "using_expr", "check_expr"},
        ),
        (
            "collections/default/docs/new-policy",
            {
                "policy_name": "here",
                "policy_type": "PERMISSIVE",
                "actions": ["Query", "Insert"],
                "using_expr": "ids == 1",
                "check_expr": "ids == 1",
                "roles": "ghost",
            },
            {"policy_name", "using_expr", "check_expr", "roles"},
        ),
        (
            "collections/default/docs/new-policy",
            {
                "policy_name": "9 lives",
                "policy_type": "PERMISSIVE",
                "actions": "Query",
                "check_expr": "id > 1",
                "description": "x" * 1_100,
            },
            {"policy_name", "description", "using_expr", "check_expr"},
        ),
        (
            "new-key",
            {"user_name": "ghost", "expires_in_days": "x", "networks": "y", "description": "x" * 1_100},
            {"user_name", "expires_in_days", "networks", "description"},
        ),
        (
            "new-key",
            {"user_name": "ghost", "expires_in_days": "99999", "networks": "y", "description": "x" * 1_100},
            {"user_name", "expires_in_days", "networks", "description"},
        ),
    ],
)
async def test_everything_that_is_wrong_is_marked_at_once(path: str, typed: dict[str, Any], wrong: set[str]) -> None:
    async with browsing() as browser:
        browser.harness.engine.create("docs")
        await browser.sign_in()
        held = {"policy_name": "here", "policy_type": "PERMISSIVE", "actions": "Query", "using_expr": "true"}
        await browser.send("collections/default/docs/new-policy", **held)
        answer = await browser.send(path, **typed)
        assert answer.status_code == 422
        assert {*re.findall(r'<p class="error" id="(\w+)-error">', answer.text)} == wrong
        assert "Please correct the marked fields." in answer.text
