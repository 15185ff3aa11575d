"""Three servers on one PostgreSQL, behind a load balancer that sends each request to another one.

Sessions of the console, secrets that are shown once, undos, wrong passwords, locks, one-time passwords and last uses
are the same on all of them. The servers are in this process, and share nothing but the store.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
from tests.replicas.in_process import serving
from tests.replicas.world import COLLECTION, NOT_AUTHENTICATED, ROOT, Peer
from tests.support import postgresql

from kiteward.authn.throttle import FAILURES_TO_LOCK, FREE_FAILURES

PASSWORD = "Some-password-1"

Peers = Sequence[Peer]

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Given to clients, which would read the certificates of all authorities otherwise, each time."""

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peers(
    tmp_path_factory: pytest.TempPathFactory, cluster: postgresql.Cluster, migrated: str
) -> AsyncIterator[Peers]:
    with cluster.database(options=migrated) as store:
        async with serving(tmp_path_factory.mktemp("sign_in"), store) as peers:
            yield peers


class Browser:
    """A browser of one person; each page and form may go to another server.

    Attributes:
        cookie: what it was given by the last sign-in.
    """

    def __init__(self) -> None:
        self.cookie = ""
        self._csrf = ""

    async def open(self, replica: Peer, path: str) -> httpx.Response:
        """Open a page at a server, and keep the token of its forms."""
        async with self._client(replica) as client:
            answer = await client.get(f"/console/{path}")
        self._csrf = answer.text.partition('name="csrf" value="')[2].partition('"')[0] or self._csrf
        return answer

    async def post(self, replica: Peer, path: str, **form: str | list[str]) -> httpx.Response:
        """Send a form to a server."""
        async with self._client(replica) as client:
            fields = {"csrf": self._csrf, **form}
            answer = await client.post(f"/console/{path}", data=fields, headers={"Origin": str(client.base_url)})
        self.cookie = answer.cookies.get("kiteward") or self.cookie
        return answer

    async def sign_in(self, replica: Peer, user: str, password: str = PASSWORD) -> None:
        """Sign in at a server."""
        answer = await self.post(replica, "sign-in", user=user, password=password)
        assert answer.status_code == 303, answer.text
        assert self.cookie

    async def is_signed_in(self, replica: Peer) -> bool:
        """Return whether a server knows the session."""
        answer = await self.open(replica, "account")
        assert answer.status_code in (200, 303), answer.text
        return answer.status_code == 200

    def _client(self, replica: Peer) -> httpx.AsyncClient:
        address = f"http://127.0.0.1:{replica.port}"
        return httpx.AsyncClient(base_url=address, cookies={"kiteward": self.cookie}, timeout=60, verify=NO_TLS)


async def a_user(peers: Peers, name: str, **more: Any) -> None:
    await peers[0].data("kiteward/users/create", {"userName": name, "password": PASSWORD, **more})


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.1)


async def test_person_signed_in_on_one_server_is_signed_in_on_the_others(peers: Peers) -> None:
    one, two, three = peers
    await a_user(peers, "anna")
    browser = Browser()
    await browser.sign_in(one, "anna")
    assert [await browser.is_signed_in(each) for each in peers] == [True, True, True]
    # The token of a form that one server has made is accepted by another.
    await browser.open(two, "account")
    assert (await browser.post(three, "sign-out")).status_code == 303
    assert [await browser.is_signed_in(each) for each in peers] == [False, False, False]


@pytest.mark.parametrize("what", ["end_all", "disable", "reset", "own_password", "lock", "delete"])
async def test_what_ends_a_session_has_ended_it_on_every_server_when_it_is_acknowledged(
    peers: Peers, what: str
) -> None:
    one, two, three = peers
    user = f"ends_{what}"
    await a_user(peers, user)
    browser = Browser()
    await browser.sign_in(three, user)
    assert [await browser.is_signed_in(each) for each in peers] == [True, True, True]
    changes: Mapping[str, tuple[str, dict[str, Any], str]] = {
        "end_all": ("kiteward/sessions/end_all", {"userName": user}, ROOT),
        "disable": ("kiteward/users/disable", {"userName": user}, ROOT),
        "reset": ("kiteward/users/reset_password", {"userName": user, "newPassword": "Other-password-1"}, ROOT),
        "own_password": (
            "vectordb/users/update_password",
            {"userName": user, "password": PASSWORD, "newPassword": "Other-password-1"},
            f"{user}:{PASSWORD}",
        ),
        "delete": ("kiteward/users/delete", {"userName": user}, ROOT),
    }
    if what == "lock":
        await lock(peers, user)
    else:
        path, body, by = changes[what]
        await two.data(path, body, by=by)
    assert [await browser.is_signed_in(each) for each in (one, three, two)] == [False, False, False]


async def test_session_is_listed_and_ended_at_another_server_than_it_began(peers: Peers) -> None:
    one, two, three = peers
    await a_user(peers, "carla")
    kept, ended = Browser(), Browser()
    await kept.sign_in(one, "carla")
    await ended.sign_in(two, "carla")
    listed = (await three.data("kiteward/sessions/list", {"userName": "carla"}))["sessions"]
    assert len(listed) == 2
    await three.data("kiteward/sessions/end", {"sessionId": listed[0]["sessionId"]})
    assert [await ended.is_signed_in(each) for each in peers] == [False, False, False]
    assert [await kept.is_signed_in(each) for each in peers] == [True, True, True]


async def test_secret_of_a_key_is_shown_once_by_whichever_server_is_asked(peers: Peers) -> None:
    one, two, three = peers
    await a_user(peers, "dora")
    browser = Browser()
    await browser.sign_in(one, "dora")
    await browser.open(two, "account")
    made = await browser.post(three, "new-key", description="of dora")
    assert made.status_code == 303, made.text
    page = made.headers["location"].removeprefix("/console/")
    shown = [await browser.open(each, page) for each in (two, one, three)]
    assert [each.status_code for each in shown] == [200, 410, 410]
    keys = (await one.data("kiteward/api_keys/list", {"userName": "dora"}))["keys"]
    assert keys[0]["keyId"] in shown[0].text


async def test_undo_that_is_sent_to_all_servers_at_once_is_made_once(peers: Peers) -> None:
    one, two, _ = peers
    await a_user(peers, "undoer")
    await one.data("vectordb/users/grant_role", {"userName": "undoer", "roleName": "admin"})
    await a_user(peers, "undone")
    browser = Browser()
    await browser.sign_in(two, "undoer")
    await browser.open(one, "users/undone")
    changed = await browser.post(one, "users/undone/disable")
    ticket = changed.headers["location"].partition("undo=")[2]
    answers = await asyncio.gather(*(browser.post(each, "undo", undo=ticket) for each in peers))
    assert sorted(each.status_code for each in answers) == [303, 410, 410]
    assert (await two.data("kiteward/users/describe", {"userName": "undone"}))["enabled"]


async def test_undo_of_what_another_server_has_changed_since_then_changes_nothing(peers: Peers) -> None:
    one, two, three = peers
    await a_user(peers, "second_thoughts")
    await one.data("vectordb/users/grant_role", {"userName": "second_thoughts", "roleName": "admin"})
    for name in ("both_a", "both_b"):
        await a_user(peers, name)
    browser = Browser()
    await browser.sign_in(one, "second_thoughts")
    await browser.open(one, "users")
    changed = await browser.post(one, "change-users", apply="1", change="disable", selected=["both_a", "both_b"])
    ticket = changed.headers["location"].partition("undo=")[2]
    await three.data("kiteward/users/enable", {"userName": "both_b"})
    assert (await browser.post(two, "undo", undo=ticket)).status_code == 409
    described = [await one.data("kiteward/users/describe", {"userName": each}) for each in ("both_a", "both_b")]
    assert [each["enabled"] for each in described] == [False, True]


async def test_user_who_is_forgiven_at_one_server_signs_in_at_all_of_them(peers: Peers) -> None:
    one, two, three = peers
    await a_user(peers, "fiona")
    for number in range(FREE_FAILURES + 4):
        await peers[number % 3].guess("fiona", f"Wrong-password-{number}")
    new = "Other-password-1"
    await three.data("kiteward/users/reset_password", {"userName": "fiona", "newPassword": new})
    assert [await each.guess("fiona", new) for each in (one, two, three)] == [0, 0, 0]


async def lock(peers: Peers, user: str) -> None:
    """Present wrong passwords at all servers, from as many sources as it takes, until the user is locked."""

    async def from_source(number: int) -> None:
        for attempt in range(FREE_FAILURES):
            replica = peers[(number + attempt) % 3]
            await replica.guess(user, f"Wrong-{number}-{attempt}", source=f"127.0.1.{number}")

    async def locked() -> bool:
        described = await peers[1].data("kiteward/users/describe", {"userName": user})
        return bool(described["locked"])

    enough = FAILURES_TO_LOCK // FREE_FAILURES
    for first in range(1, enough, 5):
        await asyncio.gather(*map(from_source, range(first, first + 5)))
    # On a busy machine, attempts may be refused before their password is verified: those do not count.
    for more in range(enough + 1, 250):
        if await locked():
            # Perhaps not every server has applied it yet; all have when a later change returns.
            await peers[1].data("kiteward/tags/set", {"userName": user, "tags": {"seen": "locked"}})
            return
        await from_source(more)
    raise AssertionError(f"{user} is not locked")


async def test_wrong_passwords_at_all_servers_lock_a_user_and_any_server_unlocks(peers: Peers) -> None:
    one, two, three = peers
    await a_user(peers, "gina")
    assert [await each.guess("gina", PASSWORD) for each in peers] == [0, 0, 0]
    await lock(peers, "gina")
    assert [await each.guess("gina", PASSWORD) for each in peers] == 3 * [NOT_AUTHENTICATED]
    await two.data("kiteward/users/unlock", {"userName": "gina"})
    assert [await each.guess("gina", PASSWORD, source="127.0.2.1") for each in (one, three, two)] == [0, 0, 0]


async def test_one_time_password_sets_one_password_however_many_servers_it_is_presented_at(peers: Peers) -> None:
    await a_user(peers, "hanna", oneTime=True)
    bodies = [
        {"userName": "hanna", "password": PASSWORD, "newPassword": f"New-password-{number}"} for number in range(3)
    ]
    answers = await asyncio.gather(
        *(
            replica.ask("vectordb/users/update_password", body, by=f"hanna:{PASSWORD}")
            for replica, body in zip(peers, bodies, strict=True)
        )
    )
    assert sorted(answer["code"] == 0 for answer in answers) == [False, False, True], answers
    (new,) = [body["newPassword"] for body, answer in zip(bodies, answers, strict=True) if answer["code"] == 0]
    sources = [f"127.0.3.{number}" for number in range(1, 4)]
    for password, code in ((PASSWORD, NOT_AUTHENTICATED), (new, 0)):
        given = [
            await replica.guess("hanna", password, source=source)
            for replica, source in zip(peers, sources, strict=True)
        ]
        assert given == 3 * [code]


async def test_last_use_and_what_is_unused_are_known_of_all_servers(peers: Peers) -> None:
    one, two, three = peers
    await one.data("vectordb/roles/create", {"roleName": "reader"})
    await a_user(peers, "jane", roles=["reader"])
    grants = [{"privilege": each, "collectionName": COLLECTION, "dbName": "default"} for each in ("Query", "Search")]
    await one.data("kiteward/roles/change_grants", {"roleName": "reader", "grant": grants})
    key = await one.data("kiteward/api_keys/create", {"userName": "jane"})
    since = datetime.now(UTC).isoformat()  # what is younger than the period is not said to be unused in it
    assert await two.query(1, by=key["key"]) == ""

    async def known() -> bool:
        found = await three.data("kiteward/access/unused", {"since": since})
        unused = {each["privilege"] for each in found["grants"] if each["role"] == "reader"}
        assert "Search" in unused
        return "Query" not in unused and key["keyId"] not in {each["keyId"] for each in found["keys"]}

    await until(known)
    listed = (await three.data("kiteward/api_keys/list", {"userName": "jane"}))["keys"]
    assert listed[0]["usedAt"] is not None
