"""How users may sign in to the console: with passwords that are stored here, and through identity providers."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from kiteward.authn.local_sign_in import LocalSignIn

if TYPE_CHECKING:  # loaded where pages are served, and where an identity provider is configured
    from starlette.requests import Request

    from kiteward.authn.oidc.provider import SignInProvider

SIGN_IN: Final = "/console/sign-in"

CALLBACK: Final = "callback"
"""The page below that of a provider to which the provider sends the browser back."""

LOGOUT: Final = "logout"
"""The page below that of a provider to which it sends logout tokens, and which sends the browser there to sign out."""


def path_of(provider: str, page: str = "") -> str:
    """Return the path of a page of an identity provider.

    Args:
        provider: its name.
        page: `CALLBACK` or `LOGOUT`; empty for the page that sends the browser to it.
    """
    return "/".join(filter(None, (SIGN_IN, quote(provider, safe=""), page)))


@dataclass(frozen=True, slots=True)
class SignInOptions:
    """How users may sign in.

    Attributes:
        passwords: who may with a password; the authenticator enforces it, the page for signing in says it.
        providers: the identity providers by their names, in the order in which they are offered.
        address: scheme and host at which browsers find this server, `kiteward.console.address`; empty for those of each
            request.
        clock: returns seconds since the epoch, for the age of sign-ins in progress.
    """

    passwords: LocalSignIn = LocalSignIn.EVERYONE
    providers: Mapping[str, "SignInProvider"] = field(default_factory=dict)
    address: str = ""
    clock: Callable[[], float] = time.time

    def base_of(self, http_request: "Request") -> str:
        """Return scheme and host that the addresses of pages begin with where they are sent to identity providers."""
        return self.address or f"{http_request.url.scheme}://{http_request.url.netloc}"

    def named(self, issuer: str | None) -> str:
        """Return the name of the identity provider of an issuer; empty where there is none."""
        return next((name for name, each in self.providers.items() if each.issuer == issuer), "")
