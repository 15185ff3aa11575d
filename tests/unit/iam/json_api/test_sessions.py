"""Sessions of the console: who begins one, what it may do, and everything that ends it."""

import itertools
from typing import Any

import pytest
from tests.support.gateway import presented
from tests.unit.iam.json_api.conftest import Own, is_over, key, signed_in

from kiteward.authn.session_rules import SessionRules
from kiteward.authn.sessions import MemorySessions
from kiteward.authn.sign_in import SignIn
from kiteward.domain.errors import (
    AccessDenied,
    KeyRejected,
    LimitReached,
    NotFound,
    PasswordRejected,
    SessionEnded,
    UserNotFound,
)
from kiteward.domain.identity import Secret, SessionCredential


async def test_a_session_acts_as_its_user_and_no_further(own: Own) -> None:
    await own.harness.role("reader", ("Search", "default", "docs"))
    await own.harness.user("alice", "reader")
    session = await signed_in(own, "alice")
    me = await own("WhoAmI", by=session)
    assert (me["userName"], me["roles"], me["administrator"]) == ("alice", ["reader"], False)
    assert me["credential"].startswith("session:")
    with pytest.raises(AccessDenied):
        await own("ListUserAccounts", by=session)


async def test_a_wrong_password_begins_no_session(own: Own) -> None:
    await own.harness.user("alice")
    with pytest.raises(PasswordRejected):
        await own("BeginSession", by=presented("alice", "Wrong-1-password"))


async def test_neither_a_key_nor_a_session_begins_a_session(own: Own) -> None:
    made = await own("CreateApiKey")
    with pytest.raises(AccessDenied):
        await own("BeginSession", by=made["key"])
    with pytest.raises(AccessDenied):
        await own("BeginSession", by=await signed_in(own, "root"))


async def test_a_token_presented_as_a_key_is_refused(own: Own) -> None:
    session = await signed_in(own, "root")
    with pytest.raises(KeyRejected):
        await own("WhoAmI", by=key(session.token.reveal()))


async def test_a_made_up_token_is_refused(own: Own) -> None:
    assert await is_over(own, SessionCredential(Secret("made up")))


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("DisableUser", {"userName": "alice"}),
        ("DeleteUserAccount", {"userName": "alice"}),
        ("ResetPassword", {"userName": "alice"}),
        ("ResetPassword", {"userName": "alice", "keepOldFor": 600}),
        ("EndSessions", {"userName": "alice"}),
    ],
)
async def test_a_session_is_over_at_once_after(own: Own, operation: str, arguments: dict[str, Any]) -> None:
    await own.harness.user("alice")
    session = await signed_in(own, "alice")
    assert not await is_over(own, session)
    await own(operation, **arguments)
    assert await is_over(own, session)


async def test_a_session_does_not_come_back_with_its_user(own: Own) -> None:
    await own.harness.user("alice")
    session = await signed_in(own, "alice")
    await own("DisableUser", userName="alice")
    await own("EnableUser", userName="alice")
    assert await is_over(own, session)
    session = await signed_in(own, "alice")
    await own("DeleteUserAccount", userName="alice")
    await own.harness.user("alice")
    assert await is_over(own, session)


async def test_a_session_begun_with_the_old_password_ends_with_it(own: Own) -> None:
    await own.harness.user("alice")
    await own("ResetPassword", userName="alice", newPassword="Second-2-pass", keepOldFor=600)
    by_old, by_new = await signed_in(own, "alice"), await signed_in(own, "alice", "Second-2-pass")
    await own("EndOldPassword", userName="alice")
    assert await is_over(own, by_old)
    assert not await is_over(own, by_new)


async def test_roles_that_are_bound_and_unbound_count_from_the_next_request_on(own: Own) -> None:
    await own.harness.user("alice")
    session = await signed_in(own, "alice")
    await own.harness.succeed("OperateUserRole", username="alice", role_name="admin")
    assert (await own("WhoAmI", by=session))["administrator"]
    await own.harness.succeed("OperateUserRole", username="alice", role_name="admin", type=1)
    assert not (await own("WhoAmI", by=session))["administrator"]


async def test_users_list_and_end_their_own_sessions_and_nobody_elses(own: Own) -> None:
    await own.harness.user("alice")
    await own.harness.user("bob")
    first, second = await signed_in(own, "alice"), await signed_in(own, "alice")
    listed = (await own("ListSessions", by=second))["sessions"]
    assert sorted(each["current"] for each in listed) == [False, True]
    assert {each["description"] for each in listed} == {"a browser"}
    assert first.token.reveal() not in str(listed)
    with pytest.raises(AccessDenied):
        await own("ListSessions", by="bob", userName="alice")
    with pytest.raises(AccessDenied):
        await own("EndSessions", by="bob", userName="alice")
    with pytest.raises(NotFound):
        await own("EndSession", by="bob", sessionId=listed[0]["sessionId"])
    other = next(each["sessionId"] for each in listed if not each["current"])
    await own("EndSession", by=second, sessionId=other)
    assert await is_over(own, first)
    assert not await is_over(own, second)


async def test_all_sessions_but_ones_own_can_be_ended(own: Own) -> None:
    await own.harness.user("alice")
    first, second = await signed_in(own, "alice"), await signed_in(own, "alice")
    await own("EndSessions", by=second, keepCurrent=True)
    assert (await is_over(own, first), await is_over(own, second)) == (True, False)


async def test_sessions_of_an_earlier_password_are_not_listed(own: Own) -> None:
    await own.harness.user("alice")
    await signed_in(own, "alice")
    await own("ResetPassword", userName="alice")
    assert (await own("ListSessions", userName="alice"))["sessions"] == []


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def sign_in(user: str, description: str = "") -> SignIn:
    return SignIn(user, "c", "c", address="", description=description)


async def test_a_session_ends_when_nobody_uses_it_and_after_its_lifetime() -> None:
    clock = Clock()
    sessions = MemorySessions(SessionRules(idle=10, lifetime=25), clock=clock)
    token = await sessions.begin(sign_in("alice"))
    for _ in range(2):
        clock.now += 9
        sessions.touch(await sessions.find(token))
    clock.now += 7
    with pytest.raises(SessionEnded):
        await sessions.find(token)
    token = await sessions.begin(sign_in("alice"))
    clock.now += 10
    with pytest.raises(SessionEnded):
        await sessions.find(token)


async def test_one_session_too_many_ends_the_users_own_that_was_idle_longest() -> None:
    clock = Clock()
    sessions = MemorySessions(SessionRules(per_user=2, total=3), clock=clock)
    tokens = []
    for _ in range(3):
        clock.now += 1
        tokens.append(await sessions.begin(sign_in("alice")))
    with pytest.raises(SessionEnded):
        await sessions.find(tokens[0])
    assert [(await sessions.find(token)).user_name for token in tokens[1:]] == ["alice", "alice"]
    await sessions.begin(sign_in("bob"))
    with pytest.raises(LimitReached):
        await sessions.begin(sign_in("carol"))


async def test_neither_a_token_nor_its_like_is_kept() -> None:
    sessions = MemorySessions()
    tokens = [await sessions.begin(sign_in("alice", "x" * 999)) for _ in range(3)]
    assert all(a != b for a, b in itertools.combinations((token.reveal() for token in tokens), 2))
    kept = repr(vars(sessions))
    assert all(token.reveal() not in kept for token in tokens)
    assert all(len(token.reveal()) >= 43 for token in tokens)
    assert {len(each.record.description) for each in await sessions.of("alice")} == {200}


@pytest.mark.parametrize("operation", ["ListSessions", "EndSessions"])
async def test_an_unknown_user_is_not_one_without_sessions(own: Own, operation: str) -> None:
    with pytest.raises(UserNotFound):
        await own(operation, userName="nobody")
