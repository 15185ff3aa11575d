"""Environment variables of the command line, which name no key of the configuration."""

from typing import Final

SERVER: Final = "KITEWARD_SERVER"
TOKEN_FILE: Final = "KITEWARD_TOKEN_FILE"  # noqa: S105  the name of a variable
CA_FILE: Final = "KITEWARD_CA_FILE"

COMMAND_LINE: Final = frozenset({SERVER, TOKEN_FILE, CA_FILE})
"""All of them."""
