"""The list of limits, without and with limits."""

from tests.support.gateway import own_call
from tests.unit.api.console.test_app import browsing

SOME = "These users, API keys and roles have limits."
NONE = "Nobody has limits."


async def test_a_server_without_limits_says_so_alone() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        page = (await browser.open("limits")).text
        assert (NONE in page, SOME in page) == (True, False)
        await browser.harness.user("ann")
        await browser.harness.gateway.handle(own_call("SetLimits", userName="ann", requestsPerSecond=1.0))
        page = (await browser.open("limits")).text
        assert (NONE in page, SOME in page) == (False, True)
