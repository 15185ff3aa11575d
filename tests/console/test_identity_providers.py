"""Administrators of single sign-on in a browser, and what becomes of tokens at once."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from tests.console.conftest import PASSWORDS, Console
from tests.console.looks import looks_wrong, some_and_all
from tests.support import server as servers
from tests.support.federation import publish
from tests.support.issuer import Issuer, running_issuer

CI = "https://ci.example"
PAGES = (
    "providers",
    "providers/users",
    "providers/users?issuer=https://gone.example",
    "providers/invite",
    "providers/cut-off?issuer=https://ci.example",
    "providers/groups",
    "providers/groups/new",
    "providers/groups/revoke?issuer=scim&group=staff&match=exact&role=searcher",
    "users",
    "users/idp_ann",
    "users/idp_ann/cut-off",
    "users/idp_ann/unbind",
    "users/idp_ann/view",
    "users/ci_bob",
    "collections/default/docs",
    "explain?user=idp_ann&privilege=Search&collection=docs",
    "audit?user=idp_ann",
)


class Federated(Console):
    """The console of a server that accepts the tokens of an identity provider."""

    idp: Issuer

    def token(self, name: str, **claims: Any) -> str:
        return self.idp.token(f"subject-of-{name}", preferred_username=name, **claims)

    def accepted(self, token: str) -> tuple[str, ...] | None:
        """Return the roles of whoever presents a token, or None where it is refused."""
        answer = httpx.post(
            f"{self.server.uri}/v2/kiteward/whoami/describe",
            json={},
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        ).json()
        return tuple(answer["data"]["roles"]) if answer["code"] == 0 else None


@pytest.fixture(scope="module")
def idp() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def server(idp: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.RunningServer]:
    client = {"clientId": "console-1", "signInClaims": {"amr": ["mfa"]}, "requiredClaims": {"iss": []}}
    first = idp.settings(**client, groupRoles={"staff": ["searcher"]}, rolesClaim="roles", allowedRoles=["searcher"])
    keys = tmp_path_factory.mktemp("keys") / "ci.json"
    publish(idp, keys)
    second = {"issuer": CI, "audience": "kiteward", "userPrefix": "ci_", "jwksFile": str(keys)}
    settings = {"metrics": {"enabled": False}, "oidc": [first, second]}
    config = json.dumps({"kiteward": settings | {"scim": {"enabled": True, "userPrefix": "hr_"}}})
    with servers.running(tmp_path_factory.mktemp("federated") / "data", config=config) as running:
        yield running


@pytest.fixture
def federated(console: Console, server: servers.RunningServer, idp: Issuer) -> Federated:
    found = Federated(server, console.browser)
    found.idp = idp
    return found


@pytest.fixture(scope="module", autouse=True)
def people(server: servers.RunningServer, idp: Issuer) -> None:
    headers = {"Authorization": f"Bearer root:{PASSWORDS['root']}"}
    grant = {"roleName": "searcher", "privilege": "Search", "collectionName": "docs", "dbName": "default"}
    made = (
        ("vectordb/collections/create", {"collectionName": "docs", "dimension": 4}),
        ("vectordb/roles/create", {"roleName": "searcher"}),
        ("vectordb/roles/grant_privilege_v2", grant),
        ("kiteward/group_roles/grant", {"issuer": "scim", "group": "staff", "roleName": "searcher"}),
        ("kiteward/identities/invite", {"issuer": CI, "userName": "ci_bob", "roles": ["searcher"]}),
    )
    groups = ["staff", *(f"project-{number}" for number in range(14))]
    token = idp.token("f3b8a0c2-6d1e-4f7a-9b55-0c2f4f1e8d77", preferred_username="ann", groups=groups)
    with httpx.Client(base_url=f"{server.uri}/v2/", timeout=60) as client:
        for path, body in made:
            assert client.post(path, json=body, headers=headers).json()["code"] == 0, path
        signed_in = client.post("vectordb/databases/list", json={}, headers={"Authorization": f"Bearer {token}"})
        assert signed_in.status_code != 401, signed_in.text


def said(page: Page, text: str) -> None:
    expect(page.get_by_role("status").first).to_have_text(text)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_group_gives_a_role_to_whoever_has_a_token_until_it_is_revoked(federated: Federated, scripts: bool) -> None:
    token = federated.token("carl", groups=["team-blue"])
    assert federated.accepted(token) == ()
    with federated.signed_in("root", java_script_enabled=scripts) as page:
        page.get_by_role("link", name="Identity providers").click()
        page.get_by_role("link", name="Roles of groups", exact=True).first.click()
        page.get_by_role("link", name="Add a role").click()
        page.get_by_label("Identity provider").select_option(federated.idp.url)
        page.get_by_label("Group").fill("team-")
        page.get_by_label("Match").select_option("By pattern")
        page.get_by_label("Role").fill("searcher")
        page.get_by_role("button", name="Add a role").click()
        expect(page.locator("#group-error")).to_contain_text("a pattern needs")
        page.get_by_label("Group").fill("team-*")
        page.get_by_role("button", name="Add a role").click()
        said(page, "The group gives the role.")
        assert federated.accepted(token) == ("searcher",)
        page.get_by_role("link", name="Revoke team-* searcher").click()
        expect(page.get_by_role("heading", name="What will happen")).to_be_visible()
        page.get_by_role("button", name="Revoke").click()
        said(page, "The group no longer gives the role.")
        assert federated.accepted(token) == ()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_earlier_tokens_of_a_user_are_refused_after_a_warning(federated: Federated, scripts: bool) -> None:
    name = "dora" if scripts else "dana"
    token = federated.token(name, iat=federated.idp.claims()["iat"] - 100)
    assert federated.accepted(token) is not None
    with federated.signed_in("root", java_script_enabled=scripts) as page:
        page.goto(f"{federated.address}providers/users")
        page.get_by_role("link", name=f"Refuse earlier tokens idp_{name}").click()
        expect(page.get_by_role("heading", name="What will happen")).to_be_visible()
        page.get_by_label("Issued before").fill("2999-01-01 00:00")
        page.get_by_role("button", name="Refuse earlier tokens").click()
        expect(page.locator("#not_before-error")).to_have_text("The moment must not be in the future.")
        assert federated.accepted(token) is not None
        page.get_by_label("Issued before").fill("")
        page.get_by_role("button", name="Refuse earlier tokens").click()
        said(page, "Earlier tokens are refused.")
        assert federated.accepted(token) is None
        page.get_by_role("link", name=f"Refuse earlier tokens idp_{name}").click()
        page.get_by_label("Issued before").fill("1970-01-01 00:00")
        page.get_by_role("button", name="Refuse earlier tokens").click()
        said(page, "Earlier tokens are refused.")
        assert federated.accepted(token) is None  # what was cut off is not accepted again


def test_an_invited_user_signs_in_and_is_unbound_for_the_next_subject(federated: Federated) -> None:
    with federated.signed_in("root") as page:
        page.goto(f"{federated.address}providers")
        page.get_by_role("link", name="Invite a user: ").first.click()
        page.get_by_label("User name").fill("eve")
        page.get_by_role("button", name="Invite").click()
        expect(page.locator("#user_name-error")).to_contain_text("begins with “idp_”")
        page.get_by_label("User name").fill("idp_eve")
        page.get_by_role("checkbox", name="searcher").check()
        page.get_by_role("button", name="Invite").click()
        said(page, "The user was invited.")
        expect(page.get_by_role("main")).to_contain_text("Not signed in yet")
        assert federated.accepted(federated.token("eve")) == ("searcher",)
        page.reload()
        expect(page.get_by_role("main")).to_contain_text("subject-of-eve")
        other = federated.idp.token("another subject", preferred_username="eve")
        assert federated.accepted(other) is None
        page.get_by_role("link", name="Unbind").click()
        expect(page.get_by_role("main")).to_contain_text(f"At present it is subject-of-eve of {federated.idp.url}.")
        page.get_by_role("button", name="Unbind").click()
        said(page, "The user waits for its next subject.")
        assert federated.accepted(other) is None  # it was issued before
        later = federated.idp.token("another subject", preferred_username="eve", iat=federated.idp.claims()["iat"] + 2)
        assert federated.accepted(later) == ("searcher",)
        assert federated.accepted(federated.token("eve")) is None


@some_and_all(PAGES)
def test_pages_look_right_and_can_be_used_by_everybody(federated: Federated, paths: Sequence[str]) -> None:
    with federated.signed_in("root") as page:
        assert looks_wrong(federated, page, paths) == []


def test_no_page_has_an_english_sentence_in_chinese(federated: Federated) -> None:
    with federated.signed_in("root", locale="zh-CN") as page:
        for path in PAGES:
            page.goto(f"{federated.address}{path}")
            shown = page.get_by_role("main").inner_text()
            assert re.search(r"[\u4e00-\u9fff]", shown), path
            # Names, addresses and lines of the audit trail are what they are; three words are a sentence.
            if not path.startswith("audit"):
                assert re.findall(r"[A-Za-z]+(?: [A-Za-z]+){2,}", shown) == [], path
