"""The settings of SCIM, which is closed unless they make it certain whom it can name."""

from typing import Any

import pytest

from kiteward.config.loading import settings_from
from kiteward.domain.errors import ConfigurationError

IDP = {"issuer": "https://idp.example", "audience": "kiteward", "userPrefix": "idp_", "userReplace": {"@": "_"}}


def scim(*issuers: dict[str, Any], **keys: Any) -> Any:
    kiteward: dict[str, Any] = {"scim": {"enabled": True, **keys}, **({"oidc": list(issuers)} if issuers else {})}
    return settings_from({"kiteward": kiteward}).scim


def test_it_is_closed_unless_it_is_enabled() -> None:
    assert not settings_from({}).scim.enabled
    assert not scim(enabled=False, userPrefix="scim_").enabled


def test_users_are_named_by_the_prefix_with_what_is_replaced() -> None:
    found = scim(userPrefix="scim_", userReplace={"@corp.example": "", "@": "_", "+": "-"})
    assert found.name_made_of("a+b@corp.example") == "scim_a-b"
    assert found.name_made_of("a@other.example") == "scim_a_other.example"
    assert found.name_made_of("{userName}\\1") == "scim_{userName}\\1"
    assert found.issuer == ""


def test_users_of_an_issuer_are_named_as_its_tokens_name_them() -> None:
    found = scim(IDP, issuer="https://idp.example")
    assert (found.issuer, found.name_made_of("a@b")) == ("https://idp.example", "idp_a_b")
    by_template = {**IDP, "userTemplate": "{email}"}
    assert scim(by_template, issuer="https://idp.example").name_made_of("a@b") == "idp_a_b"


@pytest.mark.parametrize(
    ("issuers", "keys", "named"),
    [
        ([], {}, "kiteward.scim.userPrefix must"),
        ([], {"userPrefix": "1"}, "kiteward.scim.userPrefix must"),
        ([], {"userPrefix": "a@"}, "kiteward.scim.userPrefix must"),
        ([], {"userPrefix": "scim_", "userReplace": {"": "x"}}, "kiteward.scim.userReplace must"),
        ([], {"userPrefix": "scim_", "userReplace": "x"}, "kiteward.scim.userReplace must"),
        ([], {"issuer": "https://idp.example"}, "kiteward.scim.issuer names no entry"),
        ([IDP], {"issuer": "https://idp.example", "userPrefix": "scim_"}, "leave out kiteward.scim.userPrefix"),
        ([IDP], {"userPrefix": "idp_x"}, "https://idp.example"),
        ([IDP], {"userPrefix": "id"}, "https://idp.example"),
        ([{**IDP, "userTemplate": "{a}_{b}"}], {"issuer": "https://idp.example"}, "several claims"),
        ([], {"userPrefix": "scim_", "colour": "red"}, "unknown key kiteward.scim.colour"),
    ],
)
def test_settings_that_leave_open_whom_it_names_are_refused(
    issuers: list[dict[str, Any]], keys: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        scim(*issuers, **keys)


@pytest.mark.parametrize(
    "others", [{"proxy": {"http": {"enabled": False}}}, {"common": {"security": {"authorizationEnabled": False}}}]
)
def test_it_is_not_enabled_where_it_could_not_be_served_or_everybody_could_use_it(others: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"kiteward\.scim\.enabled is true"):
        settings_from({"kiteward": {"scim": {"enabled": True, "userPrefix": "scim_"}}, **others})
