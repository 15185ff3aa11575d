"""Reviews who can sign in to the console by the settings, for `kiteward doctor`."""

from collections.abc import Iterator
from typing import Final

from kiteward.api.console.sign_in_options import CALLBACK, LOGOUT, SIGN_IN, path_of
from kiteward.authn.local_sign_in import LocalSignIn
from kiteward.authn.oidc.issuers import Issuer
from kiteward.bootstrap.review import Review
from kiteward.bootstrap.start_checks import is_loopback
from kiteward.config.console_keys import LOCAL_SIGN_IN
from kiteward.config.settings import Settings

_EVERY_ADDRESS: Final = frozenset({"", "0.0.0.0", "::", "*"})  # noqa: S104  only compared with


def review_sign_in(settings: Settings) -> Review:
    """Return what is to be said about signing in to the console."""
    issuers = [issuer for issuer in settings.issuers if issuer.client is not None]
    if not (settings.rest.enabled and settings.console.enabled and settings.authorization):
        unused = "the console is not served: clientId in kiteward.oidc is without effect"
        return Review(notes=(unused,) if issuers else ())
    return Review(notes=tuple(_notes(settings, issuers)), unsafe=tuple(_unsafe(settings, issuers)))


def _unsafe(settings: Settings, issuers: list[Issuer]) -> Iterator[str]:
    rule, host = settings.console.local_sign_in, settings.host
    given = f"{LOCAL_SIGN_IN.name} is {rule.value}"
    if rule is LocalSignIn.NOBODY and not issuers:
        yield (
            f"{given} and no issuer of kiteward.oidc has a clientId: nobody can sign in to the console; give one a "
            "clientId, or let administrators use passwords"
        )
    if rule is not LocalSignIn.ADMINISTRATORS_FROM_LOOPBACK:
        return
    if host not in _EVERY_ADDRESS and not is_loopback(host):
        locked_out = "no password signs in to the console" if issuers else "nobody can sign in to the console"
        yield (
            f"{given} and kiteward.host is {host}, where no request from loopback arrives: {locked_out}; use "
            "administrators"
        )
    elif is_loopback(host) and (settings.hosts.names or settings.console.address):
        yield (
            f"{given} and kiteward.host is {host}: what a proxy on this machine forwards comes from loopback as well, "
            "whoever sends it; use administrators"
        )


def _notes(settings: Settings, issuers: list[Issuer]) -> Iterator[str]:
    rule = settings.console.local_sign_in
    given = f"{LOCAL_SIGN_IN.name} is {rule.value}"
    if issuers and rule is LocalSignIn.NOBODY:
        yield f"{given}: while no identity provider can be used, nobody can sign in to the console"
    if not issuers and rule in (LocalSignIn.ADMINISTRATORS, LocalSignIn.ADMINISTRATORS_FROM_LOOPBACK):
        yield f"{given} and no issuer of kiteward.oidc has a clientId: other users cannot sign in to the console"
    base = settings.console.address or f"{'http' if settings.tls is None else 'https'}://HOST:{settings.port}"
    for name in (issuer.sign_in_name for issuer in issuers):
        redirect, logout = (f"{base}{path_of(name, page)}" for page in (CALLBACK, LOGOUT))
        yield (
            f"to be registered at {name}: redirect URI {redirect}, post-logout redirect URI {base}{SIGN_IN}, "
            f"back-channel logout {logout}"
        )
