"""The banner and the page about first steps, until the password is changed and a first user exists."""

from tests.support.gateway import PASSWORD
from tests.unit.api.console.test_app import browsing


async def test_the_banner_leads_to_the_first_steps_until_both_are_taken() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        page = (await browser.open("account")).text
        assert "root still has the default password" in page
        assert 'href="/console/first-steps"' in page
        steps = (await browser.open("first-steps")).text
        assert steps.count("Not done yet") == 2
        assert "root still has the default password" not in steps  # the page itself says it
        await browser.send("account", old_password="Milvus", new_password=PASSWORD, again=PASSWORD)
        assert "There is no user besides root yet." in (await browser.open("connect")).text
        await browser.send("new-user", user_name="alice", new_password=PASSWORD)
        assert "first-steps" not in (await browser.open("connect")).text
        assert "Everything is done" in (await browser.open("first-steps")).text


async def test_people_who_are_no_administrators_see_neither_banner_nor_page() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        await browser.send("new-user", user_name="alice", new_password=PASSWORD)
        await browser.send("sign-out")
        await browser.sign_in("alice", PASSWORD)
        assert "default password" not in (await browser.open("account")).text
        answer = await browser.open("first-steps")
        assert answer.status_code in (403, 404)
        assert "Change the password of root" not in answer.text


async def test_the_banner_speaks_the_language_of_the_browser() -> None:
    async with browsing() as browser:
        browser.client.headers["accept-language"] = "zh"
        await browser.sign_in()
        assert "root 仍在使用默认密码" in (await browser.open("account")).text
