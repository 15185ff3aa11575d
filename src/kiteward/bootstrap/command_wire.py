"""How commands and a running server speak on the socket in the data directory (decision 0087).

The server says a line of JSON first: `{"version": VERSION, "store": STORE}`. A request is a line with an endpoint, a
space and its body as JSON. The answer is a line of JSON: `{"data": DATA}`, or `{"fault": MESSAGE, "field": MEMBER}`.
"""

from typing import Final

SOCKET: Final = "commands.sock"
"""The name of the socket."""

LONGEST_LINE: Final = 256 * 1024 * 1024
"""Most bytes of a request or an answer: enough for the policy of a million users."""
