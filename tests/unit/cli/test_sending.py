"""How long a command waits for an answer: no endpoint that a server lets take longer is given up on."""

from kiteward.api.rest.endpoint_table import TABLE
from kiteward.cli.sending import SECONDS, seconds_for


def test_commands_wait_without_end_for_exactly_those_endpoints_that_take_long_by_nature() -> None:
    endless = {path for path in TABLE if seconds_for(path.removeprefix("/v2/")) is None}
    assert endless == {path for path, endpoint in TABLE.items() if endpoint.long}
    assert len(endless) == 3
    assert seconds_for("kiteward/users/list") == SECONDS
