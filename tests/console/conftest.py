"""One server and one browser for all tests here, with people in it: root, an administrator, and a user with little."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final, cast

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from pymilvus import MilvusClient
from tests.support import server as servers
from tests.support import toolchains
from tests.support.server import RunningServer, pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]

CHROMIUM: Final = "chromium-headless-shell"
"""Debian's Chromium without windows. The one with windows takes three times the processor time."""

PATIENCE: Final = 60_000
"""How long something may take to appear in a page, in milliseconds: a busy machine leaves little to a browser."""

PASSWORDS: Final = {"root": "Milvus", "boss": "Boss-password-1", "reader": "Reader-password-1"}
"""`boss` holds the role admin; `reader` may search the collection `docs` of `default`, one of four collections."""


@dataclass
class Console:
    """The console of a running server, and a browser to open it with.

    Attributes:
        server: the server.
        browser: the browser; each visitor has a context of its own.
        complaints: what a page of the browser reported as an error.
        sessions: cookies of people who have signed in before, so that not every test waits for a password.
    """

    server: RunningServer
    browser: Browser
    complaints: list[str] = field(default_factory=list)
    sessions: dict[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where the console is."""
        return f"{self.server.uri}/console/"

    @contextmanager
    def visitor(self, **options: Any) -> Iterator[BrowserContext]:
        """A browser that knows nobody; an error of a script or of the policy fails the test."""
        context = self.browser.new_context(**{"locale": "en-US", **options})
        context.set_default_timeout(PATIENCE)
        context.on("page", self._listen)
        complaints = len(self.complaints)
        try:
            yield context
        finally:
            context.close()
        assert self.complaints[complaints:] == []

    def _listen(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self._complain(said.text) if said.type == "error" else None)

    def _complain(self, text: str) -> None:
        # What a browser says of an answer such as 403 or 422 is no complaint about the page.
        if not text.startswith("Failed to load resource"):
            self.complaints.append(text)

    @contextmanager
    def signed_in(self, user: str, password: str | None = None, *, new: bool = False, **options: Any) -> Iterator[Page]:
        """A page of a signed-in user.

        Args:
            user: who.
            password: of a user that a test has made; the people of this suite have theirs.
            new: whether the session is the test's own, to end it; else it is shared by all tests of that person.
            options: of the browser's context.
        """
        own = new or password is not None
        with self.visitor(**options) as context:
            if not own and user in self.sessions:
                context.add_cookies(self.sessions[user])
            page = context.new_page()
            if own or user not in self.sessions:
                self.sign_in(page, user, password)
            else:
                page.goto(self.address)
            if not own:
                self.sessions[user] = context.cookies()
            yield page

    def sign_in(self, page: Page, user: str, password: str | None = None) -> None:
        """Sign in as people do, in any language."""
        page.goto(f"{self.address}sign-in")
        page.locator("#user").fill(user)
        page.locator("#password").fill(password or PASSWORDS[user])
        page.locator("button.main").click()
        page.wait_for_url(re.compile("/console/(account|overview|second-factors)"))

    def rest(self, path: str, by: str = "root", **body: Any) -> Any:
        """Ask REST, past the console."""
        return _ask(self.server, path, by, **body)

    def new_user(self, name: str, *roles: str, password: str = "Some-password-1") -> str:
        """Create a user for one test."""
        self.rest("kiteward/users/create", userName=name, password=password, roles=list(roles))
        return password


def console_at(uri: str, browser: Browser) -> Console:
    """Return the console of a server that runs in this process."""
    return Console(cast("RunningServer", SimpleNamespace(uri=uri)), browser)


@contextmanager
def opened_browser() -> Iterator[Browser]:
    """Run a browser for as long as the block lasts, or skip the test that needs it."""
    program = toolchains.installed(CHROMIUM, package=CHROMIUM)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def peopled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, dict[str, Any]]]:
    """A server that no test stops, and the cookies of people who have signed in there."""
    toolchains.installed(CHROMIUM, package=CHROMIUM)
    data = tmp_path_factory.mktemp("console") / "data"
    with servers.running(data, config="kiteward: {metrics: {enabled: false}}") as server:
        people(server)
        yield server, {}


@pytest.fixture(scope="package")
def console(peopled: tuple[RunningServer, dict[str, Any]]) -> Iterator[Console]:
    """The console in a browser, which is closed behind the last test here: its driver keeps others from their loop."""
    server, sessions = peopled
    with opened_browser() as browser:
        yield Console(server, browser, sessions=sessions)


def _ask(server: RunningServer, path: str, by: str = "root", **body: Any) -> Any:
    answer = httpx.post(
        f"{server.uri}/v2/{path}", json=body, headers={"Authorization": f"Bearer {by}:{PASSWORDS[by]}"}, timeout=30
    ).json()
    assert answer["code"] == 0, answer
    return answer["data"]


def people(server: RunningServer) -> None:
    """Create the collections, roles and users of this suite."""
    client = MilvusClient(uri=server.uri, token=servers.ROOT_TOKEN, dedicated=True)
    for name in ("docs", "images", "logs"):
        client.create_collection(name, dimension=4)
    client.create_database("research")
    client.use_database("research")
    client.create_collection("papers", dimension=4)
    client.close()
    _ask(server, "vectordb/roles/create", roleName="docs_reader", description="searches the documents")
    for privilege in ("Search", "Query"):
        grant = {"roleName": "docs_reader", "privilege": privilege, "collectionName": "docs", "dbName": "default"}
        _ask(server, "vectordb/roles/grant_privilege_v2", **grant)
    _ask(server, "kiteward/users/create", userName="boss", password=PASSWORDS["boss"], roles=["admin"])
    _ask(server, "kiteward/users/create", userName="reader", password=PASSWORDS["reader"], roles=["docs_reader"])
