"""What the doctor says about who can sign in to the console."""

from typing import Any

import pytest

from kiteward.bootstrap.sign_in_review import review_sign_in
from kiteward.config.loading import settings_from

IDP = {"issuer": "https://idp.example", "audience": "kiteward", "userPrefix": "idp_", "clientId": "console"}
WITHOUT_CLIENT = {**IDP, "clientId": None}


def review(rule: str, *issuers: dict[str, Any], **more: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    console = {"localSignIn": rule, **more.pop("console", {})}
    found = review_sign_in(settings_from({"kiteward": {"oidc": list(issuers), "console": console, **more}}))
    return found.unsafe, found.notes


@pytest.mark.parametrize(
    ("rule", "issuers", "more", "expected"),
    [
        ("everyone", [], {}, ""),
        ("everyone", [IDP], {}, ""),
        ("administrators", [], {}, ""),
        ("administrators-from-loopback", [IDP], {}, ""),
        ("administrators-from-loopback", [IDP], {"host": "0.0.0.0"}, ""),
        ("nobody", [IDP], {}, ""),
        ("nobody", [], {}, "nobody can sign in to the console"),
        ("nobody", [WITHOUT_CLIENT], {}, "nobody can sign in to the console"),
        ("administrators-from-loopback", [IDP], {"host": "192.0.2.7"}, "no password signs in to the console"),
        ("administrators-from-loopback", [], {"host": "192.0.2.7"}, "nobody can sign in to the console"),
        ("administrators-from-loopback", [IDP], {"allowedHosts": "kiteward.example"}, "a proxy on this machine"),
        (
            "administrators-from-loopback",
            [IDP],
            {"console": {"address": "https://kiteward.example"}},
            "a proxy on this machine",
        ),
    ],
)
def test_settings_that_lock_people_out_or_let_too_many_in_are_unsafe(
    rule: str, issuers: list[dict[str, Any]], more: dict[str, Any], expected: str
) -> None:
    unsafe, _ = review(rule, *issuers, **more)
    if expected:
        assert len(unsafe) == 1
        assert expected in unsafe[0]
        assert rule in unsafe[0]
    else:
        assert unsafe == ()


def test_what_is_to_be_registered_and_who_depends_on_the_provider_is_noted() -> None:
    unsafe, notes = review("nobody", IDP, console={"address": "https://kiteward.example"})
    assert unsafe == ()
    assert any("while no identity provider can be used" in note for note in notes)
    assert (
        "to be registered at idp.example: redirect URI https://kiteward.example/console/sign-in/idp.example/callback, "
        "post-logout redirect URI https://kiteward.example/console/sign-in, "
        "back-channel logout https://kiteward.example/console/sign-in/idp.example/logout"
    ) in notes
    assert "http://HOST:19530/console/sign-in/idp.example/callback" in "".join(review("everyone", IDP)[1])
    assert any("other users cannot sign in" in note for note in review("administrators")[1])
    assert review("everyone") == ((), ())


def test_without_a_console_a_client_has_no_effect() -> None:
    unsafe, notes = review("nobody", IDP, console={"enabled": False})
    assert (unsafe, len(notes)) == ((), 1)
    assert "without effect" in notes[0]
    assert review("nobody", console={"enabled": False}) == ((), ())
