"""Servers with something in them, for whoever looks at all pages: each is started when a page of it is asked for."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pyotp
from playwright.sync_api import Browser, Page
from tests.console.conftest import PASSWORDS, Console, console_at, people
from tests.support import server as servers
from tests.support.federation import publish
from tests.support.issuer import running_issuer
from tests.support.postgresql import free_port
from tests.support.server import RunningServer
from tests.support.sign_in_provider import SignInProvider

PASSWORD: Final = "Some-password-1"
"""The password of everybody whom tests.console.conftest does not know."""

CI: Final = "https://ci.example"
"""An identity provider whose keys are fetched only when somebody presents a token of it."""


KEY: Final = "nightly job 0"

NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "users": {"name": "reader", "role": "docs_reader"},
    "roles": {"name": "docs_reader", "user": "reader"},
    "groups": {"name": "searchers"},
    "collections": {
        "database": "default",
        "name": "docs",
        "policy": "own",
        "alias": "documents",
        "partition": "drafts",
    },
    "audit": {"seq": "1"},
    "databases": {"database": "archive", "name": "archive"},
    "sessions": {"session": "0123456789abcdef"},
}
"""What pages of the scene `company` are about: the first part of a path -> placeholder -> name."""


class Scenes:
    """The servers that were asked for; leaving the block stops them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._running: dict[str, Console] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "Scenes":
        return self

    def __exit__(self, *_why: object) -> None:
        self._stack.close()

    def console(self, name: str) -> Console:
        """Return the console of a scene."""
        if name not in self._running:
            self._running[name] = self._stack.enter_context(SCENES[name](self._browser))
        return self._running[name]


@contextmanager
def _running(settings: Mapping[str, Any], *arguments: str) -> Iterator[RunningServer]:
    config = json.dumps({"kiteward": {"metrics": {"enabled": False}, **settings}})
    with tempfile.TemporaryDirectory() as data, servers.running(Path(data) / "d", *arguments, config=config) as server:
        yield server


@contextmanager
def untouched(browser: Browser) -> Iterator[Console]:
    """A server on which nothing was made."""
    with _running({}) as server:
        yield Console(server, browser)


@contextmanager
def company(browser: Browser) -> Iterator[Console]:
    """A server with users, roles, keys, collections and rows; `NAMES` names them."""
    with _running({}) as server:
        people(server)
        console = Console(server, browser)
        _fill(console)
        yield console


def _fill(console: Console) -> None:
    for number in range(30):
        console.new_user(f"service_{number:02}", *(["docs_reader"] if number % 3 else []))
    console.rest("kiteward/users/disable", userName="service_03")
    console.rest("kiteward/users/reset_password", userName="service_04", keepOldFor=3600)
    console.rest("kiteward/users/create", userName="newcomer", password=PASSWORD, oneTime=True)
    remember(console, "newcomer")
    console.rest("kiteward/tags/set", userName="reader", tags={"team": "blue"})
    console.rest("kiteward/limits/set", userName="reader", requestsPerSecond=50)
    console.rest("kiteward/limits/set", roleName="docs_reader", concurrentRequests=8)
    for number in range(3):
        console.rest("kiteward/api_keys/create", userName="reader", description=f"nightly job {number}")
    keys = {each["description"]: each["keyId"] for each in console.rest("kiteward/api_keys/list")["keys"]}
    console.rest("kiteward/api_keys/disable", keyId=keys["nightly job 1"])
    console.rest("kiteward/tags/set", keyId=keys[KEY], tags={"team": "blue"})
    console.rest("kiteward/limits/set", keyId=keys[KEY], requestsPerSecond=5)
    console.rest("vectordb/privilege_groups/create", privilegeGroupName="searchers")
    group: dict[str, Any] = {"privilegeGroupName": "searchers", "privileges": ["Search", "Query"]}
    console.rest("vectordb/privilege_groups/add_privileges_to_group", **group)
    policy: dict[str, Any] = {"actions": ["Query", "Search"], "usingExpr": "id in [1, 2]"}
    console.rest("kiteward/row_policies/create", collectionName="docs", policyName="own", **policy)
    console.rest("vectordb/aliases/create", aliasName="documents", collectionName="docs")
    console.rest("vectordb/partitions/create", collectionName="docs", partitionName="drafts")
    console.rest("vectordb/databases/create", dbName="archive")
    rows = [{"id": number, "vector": [0.1 * number] * 4, "title": f"title {number}"} for number in range(1, 40)]
    console.rest("vectordb/entities/insert", collectionName="docs", data=rows)
    wrong = {"Authorization": "Bearer reader:wrong"}
    httpx.post(f"{console.server.uri}/v2/vectordb/collections/list", headers=wrong, json={})


def key_of(console: Console) -> str:
    """Return the id of the key that pages of the scene `company` are about, which is another one in each run."""
    listed = console.rest("kiteward/api_keys/list", userName="reader")["keys"]
    return str(next(each["keyId"] for each in listed if each["description"] == KEY))


@contextmanager
def guarded(browser: Browser) -> Iterator[Console]:
    """A server where administrators must have a second factor: `due` has none, `keeper` and `by_app` have an app."""
    port = free_port()
    passkeys = {"rpId": "localhost", "origins": [f"http://localhost:{port}"]}
    settings = {"console": {"secondFactor": "administrators", "passkeys": passkeys}}
    with _running(settings, "--port", str(port)) as server:
        console = console_at(f"http://localhost:{server.port}", browser)
        for name, roles in {
            "due": ["admin"],
            "keeper": ["admin"],
            "by_app": [],
            "enrolling": [],
            "without": [],
        }.items():
            console.new_user(name, *roles, password=PASSWORD)
            remember(console, name, enrol if name in ("keeper", "by_app") else None)
        yield console


def remember(console: Console, user: str, then: Callable[[Page], None] | None = None) -> None:
    """Sign in, do something if that is wanted, and keep the session for pages of that user."""
    with console.visitor() as context:
        page = context.new_page()
        console.sign_in(page, user, PASSWORDS.get(user, PASSWORD))
        if then:
            page.goto(console.address + "second-factors/app")
            then(page)
        console.sessions[user] = context.cookies()


def enrol(page: Page) -> None:
    """Enrol an app, on the page for that; the recovery codes are shown then."""
    app = pyotp.TOTP(page.locator("#secret").inner_text())
    page.locator("#code").fill(app.now())
    page.locator("#password").fill(PASSWORD)
    page.locator("main form button.main").click()
    page.wait_for_url("**/once/*")


@contextmanager
def federated(browser: Browser) -> Iterator[Console]:
    """A server with identity providers, SCIM, and the user `idp_ann` of one of them; `elsewhere` cannot be reached."""
    with running_issuer() as issuer, running_issuer() as away:
        away.failing = True
        idp, elsewhere = SignInProvider(issuer), SignInProvider(away)
        ci = {"issuer": CI, "audience": "kiteward", "userPrefix": "ci_", "jwksFile": ""}
        with tempfile.TemporaryDirectory() as directory:
            ci["jwksFile"] = str(Path(directory) / "ci.json")
            publish(issuer, Path(ci["jwksFile"]))
            providers = [idp.settings(), elsewhere.settings(signInName="elsewhere", userPrefix="away_"), ci]
            with _running({"oidc": providers, "scim": {"enabled": True, "userPrefix": "hr_"}}) as server:
                console = console_at(f"http://localhost:{server.port}", browser)
                _federate(console, idp)
                yield console


def _federate(console: Console, idp: SignInProvider) -> None:
    console.rest("vectordb/collections/create", collectionName="docs", dimension=4)
    console.rest("vectordb/roles/create", roleName="searcher")
    grant = {"privilege": "Search", "collectionName": "docs", "dbName": "default"}
    console.rest("vectordb/roles/grant_privilege_v2", roleName="searcher", **grant)
    console.rest("kiteward/group_roles/grant", issuer="scim", group="staff", roleName="searcher")
    console.rest("kiteward/identities/invite", issuer=CI, userName="ci_bob", roles=["searcher"])
    groups = ["staff", *(f"project-{number}" for number in range(14))]
    idp.person.subject = "f3b8a0c2-6d1e-4f7a-9b55-0c2f4f1e8d77"
    idp.person.claims = {"preferred_username": "ann", "groups": groups}
    with console.visitor() as context:
        page = context.new_page()
        page.goto(f"{console.address}sign-in")
        page.locator('a[href*="sign-in/company"]').click()
        page.wait_for_url("**/console/account")
        console.sessions["idp_ann"] = context.cookies(console.address)


SCENES: Final[Mapping[str, Callable[[Browser], AbstractContextManager[Console]]]] = {
    "company": company,
    "untouched": untouched,
    "guarded": guarded,
    "federated": federated,
}
"""Name -> what starts the server and makes what is in it."""
