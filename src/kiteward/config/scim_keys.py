"""The rows of the settings of SCIM, and what they are together."""

from typing import Final

from kiteward.config.key import Key
from kiteward.config.kinds import FLAG, Text
from kiteward.config.reader import Reader
from kiteward.domain.errors import ConfigurationError
from kiteward.iam.scim.settings import ScimSettings

_DEFAULT: Final = ScimSettings()

SCIM_ENABLED: Final[Key[bool]] = Key(
    "kiteward.scim.enabled", FLAG, _DEFAULT.enabled, "whether identity providers manage users and groups at /scim/v2"
)
SCIM_STRIP_DOMAIN: Final[Key[bool]] = Key(
    "kiteward.scim.stripDomain",
    FLAG,
    _DEFAULT.strip_domain,
    "whether `@` and what follows it in a `userName` is no part of the user name",
)
SCIM_USER_PREFIX: Final[Key[str]] = Key(
    "kiteward.scim.userPrefix",
    Text("text"),
    _DEFAULT.user_prefix,
    "how the names of users made by SCIM begin; required where it is enabled",
)


def scim(reader: Reader, *, served: bool) -> ScimSettings:
    """Return the settings of SCIM.

    Args:
        reader: reads them.
        served: whether HTTP is served, and callers are authenticated.

    Raises:
        ConfigurationError: as `ScimSettings`; or SCIM is enabled and cannot be served.
    """
    settings = ScimSettings(
        reader.get(SCIM_ENABLED), reader.get(SCIM_USER_PREFIX), strip_domain=reader.get(SCIM_STRIP_DOMAIN)
    )
    if settings.enabled and not served:
        raise ConfigurationError(
            f"{SCIM_ENABLED.name} is true: SCIM needs proxy.http.enabled and common.security.authorizationEnabled to "
            "be true"
        )
    return settings
