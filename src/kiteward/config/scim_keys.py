"""The rows of the settings of SCIM."""

from collections.abc import Mapping
from typing import Final

from kiteward.config.key import Key
from kiteward.config.kinds import FLAG, Text
from kiteward.config.oidc_keys import TextBy

SCIM_ENABLED: Final[Key[bool]] = Key(
    "kiteward.scim.enabled", FLAG, False, "whether identity providers manage users and groups at /scim/v2"
)
SCIM_ISSUER: Final[Key[str]] = Key(
    "kiteward.scim.issuer",
    Text("URL"),
    "",
    "the identity provider of `kiteward.oidc` whose tokens sign in the users of SCIM, and whose rule names them",
)
SCIM_USER_PREFIX: Final[Key[str]] = Key(
    "kiteward.scim.userPrefix",
    Text("text"),
    "",
    "what the user names of SCIM begin with, as scim_; required where it is enabled without an issuer",
)
SCIM_USER_REPLACE: Final[Key[Mapping[str, str]]] = Key(
    "kiteward.scim.userReplace",
    TextBy("section"),
    {},
    'text in a `userName` and what stands for it in user names, as {"@": "_"}',
    unset="none",
)
