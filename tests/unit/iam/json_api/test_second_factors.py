"""Second factors of the console: sign-ins in two steps, enrolment, removal and reset, and what is recorded of them."""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pyotp
import pytest
from tests.support.gateway import PASSWORD, RecordedEvents, opened, presented, quick_directory
from tests.support.passkey_device import PasskeyDevice
from tests.unit.iam.json_api.conftest import Own

from kiteward.api.console.settings import ConsoleSettings
from kiteward.audit.events import Event, Outcome
from kiteward.authn.second_factor.rules import PasskeyRules, RequiredOf, SecondFactorRules
from kiteward.config.settings import Settings
from kiteward.domain.errors import (
    AccessDenied,
    FactorRejected,
    InUse,
    InvalidArgument,
    LimitReached,
    NotFound,
    OldPasswordWrong,
    PasswordRejected,
    ProtectedObject,
    SessionEnded,
    StoreUnavailable,
)
from kiteward.domain.identity import LocalCredential, Secret, SessionCredential, SignInTicket
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.second_factors import MOST_FACTORS

PASSKEYS = PasskeyRules("kiteward.example", ("https://kiteward.example",))


@pytest.fixture
async def strict() -> AsyncIterator[Own]:
    """A gateway where administrators must have a second factor."""
    rules = SecondFactorRules(RequiredOf.ADMINISTRATORS, PASSKEYS)
    with quick_directory() as directory:
        settings = Settings(console=ConsoleSettings(factors=rules))
        async with opened(directory / "store.db", settings=settings) as harness:
            yield Own(harness)


def session_of(begun: Any) -> SessionCredential:
    return SessionCredential(Secret(begun["token"]))


async def signed_in(own: Own, user: str) -> SessionCredential:
    return session_of(await own("BeginSession", by=user))


async def enrolled(own: Own, session: SessionCredential, *, password: str = PASSWORD) -> tuple[pyotp.TOTP, Any]:
    """Enrol an authenticator app and return it, with what the confirmation has returned."""
    app = pyotp.TOTP((await own("StartApp", by=session))["secret"])
    return app, await own("ConfirmApp", by=session, password=password, code=now(own, app), label="my phone")


def now(own: Own, app: pyotp.TOTP) -> str:
    """Return the code that an app shows now."""
    return app.at(int(time.time() + own.harness.later))


def next_code(own: Own, app: pyotp.TOTP) -> str:
    """Return the code that an app shows a minute later, to which the clock moves."""
    own.harness.later += 60.0
    return now(own, app)


async def ticket_of(own: Own, user: str) -> SignInTicket:
    begun = await own("BeginSession", by=user)
    assert begun["token"] is None
    return SignInTicket(Secret(begun["ticket"]))


async def passed(own: Own, user: str, **proof: str) -> SessionCredential:
    """Sign in with a second factor."""
    return session_of(await own("FinishSignIn", by=await ticket_of(own, user), **proof))


async def test_who_has_an_app_signs_in_with_the_password_and_a_code(own: Own) -> None:
    await own.harness.user("alice")
    app, made = await enrolled(own, await signed_in(own, "alice"))
    ticket = await ticket_of(own, "alice")
    due = await own("DescribeSignIn", by=ticket)
    assert due == {"userName": "alice", "apps": True, "passkeyOptions": ""}
    with pytest.raises(FactorRejected):
        await own("FinishSignIn", by=ticket, code=now(own, app))  # it has confirmed the app
    session = session_of(await own("FinishSignIn", by=ticket, code=next_code(own, app)))
    assert (await own("WhoAmI", by=session))["userName"] == "alice"
    with pytest.raises(SessionEnded):
        await own("DescribeSignIn", by=ticket)
    assert len(made["recoveryCodes"].split()) == 10


@pytest.mark.parametrize("method", ["of", "end", "begin"])
async def test_recovery_codes_are_told_also_where_no_other_session_can_begin(
    own: Own, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second factor counts by then: to say that the store is not available would say that nothing was changed."""
    await own.harness.user("alice")
    session = await signed_in(own, "alice")

    async def broken(*_: object) -> None:
        raise StoreUnavailable("the store cannot be read")

    with monkeypatch.context() as patch:
        patch.setattr(own.harness.services.sessions, method, broken)
        _, made = await enrolled(own, session)
    assert len(made["recoveryCodes"].split()) == 10
    assert not made.get("token")
    with pytest.raises(SessionEnded):
        await own("WhoAmI", by=session)
    await passed(own, "alice", code=made["recoveryCodes"].split()[0])


async def test_programs_with_the_password_or_a_key_are_not_affected(own: Own) -> None:
    await own.harness.user("alice")
    await enrolled(own, await signed_in(own, "alice"))
    assert (await own("WhoAmI", by="alice"))["credential"] == "password"
    key = (await own("CreateApiKey", by="alice"))["key"]
    assert (await own("WhoAmI", by=key))["userName"] == "alice"


async def test_a_ticket_gives_access_to_the_second_step_and_nothing_else(own: Own) -> None:
    await enrolled(own, await signed_in(own, "root"), password="Milvus")
    ticket = await ticket_of(own, "root")
    allowed = {name for name, row in ADMIN_OPERATIONS.items() if ticket_step(name)}
    assert allowed == {"DescribeSignIn", "FinishSignIn"}
    for name in ("WhoAmI", "ListFactors", "StartApp", "BeginSession", "ListUserAccounts", "EndSessions"):
        with pytest.raises(AccessDenied, match="second factor"):
            await own(name, by=ticket)
    for rpc in ("ListCredUsers", "GetVersion", "Search"):
        with pytest.raises(AccessDenied, match="second factor"):
            await own.harness.call(rpc, by=ticket)
    with pytest.raises(AccessDenied):
        await own("FinishSignIn", by="root", code="123456")


def ticket_step(name: str) -> bool:
    return "second_factor" in ADMIN_OPERATIONS[name].steps


@pytest.mark.parametrize("change", ["ResetPassword", "DisableUser", "ResetFactors", "DeleteUserAccount"])
async def test_a_ticket_is_over_when_its_user_was_changed(own: Own, change: str) -> None:
    await own.harness.user("alice")
    await enrolled(own, await signed_in(own, "alice"))
    ticket = await ticket_of(own, "alice")
    await own(change, userName="alice")
    with pytest.raises(SessionEnded):
        await own("DescribeSignIn", by=ticket)


async def test_enrolment_ends_sessions_that_began_with_the_password_alone(own: Own) -> None:
    await own.harness.user("alice")
    first, other = await signed_in(own, "alice"), await signed_in(own, "alice")
    _, made = await enrolled(own, first)
    for over in (first, other):
        with pytest.raises(SessionEnded):
            await own("WhoAmI", by=over)
    listed = (await own("ListSessions", by=session_of(made)))["sessions"]
    assert [each["sessionId"] for each in listed] == [made["sessionId"]]


async def test_an_app_counts_after_a_right_code_and_password(own: Own) -> None:
    await own.harness.user("alice")
    session = await signed_in(own, "alice")
    with pytest.raises(NotFound):
        await own("ConfirmApp", by=session, password=PASSWORD, code="123456")
    app = pyotp.TOTP((await own("StartApp", by=session))["secret"])
    with pytest.raises(OldPasswordWrong):
        await own("ConfirmApp", by=session, password="Wrong-1-password", code=now(own, app))
    with pytest.raises(InvalidArgument, match="another code"):
        await own("ConfirmApp", by=session, password=PASSWORD, code="cccc")
    with pytest.raises(InvalidArgument, match="at most 64"):
        await own("ConfirmApp", by=session, password=PASSWORD, code=now(own, app), label="x" * 65)
    await signed_in(own, "alice")


async def test_passkeys_are_enrolled_and_used(strict: Own) -> None:
    own, device = strict, PasskeyDevice()
    await own.harness.user("alice")
    session = await signed_in(own, "alice")
    answer = device.make((await own("StartPasskey", by=session))["options"])
    with pytest.raises(OldPasswordWrong):
        await own("AddPasskey", by=session, password="Wrong-1-password", passkey=answer)
    made = await own("AddPasskey", by=session, password=PASSWORD, passkey=answer, label="laptop")
    ticket = await ticket_of(own, "alice")
    due = await own("DescribeSignIn", by=ticket)
    assert not due["apps"]
    begun = await own("FinishSignIn", by=ticket, passkey=device.use(due["passkeyOptions"]))
    assert (await own("WhoAmI", by=session_of(begun)))["userName"] == "alice"
    (listed,) = (await own("ListFactors", by=session_of(made)))["factors"]
    assert (listed["kind"], listed["label"]) == ("passkey", "laptop")


async def test_a_passkey_that_does_not_verify_its_user_or_is_known_is_refused(strict: Own) -> None:
    own, device = strict, PasskeyDevice(verifies=False)
    await own.harness.user("alice")
    await own.harness.user("bob")
    session = await signed_in(own, "alice")
    answer = device.make((await own("StartPasskey", by=session))["options"])
    with pytest.raises(InvalidArgument, match="not accepted"):
        await own("AddPasskey", by=session, password=PASSWORD, passkey=answer)
    device.verifies = True
    answer = device.make((await own("StartPasskey", by=session))["options"])
    await own("AddPasskey", by=session, password=PASSWORD, passkey=answer)
    session = await signed_in(own, "bob")
    answer = device.make((await own("StartPasskey", by=session))["options"])
    with pytest.raises(InvalidArgument, match="enrolled before"):
        await own("AddPasskey", by=session, password=PASSWORD, passkey=answer)


async def test_administrators_who_must_have_one_enrol_it_before_anything_else(strict: Own) -> None:
    own = strict
    await own.harness.user("alice")
    assert not (await own("WhoAmI", by=await signed_in(own, "alice")))["enrolmentDue"]
    await own.harness.user("boss", "admin")
    session = await signed_in(own, "boss")
    me = await own("WhoAmI", by=session)
    assert (me["enrolmentDue"], me["administrator"]) == (True, False)
    for name in ("ListUserAccounts", "ListSessions", "ListApiKeys", "DescribeUserAccount"):
        with pytest.raises(AccessDenied, match="enrol a second factor"):
            await own(name, by=session)
    with pytest.raises(AccessDenied):
        await own("ListFactors", by=session, userName="alice")
    with pytest.raises(AccessDenied, match="enrol a second factor"):
        await own.harness.call("ListCredUsers", by=session)
    held = await own("ListFactors", by=session)
    assert (held["factors"], held["required"], held["apps"], held["passkeys"]) == ([], True, True, True)
    _, made = await enrolled(own, session)
    assert (await own("ListUserAccounts", by=session_of(made)))["users"]


async def test_a_session_that_began_before_its_user_became_an_administrator_enrols_too(strict: Own) -> None:
    own = strict
    await own.harness.user("alice")
    session = await signed_in(own, "alice")
    await own.harness.succeed("OperateUserRole", username="alice", role_name="admin")
    assert (await own("WhoAmI", by=session))["enrolmentDue"]


async def test_a_one_time_password_is_changed_first_and_does_not_pass_the_second_step(own: Own) -> None:
    await own.harness.user("alice")
    app, _ = await enrolled(own, await signed_in(own, "alice"))
    await own("ResetPassword", userName="alice", newPassword="Another-1-password", oneTime=True)
    once = presented("alice", "Another-1-password")
    begun = await own("BeginSession", by=once)
    ticket = SignInTicket(Secret(begun["ticket"]))
    with pytest.raises(AccessDenied):
        await own("DescribePasswordPolicy", by=ticket)
    session = session_of(await own("FinishSignIn", by=ticket, code=next_code(own, app)))
    assert (await own("WhoAmI", by=session))["oneTimePassword"]


async def test_removing_one_needs_the_password_and_a_second_factor(own: Own) -> None:
    await own.harness.user("alice")
    app, made = await enrolled(own, await signed_in(own, "alice"))
    session, factor = session_of(made), made["factorId"]
    code = next_code(own, app)
    with pytest.raises(OldPasswordWrong):
        await own("RemoveFactor", by=session, factorId=factor, password="Wrong-1-password", code=code)
    with pytest.raises(FactorRejected):
        await own("RemoveFactor", by=session, factorId=factor, password=PASSWORD, code="cccc")
    recovery = made["recoveryCodes"].split()
    with pytest.raises(NotFound):
        await own("RemoveFactor", by=session, factorId="another", password=PASSWORD, code=recovery[0])
    await own("RemoveFactor", by=session, factorId=factor, password=PASSWORD, code=code)
    assert (await own("ListFactors", by=session))["factors"] == []
    assert await own.harness.store.recovery_codes("alice") == 0
    await signed_in(own, "alice")


async def test_the_last_one_stays_where_there_must_be_one(strict: Own) -> None:
    own = strict
    await own.harness.user("boss", "admin")
    app, made = await enrolled(own, await signed_in(own, "boss"))
    session = session_of(made)
    with pytest.raises(InUse):
        await own("RemoveFactor", by=session, factorId=made["factorId"], password=PASSWORD, code=next_code(own, app))
    second, another = await enrolled(own, session)
    assert (another["token"], another["recoveryCodes"]) == (None, None)
    await own("RemoveFactor", by=session, factorId=made["factorId"], password=PASSWORD, code=next_code(own, second))
    (left,) = (await own("ListFactors", by=session))["factors"]
    assert left["factorId"] == another["factorId"]


async def test_new_recovery_codes_take_the_place_of_those_before(own: Own) -> None:
    await own.harness.user("alice")
    _, made = await enrolled(own, await signed_in(own, "alice"))
    first, second, *_ = made["recoveryCodes"].split()
    renewed = await own("RenewRecoveryCodes", by=session_of(made), password=PASSWORD, code=first)
    with pytest.raises(FactorRejected):
        await passed(own, "alice", code=second)
    session = await passed(own, "alice", code=renewed["recoveryCodes"].split()[0])
    assert (await own("ListFactors", by=session))["recoveryCodes"] == 9


async def test_there_are_not_many_of_one_user(own: Own) -> None:
    await own.harness.user("alice")
    _, made = await enrolled(own, await signed_in(own, "alice"))
    session = session_of(made)
    for _ in range(MOST_FACTORS - 1):
        await enrolled(own, session)
    with pytest.raises(LimitReached):
        await enrolled(own, session)


async def test_an_administrator_resets_those_of_another_user(own: Own) -> None:
    await own.harness.user("alice")
    await own.harness.user("boss", "admin")
    _, made = await enrolled(own, await signed_in(own, "alice"))
    assert (await own("DescribeUserAccount", userName="alice"))["secondFactor"]
    assert {each["userName"] for each in (await own("ListUserAccounts"))["users"] if each["secondFactor"]} == {"alice"}
    assert len((await own("ListFactors", userName="alice"))["factors"]) == 1
    with pytest.raises(AccessDenied):
        await own("ResetFactors", by="alice", userName="boss")
    await own("ResetFactors", by="boss", userName="alice")
    with pytest.raises(SessionEnded):
        await own("WhoAmI", by=session_of(made))
    assert not (await own("DescribeUserAccount", userName="alice"))["secondFactor"]
    await signed_in(own, "alice")


async def test_nobody_resets_their_own_but_the_operator_of_the_machine(own: Own) -> None:
    _, made = await enrolled(own, await signed_in(own, "root"), password="Milvus")
    for by in ("root", session_of(made)):
        with pytest.raises(ProtectedObject):
            await own("ResetFactors", by=by, userName="root")
    await own("ResetFactors", by=LocalCredential(), userName="root")
    await signed_in(own, "root")


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("StartApp", {}),
        ("StartPasskey", {}),
        ("ConfirmApp", {"password": "Milvus", "code": "123456"}),
        ("AddPasskey", {"password": "Milvus", "passkey": "{}"}),
        ("RemoveFactor", {"password": "Milvus", "code": "123456", "factorId": "a"}),
        ("RenewRecoveryCodes", {"password": "Milvus", "code": "123456"}),
    ],
)
async def test_they_are_enrolled_and_removed_in_the_console_alone(
    own: Own, operation: str, arguments: dict[str, str]
) -> None:
    assert not ADMIN_OPERATIONS[operation].rest
    with pytest.raises(AccessDenied, match="in the console alone"):
        await own(operation, **arguments)


async def test_wrong_codes_wait_while_right_passwords_are_presented_between_them(own: Own) -> None:
    await own.harness.user("alice")
    app, _ = await enrolled(own, await signed_in(own, "alice"))
    own.harness.throttle_clock.step = 0.0
    for _ in range(5):
        with pytest.raises(FactorRejected):
            await passed(own, "alice", code="cccc")
    with pytest.raises(FactorRejected) as refused:
        await passed(own, "alice", code=next_code(own, app))
    assert "throttled" in refused.value.reason


async def test_a_hundred_wrong_codes_lock_the_user_and_unlocking_forgets_them(own: Own) -> None:
    await own.harness.user("alice")
    app, _ = await enrolled(own, await signed_in(own, "alice"))
    ticket = await ticket_of(own, "alice")
    for _ in range(100):
        with pytest.raises(FactorRejected):
            await own("FinishSignIn", by=ticket, code="cccc")
    assert (await own("DescribeUserAccount", userName="alice"))["locked"]
    with pytest.raises(PasswordRejected):
        await ticket_of(own, "alice")
    await own("UnlockUser", userName="alice")
    await passed(own, "alice", code=next_code(own, app))


async def test_the_trail_has_each_step_and_no_secret(own: Own) -> None:
    await own.harness.user("alice")
    app, made = await enrolled(own, await signed_in(own, "alice"))
    code = next_code(own, app)
    with pytest.raises(FactorRejected):
        await passed(own, "alice", code="cccc")
    await passed(own, "alice", code=code)
    await own("ResetFactors", userName="alice")
    recorded = outcomes(own.harness.trail)
    assert (Event.USER_CHANGE, "ConfirmApp", Outcome.SUCCEEDED, "alice", "") in recorded
    wrong = "FactorRejected: neither a code of an app nor a recovery code of the user"
    assert (Event.SESSION, "FinishSignIn", Outcome.REFUSED, "alice", wrong) in recorded
    assert (Event.SESSION, "FinishSignIn", Outcome.SUCCEEDED, "alice", "") in recorded
    assert (Event.USER_CHANGE, "ResetFactors", Outcome.SUCCEEDED, "root", "") in recorded
    text = repr(own.harness.trail.events)
    for secret in (app.secret, code, made["token"], *made["recoveryCodes"].split(), PASSWORD):
        assert secret not in text


def outcomes(trail: RecordedEvents) -> Sequence[tuple[Event, str, Outcome, str, str]]:
    return [(each.event, each.operation, each.outcome, each.principal, each.error) for each in trail.events]


async def test_rules_can_be_tightened_for_sessions_that_there_are(own: Own) -> None:
    session = await signed_in(own, "root")
    factors = own.harness.authenticator.factors
    factors.rules = replace(factors.rules, required_of=RequiredOf.EVERYONE)
    assert (await own("WhoAmI", by=session))["enrolmentDue"]
