"""Token exchange: which key a service gets for a user's credential, and what ends it at once."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.gateway import GatewayHarness, opened
from tests.unit.iam.json_api.conftest import Own, key

from kiteward.audit.events import Event, Outcome
from kiteward.audit.reader import AuditReader
from kiteward.audit.writer import AuditWriter
from kiteward.domain.errors import AccessDenied, InvalidArgument, KeyRejected, LimitReached, NotFound, RoleNotFound
from kiteward.domain.identity import Secret
from kiteward.gateway.audit_recorder import Recorder
from kiteward.iam.settings import ExchangeRules
from kiteward.iam.token_exchange import TokenType, WantedKey

ROLES = {"svc": frozenset({"viewer", "writer"})}


class Exchange:
    """A gateway with the service `svc`, which may hand out viewer and writer, and alice, who has viewer and auditor."""

    def __init__(self, own: Own, service: str, subject: str) -> None:
        self.own = own
        self.harness = own.harness
        self.service, self.subject = service, subject
        self.harness.configure(exchange_rules=ExchangeRules(ROLES, longest=600, per_service=20))

    async def __call__(self, *, by: str | None = None, subject: str | None = None, **wanted: Any) -> Any:
        return await self.own(
            "ExchangeToken",
            by=by or self.service,
            subjectToken=subject or self.subject,
            subjectTokenType=wanted.pop("kind", TokenType.API_KEY.value),
            **wanted,
        )

    async def works(self, made: Any) -> bool:
        try:
            await self.own("WhoAmI", by=made["key"])
        except KeyRejected:
            return False
        return True

    async def key_of(self, user: str, **parts: Any) -> Any:
        return await self.own("CreateApiKey", userName=user, **parts)


async def prepare(harness: GatewayHarness) -> Exchange:
    own = Own(harness)
    await harness.role("exchangers", ("ExchangeToken", "*", "*"))
    for role in ("viewer", "writer", "auditor"):
        await harness.role(role, ("Search", "default", role))
    await harness.user("svc", "exchangers")
    await harness.user("alice", "viewer", "auditor")
    await own("SetTags", userName="alice", tags={"team": "sales", "region": "eu"})
    service = await own("CreateApiKey", userName="svc")
    subject = await own("CreateApiKey", userName="alice")
    return Exchange(own, service["key"], subject["key"])


@dataclass(frozen=True, slots=True)
class Prepared:
    """A store with what these tests begin with, closed: each works on a copy."""

    path: Path
    service: str
    subject: str


@pytest.fixture(scope="module")
def prepared(bootstrapped_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    path = Path(shutil.copy(bootstrapped_store, tmp_path_factory.mktemp("exchange") / "store.db"))

    async def made() -> Exchange:
        async with opened(path) as harness:
            return await prepare(harness)

    exchange = asyncio.run(made())
    return Prepared(path, exchange.service, exchange.subject)


@pytest.fixture
async def exchange(prepared: Prepared, quick_path: Path) -> AsyncIterator[Exchange]:
    async with opened(Path(shutil.copy(prepared.path, quick_path / "store.db"))) as harness:
        yield Exchange(Own(harness), prepared.service, prepared.subject)


async def test_the_key_is_the_users_narrowed_to_what_the_service_may_hand_out(exchange: Exchange) -> None:
    made = await exchange()
    assert (made["roles"], made["expiresIn"]) == (["viewer"], 600)
    assert made["rowTags"] == {"region": "eu", "team": "sales"}
    me = await exchange.own("WhoAmI", by=made["key"])
    assert (me["userName"], me["actor"], me["roles"], me["keyId"]) == ("alice", "svc", ["viewer"], made["keyId"])
    told = await exchange.own("DescribeTags", by=made["key"])
    assert told["effectiveTags"] == {"region": "eu", "team": "sales"}


async def test_nobody_exchanges_without_the_privilege_or_the_setting(exchange: Exchange) -> None:
    other = await exchange.key_of("alice")
    with pytest.raises(AccessDenied, match="PrivilegeExchangeToken: permission deny to alice"):
        await exchange(by=other["key"])
    await exchange.harness.user("second", "exchangers")
    with pytest.raises(AccessDenied, match=r"kiteward\.tokenExchange\.roles lists no role"):
        await exchange(by="second")
    with pytest.raises(AccessDenied, match=r"kiteward\.tokenExchange\.roles lists no role"):
        await exchange(by="root")


@pytest.mark.parametrize("privilege", ["ClusterAdmin", "*", "All"])
async def test_no_group_that_is_built_in_holds_the_privilege(exchange: Exchange, privilege: str) -> None:
    await exchange.harness.role("rich", (privilege, "*", "*"))
    await exchange.harness.user("third", "rich")
    exchange.harness.configure(exchange_rules=ExchangeRules({"third": frozenset({"viewer"})}))
    with pytest.raises(AccessDenied, match="PrivilegeExchangeToken"):
        await exchange(by="third")


async def test_the_privilege_shows_no_collection(exchange: Exchange) -> None:
    listed = await exchange.own("DescribeUserAccess", userName="svc")
    assert (listed["collections"], listed["cluster"]) == ([], ["ExchangeToken"])


async def test_the_privilege_is_looked_at_again_when_the_transaction_begins(exchange: Exchange) -> None:
    await exchange.harness.revoke("exchangers", "ExchangeToken", "*", "*")
    with pytest.raises(AccessDenied, match="PrivilegeExchangeToken"):
        await exchange()


async def test_roles_are_narrowed_further_and_never_widened(exchange: Exchange) -> None:
    assert (await exchange(roles=["viewer"]))["roles"] == ["viewer"]
    with pytest.raises(InvalidArgument, match="svc may not hand out the role auditor") as refused:
        await exchange(roles=["viewer", "auditor"])
    assert refused.value.field == "scope"
    with pytest.raises(InvalidArgument, match="alice does not hold the role writer"):
        await exchange(roles=["writer"])
    narrowed = await exchange.key_of("alice", roles=["auditor"])
    with pytest.raises(InvalidArgument, match="alice holds no role that svc may hand out"):
        await exchange(subject=narrowed["key"])


async def test_every_role_but_admin_is_handed_out_where_the_setting_says_so(exchange: Exchange) -> None:
    exchange.harness.configure(exchange_rules=ExchangeRules({"svc": frozenset({"*"})}))
    assert (await exchange())["roles"] == ["auditor", "viewer"]
    await exchange.harness.user("boss", "admin", "viewer")
    boss = await exchange.key_of("boss")
    assert (await exchange(subject=boss["key"]))["roles"] == ["viewer"]
    assert (await exchange(subject=boss["key"], roles=["writer"]))["roles"] == ["writer"]
    with pytest.raises(InvalidArgument, match="svc may not hand out the role admin"):
        await exchange(subject=boss["key"], roles=["admin"])
    with pytest.raises(RoleNotFound, match="ghost"):
        await exchange(subject=boss["key"], roles=["ghost"])
    exchange.harness.configure(exchange_rules=ExchangeRules({"svc": frozenset({"admin"})}))
    made = await exchange(subject=boss["key"])
    assert (await exchange.own("WhoAmI", by=made["key"]))["administrator"]


async def test_the_key_follows_what_the_user_holds_now(exchange: Exchange) -> None:
    made = await exchange()
    await exchange.harness.succeed("OperateUserRole", username="alice", role_name="viewer", type=1)
    assert (await exchange.own("WhoAmI", by=made["key"]))["roles"] == []
    await exchange.own("SetTags", userName="alice", tags={"team": "legal", "new": "tag"})
    told = await exchange.own("DescribeTags", by=made["key"])
    assert told["effectiveTags"] == {"region": "eu"}, "a tag that has changed since is not handed out"


async def test_tags_are_narrowed_to_those_that_are_asked_for(exchange: Exchange) -> None:
    made = await exchange(rowTags={"team": "sales"})
    assert made["rowTags"] == {"team": "sales"}
    assert (await exchange.own("DescribeTags", by=made["key"]))["effectiveTags"] == {"team": "sales"}
    assert (await exchange(rowTags={"region": None}))["rowTags"] == {"region": "eu"}
    assert (await exchange(rowTags={}))["rowTags"] == {}
    for wanted in ({"team": "legal"}, {"floor": None}, {"floor": "3"}):
        with pytest.raises(InvalidArgument, match="alice does not have the tag") as refused:
            await exchange(rowTags=wanted)
        assert refused.value.field == "row_tags"


async def test_a_tag_of_the_service_bounds_what_it_hands_out(exchange: Exchange) -> None:
    await exchange.own("SetTags", userName="svc", tags={"team": "legal", "region": "eu"})
    assert (await exchange())["rowTags"] == {"region": "eu"}
    with pytest.raises(InvalidArgument, match="or svc may not hand it out"):
        await exchange(rowTags={"team": "sales"})


async def test_the_tags_of_the_users_key_are_in_the_place_of_the_users(exchange: Exchange) -> None:
    tagged = await exchange.key_of("alice")
    await exchange.own("SetTags", keyId=tagged["keyId"], tags={"team": "tenant-7"})
    made = await exchange(subject=tagged["key"])
    assert made["rowTags"] == {"region": "eu", "team": "tenant-7"}
    assert (await exchange.own("DescribeTags", by=made["key"]))["effectiveTags"]["team"] == "tenant-7"


async def test_the_key_outlives_neither_credential(exchange: Exchange) -> None:
    short = await exchange.key_of("alice", expiresIn=100)
    assert (await exchange(subject=short["key"]))["expiresIn"] in (99, 100)
    service = await exchange.key_of("svc", expiresIn=50)
    assert (await exchange(by=service["key"]))["expiresIn"] in (49, 50)
    over = await exchange.key_of("alice", expiresIn=1)
    with pytest.raises(InvalidArgument, match=r"expires now|is not accepted"):
        await exchange(subject=over["key"])


async def test_the_key_is_accepted_from_the_networks_of_both_credentials(exchange: Exchange) -> None:
    subject = await exchange.key_of("alice", networks=["10.0.0.0/8", "2001:db8::/32"])
    service = await exchange.key_of("svc", networks=["10.1.0.0/16", "192.0.2.0/24"])
    made = await exchange(by=service["key"], subject=subject["key"])
    described = await exchange.own("DescribeApiKey", keyId=made["keyId"])
    assert described["networks"] == ["10.1.0.0/16"]
    with pytest.raises(KeyRejected):
        await exchange.own("WhoAmI", by=made["key"], address="10.2.0.1:4")


async def test_a_credential_of_the_user_that_is_not_accepted_is_refused_without_a_part_of_it(
    exchange: Exchange,
) -> None:
    await exchange.own("DisableApiKey", keyId=exchange.subject[3:15])
    with pytest.raises(InvalidArgument, match="the subject_token is not accepted") as refused:
        await exchange()
    assert exchange.subject[3:] not in str(refused.value)
    event = exchange.harness.trail.events[-1]
    assert (event.principal, event.outcome) == ("svc", Outcome.FAILED)
    assert (
        event.details["result"] == {"subjectRejected": "the API key or its owner is disabled"}
        or event.details["result"]["subjectRejected"]
    )


@pytest.mark.parametrize(
    "wanted", [{"kind": "urn:example:saml"}, {"kind": TokenType.JWT.value}, {"subject": "alice:Password-1"}]
)
async def test_a_token_that_is_not_of_its_type_is_refused(exchange: Exchange, wanted: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument, match="must be one of urn:kiteward"):
        await exchange(**wanted)


async def test_a_key_of_an_exchange_exchanges_and_creates_nothing(exchange: Exchange) -> None:
    made = await exchange()
    with pytest.raises(InvalidArgument, match="came of an exchange itself"):
        await exchange(subject=made["key"])
    await exchange.harness.succeed("OperateUserRole", username="alice", role_name="exchangers")
    exchange.harness.configure(exchange_rules=ExchangeRules({"svc": frozenset({"*"}), "alice": frozenset({"*"})}))
    acting = await exchange()
    with pytest.raises(AccessDenied, match="exchanges nothing"):
        await exchange(by=acting["key"])
    with pytest.raises(AccessDenied, match="cannot create keys"):
        await exchange.own("CreateApiKey", by=acting["key"])
    with pytest.raises(AccessDenied, match="is not rotated"):
        await exchange.own("RotateApiKey", keyId=acting["keyId"])


@pytest.mark.parametrize("by", ["alice", "root"])
async def test_the_user_and_an_administrator_revoke_the_key(exchange: Exchange, by: str) -> None:
    made, other = await exchange(), await exchange()
    await exchange.harness.user("bob")
    with pytest.raises(NotFound):
        await exchange.own("RevokeApiKey", by="bob", keyId=made["keyId"])
    listed = (await exchange.own("ListApiKeys", by=by, userName="alice"))["keys"]
    assert {made["keyId"], other["keyId"]} <= {each["keyId"] for each in listed}
    await exchange.own("RevokeApiKey", by=by, keyId=made["keyId"])
    assert [await exchange.works(each) for each in (made, other)] == [False, True]


async def test_the_holder_of_the_key_ends_it_with_the_key_itself(exchange: Exchange) -> None:
    made = await exchange()
    await exchange.own("RevokeApiKey", by=made["key"], keyId=made["keyId"])
    assert not await exchange.works(made)


ENDINGS = {
    "the user is disabled": ("DisableUser", {"userName": "alice"}),
    "the service is disabled": ("DisableUser", {"userName": "svc"}),
    "the user is deleted": ("DeleteUserAccount", {"userName": "alice"}),
    "the service is deleted": ("DeleteUserAccount", {"userName": "svc"}),
    "the service gets another password": ("ResetPassword", {"userName": "svc"}),
    "the user's key is revoked": ("RevokeApiKey", {"keyId": "subject"}),
    "the user's key is disabled": ("DisableApiKey", {"keyId": "subject"}),
    "the user's key is rotated": ("RotateApiKey", {"keyId": "subject"}),
    "the service's key is revoked": ("RevokeApiKey", {"keyId": "service"}),
    "the service's key is disabled": ("DisableApiKey", {"keyId": "service"}),
    "the service's key is rotated": ("RotateApiKey", {"keyId": "service"}),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_the_key_ends_when(exchange: Exchange, ending: str) -> None:
    made = await exchange()
    assert await exchange.works(made)
    operation, arguments = ENDINGS[ending]
    named = {"subject": exchange.subject[3:15], "service": exchange.service[3:15]}
    await exchange.own(operation, **{name: named.get(value, value) for name, value in arguments.items()})
    assert not await exchange.works(made)


@pytest.mark.parametrize("opening", ["EnableUser"])
async def test_the_key_does_not_come_back_when_its_service_is_enabled_again(exchange: Exchange, opening: str) -> None:
    made = await exchange()
    await exchange.own("DisableUser", userName="svc")
    await exchange.own(opening, userName="svc")
    assert not await exchange.works(made)


async def test_a_service_with_a_password_loses_its_keys_with_that_password(exchange: Exchange) -> None:
    made = await exchange(by="svc")
    await exchange.own("ResetPassword", userName="svc", newPassword="Another-password-1", keepOldFor=60)
    assert not await exchange.works(made)
    again = await exchange(by="svc")
    assert again["expiresIn"] <= 60, "no longer than the previous password, which the service presented"
    await exchange.own("EndOldPassword", userName="svc")
    assert not await exchange.works(again)


async def test_a_service_has_a_number_of_keys_at_a_time_and_expired_ones_are_removed(exchange: Exchange) -> None:
    exchange.harness.configure(exchange_rules=ExchangeRules(ROLES, per_service=3))
    for _ in range(3):
        await exchange()
    with pytest.raises(LimitReached, match="svc has 3 keys by token exchange already"):
        await exchange()
    exchange.harness.store._clock = lambda: 10_000_000_000.0
    await exchange()
    listed = await exchange.own("ListApiKeys", userName="alice")
    assert len([each for each in listed["keys"] if each["actor"] == "svc"]) == 1


async def test_keys_of_exchanges_leave_a_users_own_keys_their_room(exchange: Exchange) -> None:
    rules = exchange.harness.services.key_rules
    exchange.harness.configure(key_rules=type(rules)(per_user=2))
    await exchange()
    await exchange()
    await exchange.key_of("alice")
    with pytest.raises(LimitReached):
        await exchange.key_of("alice")


async def test_both_names_are_in_the_audit_trail_of_the_exchange_and_of_every_use(exchange: Exchange) -> None:
    made = await exchange()
    exchanged = [each for each in exchange.harness.trail.events if each.operation == "ExchangeToken"][-1]
    assert (exchanged.event, exchanged.principal) == (Event.KEY_CHANGE, "svc")
    assert exchanged.details["result"]["userName"] == "alice"
    assert exchanged.details["result"]["keyId"] == made["keyId"]
    assert made["key"] not in str(exchange.harness.trail.events)
    assert exchange.subject not in str(exchange.harness.trail.events)
    with pytest.raises(AccessDenied):
        await exchange.harness.call("CreateRole", by=key(made["key"]), entity={"name": "x"})
    refused = exchange.harness.trail.events[-1]
    assert (refused.principal, refused.actor, refused.outcome) == ("alice", "svc", Outcome.REFUSED)
    await exchange.harness.call("ListDatabases", by=key(made["key"]))
    assert {(each.principal, each.actor) for each in exchange.harness.trail.events if each.actor} == {("alice", "svc")}


async def test_the_line_of_an_exchange_tells_the_privilege_that_allowed_it(exchange: Exchange) -> None:
    await exchange()
    event = [each for each in exchange.harness.trail.events if each.operation == "ExchangeToken"][-1]
    assert (event.privilege, event.decision) == ("ExchangeToken", "allowed")
    await exchange.harness.revoke("exchangers", "ExchangeToken", "*", "*")
    with pytest.raises(AccessDenied):
        await exchange()
    refused = exchange.harness.trail.events[-1]
    assert (refused.event, refused.privilege, refused.decision) == (Event.REFUSAL, "ExchangeToken", "refused")


async def test_an_exchange_uses_its_grant_and_its_key_is_not_listed_as_unused(
    exchange: Exchange, tmp_path: Path
) -> None:
    harness, since = exchange.harness, datetime.fromtimestamp(time.time() - 60, UTC).isoformat()
    trail = AuditWriter.open(tmp_path / "audit")
    harness.recorder = Recorder(trail)
    harness.configure(trail=AuditReader(tmp_path / "audit"))
    made = await exchange()
    await trail.close()
    harness.recorder = Recorder(AuditWriter.open(tmp_path / "other"))
    harness.configure()
    unused = await exchange.own("ListUnusedAccess", since=since)
    assert "ExchangeToken" not in [grant["privilege"] for grant in unused["grants"]]
    assert made["keyId"] not in [each["keyId"] for each in unused["keys"]]


async def test_explanations_and_lists_name_the_service(exchange: Exchange) -> None:
    made = await exchange()
    explained = await exchange.own("ExplainAccess", keyId=made["keyId"], privilege="Search", collectionName="viewer")
    assert (explained["userName"], explained["actor"], explained["allowed"]) == ("alice", "svc", True)
    held = await exchange.own("DescribeUserAccess", keyId=made["keyId"])
    assert (held["userName"], held["actor"]) == ("alice", "svc")
    assert (await exchange.own("DescribeApiKey", keyId=made["keyId"]))["actor"] == "svc"
    assert (await exchange.own("ExplainAccess", userName="alice", privilege="Search"))["actor"] is None


async def test_a_large_token_takes_the_privilege_and_no_administrator(exchange: Exchange) -> None:
    with pytest.raises(InvalidArgument, match="must be one of"):
        await exchange(subject="eyJ" + "a" * 16_000)
    stranger = await exchange.key_of("alice")
    with pytest.raises(AccessDenied, match="takes the privilege ExchangeToken"):
        await exchange(by=stranger["key"], subject="eyJ" + "a" * 16_000)


def test_no_secret_is_shown() -> None:
    assert "kw_" not in repr(WantedKey(Secret("kw_secret"), TokenType.API_KEY))
