"""The pages about identity providers, without JavaScript: what is shown, invited, unbound, cut off, granted."""

import html
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.support.gateway import PASSWORD, GatewayHarness, own_call
from tests.unit.api.console.test_app import Browser, browsing

from kiteward.config.loading import settings_from
from kiteward.iam.json_api.base import plain
from kiteward.store.identity_records import ClaimedRights, GroupRole
from kiteward.store.records import NO_PASSWORD, LastUsed

IDP = "https://idp.example/realms/a"
CI = "https://ci.example"
SECRET = "client-secret-of-the-test"
ENTRIES: list[dict[str, Any]] = [
    {
        "issuer": IDP,
        "audience": "kiteward",
        "userClaim": "preferred_username",
        "userPrefix": "idp_",
        "groupsClaim": "groups",
        "groupRoles": {"bosses": ["admin"]},
        "groupRolePatterns": {"team-*": ["reader"]},
        "requiredClaims": {"typ": ["Bearer"]},
        "clientId": "console",
        "clientSecret": SECRET,
        "signInName": "company",
        "signInClaims": {"hd": ["company.example"]},
    },
    {
        "issuer": CI,
        "audience": "kiteward",
        "userPrefix": "ci_",
        "signUp": "create",
        "jwksUri": "https://ci.example/keys",
    },
]


class Company(Browser):
    """A browser of an administrator, at a server with two identity providers."""

    async def own(self, operation: str, /, **arguments: Any) -> dict[str, Any]:
        return plain(await self.harness.gateway.handle(own_call(operation, **arguments)))

    async def text(self, path: str) -> str:
        answer = await self.open(path)
        assert answer.status_code == 200, answer.text
        return shown(answer.text)

    async def reported(self, path: str, **form: str | list[str]) -> str:
        """Return the page that a refused form leads to."""
        answer = await self.send(path, **form)
        assert answer.status_code == 422, answer.text
        return shown(answer.text)

    async def done(self, path: str, **form: str | list[str]) -> str:
        """Return the page that an accepted form leads to, with its message."""
        answer = await self.send(path, **form)
        assert answer.status_code == 303, answer.text
        return shown((await self.client.get(answer.headers["location"])).text)


def shown(page: str) -> str:
    """Return the text of a page in one line."""
    main = page.partition("<main")[2]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", main.partition(">")[2])))


@asynccontextmanager
async def company(
    *, user: str = "root", password: str = "Milvus", scim: bool = False, entries: Sequence[dict[str, Any]] = ENTRIES
) -> AsyncIterator[Company]:
    sections: dict[str, Any] = {"oidc": list(entries)}
    if scim:
        sections["scim"] = {"enabled": True, "issuer": IDP}
    settings = settings_from({"kiteward": sections})

    def prepare(harness: GatewayHarness) -> None:
        harness.configure(issuers={each.name: each for each in settings.issuers}, scim=settings.scim)

    async with browsing(prepare=prepare) as browser:
        await browser.harness.role("reader")
        await browser.harness.user("alice", "reader")
        await browser.sign_in(user, password)
        yield Company(browser.harness, browser.client)


async def invited(browser: Company, *, groups: int = 0) -> None:
    """Invite one user who has signed in, and one who has not."""
    await browser.own("InviteUser", issuer=IDP, userName="idp_ann", subject="sub-ann", roles=["reader"])
    await browser.own("InviteUser", issuer=CI, userName="ci_bob")
    names = (*(f"group-{number}" for number in range(groups)), "team-1")
    rights = ClaimedRights(names, ("writer",), {"tenant": "t1"})
    await browser.harness.store.record_last_used(
        LastUsed(users={"idp_ann": 1_700_000_000.0}, rights={"idp_ann": rights})
    )


async def test_the_configured_providers_are_shown_without_secrets() -> None:
    async with company() as browser:
        page = (await browser.open("providers")).text
        text = shown(page)
        for expected in (
            IDP,
            CI,
            "company",
            "idp_{preferred_username}",
            "kiteward",
            "typ Bearer",
            "hd company.example",
            "groups",
        ):
            assert expected in text
        assert "Only if invited" in text
        assert "Created when they sign in first" in text
        assert "https://ci.example/keys" in text
        assert "By discovery" in text
        assert SECRET not in page
        assert "SCIM" not in text
        assert SECRET not in str(await browser.own("ListIssuers"))
    async with company(scim=True) as browser:
        assert "SCIM is enabled" in await browser.text("providers")


async def test_without_a_provider_the_page_says_where_to_name_one() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        page = await browser.open("providers")
        assert "under kiteward.oidc" in shown(page.text).partition("No identity provider is configured yet")[0]
        assert "/console/providers/invite" not in page.text
        assert (await browser.open("providers/invite")).status_code == 200
        assert (await browser.send("providers/invite", user_name="idp_x")).status_code == 422


async def test_everything_that_is_wrong_with_an_invitation_is_marked_at_once() -> None:
    async with company() as browser:
        wrong = {"issuer": IDP, "user_name": "9 lives", "subject": "s" * 2_000, "description": "x" * 1_100}
        answer = await browser.send("providers/invite", **wrong)
        assert {*re.findall(r'<p class="error" id="(\w+)-error">', answer.text)} == {
            "user_name",
            "subject",
            "description",
        }


async def test_users_of_providers_are_listed_and_selected_by_provider() -> None:
    async with company() as browser:
        await invited(browser, groups=12)
        text = await browser.text("providers/users")
        for expected in ("idp_ann", "sub-ann", "ci_bob", "Not signed in yet", "2023-11-14 22:13", "group-0", "5 more"):
            assert expected in text
        assert "alice" not in text
        text = await browser.text(f"providers/users?issuer={CI}")
        assert ("ci_bob" in text, "idp_ann" in text) == (True, False)
        gone = await browser.open("providers/users?issuer=https://gone.example")
        assert (gone.status_code, "https://gone.example" in shown(gone.text)) == (422, True)
        assert "No users match." in shown(gone.text)
        assert "ci_bob" not in await browser.text("providers/users?q=ANN")


async def test_users_of_a_provider_that_is_no_longer_configured_are_marked() -> None:
    async with company(entries=ENTRIES[:1]) as browser:
        async with browser.harness.policy_cache.change() as transaction:
            await transaction.users.add("ci_bob", NO_PASSWORD)
            await transaction.identities.add("ci_bob", CI, "sub-bob")
            await transaction.identities.grant_role(GroupRole(CI, "builders", is_pattern=False, role="reader"))
        assert "Not configured" in await browser.text("providers/users")
        assert "Not configured" in await browser.text("providers/groups")
        assert "no longer gives" in await browser.done(
            f"providers/groups/revoke?issuer={CI}&group=builders&match=exact&role=reader"
        )
        assert await browser.harness.store.group_roles(None) == []


async def test_the_list_of_users_has_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiteward.api.console.lists.PAGE_SIZE", 1)
    async with company() as browser:
        await invited(browser)
        page = (await browser.open("providers/users")).text
        following = re.search(r'rel="next" href="([^"]*)"', page)
        assert following is not None
        assert ("ci_bob" in shown(page), "idp_ann" in shown(page)) == (True, False)
        text = shown((await browser.client.get(html.unescape(following[1]))).text)
        assert ("ci_bob" in text, "idp_ann" in text) == (False, True)


# Invitations


async def test_a_user_is_invited_and_refusals_are_at_their_fields() -> None:
    async with company() as browser:
        form = {
            "issuer": IDP,
            "user_name": "idp_eve",
            "subject": "sub-eve",
            "description": "on leave",
            "roles": "reader",
        }
        assert "idp_{preferred_username}" in await browser.text("providers/invite")
        assert "This field is required." in await browser.reported("providers/invite", **{**form, "user_name": ""})
        wrong = await browser.send("providers/invite", **{**form, "user_name": "eve"})
        assert re.search(r'id="user_name-error">[^<]*begins with “idp_”', wrong.text)
        assert 'value="on leave"' in wrong.text
        long = await browser.send("providers/invite", **{**form, "subject": "s" * 256})
        assert 'id="subject-error"' in long.text
        gone = await browser.send("providers/invite", **{**form, "issuer": "https://gone.example"})
        assert 'id="issuer-error"' in gone.text
        text = await browser.done("providers/invite", **form)
        assert "The user was invited." in text
        assert "sub-eve" in text
        record = await browser.harness.store.user("idp_eve")
        assert record is not None
        assert (record.roles, record.description) == (("reader",), "on leave")
        assert "already signs in" in await browser.reported("providers/invite", **{**form, "user_name": "idp_other"})


# Unbinding and cut-offs


async def test_a_user_is_unbound_after_a_warning_that_names_its_subject() -> None:
    async with company() as browser:
        await invited(browser)
        warning = await browser.text("users/idp_ann/unbind")
        assert "sub-ann" in warning
        assert "The next subject of that name becomes idp_ann" in warning
        text = await browser.done("users/idp_ann/unbind")
        assert "The user waits for its next subject." in text
        assert "Not signed in yet" in text
        assert (await browser.own("ListIdentities", userName="idp_ann"))["identities"][0]["subject"] is None
        missing = await browser.open("users/alice/unbind")
        assert (missing.status_code, "does not sign in by an identity provider" in missing.text) == (404, True)


async def test_tokens_of_a_user_are_cut_off_at_the_given_time() -> None:
    async with company() as browser:
        await invited(browser)
        assert "2023" not in await browser.text("users/idp_ann/cut-off")
        text = await browser.done("users/idp_ann/cut-off", not_before="2023-11-14 22:13")
        assert "Earlier tokens are refused." in text
        assert "since 2023-11-14 22:13" in await browser.text("users/idp_ann/cut-off")
        (ann,) = (await browser.own("ListIdentities", userName="idp_ann"))["identities"]
        assert ann["notBefore"] == "2023-11-14T22:13:00Z"
        assert "such as 2026" in await browser.reported("users/idp_ann/cut-off", not_before="yesterday")
        future = await browser.send("users/idp_ann/cut-off", not_before="2999-01-01T00:00+01:00")
        assert re.search(r'id="not_before-error">The moment must not be in the future', future.text)
        assert (await browser.open("users/alice/cut-off")).status_code == 404
        assert (await browser.send("users/alice/cut-off")).status_code == 404


async def test_a_heading_tells_whose_tokens_are_refused_from_who_issued_them() -> None:
    async with company() as browser:
        await invited(browser)
        browser.client.headers["Accept-Language"] = "zh"
        assert "拒绝此前签发给 idp_ann 的令牌" in await browser.text("users/idp_ann/cut-off")
        assert re.search("拒绝 .+ 此前签发的令牌", await browser.text(f"providers/cut-off?issuer={IDP}"))


@pytest.mark.parametrize("moment", ["0001-01-01 00:00", "0001-01-01T00:00+14:00", "1969-12-31 23:59"])
async def test_a_cut_off_before_every_token_cuts_nothing_off(moment: str) -> None:
    async with company() as browser:
        await invited(browser)
        for path in ("users/idp_ann/cut-off", f"providers/cut-off?issuer={IDP}"):
            await browser.done(path, not_before=moment)
        assert [each["notBefore"] for each in (await browser.own("ListIdentities"))["identities"]] == [None, None]
        assert [each["notBefore"] for each in (await browser.own("ListIssuers"))["issuers"]] == [None, None]


async def test_an_earlier_cut_off_changes_nothing_and_the_page_says_so() -> None:
    async with company() as browser:
        await invited(browser)
        for path in ("users/idp_ann/cut-off", f"providers/cut-off?issuer={IDP}"):
            for moment in ("2023-11-14 22:13", "2022-01-01 00:00"):
                await browser.done(path, not_before=moment)
            text = await browser.text(path)
            assert "since 2023-11-14 22:13" in text
            assert "cannot be undone" in text


async def test_tokens_of_all_users_of_a_provider_are_cut_off() -> None:
    async with company() as browser:
        await invited(browser)
        path = f"providers/cut-off?issuer={IDP}"
        warning = await browser.text(path)
        assert "to any user" in warning
        assert "Earlier tokens are refused." in await browser.done(path, not_before="2023-11-14 22:13")
        cut_offs = {each["issuer"]: each["notBefore"] for each in (await browser.own("ListIssuers"))["issuers"]}
        assert cut_offs == {IDP: "2023-11-14T22:13:00Z", CI: None}
        assert "2023-11-14 22:13" in await browser.text("providers")
        missing = await browser.open("providers/cut-off?issuer=https://gone.example")
        assert (missing.status_code, "is not configured" in missing.text) == (404, True)
        assert (await browser.send("providers/cut-off")).status_code == 404


# Roles of groups


async def test_roles_of_groups_are_listed_granted_and_revoked_and_those_of_the_configuration_stay() -> None:
    async with company() as browser:
        text = await browser.text("providers/groups")
        assert re.search(r"bosses Exactly admin .* Configuration", text)
        assert re.search(r"team-\* By pattern reader .* Configuration", text)
        assert "/providers/groups/revoke" not in (await browser.open("providers/groups")).text
        form = {"issuer": IDP, "group": "a b & c/*", "match": "pattern", "role": "reader"}
        assert "This field is required." in await browser.reported("providers/groups/new", **{**form, "group": " "})
        assert "a pattern needs" in await browser.reported("providers/groups/new", **{**form, "group": "searchers"})
        gone = await browser.send("providers/groups/new", **{**form, "role": "ghost"})
        assert re.search(r'id="role-error">There is no role', gone.text)
        assert "The group gives the role." in await browser.done("providers/groups/new", **form)
        await browser.done("providers/groups/new", **{**form, "match": "exact"})
        page = (await browser.open(f"providers/groups?issuer={IDP}")).text
        links = [html.unescape(link) for link in re.findall(r'href="/console/(providers/groups/revoke[^"]*)"', page)]
        assert len(links) == 2
        (pattern,) = (link for link in links if "match=pattern" in link)
        told = await browser.text(pattern)
        assert "Revoke the role reader from the group a b & c/*" in told
        assert f"The group is of {IDP}" in told
        assert "The group no longer gives the role." in await browser.done(pattern)
        assert [each.is_pattern for each in await browser.harness.store.group_roles(None)] == [False]
        text = await browser.text(f"providers/groups?issuer={CI}")
        assert ("bosses" in text, "No roles of groups match" in text) == (False, True)


async def test_roles_of_groups_are_searched_sorted_exported_and_revoked_together() -> None:
    async with company() as browser:
        for number in range(3):
            form = {"issuer": IDP, "group": f"team {number} & 1/2", "match": "exact", "role": "reader"}
            await browser.done("providers/groups/new", **form)
        found = await browser.text("providers/groups?q=TEAM+1")
        assert ("team 1 & 1/2" in found, "team 0" in found, "bosses" in found) == (True, False, False)
        assert "bosses" in await browser.text("providers/groups?role=admin")
        assert "team 0" not in await browser.text("providers/groups?role=admin")
        page = (await browser.open("providers/groups?sort=-group")).text
        assert page.index("team-*") < page.index("team 2") < page.index("bosses")
        rows = (await browser.open("providers/groups.csv?q=team+2")).text.splitlines()
        assert rows[1:] == [f"team 2 & 1/2,exact,reader,{IDP},administrators"]
        values = [html.unescape(each) for each in re.findall(r'name="selected" value="([^"]*)"', page)]
        assert len(values) == 3
        selected: dict[str, str | list[str]] = {"selected": values[:2], "change": "revoke_role"}
        selected["back"] = "/console/providers/groups?q=team"
        preview = await browser.send("change-group-roles", **selected)
        assert f"<code>reader</code>, given by <code>team 2 &amp; 1/2</code> of <code>{IDP}</code>" in preview.text
        assert len(await browser.harness.store.group_roles(None)) == 3
        done = await browser.send("change-group-roles", **selected, apply="1")
        assert done.headers["location"].startswith("/console/providers/groups?q=team&done=many_revoke_role&undo=")
        assert "The selected roles of groups were revoked." in await browser.text(
            "providers/groups?done=many_revoke_role"
        )
        assert [each.group for each in await browser.harness.store.group_roles(None)] == ["team 0 & 1/2"]


@pytest.mark.parametrize("scim", [True, False])
async def test_groups_of_scim_can_be_chosen_where_scim_is_enabled(scim: bool) -> None:
    async with company(scim=scim) as browser:
        assert ('<option value="scim"' in (await browser.open("providers/groups/new")).text) is scim
        if scim:
            await browser.done("providers/groups/new", issuer="scim", group="staff", match="exact", role="reader")
            assert re.search(r"staff Exactly reader SCIM Administrators", await browser.text("providers/groups"))


# Who may, and what other pages say


async def test_only_administrators_open_the_pages_and_send_their_forms() -> None:
    async with company(user="alice", password=PASSWORD) as browser:
        assert "/console/providers" not in (await browser.open("account")).text
        await invited(browser)
        pages = {
            "providers": {},
            "providers/users": {},
            "providers/groups": {},
            "providers/invite": {"issuer": IDP, "user_name": "idp_eve"},
            "providers/groups/new": {"issuer": IDP, "group": "g", "role": "reader"},
            f"providers/cut-off?issuer={IDP}": {},
            "users/idp_ann/cut-off": {},
            "users/idp_ann/unbind": {},
        }
        for path, form in pages.items():
            assert (await browser.open(path)).status_code == 403, path
            if form or "/cut-off" in path or "/unbind" in path:
                assert (await browser.send(path, **form)).status_code == 403, path
        revoke = f"providers/groups/revoke?issuer={IDP}&group=g&role=reader"
        assert (await browser.send(revoke)).status_code == 403


async def test_the_page_of_a_federated_user_says_who_it_is_and_what_its_last_token_gave() -> None:
    async with company() as browser:
        await browser.harness.role("mapped")
        await invited(browser, groups=10)
        await browser.own("GrantGroupRole", issuer=IDP, group="team-1", roleName="mapped")
        text = await browser.text("users/idp_ann")
        for expected in (IDP, "sub-ann", "group-9", "team-1", "writer", "tenant : t1", "Any time"):
            assert expected in text
        assert "By its groups and claims at the last sign-in: mapped" in text
        assert "Refuse earlier tokens" in text
        assert "Unbind" in text
        waiting = await browser.text("users/ci_bob")
        assert ("Not signed in yet" in waiting, "Unbind" in waiting) == (True, False)
        local = await browser.text("users/alice")
        assert ("Identity provider" in local, "Refuse earlier tokens" in local) == (False, False)


@pytest.mark.parametrize(
    "path",
    [
        "users",
        "users/idp_ann/view",
        "explain?user=idp_ann&privilege=Search&collection=docs",
        "collections/default/docs",
    ],
)
async def test_pages_about_access_name_issuer_and_subject(path: str) -> None:
    async with company() as browser:
        browser.harness.engine.create("docs")
        await browser.harness.grant("reader", "Search", "default", "docs")
        await invited(browser)
        for user, who in (("idp_ann", f"sub-ann of {IDP}"), ("ci_bob", f"of {CI}, not signed in yet")):
            await browser.harness.succeed("OperateUserRole", username=user, role_name="reader")
            text = await browser.text(path.replace("idp_ann", user))
            assert who in text, text
