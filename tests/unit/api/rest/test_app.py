import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, NoReturn, cast

import pytest
from starlette.types import Message
from tests.support.engine import FakeEngine
from tests.support.gateway import PASSWORD, GatewayHarness
from tests.support.rest import NOT_AUTHENTICATED, Rest, bearer, served

from kiteward.api.rest.app import FROM_ANYBODY, LARGE, LARGE_AT_ONCE, build_app
from kiteward.api.rest.endpoint_table import TABLE, table_of
from kiteward.api.rest.endpoints import (
    OWN_PREFIX,
    REPORTED_AS_RAISED,
    Body,
    Endpoint,
    Nothing,
    RequestContext,
    Table,
    refused,
)
from kiteward.api.rest.settings import RestSettings
from kiteward.domain.deferred import DeferredParts
from kiteward.domain.errors import (
    AuthenticationError,
    CommitUnknown,
    ConfigurationError,
    EngineDeadlineExceeded,
    EngineUnavailable,
    KitewardError,
    OperationUnknown,
    StoreUnavailable,
    StoreUnreachable,
)
from kiteward.gateway.call import Call
from kiteward.gateway.gateway import Gateway
from kiteward.gateway.large_requests import LARGE as ANYBODYS
from kiteward.milvus import messages
from kiteward.store.connections import UNKNOWN
from kiteward.store.transaction import Transaction

STRANGERS = [
    {},
    {"Authorization": "Bearer root:wrong"},
    {"Authorization": "Bearer nobody:Milvus"},
    {"Authorization": "bearer root:Milvus"},
    {"Authorization": "Token root:Milvus"},
    {"Authorization": "Bearer root:"},
    {"Authorization": "Bearer :Milvus"},
    {"Authorization": "Bearer key"},
    {"Authorization": "Basic root:Milvus"},
    {"Authorization": "Basic cm9vdDp3cm9uZw=="},
]


class Watched:
    """A gateway that remembers what was asked of it."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.calls: list[Call[Any]] = []

    async def handle(self, call: Call[Any]) -> Any:
        self.calls.append(call)
        return await self.gateway.handle(call)

    @property
    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]


@pytest.fixture
def watched(harness: GatewayHarness) -> Watched:
    return Watched(harness.gateway)


@pytest.fixture
async def rest(watched: Watched) -> AsyncIterator[Rest]:
    async with served(cast("Gateway", watched)) as rest:
        yield rest


async def show(context: RequestContext, _body: Body) -> Any:
    """Answer what the conversation knows."""
    await context.call(messages.GetVersionRequest())
    return {"database": context.database, "allowInt64": context.allow_int64}


async def show_without_asking(_context: RequestContext, _body: Body) -> Any:
    return ["told"]


async def break_down(_context: RequestContext, _body: Body) -> Any:
    raise LookupError("a defect, with a secret in it")


async def search(context: RequestContext, _body: Body) -> Any:
    await context.call(messages.SearchRequest(collection_name="docs"))
    return Nothing()


PROBES = table_of(
    [
        Endpoint("probe/show", Body, dict[str, Any], show, "Show."),
        Endpoint("probe/show_without_asking", Body, list[str], show_without_asking, "Show."),
        Endpoint("probe/break_down", Body, Nothing, break_down, "Break."),
        Endpoint("probe/search", Body, Nothing, search, "Search."),
        Endpoint("probe/search_for_long", Body, Nothing, search, "Search.", long=True),
        refused("probe/closed", "it is a test"),
    ]
)


@pytest.fixture
async def probes(watched: Watched) -> AsyncIterator[Rest]:
    async with served(cast("Gateway", watched), table=PROBES) as rest:
        yield rest


# Who calls is established first


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_an_unauthenticated_caller_is_refused_in_milvus_words(rest: Rest, stranger: dict[str, str]) -> None:
    response = await rest.send("users/list", by=None, headers=stranger)
    assert (response.status_code, response.json()) == (401, NOT_AUTHENTICATED)


def test_what_declares_the_endpoints_is_loaded_before_the_first_request(harness: GatewayHarness) -> None:
    left = ["probe", "other"]

    def make(part: str) -> Table:
        left.remove(part)
        return PROBES if part == "probe" else {}

    table = DeferredParts(tuple(left), dict[str, str]().get, make)
    build_app(harness.gateway, RestSettings(), table=table).close()
    assert left == []


async def test_no_endpoint_reveals_anything_to_an_unauthenticated_caller(rest: Rest) -> None:
    for path in TABLE:
        for content in (b"{}", b"", b"[", b'{"userName": 5}', b'{"userName": "root", "roleName": "admin"}'):
            response = await rest.send(path, by=None, content=content)
            assert response.status_code == 401, path
            if TABLE[path].oauth:
                assert response.json()["error"] == "invalid_client"
            else:
                assert response.json() == NOT_AUTHENTICATED, path


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/vectordb/users/unknown"),
        ("POST", "/v2/vectordb/users/list/"),
        ("GET", "/v2/vectordb/users/list"),
        ("PUT", "/v2/vectordb/users/list"),
        ("OPTIONS", "/v2/vectordb/users/list"),
        ("POST", "/v2/vectordb"),
        ("POST", "/v2"),
        ("GET", "/api/v1/health"),
    ],
)
async def test_an_unknown_path_or_method_is_401_for_unauthenticated_callers_and_404_for_others(
    rest: Rest, method: str, path: str
) -> None:
    stranger = await rest.send(path, by=None, method=method)
    assert (stranger.status_code, stranger.json()) == (401, NOT_AUTHENTICATED)
    known = await rest.send(path, method=method)
    assert (known.status_code, known.text) == (404, "404 page not found")
    assert known.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "path", ["/", "/v3", "/v20/x", "/healthz", "/metrics", "/favicon.ico", "//v2/vectordb/users/list"]
)
async def test_there_is_nothing_outside_the_api(rest: Rest, watched: Watched, path: str) -> None:
    response = await rest.send(f"http://kiteward.test:19530{path}", method="GET")
    assert (response.status_code, response.text) == (404, "404 page not found")
    assert watched.calls == []


async def test_a_valid_request_is_authenticated_once_by_its_own_call(rest: Rest, watched: Watched) -> None:
    await rest.ask("users/list")
    assert watched.operations == ["ListCredUsers"]


async def test_a_refused_request_is_not_authenticated_again(
    rest: Rest, watched: Watched, harness: GatewayHarness
) -> None:
    await harness.user("ann")
    assert (await rest.send("users/list", by="ann")).status_code == 403
    assert await rest.code("users/drop", {"userName": "root"}) == 1401
    assert watched.operations == ["ListCredUsers", "DeleteCredential"]


async def test_an_unknown_outcome_is_told_where_the_caller_cannot_be_authenticated_again(
    rest: Rest, harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes next would be that the store is not available, and that says: nothing was changed."""

    async def broken(self: Transaction) -> NoReturn:
        harness.authenticator.forget_all()
        monkeypatch.setattr(harness.store, "user", unreachable)
        raise CommitUnknown(UNKNOWN)

    async def unreachable(_name: str) -> NoReturn:
        raise StoreUnreachable("the store could not be read")

    monkeypatch.setattr(Transaction, "commit", broken)
    answer = await rest.send("users/create", {"userName": "ann", "password": PASSWORD})
    assert answer.json()["message"] == UNKNOWN


def test_every_error_is_told_as_raised_or_known_to_come_before_authentication() -> None:
    """`ConfigurationError` ends the start of the server."""
    direct = set(KitewardError.__subclasses__())
    assert direct - set(REPORTED_AS_RAISED) == {AuthenticationError, OperationUnknown, ConfigurationError}


async def test_a_wrong_password_is_verified_once(rest: Rest, watched: Watched) -> None:
    await rest.send("users/list", by=None, headers={"Authorization": "Bearer root:wrong"})
    assert watched.operations == ["ListCredUsers"]


async def test_what_a_handler_answers_by_itself_is_not_reported_to_unauthenticated_callers(probes: Rest) -> None:
    for action in ("show_without_asking", "closed"):
        stranger = await probes.send(f"probe/{action}", by=None)
        assert (stranger.status_code, stranger.json()) == (401, NOT_AUTHENTICATED)
    assert await probes.ask("probe/show_without_asking") == ["told"]


async def test_what_is_not_offered_is_refused_by_name(probes: Rest) -> None:
    assert await probes.whole("probe/closed") == {
        "code": 10,
        "message": "probe/closed is not supported: it is a test: service unimplemented",
    }


async def test_a_dropped_user_is_unauthenticated_at_once(rest: Rest, harness: GatewayHarness) -> None:
    await harness.user("ann")
    assert (await rest.send("users/list", by="ann")).status_code == 403
    await rest.ask("users/drop", {"userName": "ann"})
    assert (await rest.send("users/list", by="ann")).status_code == 401


async def test_two_credentials_are_none(rest: Rest) -> None:
    twice = [("Authorization", bearer("root")), ("Authorization", bearer("root"))]
    response = await rest.client.post("/v2/vectordb/users/list", json={}, headers=twice)
    assert response.status_code == 401


@pytest.mark.parametrize("header", ["Bearer root:Milvus", "root:Milvus", "Basic cm9vdDpNaWx2dXM="])
async def test_each_form_of_a_password_is_accepted(rest: Rest, header: str) -> None:
    assert await rest.ask("users/list", by=None, headers={"Authorization": header}) == ["root"]


async def test_the_challenge_is_basic_for_those_who_speak_it_and_makes_no_browser_ask_others(rest: Rest) -> None:
    for header, status, challenge in [
        ("Basic cm9vdDpNaWx2dXM=", 200, 'Basic realm="restricted", charset="UTF-8"'),
        ("Basic cm9vdDp3cm9uZw==", 401, 'Basic realm="restricted", charset="UTF-8"'),
        ("Bearer root:wrong", 401, "Bearer"),
        ("Bearer root:Milvus", 200, None),
    ]:
        response = await rest.send("users/list", by=None, headers={"Authorization": header})
        assert (response.status_code, response.headers.get("WWW-Authenticate")) == (status, challenge)


# What the gateway receives


async def test_a_call_carries_who_where_and_how_long(rest: Rest, watched: Watched) -> None:
    response = await rest.send("users/list", {"dbName": "sales"}, headers={"Request-Timeout": "7"})
    (call,) = watched.calls
    assert (call.database, call.address, dict(call.forward)) == ("sales", "192.0.2.7:4711", {})
    assert call.timeout is not None
    assert 6 < call.timeout <= 7
    assert call.request_id == response.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("body", "header", "database"),
    [
        ({}, None, ""),
        ({}, "in_header", "in_header"),
        ({"dbName": "in_body"}, "in_header", "in_body"),
        ({"dbName": ""}, "in_header", "in_header"),
        ({"dbName": None}, "in_header", "in_header"),
    ],
)
async def test_the_database_is_the_bodys_else_the_headers(
    probes: Rest, watched: Watched, body: Any, header: str | None, database: str
) -> None:
    headers = {} if header is None else {"DB-Name": header}
    assert (await probes.ask("probe/show", body, headers=headers))["database"] == database
    assert watched.calls[-1].database == database


async def test_the_usual_timeout_is_the_configured_one(harness: GatewayHarness, watched: Watched) -> None:
    async with served(cast("Gateway", watched), RestSettings(request_timeout=12.5)) as rest:
        await rest.ask("users/list")
    assert watched.calls[-1].timeout == pytest.approx(12.5, abs=1)


@pytest.mark.parametrize("value", ["", "abc", "0", "-1", "1.5", "1e3", "86401", "9" * 30, "٣", " 5 "])
async def test_a_timeout_that_is_none_is_refused(rest: Rest, value: str) -> None:
    header = [("Authorization", bearer("root")), ("Request-Timeout", value.encode())]
    response = await rest.client.post("/v2/vectordb/users/list", json={}, headers=cast("Any", header))
    assert response.status_code == 200
    assert response.json()["code"] == 1100
    assert response.json()["message"].startswith("Request-Timeout parse failed, err: ")
    assert response.json()["message"].endswith(": invalid parameter")


@pytest.mark.parametrize(
    ("default", "value", "allowed"),
    [
        (True, None, True),
        (False, None, False),
        (True, "false", False),
        (True, "0", False),
        (False, "true", True),
        (False, "1", True),
        (True, "perhaps", True),
        (False, "perhaps", False),
    ],
)
async def test_who_takes_large_integers_as_numbers_says_so(
    harness: GatewayHarness, *, default: bool, value: str | None, allowed: bool
) -> None:
    async with served(harness.gateway, RestSettings(allow_int64=default), table=PROBES) as rest:
        headers = {} if value is None else {"Accept-Type-Allow-Int64": value}
        assert (await rest.ask("probe/show", headers=headers))["allowInt64"] is allowed


# Bodies


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense"])
async def test_a_body_is_json_whatever_its_header_says(rest: Rest, kind: str) -> None:
    assert await rest.ask("users/list", content=b"{}", headers={"Content-Type": kind}) == ["root"]
    assert await rest.code("users/list", content=b"a=b", headers={"Content-Type": kind}) == 1801


async def test_an_empty_body_is_refused(rest: Rest) -> None:
    assert await rest.code("users/list", content=b"") == 1801


async def test_a_malformed_body_is_told_to_the_known(rest: Rest) -> None:
    answer = await rest.whole("users/describe", content=b'{"userName": 5}')
    assert answer["code"] == 1801
    assert "`$.userName`" in answer["message"]


async def test_a_body_over_the_limit_is_refused_to_authenticated_callers_and_hidden_from_unauthenticated_callers(
    harness: GatewayHarness,
) -> None:
    limit = 2 * FROM_ANYBODY
    async with served(harness.gateway, RestSettings(max_body=limit)) as rest:
        for content in (b" " * (limit - 2) + b"{}", b" " * (limit - 1) + b"{}"):
            over = len(content) > limit
            known = await rest.send("users/list", content=content)
            assert known.status_code == (413 if over else 200)
            stranger = await rest.send("users/list", by=None, content=content)
            assert (stranger.status_code, stranger.json()) == (401, NOT_AUTHENTICATED)
            if over:
                assert known.json() == {
                    "code": 1102,
                    "message": f"the request body is larger than {limit} bytes: parameter too large",
                }
                assert known.headers["Connection"] == "close"


async def test_few_large_bodies_are_worked_on_at_once_and_small_ones_go_past_them(harness: GatewayHarness) -> None:
    working, most, full, gate = 0, 0, asyncio.Event(), asyncio.Event()

    async def wait(context: RequestContext, _body: Body) -> Any:
        nonlocal working, most
        await context.establish()
        working += 1
        most = max(most, working)
        if working == LARGE_AT_ONCE:
            full.set()
        await gate.wait()
        working -= 1
        return Nothing()

    table = {**TABLE, **table_of([Endpoint("probe/wait", Body, Nothing, wait, "Wait.")])}
    async with served(harness.gateway, table=table) as rest:
        large = b" " * LARGE + b"{}"
        sending = [asyncio.create_task(rest.ask("probe/wait", content=large)) for _ in range(LARGE_AT_ONCE + 2)]
        async with asyncio.timeout(30):
            await full.wait()
            assert await rest.ask("users/list") == ["root"]
            gate.set()
            assert await asyncio.gather(*sending) == [{}] * (LARGE_AT_ONCE + 2)
    assert most == LARGE_AT_ONCE


class Sender:
    """Plays the ASGI server of one request whose body comes in pieces."""

    def __init__(self, *pieces: bytes, path: str = "/v2/vectordb/users/list", **headers: str) -> None:
        self.pieces: Iterator[bytes] = iter(pieces)
        self.taken = 0
        self.sent: list[Message] = []
        self.waiting = asyncio.Event()
        self.gone = asyncio.Event()
        self.scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "query_string": b"",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "client": ("2001:db8::1", 4711),
            "server": ("127.0.0.1", 19530),
        }

    async def receive(self) -> Message:
        piece = next(self.pieces, None)
        if piece is None:
            self.waiting.set()
            await self.gone.wait()
            return {"type": "http.disconnect"}
        self.taken += len(piece)
        return {"type": "http.request", "body": piece, "more_body": piece != b""}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])


async def serve(harness: GatewayHarness, sender: Sender, **settings: Any) -> None:
    app = build_app(harness.gateway, RestSettings(**settings), table={**TABLE, **PROBES})
    try:
        await app(sender.scope, sender.receive, sender.send)
    finally:
        app.close()


async def test_no_more_of_an_unauthenticated_callers_body_is_read_than_anybody_may_send(
    harness: GatewayHarness,
) -> None:
    sender = Sender(*[b" " * 10_000] * 100, authorization="Bearer root:wrong")
    await serve(harness, sender)
    assert sender.status == 401
    assert sender.taken <= FROM_ANYBODY + 10_000


async def test_no_more_of_a_body_is_read_than_the_limit(harness: GatewayHarness) -> None:
    sender = Sender(*[b" " * 10_000] * 100, authorization=bearer("root"))
    await serve(harness, sender, max_body=200_000)
    assert sender.status == 413
    assert sender.taken <= 210_000


async def test_a_body_declared_too_large_is_not_read(harness: GatewayHarness) -> None:
    sender = Sender(b"{}", authorization=bearer("root"), content_length="1000000")
    await serve(harness, sender, max_body=200_000)
    assert (sender.status, sender.taken) == (413, 0)


async def test_an_unauthenticated_caller_gets_no_more_time_than_usual_for_a_body(harness: GatewayHarness) -> None:
    sender = Sender(authorization="Bearer root:wrong", request_timeout="600")
    await asyncio.wait_for(serve(harness, sender, request_timeout=0.05), timeout=5)
    assert (sender.status, sender.taken) == (401, 0)


async def test_a_body_that_does_not_come_ends_in_time(harness: GatewayHarness) -> None:
    sender = Sender(b"{", authorization=bearer("root"))
    await asyncio.wait_for(serve(harness, sender, request_timeout=0.05), timeout=5)
    assert sender.status == 408


async def test_nobody_is_answered_who_hangs_up_before_the_body_is_there(harness: GatewayHarness) -> None:
    sender = Sender(b"{", authorization=bearer("root"))
    sender.gone.set()
    await serve(harness, sender)
    assert sender.sent == []


async def test_a_search_is_given_up_when_its_caller_hangs_up(harness: GatewayHarness, engine: FakeEngine) -> None:
    engine.create("docs")
    await harness.catalog.refresh()
    engine.hold("Search")
    sender = Sender(b"{}", b"", path="/v2/vectordb/probe/search", authorization=bearer("root"))
    serving = asyncio.create_task(serve(harness, sender))
    await engine.reached("Search")
    sender.gone.set()
    await asyncio.wait_for(serving, timeout=5)
    assert sender.sent == []
    async with asyncio.timeout(30):
        while asyncio.all_tasks() != {asyncio.current_task()}:
            await asyncio.sleep(0)


async def test_an_ipv6_address_is_written_as_one(harness: GatewayHarness, watched: Watched) -> None:
    app = build_app(cast("Gateway", watched), RestSettings())
    sender = Sender(b"{}", b"", authorization=bearer("root"))
    await app(sender.scope, sender.receive, sender.send)
    app.close()
    assert watched.calls[0].address == "[2001:db8::1]:4711"


# Failures


async def test_time_that_is_up_is_408(harness: GatewayHarness, engine: FakeEngine) -> None:
    engine.create("docs")
    await harness.catalog.refresh()
    engine.hold("Search")
    async with served(harness.gateway, RestSettings(request_timeout=0.05), table=PROBES) as rest:
        response = await rest.send("probe/search")
    assert (response.status_code, response.json()) == (408, {"code": 10001, "message": "request timeout"})


async def test_what_takes_long_by_nature_has_more_time_unless_its_caller_has_not(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    engine.create("docs")
    await harness.catalog.refresh()
    gate = engine.hold("Search")
    async with served(harness.gateway, RestSettings(request_timeout=0.05), table=PROBES) as rest:
        searching = asyncio.ensure_future(rest.send("probe/search_for_long"))
        await engine.reached("Search")
        assert (await rest.send("probe/search_for_long", headers={"Request-Timeout": "1"})).status_code == 408
        assert not searching.done()
        gate.set()
        assert (await searching).status_code == 200


async def test_the_engine_hears_the_callers_deadline(probes: Rest, harness: GatewayHarness, engine: FakeEngine) -> None:
    engine.create("docs")
    await harness.catalog.refresh()
    await probes.ask("probe/search", headers={"Request-Timeout": "9"})
    timeout = engine.called("Search")[0].timeout
    assert timeout is not None
    assert 8 < timeout <= 9


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (EngineUnavailable("it is coming back"), 200, 2),
        (EngineDeadlineExceeded("too late"), 408, 10001),
    ],
)
async def test_an_engine_that_does_not_answer_is_no_server_error(
    probes: Rest, harness: GatewayHarness, engine: FakeEngine, error: Exception, status: int, code: int
) -> None:
    engine.create("docs")
    await harness.catalog.refresh()
    engine.failures["Search"] = error
    response = await probes.send("probe/search")
    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_a_failure_in_the_engines_answer_is_reported_with_its_code(
    probes: Rest, harness: GatewayHarness, engine: FakeEngine
) -> None:
    engine.create("docs")
    await harness.catalog.refresh()
    engine.answers["Search"] = messages.failure(
        "Search", code=700, legacy_code=messages.ErrorCode.UnexpectedError, reason="index not found"
    )
    assert await probes.whole("probe/search") == {"code": 700, "message": "index not found"}


async def test_a_store_out_of_reach_authenticates_nobody(
    rest: Rest, harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def out_of_reach(_name: str) -> None:
        raise StoreUnavailable("the store cannot be read")

    monkeypatch.setattr(harness.store, "user", out_of_reach)
    for path in ("users/list", "users/unknown"):
        answer = await rest.whole(path)
        assert answer == {"code": 2, "message": "service unavailable: the store cannot be read"}


async def test_a_defect_is_reported_without_its_text_and_found_in_the_log_by_the_request_id(
    probes: Rest, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "kiteward.rest"):
        response = await probes.send("probe/break_down")
    request_id = response.headers["X-Request-Id"]
    assert response.status_code == 500
    assert response.json() == {"code": 500, "message": f"the request failed unexpectedly; its id is {request_id}"}
    assert request_id in caplog.text
    assert "a defect" in caplog.text


# Headers of every answer


@pytest.mark.parametrize(
    ("method", "path", "by"),
    [
        ("POST", "users/list", "root"),
        ("POST", "users/list", None),
        ("POST", "users/unknown", "root"),
        ("GET", "/nothing", None),
        ("GET", "/openapi.json", None),
        ("GET", "/docs", None),
    ],
)
async def test_every_answer_is_sealed(rest: Rest, method: str, path: str, by: str | None) -> None:
    response = await rest.send(path, by=by, method=method)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert response.headers["X-Request-Id"] == response.headers["X-Milvus-Trace-Id"]
    assert "Strict-Transport-Security" not in response.headers
    assert not [name for name in response.headers if name.startswith("access-control")]


async def test_each_request_has_an_id_of_our_own(rest: Rest) -> None:
    given = {"X-Request-Id": "mine"}
    ids = [(await rest.send("users/list", headers=given)).headers["X-Request-Id"] for _ in range(2)]
    assert len({*ids, "mine"}) == 3


async def test_browsers_are_told_to_stay_with_tls_under_tls(rest: Rest) -> None:
    response = await rest.send("https://kiteward.test/v2/vectordb/users/list")
    assert response.headers["Strict-Transport-Security"].startswith("max-age=")


# Pages of other origins


FOREIGN = "https://app.example"


@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://kiteward.test", "http://[", "kiteward.test:19530", ""])
async def test_no_page_is_allowed_unless_configured(rest: Rest, watched: Watched, origin: str) -> None:
    response = await rest.send("users/list", headers={"Origin": origin, "Content-Type": "text/plain"})
    assert (response.status_code, response.json()["code"]) == (403, 65535)
    assert not [name for name in response.headers if name.startswith("access-control")]
    assert watched.calls == []


async def test_our_own_pages_are_allowed(rest: Rest) -> None:
    assert await rest.ask("users/list", headers={"Origin": "http://kiteward.test:19530"}) == ["root"]


async def test_a_preflight_is_not_answered_unless_configured(rest: Rest) -> None:
    asking = {"Origin": FOREIGN, "Access-Control-Request-Method": "POST"}
    response = await rest.send("users/list", by=None, method="OPTIONS", headers=asking)
    assert response.status_code == 403
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("configured", [FOREIGN, "*"])
async def test_pages_of_configured_origins_are_allowed(harness: GatewayHarness, configured: str) -> None:
    async with served(harness.gateway, RestSettings(cors_origins=frozenset({configured}))) as rest:
        asking = {"Origin": FOREIGN, "Access-Control-Request-Method": "POST"}
        preflight = await rest.send("users/list", by=None, method="OPTIONS", headers=asking)
        assert (preflight.status_code, preflight.content) == (204, b"")
        assert preflight.headers["Access-Control-Allow-Methods"] == "POST"
        assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
        response = await rest.send("users/list", headers={"Origin": FOREIGN})
        stranger = await rest.send("users/list", by=None, headers={"Origin": FOREIGN})
        assert (response.status_code, stranger.status_code) == (200, 401)
        for each in (preflight, response, stranger):
            assert each.headers["Access-Control-Allow-Origin"] == FOREIGN
            assert each.headers["Vary"] == "Origin"
            assert "Access-Control-Allow-Credentials" not in each.headers


async def test_another_origin_stays_out_when_one_is_configured(harness: GatewayHarness) -> None:
    async with served(harness.gateway, RestSettings(cors_origins=frozenset({FOREIGN}))) as rest:
        response = await rest.send("users/list", headers={"Origin": "https://evil.example"})
        assert response.status_code == 403
        assert "Access-Control-Allow-Origin" not in response.headers
        assert response.headers["Vary"] == "Origin"


async def test_a_bare_options_is_an_unknown_method_even_when_origins_are_configured(harness: GatewayHarness) -> None:
    async with served(harness.gateway, RestSettings(cors_origins=frozenset({FOREIGN}))) as rest:
        assert (await rest.send("users/list", by=None, method="OPTIONS")).status_code == 401


async def test_other_kinds_of_connections_are_not_served(harness: GatewayHarness) -> None:
    sender = Sender()
    sender.scope["type"] = "websocket"
    await serve(harness, sender)
    assert sender.sent == []


async def test_a_conversion_aside_runs_in_a_thread_of_its_own(harness: GatewayHarness) -> None:
    async def convert(context: RequestContext, _body: Body) -> Any:
        await context.establish()
        return await context.run_in_executor(lambda: threading.current_thread().name)

    table = table_of([Endpoint("probe/convert", Body, str, convert, "Convert.")])
    async with served(harness.gateway, table=table) as rest:
        assert (await rest.ask("probe/convert")).startswith("rest-conversion")


async def test_a_user_with_a_password_beyond_ascii_signs_in(rest: Rest) -> None:
    await rest.ask("users/create", {"userName": "ann", "password": f"{PASSWORD}-pässwörd"})
    header = [(b"authorization", f"Bearer ann:{PASSWORD}-pässwörd".encode())]
    response = await rest.client.post("/v2/vectordb/users/describe", json={"userName": "ann"}, headers=header)
    assert response.json()["code"] == 0


# Large bodies


@pytest.mark.parametrize("path", sorted(path for path, endpoint in TABLE.items() if not endpoint.oauth))
async def test_nothing_large_is_read_of_a_user_without_roles(
    harness: GatewayHarness, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.user("bob")
    monkeypatch.setattr("kiteward.api.rest.app.bodies.decode", lambda *_: pytest.fail("the body was read"))
    async with served(harness.gateway) as rest:
        answer = await rest.send(path, by="bob", content=b"{" + b" " * ANYBODYS + b"}")
    assert f"more than {ANYBODYS} bytes" in answer.json()["message"]


async def test_a_large_body_is_read_for_whoever_holds_what_it_needs(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    engine.create("docs")
    harness.catalog.forget(["default"])
    await harness.role("reader", ("Query", "default", "docs"))
    await harness.user("alice", "reader")
    body = {"collectionName": "docs", "filter": " " * ANYBODYS + "id > 0"}
    async with served(harness.gateway) as rest:
        await rest.ask("entities/query", body, by="alice")
        assert "Search" in (await rest.send("entities/search", {**body, "data": []}, by="alice")).json()["message"]
        assert (await rest.send("entities/query", body, by=None)).json() == NOT_AUTHENTICATED


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("users/create", {"userName": "9lives"}, {"code": 1100, "reason": "name_first_letter", "field": "userName"}),
        ("users/create", {"userName": "a", "password": "short"}, {"reason": "password_length", "field": "password"}),
        ("users/reset_password", {"userName": "root", "newPassword": "x"}, {"field": "newPassword"}),
        ("users/create", {"userName": "root"}, {"reason": "user_exists", "field": "userName"}),
        ("users/create", {}, {"code": 1802, "reason": "argument_missing", "field": "userName"}),
        ("users/create", {"userName": 5}, {"code": 1801, "reason": "payload_malformed", "field": "userName"}),
        ("roles/change_grants", {"roleName": "ghost"}, {"reason": "role_not_found", "field": "roleName"}),
    ],
)
async def test_our_own_endpoints_report_the_reason_and_the_field(
    rest: Rest, path: str, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    answer = (await rest.send(f"{OWN_PREFIX}{path}", body)).json()
    assert {name: answer.get(name) for name in expected} == expected
    assert set(answer) <= {"code", "message", "reason", "field"}


async def test_our_own_endpoints_report_whatever_else_is_wrong(rest: Rest) -> None:
    body = {"userName": "9lives", "password": "x", "description": "x" * 1025}
    answer = (await rest.send(f"{OWN_PREFIX}users/create", body)).json()
    assert (answer["code"], answer["reason"], answer["field"]) == (1100, "name_first_letter", "userName")
    assert [{**each, "message": ""} for each in answer["others"]] == [
        {"message": "", "reason": "description_too_long", "field": "description"},
        {"message": "", "reason": "password_length", "field": "password"},
    ]
    assert all("invalid parameter" in each["message"] for each in answer["others"])


@pytest.mark.parametrize("body", [{"userName": "9lives", "password": "x"}, {}, {"userName": 5}])
async def test_endpoints_of_milvus_report_code_and_message_alone(rest: Rest, body: dict[str, Any]) -> None:
    assert set((await rest.send("users/create", body)).json()) == {"code", "message"}


async def test_reason_names_no_more_than_one_field(rest: Rest) -> None:
    answer = (await rest.send(f"{OWN_PREFIX}api_keys/rotate", {"keyId": "", "keepOldFor": 0})).json()
    assert answer["field"] == "keyId"
