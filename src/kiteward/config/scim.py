"""Reads the settings of SCIM."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from kiteward.authn.oidc.issuers import Issuer, NameRule
from kiteward.config.reader import Reader
from kiteward.config.scim_keys import SCIM_ENABLED, SCIM_ISSUER, SCIM_USER_PREFIX, SCIM_USER_REPLACE
from kiteward.domain.errors import ConfigurationError
from kiteward.iam.scim.settings import ScimSettings

_PREFIX: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]*")
_USER_NAME: Final = "{userName}"


def scim(reader: Reader, issuers: Sequence[Issuer], *, served: bool) -> ScimSettings:
    """Return the settings of SCIM.

    Args:
        reader: reads them.
        issuers: the identity providers whose tokens are accepted.
        served: whether HTTP is served, and callers are authenticated.

    Raises:
        ConfigurationError: they contradict one another, or others; or SCIM is enabled and cannot be served.
    """
    enabled, issuer = reader.get(SCIM_ENABLED), reader.get(SCIM_ISSUER)
    prefix, replaced = reader.get(SCIM_USER_PREFIX), reader.get(SCIM_USER_REPLACE)
    if not enabled:
        return ScimSettings()
    if not served:
        raise ConfigurationError(
            f"{SCIM_ENABLED.name} is true: SCIM needs proxy.http.enabled and common.security.authorizationEnabled to "
            "be true"
        )
    if not issuer:
        return ScimSettings(_own_names(prefix, replaced, issuers))
    if prefix or replaced:
        raise ConfigurationError(
            f"{SCIM_ISSUER.name} is set, whose rule names the users: leave out {SCIM_USER_PREFIX.name} and "
            f"{SCIM_USER_REPLACE.name}"
        )
    return ScimSettings(_names_of(issuer, issuers), issuer)


def _own_names(prefix: str, replaced: Mapping[str, str], issuers: Sequence[Issuer]) -> NameRule:
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            f"{SCIM_ENABLED.name} is true: {SCIM_USER_PREFIX.name} must begin with a letter, and have letters, digits, "
            f"underscores, dots and hyphens only, as scim_; or {SCIM_ISSUER.name} must name an identity provider"
        )
    if not all(replaced):
        raise ConfigurationError(f"{SCIM_USER_REPLACE.name} must not replace an empty text")
    for each in issuers:
        if each.names.prefix.startswith(prefix) or prefix.startswith(each.names.prefix):
            raise ConfigurationError(
                f"{SCIM_USER_PREFIX.name} could name users of {each.name}: let neither prefix begin with the other, or "
                f"set {SCIM_ISSUER.name} to it"
            )
    return NameRule(f"{prefix}{_USER_NAME}", replaced)


def _names_of(name: str, issuers: Sequence[Issuer]) -> NameRule:
    found = next((each for each in issuers if each.name == name), None)
    if found is None:
        raise ConfigurationError(f"{SCIM_ISSUER.name} names no entry of kiteward.oidc: configure it there")
    if found.names.template.count("{") != 1:
        raise ConfigurationError(
            f"{SCIM_ISSUER.name} names an identity provider whose user names are made from several claims: a "
            "`userName` is one text"
        )
    return found.names
