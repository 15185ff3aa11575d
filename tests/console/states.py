"""The table of all states of the console's pages: how each is opened, by whom, and what is done on it.

The pictures show them, and the tests of the keyboard walk through them.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page
from tests.console.scenes import CI, NAMES, PASSWORD, Scenes, enrol, key_of, remember
from tests.support.server import ROOT_TOKEN

from kiteward.api.console.pages import PAGES

Act = Callable[[Page], None]

QUERIES: Final[Mapping[str, tuple[str, ...]]] = {
    "compare-roles": ("", "?role=docs_reader&other=public", "?role=docs_reader&other=docs_reader"),
    "matrix": ("", "?role=docs_reader", "?role=docs_reader&columns=Collection"),
    "explain": ("", "?user=reader&privilege=Search&collection=docs", "?user=reader&privilege=Insert&collection=docs"),
    "audit": ("", "?outcome=refused"),
    "sign-in": ("", "?why=ended"),
    "overview": ("", "?period=day"),
    "users": ("", "?state=disabled", "?q=nobody"),
    "tagged-users": ("?key=team&value=blue",),
    "users/{name}/tags/delete": ("?key=team",),
    "keys/{key_id}/tags/delete": ("?key=team",),
    "roles/{name}/revoke": ("?privilege=Search&database=default&object=docs&type=Collection",),
    "collections/{database}/{name}/row": ("?key=1",),
    "collections/{database}/{name}/row/delete": ("?key=1",),
    "collections/{database}/{name}/preview": ("", "?user=reader&action=Query"),
}
"""The query strings with which a page is opened, where it needs one or has several states."""

LEFT_OUT: Final = re.compile(
    r"sign-in/.*|sign-out.*|second-step|once/.*|connect/.*|matrix/preview|second-factors/.+|providers/.+"
    r"|users/\{name\}/(unbind|cut-off|end-old-password|reset-factors)|preferences/.*"
    r"|.+\.csv|audit/export|names/.+|change-.+|sessions/.+|undo"
)
"""Pages that only lead on, or are files, or are opened by `STATES` because an address alone does not show them."""


@dataclass(frozen=True, slots=True)
class State:
    """One state of a page.

    Attributes:
        name: of its pictures.
        path: of the page, below `/console/`.
        then: what is done on the page, if anything; texts of any language do for it.
        user: who is signed in; empty for nobody.
        scene: the server.
        status: what the address is answered with.
    """

    name: str
    path: str
    then: Act | None = None
    user: str = "root"
    scene: str = "company"
    status: int = 200


def press(selector: str) -> Act:
    """Return what presses a button or follows a link, and waits for the page that it leads to."""

    def act(page: Page) -> None:
        with page.expect_navigation():
            page.locator(selector).first.click()

    return act


def submitted(selector: str) -> Act:
    """Return what sends a form as a browser without scripts does: its button waits for a selection elsewhere."""

    def act(page: Page) -> None:
        with page.expect_navigation():
            page.locator(selector).evaluate("form => form.submit()")

    return act


def sent(button: str, **fields: str | bool) -> Act:
    """Return what fills fields by their ids, whatever the browser would demand of them, and presses a button."""

    def act(page: Page) -> None:
        filled(**fields)(page)
        page.locator(button).first.evaluate("(button) => { button.form.noValidate = true; }")
        press(button)(page)

    return act


def filled(**fields: str | bool) -> Act:
    """Return what fills fields by their ids: a text is typed, True ticks a box."""

    def act(page: Page) -> None:
        for name, value in fields.items():
            field = page.locator(f"#{name}")
            field.check() if value is True else field.fill(str(value))

    return act


def ticked(*labels: str, by: str = "aria-label") -> Act:
    """Return what ticks boxes."""

    def act(page: Page) -> None:
        for label in labels:
            page.locator(f'main input[type=checkbox][{by}="{label}"]').check()

    return act


def chosen(change: str, *names: str, role: str = "") -> Act:
    """Return what selects rows of a list, or its first three, and a change of them."""

    def act(page: Page) -> None:
        for box in [page.locator(f'input[name=selected][value="{name}"]') for name in names] or page.locator(
            "input[name=selected]"
        ).all()[:3]:
            box.check()
        if change:
            page.locator("#change").select_option(change)
        if role:
            page.locator("#many-role").fill(role)

    return act


def both(*acts: Act) -> Act:
    """Return what does one after the other."""

    def act(page: Page) -> None:
        for each in acts:
            each(page)

    return act


def keys(*presses: str) -> Act:
    """Return what presses keys."""

    def act(page: Page) -> None:
        for each in presses:
            page.keyboard.press(each)

    return act


def opened(selector: str) -> Act:
    """Return what opens a menu or a fold, or nothing where its button is not shown."""

    def act(page: Page) -> None:
        if page.locator(selector).first.is_visible():
            page.locator(selector).first.click()

    return act


def _ended(page: Page) -> None:
    page.locator("#user_name").fill("half_typed")
    page.locator("#new_password").fill("Secret-password-1")
    page.context.clear_cookies()
    press("main button.main")(page)


def _first_factor(page: Page) -> None:
    """Enrol the first factor of a user, which alone shows recovery codes: those of an earlier picture are removed."""
    console, _, _ = page.url.partition("sign-in")
    page.request.post(
        f"{console.removesuffix('console/')}v2/kiteward/users/reset_factors",
        data={"userName": "enrolling"},
        headers={"Authorization": f"Bearer {ROOT_TOKEN}"},
    )
    sent(_SEND, user="enrolling", password=PASSWORD)(page)
    page.goto(f"{console}second-factors/app")
    enrol(page)


_SEND: Final = "main form button.main"
_DO: Final = "main form button.danger"
_DOCS: Final = "collections/default/docs"
_SIGN_IN: Final = {"user": "by_app", "password": PASSWORD}

STATES: Final = (
    # Data
    State("search-results", f"{_DOCS}/search?field=vector&like=7"),
    State("search-errors", f"{_DOCS}/search", sent(_SEND, vector="[1, 2", limit="many")),
    State("search-parameters", f"{_DOCS}/search?field=vector&like=7", opened("details.explorer-columns >> nth=1")),
    State("rows-filtered", f"{_DOCS}/rows?filter=id+%3E+3&order=desc&size=20"),
    State("rows-of-a-user", f"{_DOCS}/rows?view_as=reader&size=20"),
    State("rows-error", f"{_DOCS}/rows?filter=id+%3E%3E%3E+3", status=422),
    State("rows-columns", f"{_DOCS}/rows?size=20", opened("details.explorer-columns")),
    State("rows-selected", f"{_DOCS}/rows?size=20", chosen("")),
    State("rows-delete", f"{_DOCS}/rows?size=20", both(chosen(""), press("#many button"))),
    State("row-value", f"{_DOCS}/row?key=7", opened("main details")),
    State("insert-errors", f"{_DOCS}/insert", sent(_SEND, data='[{"id": "x"}]')),
    State("drop-error", f"{_DOCS}/drop", sent(_DO, typed_name="another")),
    State("collection-errors", "new-collection", sent(_SEND, collection_name="9 lives")),
    State("collections-empty", "collections?q=nothing"),
    State("collection-not-found", "collections/default/nothing", status=404),
    State("policy-errors", f"{_DOCS}/new-policy", sent(_SEND, policy_name="new", using_expr="id in (")),
    # Access
    State("matrix-changed", "matrix?role=docs_reader&columns=Collection", ticked("Insert, default.docs")),
    State(
        "matrix-preview",
        "matrix?role=docs_reader&columns=Collection",
        both(ticked("Insert, default.docs", "Search, default.images"), press(_SEND)),
    ),
    State(
        "matrix-preview-warned",
        "matrix?role=docs_reader&columns=groups",
        both(ticked("ClusterAdmin, *.*"), press(_SEND)),
    ),
    State("role-errors", "new-role", sent(_SEND, role_name="9 lives")),
    State("explain-unknown", "explain?user=nobody&privilege=Search&collection=docs", status=422),
    # Users
    State("user-errors", "new-user", sent(_SEND, user_name="9 lives", new_password="short")),
    State("user-password-shown", "new-user", both(filled(new_password="Some-passw"), opened("[data-shows]"))),
    State("reset-errors", "users/service_05/reset", sent(_DO, new_password="short")),
    State("reset-once", "users/service_05/reset", press(_DO)),
    State("user-role-error", "users/reader", sent("main form.search button", role="nothing")),
    State("user-old-password", "users/service_04"),
    State("user-old-password-end", "users/service_04/end-old-password"),
    State("users-selected", "users", chosen("add_role", role="docs_reader")),
    State("users-disable", "users", both(chosen("disable", "boss", "service_03", "service_05"), press("#many button"))),
    State("users-admin", "users", both(chosen("add_role", role="admin"), press("#many button"))),
    State("users-role-missing", "users", both(chosen("add_role", "service_03"), press("#many button"))),
    State("users-none-selected", "users", submitted("#many")),
    # Keys
    State("key-errors", "new-key", sent(_SEND, expires_in_days="soon", networks="wrong")),
    State("key-once", "new-key", sent(_SEND, description="crawler")),
    State("session-end", "account", press('a[href*="/console/sessions/"]')),
    State("keys-revoke", "keys", both(chosen("revoke"), press("#many button"))),
    State("connect-key", "connect", press("main .buttons form button")),
    State("once-gone", "once/gone", status=410),
    # Audit
    State("audit-errors", "audit?since=yesterday&request_id=x", status=422),
    State("audit-unfolded", "audit", opened("table.trail-lines details")),
    State("audit-empty", "audit?operation=BackupRBAC"),
    # Everywhere
    State("not-found", "no-such-page", status=404),
    State("palette", "users", keys("Control+k")),
    State("palette-found", "users", both(keys("Control+k"), lambda page: page.locator("dialog input").fill("a"))),
    State("display", "users", opened("[popovertarget=display]")),
    State("navigation", "users", opened("[popovertarget=navigation]")),
    State("sign-in-refused", "sign-in", sent(_SEND, user="nobody", password="wrong"), user=""),
    State("sign-in-display", "sign-in", opened("[popovertarget=display]"), user=""),
    State("session-ended", "new-user", _ended),
    # A user without rights to administer
    State("plain-account", "account", user="reader"),
    State("plain-account-errors", "account", sent(_SEND, old_password="wrong", new_password="short"), user="reader"),
    State("plain-keys", "keys", user="reader"),
    State("plain-new-key", "new-key", user="reader"),
    State("plain-key-once", "new-key", press(_SEND), user="reader"),
    State("plain-collections", "collections", user="reader"),
    State("plain-collection", _DOCS, user="reader"),
    State("plain-rows", f"{_DOCS}/rows?size=20", user="reader"),
    State("plain-search", f"{_DOCS}/search?field=vector&like=1", user="reader"),
    State("plain-connect", "connect", user="reader"),
    State("plain-connect-key", "connect", press("main .buttons form button"), user="reader"),
    State("plain-explain", "explain?privilege=Insert&collection=docs", user="reader"),
    State("not-permitted", "users", user="reader", status=403),
    State("plain-new-collection", "new-collection", user="reader", status=403),
    State("one-time-password", "account", user="newcomer"),
    # A server on which nothing was made
    *(State(f"untouched-{path}", path, scene="untouched") for path in ("first-steps", "overview", "account", "users")),
    *(
        State(f"untouched-{path}", path, scene="untouched")
        for path in ("keys", "roles", "groups", "collections", "limits", "unused", "audit", "providers", "connect")
    ),
    # Second factors
    State("factor-due", "second-factors", user="due", scene="guarded"),
    State("factor-none", "second-factors", user="without", scene="guarded"),
    State("factor-app", "second-factors/app", user="by_app", scene="guarded"),
    State("factor-app-errors", "second-factors/app", sent(_SEND, code="000000"), user="by_app", scene="guarded"),
    State("factor-passkey", "second-factors/passkey", user="by_app", scene="guarded"),
    State("factor-codes-once", "sign-in", _first_factor, user="", scene="guarded"),
    State("factors", "second-factors", user="by_app", scene="guarded"),
    State("factor-codes", "second-factors/recovery-codes", user="by_app", scene="guarded"),
    State("factor-remove", "second-factors", press('main a[href$="/remove"]'), user="by_app", scene="guarded"),
    State("second-step", "sign-in", sent(_SEND, **_SIGN_IN), user="", scene="guarded"),
    State(
        "second-step-error",
        "sign-in",
        both(sent(_SEND, **_SIGN_IN), sent("main form button.main:not([data-passkey])", code="000000")),
        user="",
        scene="guarded",
    ),
    State("user-with-factor", "users/by_app", user="keeper", scene="guarded"),
    State("user-reset-factors", "users/by_app/reset-factors", user="keeper", scene="guarded"),
    # Identity providers
    State("providers-sign-in", "sign-in", user="", scene="federated"),
    State("providers-sign-in-left", "sign-in?left=company", user="", scene="federated"),
    State("providers-sign-in-away", "sign-in", press('a[href*="elsewhere"]'), user="", scene="federated"),
    State("providers", "providers", scene="federated"),
    State("providers-users", "providers/users", scene="federated"),
    State("providers-users-none", "providers/users?issuer=https://gone.example", scene="federated", status=422),
    State("providers-invite", "providers/invite", scene="federated"),
    State("providers-invite-error", "providers/invite", sent(_SEND, user_name="eve"), scene="federated"),
    State("providers-cut-off", f"providers/cut-off?issuer={CI}", scene="federated"),
    State("providers-groups", "providers/groups", scene="federated"),
    State("providers-groups-new", "providers/groups/new", scene="federated"),
    State("providers-groups-error", "providers/groups/new", sent(_SEND, group=""), scene="federated"),
    State(
        "providers-groups-revoke",
        "providers/groups/revoke?issuer=scim&group=staff&match=exact&role=searcher",
        scene="federated",
    ),
    State(
        "providers-groups-change",
        "providers/groups",
        both(chosen("revoke_role"), press("#many button")),
        scene="federated",
    ),
    State("providers-user", "users/idp_ann", scene="federated"),
    State("providers-user-cut-off", "users/idp_ann/cut-off", scene="federated"),
    State("providers-user-unbind", "users/idp_ann/unbind", scene="federated"),
    State("providers-user-view", "users/idp_ann/view", scene="federated"),
    State("providers-explain", "explain?user=idp_ann&privilege=Search&collection=docs", scene="federated"),
    State("providers-audit", "audit?user=idp_ann", scene="federated"),
    State("providers-account", "account", user="idp_ann", scene="federated"),
)
"""The states that no address of `PAGES` shows on the server of a company to root."""


def _of_pages() -> Iterator[State]:
    for page in PAGES:
        if LEFT_OUT.fullmatch(page.path):
            continue
        path = page.path
        for placeholder, name in NAMES.get(path.partition("/")[0], {}).items():
            path = path.replace(f"{{{placeholder}}}", name)
        user = "" if path.startswith(("sign-in", "preferences")) else "root"
        for query in QUERIES.get(page.path, ("",)):
            yield State(f"{path}{query}", f"{path}{query}", user=user)


ALL: Final = (*_of_pages(), *(replace(each, name=f"state-{each.name}") for each in STATES))
"""All states: of pages by their addresses, which name them, then `STATES`."""


def shown(scenes: Scenes, states: Sequence[State], **options: Any) -> Iterator[tuple[State, Page, str]]:
    """Yield each state with the page that shows it, and what is wrong about its answer, or nothing.

    Args:
        scenes: the servers.
        states: what is shown.
        options: of the browser's contexts.
    """
    for (scene, user), group in groupby(sorted(states, key=_whose), _whose):
        console = scenes.console(scene)
        with console.visitor(**options) as context:
            if user and user not in console.sessions:
                remember(console, user)
            for state in group:
                context.clear_cookies()
                if user:
                    context.add_cookies(console.sessions[user])
                path = state.path.replace("{key_id}", key_of(console)) if "{key_id}" in state.path else state.path
                page = context.new_page()
                yield state, page, _fault(page, f"{console.address}{path}", state)
                page.close()  # a request of its scripts without cookies would be told to forget the session


def _fault(page: Page, address: str, state: State) -> str:
    """Open a page, do what its state says, and return what went wrong with that, or nothing."""
    try:
        answer = page.goto(address)
        if state.then:
            state.then(page)
    except PlaywrightError as error:
        return f"{state.name}: {error.message.splitlines()[0]}"
    status = answer.status if answer else 0
    if answer and state.user and urlsplit(answer.url).path.endswith("/sign-in"):
        return f"{state.name}: nobody is signed in"
    if status != state.status:
        return f"{state.name}: {status}"
    return f"{state.name}: not empty" if state.name.endswith("-empty") and not page.locator("p.empty").count() else ""


def _whose(state: State) -> tuple[str, str]:
    return state.scene, state.user
