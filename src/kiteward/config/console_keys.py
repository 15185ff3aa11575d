"""The rows of the settings for signing in to the console."""

from typing import Final

from kiteward.authn.local_sign_in import LocalSignIn
from kiteward.authn.second_factor.rules import RequiredOf
from kiteward.config.key import Key
from kiteward.config.kinds import Choice, Names, Text

CONSOLE_ADDRESS: Final[Key[str]] = Key(
    "kiteward.console.address",
    Text("URL"),
    "",
    "scheme and host at which browsers find this server, as registered at identity providers; such as "
    "https://kiteward.example",
    unset="those of each request",
)
FACTOR_KEY: Final[Key[str]] = Key(
    "kiteward.console.factorKey",
    Text("text"),
    "",
    "random text of 32 characters or more, which seals the secrets of authenticator apps",
    secret=True,
    unset="for a store in a file, `factors.key` in the data directory",
)
FACTOR_KEY_FILE: Final[Key[str]] = Key(
    "kiteward.console.factorKeyFile", Text("path"), "", "instead: a file that holds that text"
)
LOCAL_SIGN_IN: Final[Key[LocalSignIn]] = Key(
    "kiteward.console.localSignIn",
    Choice(tuple(LocalSignIn)),
    LocalSignIn.EVERYONE,
    "who signs in to the console with a password, besides identity providers",
)
PASSKEY_ORIGINS: Final[Key[frozenset[str]]] = Key(
    "kiteward.console.passkeys.origins",
    Names("origins"),
    frozenset(),
    "origins of the console's pages, where passkeys are accepted",
    unset="https:// and `rpId`",
)
PASSKEY_RP_ID: Final[Key[str]] = Key(
    "kiteward.console.passkeys.rpId",
    Text("host name"),
    "",
    "host name of the console, to which passkeys belong for ever; without it there are none",
)
SECOND_FACTOR: Final[Key[RequiredOf]] = Key(
    "kiteward.console.secondFactor",
    Choice(tuple(RequiredOf)),
    RequiredOf.NOBODY,
    "who must have a second factor for the console; anybody may enrol one",
)
