"""The rows of the settings for signing in to the console."""

from typing import Final

from kiteward.authn.local_sign_in import LocalSignIn
from kiteward.config.key import Key
from kiteward.config.kinds import Choice, Text

CONSOLE_ADDRESS: Final[Key[str]] = Key(
    "kiteward.console.address",
    Text("URL"),
    "",
    "scheme and host at which browsers find this server, as registered at identity providers; such as "
    "https://kiteward.example",
    unset="those of each request",
)
LOCAL_SIGN_IN: Final[Key[LocalSignIn]] = Key(
    "kiteward.console.localSignIn",
    Choice(tuple(LocalSignIn)),
    LocalSignIn.EVERYONE,
    "who signs in to the console with a password, besides identity providers",
)
