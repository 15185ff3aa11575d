"""The overview, in process."""

import html

from tests.support.gateway import PASSWORD, GatewayHarness, own_call
from tests.unit.api.console.test_app import browsing

from kiteward.api.console.overview import charts_of
from kiteward.domain.errors import EngineUnavailable
from kiteward.iam.json_api.overview import ActivitySpan
from kiteward.telemetry.activity import Activity, Numbers, Span, numbers_of


def counting(harness: GatewayHarness) -> None:
    counts = harness.authenticator.counts
    harness.configure(activity=Activity(lambda: numbers_of(harness.gateway.telemetry, counts), server="host/2"))


async def test_administrators_begin_at_the_overview_and_others_at_their_account() -> None:
    async with browsing(prepare=counting) as browser:
        assert (await browser.client.get("/console/")).headers["location"] == "/console/overview"
        assert (await browser.sign_in()).headers["location"] == "/console/overview"
        page = (await browser.open("overview")).text
        assert "The numbers are those of this server, host/2." in page
        await browser.harness.user("emma")
        browser.client.cookies.clear()
        await browser.sign_in("emma", PASSWORD)
        answer = await browser.open("overview")
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/account")
        assert "/console/overview" not in (await browser.open("account")).text


async def test_a_worker_says_that_the_numbers_are_its_own() -> None:
    def among_four(harness: GatewayHarness) -> None:
        harness.configure(activity=Activity(server="host/3", workers=4))

    async with browsing(prepare=among_four) as browser:
        await browser.sign_in()
        page = (await browser.open("overview")).text
        assert "The numbers are those of one of 4 workers, host/3." in page
        assert "this server, host/3" not in page


async def test_overview_names_locked_users_refusals_and_collections() -> None:
    async with browsing(prepare=counting) as browser:
        browser.harness.engine.create("docs")
        assert "All refused requests" not in (await browser.open("overview")).text
        await browser.harness.user("locked")
        async with browser.harness.policy_cache.change() as transaction:
            await transaction.users.lock("locked")
        await browser.harness.user("emma")
        browser.client.cookies.clear()
        await browser.sign_in("emma", PASSWORD)
        assert (await browser.open("users")).status_code == 403
        browser.client.cookies.clear()
        await browser.sign_in()
        page = html.unescape((await browser.open("overview?period=day")).text)
        assert '<a href="/console/users/locked">locked</a>' in page
        assert "/console/audit?user=emma&user_is=by&operation=ListUserAccounts&" in page
        assert "/console/collections/default/docs" in page
        assert '<rect class="series-succeeded"' in page
        said = (
            "All refused requests of the last 24 hours: 1. Of these, 0 without a valid credential and 0 beyond a limit"
        )
        assert said in page
        assert 'style="' not in page


async def test_the_name_of_a_deleted_user_leads_to_what_was_recorded_about_it() -> None:
    async with browsing(prepare=counting) as browser:
        await browser.harness.user("emma")
        await browser.sign_in("emma", PASSWORD)
        assert (await browser.open("users")).status_code == 403
        browser.client.cookies.clear()
        await browser.sign_in()
        await browser.harness.gateway.handle(own_call("DeleteUserAccount", userName="emma"))
        page = html.unescape((await browser.open("overview")).text)
        assert '<a href="/console/audit?user=emma&user_is=by&period=day">emma</a>' in page
        assert "/console/users/emma" not in page
        gone = await browser.open("users/emma")
        assert (gone.status_code, 'href="/console/audit?user=emma"' in gone.text) == (404, True)


async def test_what_is_not_ready_is_said_and_the_rest_is_shown() -> None:
    async with browsing(prepare=counting) as browser:
        await browser.sign_in()
        browser.harness.engine.failures["ShowCollections"] = EngineUnavailable("away")
        assert "The engine does not list its collections now." in (await browser.open("overview")).text
        browser.harness.trail.working = False
        page = await browser.open("overview")
        assert (page.status_code, "cannot be shown while the audit trail" in page.text) == (200, True)


def test_requests_are_drawn_by_what_became_of_them() -> None:
    spans = [ActivitySpan.of(Span(0.0, Numbers(10, 3, 2, 4, 1)), 60)]
    requests, latency, refusals, sign_ins = charts_of(spans, slots=60)
    assert [list(each.values) for each in requests.series] == [[5], [3], [2]]
    assert [list(each.values) for each in refusals.series] == [[3], [2]]
    assert [list(each.values) for each in sign_ins.series] == [[4], [1]]
    assert latency.empty
