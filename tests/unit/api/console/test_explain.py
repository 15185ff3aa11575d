"""What an explanation advises, to administrators and to others."""

from tests.support.gateway import PASSWORD
from tests.unit.api.console.test_app import browsing

ASKED = "explain?user=ann&privilege=Insert&collection=docs&database=default"
FOR_ADMINISTRATORS = "No role allows it yet: create one"
FOR_OTHERS = "Ask an administrator what would allow this."


async def test_who_cannot_create_a_role_is_advised_to_ask_an_administrator() -> None:
    async with browsing() as browser:
        browser.harness.engine.create("docs")
        await browser.harness.user("ann")
        await browser.sign_in()
        page = (await browser.open(ASKED)).text
        assert (FOR_ADMINISTRATORS in page, FOR_OTHERS in page) == (True, False)
        browser.client.cookies.clear()
        await browser.sign_in("ann", PASSWORD)
        page = (await browser.open(ASKED)).text
        assert (FOR_ADMINISTRATORS in page, FOR_OTHERS in page) == (False, True)
