"""The console's application, in process: cookies, forms, ends of sessions, and what is shown after errors."""

import logging
import re
import string
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import PASSWORD, GatewayHarness, opened, quick_directory
from tests.support.json_counter import counted_json

from kiteward.api.console.app import ConsoleApp
from kiteward.api.console.language import catalogues
from kiteward.api.console.pages import PAGES
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.api.rest.endpoint_table import TABLE
from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.files import ChainedFiles
from kiteward.audit.reader import AuditReader
from kiteward.audit.shared import SharedEvents, SharedTrail
from kiteward.authn.session_rules import SessionRules
from kiteward.authn.sessions import MemorySessions
from kiteward.domain import errors
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import EngineUnavailable, KitewardError, RequestRefused, StoreUnavailable
from kiteward.engine.base import EngineHealth
from kiteward.iam.services import Servers
from kiteward.milvus import messages
from kiteward.store.records import NO_PASSWORD, ListedReplica, ReplicaRecord

CLASSES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, KitewardError)
    and not issubclass(kind, errors.ConfigurationError)
    and kind is not KitewardError
]


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Browser:
    """Opens pages and sends forms as a browser does, over one kind of connection."""

    def __init__(self, harness: GatewayHarness, client: httpx.AsyncClient) -> None:
        self.harness = harness
        self.client = client

    async def open(self, path: str) -> httpx.Response:
        return await self.client.get(f"/console/{path}")

    async def send(self, path: str, **form: str | list[str]) -> httpx.Response:
        page = await self.open("account")
        token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        return await self.post(path, csrf=token, **form)

    async def post(self, path: str, **form: str | list[str]) -> httpx.Response:
        base = f"{self.client.base_url.scheme}://{self.client.base_url.netloc.decode()}"
        return await self.client.post(f"/console/{path}", data=form, headers={"Origin": base})

    async def sign_in(self, user: str = "root", password: str = "Milvus") -> httpx.Response:
        answer = await self.post("sign-in", user=user, password=password)
        assert answer.status_code == 303, answer.text
        return answer


@asynccontextmanager
async def browsing(
    base: str = "http://kiteward.example:19530",
    *,
    pages: tuple[Page, ...] = PAGES,
    sessions: MemorySessions | None = None,
    prepare: Callable[[GatewayHarness], object] = lambda _harness: None,
    embedded_engine: bool = False,
) -> AsyncIterator[Browser]:
    with quick_directory() as directory:
        async with opened(directory / "store.db", FakeEngine()) as harness:
            harness.configure(audit=harness.trail.state)
            prepare(harness)
            if sessions is not None:
                harness.authenticator.sessions = sessions
                harness.configure(sessions=sessions)
            transport = httpx.ASGITransport(ConsoleApp(harness.gateway, pages, embedded_engine=embedded_engine))
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                yield Browser(harness, client)


async def test_over_tls_the_cookie_is_bound_to_the_host_and_goes_over_tls_alone() -> None:
    async with browsing("https://kiteward.example") as browser:
        answer = await browser.sign_in()
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-kiteward=")
        assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "Domain" not in cookie
        assert "max-age" in answer.headers["strict-transport-security"]
        assert (await browser.open("account")).status_code == 200


async def test_without_tls_people_beyond_this_machine_are_warned() -> None:
    async with browsing() as browser:
        assert "not encrypted" in (await browser.open("sign-in")).text
        cookie = (await browser.sign_in()).headers["set-cookie"]
        assert (cookie.startswith("kiteward="), "Secure" in cookie) == (True, False)
    async with browsing("http://localhost:19530") as browser:
        assert "not encrypted" not in (await browser.open("sign-in")).text


async def test_a_session_ends_unused_and_after_its_lifetime_and_the_page_says_so() -> None:
    clock = Clock()
    async with browsing(sessions=MemorySessions(SessionRules(idle=60, lifetime=150), clock=clock)) as browser:
        for steps in ((61,), (50, 50, 51)):
            await browser.sign_in()
            for step in steps:
                assert (await browser.open("account")).status_code == 200
                clock.now += step
            answer = await browser.open("connect")
            assert answer.headers["location"] == "/console/sign-in?why=ended&next=%2Fconsole%2Fconnect"
            assert 'kiteward=""' in answer.headers["set-cookie"]


async def test_changing_the_password_ends_every_session_but_goes_on_here() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        before = browser.client.cookies["kiteward"]
        answer = await browser.send("account", old_password="Milvus", new_password=PASSWORD, again=PASSWORD)
        assert answer.headers["location"] == "/console/account?done=password"
        assert browser.client.cookies["kiteward"] != before
        assert (await browser.open("account")).status_code == 200
        browser.client.cookies.clear()
        browser.client.cookies.set("kiteward", before)
        assert (await browser.open("account")).status_code == 303


async def test_every_page_that_acts_needs_the_sessions_own_form_token() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        acting = [page for page in PAGES if page.act is not None and not page.open]
        assert len(acting) > 20
        for page in acting:
            path = page.path.replace("{", "").replace("}", "")
            assert (await browser.post(path, csrf="")).status_code == 403, path
            assert (await browser.post(path, csrf="0" * 64)).status_code == 403, path


async def test_every_page_asks_whoever_has_not_signed_in_to_do_so() -> None:
    async with browsing() as browser:
        for page in PAGES:
            if not page.open:
                path = page.path.replace("{", "").replace("}", "")
                for answer in (await browser.open(path), await browser.post(path, csrf="")):
                    assert answer.status_code == 303, path
                    assert answer.headers["location"].startswith("/console/sign-in"), path


async def test_other_methods_and_other_forms_are_not_taken() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        assert (await browser.client.put("/console/account")).status_code == 405
        assert (await browser.post("health", csrf="x")).status_code == 405
        own = {"Origin": "http://kiteward.example:19530"}
        assert (await browser.client.post("/console/account", json={}, headers=own)).status_code == 415
        too_large = await browser.client.post("/console/account", data={"a": "x" * 600_000}, headers=own)
        assert too_large.status_code == 413
        headers = {**own, "Content-Type": "application/x-www-form-urlencoded"}
        assert (await browser.client.post("/console/account", content=b"\xff", headers=headers)).status_code == 400


async def test_an_engine_that_is_away_is_reported_and_the_rest_goes_on() -> None:
    async def away(_visit: ConsoleRequest) -> httpx.Response:
        raise EngineUnavailable("the engine is starting")

    async with browsing(pages=(Page("away", away), *PAGES)) as browser:  # type: ignore[arg-type]  # it never returns
        await browser.sign_in()
        answer = await browser.open("away")
        assert (answer.status_code, "The engine cannot be reached now." in answer.text) == (503, True)
        assert (await browser.open("users")).status_code == 200


async def test_a_defect_is_logged_and_reported_by_its_number_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_visit: ConsoleRequest) -> httpx.Response:
        raise ZeroDivisionError("something private")

    async with browsing(pages=(Page("broken", broken), *PAGES)) as browser:  # type: ignore[arg-type]  # it never returns
        await browser.sign_in()
        with caplog.at_level(logging.ERROR):
            answer = await browser.open("broken")
        assert answer.status_code == 500
        assert "something private" not in answer.text
        assert answer.headers["x-request-id"] in answer.text
        assert answer.headers["x-request-id"] in caplog.text


async def test_a_federated_user_is_shown_with_issuer_and_subject_and_without_a_password() -> None:
    async with browsing() as browser:
        await browser.harness.user("alice")
        async with browser.harness.policy_cache.change() as transaction:
            await transaction.users.add("idp_bob", NO_PASSWORD)
            await transaction.identities.add("idp_bob", "https://idp.example", "sub-bob")
            await transaction.roles.bind("idp_bob", "admin")
        await browser.sign_in()
        shown = (await browser.open("users/idp_bob")).text
        assert "https://idp.example" in shown
        assert "sub-bob" in shown
        assert "/console/users/idp_bob/reset" not in shown
        local = (await browser.open("users/alice")).text
        assert "/console/users/alice/reset" in local
        assert "Subject" not in local
        explained = await browser.open("explain?user=idp_bob&privilege=Search")
        assert "sub-bob of https://idp.example" in explained.text


async def test_a_locked_user_is_shown_as_such_and_unlocked() -> None:
    async with browsing() as browser:
        await browser.harness.user("alice")
        async with browser.harness.policy_cache.change() as transaction:
            await transaction.users.lock("alice")
        await browser.sign_in()
        assert "Locked" in (await browser.open("users")).text
        assert "/console/users/alice/unlock" in (await browser.open("users/alice")).text
        assert (await browser.send("users/alice/unlock")).headers["location"] == "/console/users/alice?done=user_unlock"
        assert "Locked" not in (await browser.open("users/alice")).text


async def test_what_people_typed_is_shown_as_text() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        answer = await browser.send("new-user", user_name='"><script>alert(1)</script>', description="<b>")
        assert answer.status_code == 422
        assert "<script>alert" not in answer.text
        assert "&lt;script&gt;alert" in answer.text


async def test_a_password_that_was_typed_comes_back_in_no_page() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        answers = [
            await browser.send("new-user", user_name="1", new_password="A-secret-1-typed"),
            await browser.send("account", old_password="A-secret-1-typed", new_password="x", again="A-secret-1-typed"),
            await browser.post("sign-in", user="root", password="A-secret-1-typed"),
        ]
        for answer in answers:
            assert answer.status_code == 422
            assert "A-secret-1-typed" not in answer.text


async def test_files_that_pages_load_are_kept_by_browsers_until_they_change() -> None:
    async with browsing() as browser:
        page = (await browser.open("sign-in")).text
        address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
        answer = await browser.client.get(address)
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/css")
        assert "immutable" in answer.headers["cache-control"]
        # A page of another version, whose server is beside this one for a while.
        other = await browser.client.get(address.partition("?")[0] + "?" + 16 * "0")
        assert (other.status_code, other.headers["cache-control"]) == (200, "no-store")
        assert (await browser.open("static/nothing.css")).status_code == 404
        assert (await browser.open("static/..%2ftemplates%2flayout.html")).status_code == 404


async def test_of_whoever_is_not_known_little_is_read() -> None:
    async with browsing() as browser:
        assert (await browser.post("sign-in", user="x" * 70_000)).status_code == 413
        assert (await browser.post("account", csrf="x" * 600_000)).status_code == 303


def test_no_other_service_begins_a_session() -> None:
    assert not [path for path in TABLE if path.endswith("sessions/begin")]


def test_no_page_is_used_twice() -> None:
    assert len({page.path for page in PAGES}) == len(PAGES)


async def test_page_that_shows_a_secret_does_not_repeat_its_action_when_it_is_loaded_again() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        sent = await browser.send("new-key", user_name="root", expires_in_days="1")
        assert (sent.status_code, sent.text) == (303, "")
        page = sent.headers["location"].removeprefix("/console/")
        assert (
            await browser.client.head(f"/console/{page}")
        ).status_code == 410  # asking whether it is there uses nothing
        shown = await browser.open(page)
        assert (shown.status_code, "kw_" in shown.text) == (200, True)
        again = await browser.open(page)
        assert (again.status_code, "kw_" in again.text) == (410, False)
        assert len(await browser.harness.store.keys()) == 1


async def test_secret_is_shown_to_the_session_that_made_it_alone() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        sent = await browser.send("new-key", user_name="root", expires_in_days="1")
        mine = dict(browser.client.cookies)
        browser.client.cookies.clear()
        await browser.sign_in()
        page = sent.headers["location"].removeprefix("/console/")
        assert (await browser.open(page)).status_code == 410
        browser.client.cookies.clear()
        browser.client.cookies.update(mine)
        assert "kw_" in (await browser.open(page)).text


async def test_own_password_that_was_reset_is_shown_although_the_session_ends_with_it() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        answer = await browser.send("users/root/reset", keep_old_for="0")
        assert (answer.status_code, 'id="secret"' in answer.text) == (200, True)
        assert (await browser.open("account")).status_code == 303


async def test_filters_of_the_trail_that_make_no_sense_are_refused() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        for asked, told in (
            ("outcome=rubbish", "There is no <code>rubbish</code>. Give one of received, "),
            ("kind=users", "There is no <code>users</code>. Give one of "),
            ("before=abc", "Enter a whole number"),
            (f"before={'9' * 40}", "Enter a whole number"),
        ):
            answer = await browser.open(f"audit?{asked}")
            assert (answer.status_code, told in answer.text) == (422, True), answer.text
        assert (await browser.open("explain?line=abc")).status_code == 422


async def answer_in(language: str, path: str, **form: str) -> str:
    async with browsing() as browser:
        browser.client.headers["Accept-Language"] = language
        await browser.sign_in()
        answer = await browser.send(path, **form)
        assert answer.status_code == 422
        return answer.text


@pytest.mark.parametrize(
    ("path", "form", "place", "chinese"),
    [
        ("new-user", {"user_name": "9lives"}, "user_name", "不能以 <code>9</code> 开头。"),
        ("new-user", {"user_name": "root"}, "user_name", "用户 <code>root</code> 已存在。"),
        ("new-user", {"user_name": "a", "new_password": "short"}, "new_password", "密码长度必须为 8 到 64 个字符。"),
        ("new-user", {"user_name": "a", "roles": "ghost"}, "roles", "角色 <code>ghost</code> 不存在。"),
        ("new-role", {"role_name": "a b"}, "role_name", "名称只能包含字母、数字和 <code>_$</code>"),
        ("new-role", {"role_name": "a", "description": "x" * 1025}, "description", "最多 1024 字节。"),
        ("new-group", {"group_name": "Search"}, "group_name", "<code>Search</code> 是内置权限或内置权限组的名称。"),
        ("new-key", {"user_name": "root", "networks": "home"}, "networks", "例如 10.0.0.0/8"),
        ("new-key", {"user_name": "root", "expires_in_days": "99999"}, "expires_in_days", "密钥的有效期必须为 1 到"),
        ("new-key", {"user_name": "ghost"}, "user_name", "用户 <code>ghost</code> 不存在。"),
        (
            "account",
            {"old_password": "wrong", "new_password": "New-password-1", "again": "New-password-1"},
            "old_password",
            "当前密码不正确。",
        ),
        ("users/root/delete", {"typed_name": "root"}, "", "无法删除 root 用户。"),
    ],
)
async def test_reason_of_a_refusal_stands_at_its_field_in_the_language_of_the_page(
    path: str, form: dict[str, str], place: str, chinese: str
) -> None:
    shown = await answer_in("zh-CN", path, **form)
    start = f'id="{place}-error">' if place else 'role="alert">'
    assert chinese in shown.partition(start)[2].partition("</p>")[0]


async def test_every_broken_rule_of_a_password_is_named() -> None:
    shown = await answer_in("en", "new-user", user_name="a", new_password="short")
    at_field = shown.partition('id="new_password-error">')[2].partition("</p>")[0]
    assert "8 to 64 characters" in at_field
    assert "three of: upper case letters" in at_field


async def test_explanation_proposes_what_is_near_to_an_unknown_name() -> None:
    async with browsing() as browser:
        browser.client.headers["Accept-Language"] = "zh"
        await browser.sign_in()
        answer = await browser.open("explain?privilege=Serch")
        assert "没有名为 <code>Serch</code> 的权限或权限组。您是指 <code>Search</code>" in answer.text


async def test_denial_is_explained_in_the_language_of_the_page() -> None:
    async with browsing() as browser:
        await browser.harness.user("alice")
        browser.client.headers["Accept-Language"] = "zh"
        await browser.sign_in("alice", PASSWORD)
        answer = await browser.open("users")
        assert (answer.status_code, "只有管理员可以执行此操作。" in answer.text) == (403, True)
        assert "请联系管理员" not in answer.text.partition("<main")[2]


ENGLISH = "what an error says in English"


def outside_quotations(html: str) -> str:
    """Return a page without the texts that are marked as those of the engine."""
    return re.sub(r"<blockquote.*?</blockquote>", "", html, flags=re.DOTALL)


@asynccontextmanager
async def failing() -> AsyncIterator[Callable[[KitewardError], Awaitable[httpx.Response]]]:
    """Yield a function that opens a Chinese page whose request to the gateway ends with an error."""
    errors_to_raise: list[KitewardError] = []

    async def fails(_request: ConsoleRequest) -> httpx.Response:
        raise errors_to_raise.pop()

    async with browsing(pages=(Page("fails", fails), *PAGES)) as browser:  # type: ignore[arg-type]  # it never returns
        browser.client.headers["Accept-Language"] = "zh"
        await browser.sign_in()

        async def fail(error: KitewardError) -> httpx.Response:
            errors_to_raise.append(error)
            return await browser.open("fails")

        yield fail


async def test_page_about_an_error_of_any_class_is_in_chinese_alone() -> None:
    async with failing() as fail:
        for kind in CLASSES:
            answer = await fail(kind(ENGLISH))
            assert answer.status_code in {303, 403, 404, 422, 503}, kind
            assert ENGLISH not in answer.text, kind


async def test_page_about_an_error_of_any_code_is_in_chinese_and_quotes_the_engine_apart() -> None:
    texts, quoted = catalogues()["zh"].texts, "engine: no more segments"
    async with failing() as fail:
        for code in ErrorCode:
            found = string.Formatter().parse(texts[f"reason.{code}"])
            detail = ErrorDetail(code, {name: 7 for _, name, _, _ in found if name is not None}, quoted=quoted)
            page = (await fail(RequestRefused(ENGLISH, detail))).text
            assert ENGLISH not in page, code
            assert quoted in page, code
            assert quoted not in outside_quotations(page), code


async def opened_with_failed_response(code: int, reason: str, path: str = "collections/default/docs") -> httpx.Response:
    """Open a page in Chinese whose request the engine fails."""
    async with browsing() as browser:
        browser.client.headers["Accept-Language"] = "zh"
        await browser.sign_in()
        engine = browser.harness.engine
        engine.create("docs")
        await browser.open("collections")
        status = messages.Status(code=code, reason=reason)
        engine.answers["DescribeCollection"] = messages.DescribeCollectionResponse(status=status).SerializeToString()
        return await browser.open(path)


async def test_failed_response_of_the_engine_is_a_chinese_sentence_with_its_number_and_a_quotation() -> None:
    answer = await opened_with_failed_response(65535, "channel <dml_0> has no leader")
    assert answer.status_code == 422
    assert "引擎未能完成 <code>DescribeCollection</code>，错误代码为 65535。" in answer.text  # noqa: RUF001  Chinese
    assert "<figcaption>原始消息</figcaption>" in answer.text
    assert '<blockquote lang="en">channel &lt;dml_0&gt; has no leader</blockquote>' in answer.text
    assert "no leader" not in outside_quotations(answer.text)


@pytest.mark.parametrize(
    ("code", "chinese"),
    [
        (100, "集合不存在，或您无权查看。"),  # noqa: RUF001  Chinese
        (800, "数据库 <code>default</code> 不存在，或您无权查看。"),  # noqa: RUF001  Chinese
        (8, "引擎繁忙，请稍后重试。"),  # noqa: RUF001  Chinese
        (2, "引擎暂时无法访问。"),
        (10, "引擎没有实现 <code>DescribeCollection</code>。"),
    ],
)
async def test_failed_response_with_a_clear_code_has_the_sentence_of_that_code(code: int, chinese: str) -> None:
    answer = await opened_with_failed_response(code, "some english of the engine")
    assert chinese in answer.text
    assert "some english of the engine" not in answer.text


@pytest.mark.parametrize(
    ("path", "chinese"),
    [
        ("explain?operation=CalcDistance", "此处不支持 <code>CalcDistance</code>。"),
        ("explain?operation=GetClientTelemetry", "客户端遥测会让一个用户控制其他用户的客户端。"),
        ("explain?privilege=Insert&collection=docs", "用户 <code>root</code> 不受限制。"),
        ("explain?privilege=Insert&user=alice", "需要在数据库 <code>default</code> 中"),
        ("explain?privilege=Insert&user=locked", "该用户已停用。"),
        ("collections/ghost/docs", "数据库 <code>ghost</code> 不存在，或您无权查看。"),  # noqa: RUF001  Chinese
    ],
)
async def test_refusals_and_explanations_are_in_chinese(path: str, chinese: str) -> None:
    async with browsing() as browser:
        for user in ("alice", "locked"):
            await browser.harness.user(user)
        browser.client.headers["Accept-Language"] = "zh"
        await browser.sign_in()
        await browser.send("users/locked/disable")
        page = (await browser.open(path)).text
        assert chinese in page


async def test_health_states_in_chinese_why_a_part_is_not_ready_and_quotes_the_engine() -> None:
    async with browsing() as browser:
        browser.client.headers["Accept-Language"] = "zh"
        await browser.sign_in()
        detail = ErrorDetail(ErrorCode.ENGINE_RESTARTING, quoted="killed by SIGKILL")
        browser.harness.engine.ready = EngineHealth(ready=False, reason=f"restarting: {ENGLISH}", detail=detail)
        page = (await browser.open("health")).text
        assert "引擎已停止，正在重新启动。" in page  # noqa: RUF001  Chinese
        assert '<blockquote lang="en">killed by SIGKILL</blockquote>' in page
        assert ENGLISH not in page


async def test_health_is_shown_while_the_audit_trail_cannot_be_written_and_other_pages_say_so() -> None:
    async with browsing() as browser:
        browser.client.headers["Accept-Language"] = "zh"
        await browser.sign_in()
        browser.harness.trail.working = False
        assert "无法写入审计日志。" in (await browser.open("health")).text
        answer = await browser.open("users")
        assert (answer.status_code, "目前无法写入审计日志，因此未执行该操作。" in answer.text) == (503, True)  # noqa: RUF001  Chinese


async def test_health_lists_the_servers_and_says_when_the_store_cannot_be_read() -> None:
    records = [ReplicaRecord(name, f"server <{name}>", 3.0, started_at=1.0) for name in ("one", "two")]
    known = [Servers([ListedReplica(records[0], 0.25, 4), ListedReplica(records[1], 9.0, 4)], "one")]

    async def listed() -> Servers:
        if not known:
            raise StoreUnavailable("the store cannot be reached")
        return known.pop()

    async with browsing(prepare=lambda harness: harness.configure(servers=listed)) as browser:
        await browser.sign_in()
        page = (await browser.open("health")).text
        assert page.index("server &lt;one&gt;") < page.index("This server") < page.index("server &lt;two&gt;")
        assert page.index("renewed 0.2 s ago") < page.index('<span class="state off">Expired</span>')
        assert "4 behind" in page
        assert "The list cannot be read from the store now." in (await browser.open("health")).text


async def test_no_json_is_read_or_written_between_a_page_and_the_services() -> None:
    async with browsing() as browser:
        with counted_json() as counter:
            await browser.sign_in()
            created = await browser.send("new-user", user_name="ann")
            listed = await browser.open("users")
            assert (created.status_code, listed.status_code) == (303, 200)
            assert (await browser.send("users/ann/disable")).status_code == 303
            assert (counter.read, counter.written) == ([], [])
        assert "/console/users/ann" in listed.text
        stored = await browser.harness.store.user("ann")
        assert stored is not None
        assert not stored.enabled


# The audit trail where replicas share a store


@pytest.fixture
def trail(tmp_path: Path) -> AuditReader:
    """The trail of a replica on which carol has queried."""
    files = ChainedFiles(tmp_path, keep_days=0, replica="host-b")
    files.append([AuditEvent(Event.DATA_READ, 1.0, Outcome.SUCCEEDED, operation="Query", principal="carol")])
    files.close()
    return AuditReader(tmp_path)


async def test_lines_of_a_single_server_have_no_scope(trail: AuditReader) -> None:
    async with browsing(prepare=lambda harness: harness.configure(trail=trail)) as browser:
        await browser.sign_in()
        shown = (await browser.open("audit")).text
        assert ("carol" in shown, 'name="scope"' in shown, "on host-b" in shown) == (True, False, False)


async def test_lines_of_all_replicas_are_shown_first_and_those_of_this_one_by_choice(trail: AuditReader) -> None:
    def share(harness: GatewayHarness) -> None:
        harness.configure(trail=trail, shared_trail=SharedTrail(harness.store))

    async with browsing(prepare=share) as browser:
        change = AuditEvent(Event.USER_CHANGE, 1.0, Outcome.COMMITTED, operation="DisableUser", principal="root")
        async with browser.harness.store.transaction() as transaction:
            await SharedEvents("host-a").append(transaction, change)
            await transaction.commit()
        await browser.sign_in()
        shared = (await browser.open("audit")).text
        assert ("DisableUser" in shared, "Committed</span>" in shared, "on host-a" in shared) == (True, True, True)
        assert ('name="scope"' in shared, "carol" in shared) == (True, False)
        own = (await browser.open("audit?scope=replica")).text
        assert ("carol" in own, "on host-b" in own, "DisableUser" in own) == (True, True, False)
        assert "in the trail of each replica only" in (await browser.open("audit?kind=data")).text
        assert "carol" not in (await browser.open("audit?scope=replica&replica=host-a")).text
