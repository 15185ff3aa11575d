"""Tokens become principals: who they are, what they hold, and when that ends."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.support.gateway import GatewayHarness, encoded, opened, own_call
from tests.support.issuer import Issuer
from tests.unit.authn.oidc.verifying import configured

from kiteward.audit.events import Event, Outcome
from kiteward.authn.oidc.group_mapping import GroupMapping
from kiteward.authn.oidc.issuers import NameRule, SignUp
from kiteward.bootstrap.components import record_last_used
from kiteward.config.settings import Settings
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import AccessDenied, InvalidArgument, KeyRejected, PasswordRejected
from kiteward.domain.identity import FederatedName, KeyCredential, Principal, Secret, TokenCredential, without_colon
from kiteward.iam.json_api.base import encoded as encoded_outcome
from kiteward.iam.json_api.base import plain
from kiteward.iam.settings import Limits
from kiteward.store.identity_records import ClaimedRights
from kiteward.store.records import UserRecord

Open = Callable[..., AbstractAsyncContextManager["Federation"]]


class Federation:
    """A gateway and an identity provider whose tokens it accepts."""

    def __init__(self, harness: GatewayHarness, idp: Issuer) -> None:
        self.harness = harness
        self.idp = idp

    def token(self, name: str = "alice", **claims: Any) -> str:
        """Return a token of a user, whose subject is made of its name."""
        return self.idp.token(**{"subject": f"sub-{name}", "preferred_username": name, **claims})

    def later(self, name: str = "alice", **claims: Any) -> str:
        """Return a token that is issued after everything that has happened, as `token`."""
        return self.token(name, **{"iat": int(self.harness.clock()) + 1, **claims})

    async def principal(self, token: str, **how: Any) -> Principal:
        """Return the principal of a token."""
        return await self.harness.authenticator.authenticate(without_colon(token), address="10.1.2.3:4", **how)

    async def refusal(self, token: str, **how: Any) -> KeyRejected:
        """Return the refusal of a token."""
        with pytest.raises(KeyRejected) as refused:
            await self.principal(token, **how)
        return refused.value

    async def own(self, operation: str, by: Any = "root", /, **arguments: Any) -> dict[str, Any]:
        """Call one of our own operations."""
        return plain(await self.harness.gateway.handle(own_call(operation, by, **arguments)))

    @property
    def count(self) -> Callable[[str], int]:
        """Counts authentications by tokens with a result."""
        return lambda result: self.harness.authenticator.counts["token", result]


@pytest.fixture
def federation(idp: Issuer, store_path: Path) -> Open:
    """Return what opens a gateway that accepts tokens; its arguments are parts of the configuration of the issuer."""

    @contextlib.asynccontextmanager
    async def open_(limits: Limits | None = None, **more: Any) -> AsyncIterator[Federation]:
        usual = {"sign_up": SignUp.CREATE, "groups_claim": "groups"}
        settings = Settings(issuers=(configured(idp, **{**usual, **more}),), limits=limits or Limits())
        async with opened(store_path, settings=settings) as harness:
            yield Federation(harness, idp)

    return open_


async def test_the_first_sign_in_creates_a_user_who_has_no_password(federation: Open) -> None:
    async with federation() as own:
        principal = await own.principal(own.token())
        record = await own.harness.store.user("idp_alice")
        assert principal.user_name == "idp_alice"
        assert principal.credential == f"oidc:{own.idp.url}#sub-alice"
        assert principal.identity == FederatedName(own.idp.url, "sub-alice")
        assert record is not None
        assert record.identity is not None
        assert (record.identity.issuer, record.identity.subject) == (own.idp.url, "sub-alice")
        with pytest.raises(PasswordRejected):
            await own.harness.call("ListDatabases", by="idp_alice")
        events = [each for each in own.harness.trail.events if each.operation == "SignUp"]
        assert [(each.event, dict(each.details)) for each in events] == [
            (Event.USER_CHANGE, {"userName": "idp_alice", "issuer": own.idp.url, "subject": "sub-alice"})
        ]


async def test_a_verified_token_is_remembered_without_signature_store_or_await(
    federation: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with federation() as own:
        token = own.token()
        first = await own.principal(token)
        tokens = own.harness.authenticator.tokens
        assert tokens is not None

        async def fail(*_: object) -> None:
            raise AssertionError

        monkeypatch.setattr(tokens.verifier, "verify", fail)
        monkeypatch.setattr(own.harness.store, "federated_user", fail)
        again = own.harness.authenticator.authenticate(without_colon(token))
        with pytest.raises(StopIteration) as done:
            again.send(None)  # nothing is awaited
        assert done.value.value == first
        assert (own.count("verified"), own.count("remembered")) == (1, 1)


async def test_tokens_of_one_user_at_once_sign_up_once(federation: Open) -> None:
    async with federation() as own:
        found = await asyncio.gather(*(own.principal(own.token(jti=str(number))) for number in range(20)))
        assert {each.user_name for each in found} == {"idp_alice"}
        assert len([each for each in own.harness.trail.events if each.operation == "SignUp"]) == 1


async def test_request_that_is_overtaken_by_another_of_its_subject_signs_in_too(
    federation: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with federation() as own:
        await own.principal(own.token(jti="the faster one"))
        look_up, looks = own.harness.store.federated_user, 0

        async def look_up_too_early(issuer: str, subject: str) -> UserRecord | None:
            nonlocal looks
            looks += 1
            return None if looks == 1 else await look_up(issuer, subject)

        monkeypatch.setattr(own.harness.store, "federated_user", look_up_too_early)
        assert (await own.principal(own.token(jti="the slower one"))).user_name == "idp_alice"


async def test_a_name_stays_bound_to_its_subject_until_it_is_unbound(federation: Open) -> None:
    async with federation() as own:
        await own.principal(own.token())
        other = own.token(subject="sub-2")
        error = await own.refusal(other)
        assert error.code is ErrorCode.IDENTITY_NAME_TAKEN
        assert "sub-alice" in error.reason
        assert "sub-" not in str(error)
        assert (await own.principal(own.token(preferred_username="renamed"))).user_name == "idp_alice"
        await own.own("UnbindIdentity", userName="idp_alice")
        assert (await own.principal(own.later(subject="sub-2"))).user_name == "idp_alice"
        assert (await own.refusal(own.later())).code is ErrorCode.IDENTITY_NAME_TAKEN


@pytest.mark.parametrize("sign_up", SignUp)
async def test_a_subject_that_is_unbound_does_not_come_back_by_its_old_token(federation: Open, sign_up: SignUp) -> None:
    async with federation(sign_up=SignUp.CREATE) as first:
        token = first.token()
        await first.principal(token)
    async with federation(sign_up=sign_up) as own:
        await own.principal(token)
        other = own.token(jti="other")
        await own.own("UnbindIdentity", userName="idp_alice")
        for old in (token, other):
            assert (await own.refusal(old)).code is ErrorCode.TOKEN_CUT_OFF
        record = await own.harness.store.user("idp_alice")
        assert record is not None
        assert record.identity is not None
        assert record.identity.subject is None


async def test_a_token_does_not_settle_an_invitation_that_was_unbound_while_it_waited(
    federation: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with federation() as own:
        token = own.token()
        await own.principal(token)
        await own.own("UnbindIdentity", userName="idp_alice")
        read = own.harness.store.tokens_not_before

        async def too_early(issuer: str, name: str) -> float:
            await read(issuer, name)
            return 0.0

        monkeypatch.setattr(own.harness.store, "tokens_not_before", too_early)
        assert (await own.refusal(token)).code is ErrorCode.TOKEN_CUT_OFF
        record = await own.harness.store.user("idp_alice")
        assert record is not None
        assert record.identity is not None
        assert record.identity.subject is None


async def test_no_token_becomes_a_local_user_or_root(federation: Open) -> None:
    async with federation(names=NameRule("r{preferred_username}")) as own:
        await own.harness.user("ruth")
        assert (await own.refusal(own.token("uth"))).code is ErrorCode.IDENTITY_NAME_TAKEN
        assert (await own.refusal(own.token("oot"))).code is ErrorCode.TOKEN_USER_NAME


@pytest.mark.parametrize("name", ["", " alice", "a b", "a@b", "a" * 200, "é", "a\n", "{sub}/", True, ["a"], None, 1.5])
async def test_a_name_that_no_user_can_have_is_refused(federation: Open, name: Any) -> None:
    async with federation() as own:
        error = await own.refusal(own.token(subject="s", preferred_username=name))
        assert error.code in (ErrorCode.TOKEN_USER_NAME, ErrorCode.TOKEN_CLAIM_MISSING)
        assert len(await own.harness.store.user_names()) == 1


async def test_a_template_reads_nested_claims_and_replaces_characters(federation: Open) -> None:
    rule = NameRule("k8s_{kubernetes.io/namespace}_{kubernetes.io/serviceaccount/name}", {"@": "_at_"})
    async with federation(names=rule) as own:
        claims: Any = {"namespace": "prod", "serviceaccount": {"name": "app@x"}}
        principal = await own.principal(own.token("app", **{"kubernetes.io": claims}))
        assert principal.user_name == "k8s_prod_app_at_x"


async def test_without_sign_up_only_the_invited_become_users(federation: Open) -> None:
    async with federation(sign_up=SignUp.INVITED) as own:
        await own.harness.role("reader")
        error = await own.refusal(own.token())
        assert error.code is ErrorCode.IDENTITY_NOT_INVITED
        assert "`idp_alice`" in error.reason
        assert await own.harness.store.user("idp_alice") is None
        await own.own("InviteUser", issuer=own.idp.url, userName="idp_alice", roles=["reader"])
        assert (await own.principal(own.token())).roles == {"reader"}
        assert (await own.refusal(own.token(subject="sub-2"))).code is ErrorCode.IDENTITY_NAME_TAKEN


async def test_an_invitation_can_name_the_subject(federation: Open) -> None:
    async with federation(sign_up=SignUp.INVITED) as own:
        await own.own("InviteUser", issuer=own.idp.url, userName="idp_alice", subject="sub-alice")
        assert (await own.refusal(own.token(subject="sub-2"))).code is ErrorCode.IDENTITY_NAME_TAKEN
        assert (await own.principal(own.token(preferred_username="other"))).user_name == "idp_alice"


async def test_the_limit_of_users_holds_for_sign_ups(federation: Open) -> None:
    async with federation(limits=Limits(users=2)) as own:
        await own.principal(own.token("alice"))
        assert (await own.refusal(own.token("bob"))).code is ErrorCode.USERS_LIMIT


async def test_a_request_that_holds_the_transaction_signs_nobody_up(federation: Open) -> None:
    async with federation() as own:
        async with own.harness.store.transaction():
            error = await asyncio.wait_for(own.refusal(own.token(), sign_up=False), 30)
        assert error.code is ErrorCode.IDENTITY_NOT_INVITED


async def test_a_change_by_a_caller_with_a_token_is_authorized_again_in_its_transaction(federation: Open) -> None:
    mapping = GroupMapping({"admins": frozenset({"admin"})})
    async with federation(group_roles=mapping) as own:
        credential = without_colon(own.token(groups=["admins"]))
        for name in ("one", "two"):
            await asyncio.wait_for(own.own("CreateUserAccount", credential, userName=name), 60)
        assert "two" in await own.harness.store.user_names()


async def test_a_caller_who_is_deleted_while_the_change_waits_is_refused_and_not_signed_up_again(
    federation: Open,
) -> None:
    async with federation(group_roles=GroupMapping({"admins": frozenset({"admin"})})) as own:
        token = own.token(groups=["admins"])
        await own.principal(token)
        async with own.harness.policy_cache.change() as transaction:
            waiting = asyncio.ensure_future(own.own("CreateUserAccount", without_colon(token), userName="one"))
            async with asyncio.timeout(60):
                while not own.count("remembered"):
                    await asyncio.sleep(0.01)
            await transaction.users.remove("idp_alice")
        with pytest.raises(KeyRejected, match="its user has been removed"):
            await asyncio.wait_for(waiting, 20)
        assert list(await own.harness.store.user_names()) == ["root"]


# Roles and tags


async def test_groups_give_roles_by_configuration_and_by_api_exactly_and_by_pattern(federation: Open) -> None:
    mapping = GroupMapping({"a": frozenset({"r1"})}, {"team-*-x": frozenset({"r2"})})
    async with federation(group_roles=mapping) as own:
        for name in ("r1", "r2", "r3", "r4", "bound"):
            await own.harness.role(name)
        token = own.token(groups=["a", "team-1-x", "b", "c-1"])
        assert (await own.principal(token)).roles == {"r1", "r2"}
        await own.own("GrantGroupRole", issuer=own.idp.url, group="b", roleName="r3")
        assert (await own.principal(token)).roles == {"r1", "r2", "r3"}
        await own.own("GrantGroupRole", issuer=own.idp.url, group="c-*", roleName="r4", pattern=True)
        await own.harness.succeed("OperateUserRole", username="idp_alice", role_name="bound")
        assert (await own.principal(token)).roles == {"r1", "r2", "r3", "r4", "bound"}
        await own.own("RevokeGroupRole", issuer=own.idp.url, group="b", roleName="r3")
        assert (await own.principal(token)).roles == {"r1", "r2", "r4", "bound"}
        await own.harness.succeed("DropRole", role_name="r4")
        assert (await own.principal(token)).roles == {"r1", "r2", "bound"}
        assert await own.harness.store.group_roles(None) == []


async def test_a_mapped_role_allows_what_it_grants_at_the_next_request_and_no_longer_after_its_end(
    federation: Open,
) -> None:
    async with federation() as own:
        await own.harness.role("lister", ("ListDatabases", "*", "*"))
        await own.harness.grant("lister", "SelectUser", "*", "*")
        credential = without_colon(own.token(groups=["staff"]))
        asked = {"by": credential}
        with pytest.raises(Exception, match="permission deny"):
            await own.harness.call("SelectUser", **asked)
        await own.own("GrantGroupRole", issuer=own.idp.url, group="staff", roleName="lister")
        await own.harness.succeed("SelectUser", **asked)
        await own.own("RevokeGroupRole", issuer=own.idp.url, group="staff", roleName="lister")
        with pytest.raises(Exception, match="permission deny"):
            await own.harness.call("SelectUser", **asked)


async def test_a_claim_gives_only_the_roles_that_are_allowed(federation: Open) -> None:
    async with federation(roles_claim="roles", allowed_roles=frozenset({"reader"})) as own:
        assert (await own.principal(own.token(roles=["reader", "admin"]))).roles == {"reader"}
        assert (await own.principal(own.token(roles="reader"))).roles == {"reader"}
        assert (await own.principal(own.token(roles={"reader": True}))).roles == frozenset()


async def test_scopes_of_a_token_give_roles_where_their_claim_is_named(federation: Open) -> None:
    async with federation(roles_claim="scope", allowed_roles=frozenset({"reader"})) as own:
        assert (await own.principal(own.token(scope="openid reader admin"))).roles == {"reader"}
        assert (await own.principal(own.token(scope="openid readers"))).roles == frozenset()


async def test_tags_come_from_claims_and_never_from_the_user_instead(federation: Open) -> None:
    async with federation(tag_claims={"tenant": "org/id", "level": "level"}) as own:
        principal = await own.principal(own.token(org={"id": "t1"}, level=7))
        assert principal.tags == {"tenant": "t1", "level": "7"}
        await own.own("SetTags", userName="idp_alice", tags={"tenant": "all", "own": "1"})
        assert (await own.principal(own.token())).tags == {"own": "1"}
        for wrong in (["t1"], {"a": 1}, "", "a\nb", "a" * 2000):
            assert (await own.refusal(own.token(level=wrong))).code is ErrorCode.TOKEN_CLAIM_MISSING


async def test_a_token_with_too_many_groups_is_refused(federation: Open) -> None:
    async with federation() as own:
        assert (await own.refusal(own.token(groups=list(map(str, range(1001)))))).code is ErrorCode.TOKEN_GROUPS_LIMIT


async def test_a_token_with_half_a_character_in_a_group_is_refused_because_nothing_can_show_it(
    federation: Open,
) -> None:
    async with federation() as own:
        error = await own.refusal(own.token(groups=["searchers", "\ud800"]))
        assert error.code is ErrorCode.TOKEN_CLAIM_MISSING
        await own.principal(own.token(groups=["\U0001f600"]))
        await record_last_used(own.harness.store, own.harness.authenticator)
        assert encoded_outcome(await own.harness.gateway.handle(own_call("ListIdentities", "root")))


async def test_api_keys_of_a_federated_user_hold_the_bound_roles_alone(federation: Open) -> None:
    async with federation(group_roles=GroupMapping({"a": frozenset({"mapped"})})) as own:
        for name in ("mapped", "bound"):
            await own.harness.role(name)
        token = own.token(groups=["a"])
        await own.principal(token)
        await own.harness.succeed("OperateUserRole", username="idp_alice", role_name="bound")
        made = await own.own("CreateApiKey", without_colon(token))
        principal = await own.harness.authenticator.authenticate(KeyCredential(Secret(made["key"])))
        assert principal.roles == {"bound"}
        assert principal.identity == FederatedName(own.idp.url, "sub-alice")


# When it ends


async def test_a_token_ends_at_its_expiry(federation: Open) -> None:
    async with federation() as own:
        token = own.token(lifetime=60)
        await own.principal(token)
        own.harness.clock.ahead = 80
        await own.principal(token)
        own.harness.clock.ahead = 95
        assert (await own.refusal(token)).code is ErrorCode.TOKEN_EXPIRED


async def test_a_token_ends_when_its_user_is_disabled_or_deleted(federation: Open) -> None:
    async with federation(sign_up=SignUp.INVITED) as own:
        await own.own("InviteUser", issuer=own.idp.url, userName="idp_alice")
        token = own.token()
        await own.principal(token)
        await own.own("DisableUser", userName="idp_alice")
        error = await own.refusal(token)
        assert (error.code, str(error)) == (ErrorCode.USER_DISABLED, "the token is refused: its user is disabled")
        await own.own("EnableUser", userName="idp_alice")
        await own.principal(token)
        await own.own("DeleteUserAccount", userName="idp_alice")
        assert (await own.refusal(token)).code is ErrorCode.IDENTITY_NOT_INVITED


@pytest.mark.parametrize("whose", ["userName", "issuer"])
async def test_a_cut_off_ends_what_was_issued_before(federation: Open, whose: str) -> None:
    async with federation() as own:
        old, others = (
            own.token(iat=int(own.harness.clock()) - 100),
            own.token("bob", iat=int(own.harness.clock()) - 100),
        )
        await own.principal(old)
        await own.principal(others)
        await own.own("CutOffTokens", **{whose: {"userName": "idp_alice", "issuer": own.idp.url}[whose]})
        error = await own.refusal(old)
        assert error.code is ErrorCode.TOKEN_CUT_OFF
        assert "before 20" in str(error)
        own.harness.clock.ahead = 1
        assert (await own.principal(own.token(iat=int(own.harness.clock()) + 1))).user_name == "idp_alice"
        if whose == "userName":
            await own.principal(others)
        else:
            assert (await own.refusal(others)).code is ErrorCode.TOKEN_CUT_OFF


@pytest.mark.parametrize("before", [(), ("CutOffTokens",)])
async def test_a_deleted_user_does_not_come_back_by_a_token_that_was_issued_before(
    federation: Open, before: tuple[str, ...]
) -> None:
    async with federation() as own:
        token = own.token(iat=int(own.harness.clock()) - 100)
        await own.principal(token)
        for operation in (*before, "DeleteUserAccount"):
            await own.own(operation, userName="idp_alice")
        assert (await own.refusal(token)).code is ErrorCode.TOKEN_CUT_OFF
        assert await own.harness.store.user("idp_alice") is None
        await own.own("InviteUser", issuer=own.idp.url, userName="idp_alice")
        assert (await own.refusal(token)).code is ErrorCode.TOKEN_CUT_OFF
        assert (await own.principal(own.later())).user_name == "idp_alice"


@pytest.mark.parametrize("whose", ["userName", "issuer"])
async def test_an_earlier_cut_off_does_not_accept_again_what_a_later_one_ended(federation: Open, whose: str) -> None:
    async with federation() as own:
        token = own.token(iat=int(own.harness.clock()) - 100)
        await own.principal(token)
        named = {whose: {"userName": "idp_alice", "issuer": own.idp.url}[whose]}
        set_first = await own.own("CutOffTokens", **named)
        assert await own.own("CutOffTokens", **named, notBefore="2020-01-01T00:00:00Z") == set_first
        assert (await own.refusal(token)).code is ErrorCode.TOKEN_CUT_OFF


async def test_nobody_becomes_a_user_by_a_token_of_before_the_cut_off_of_its_issuer(federation: Open) -> None:
    async with federation() as own:
        token = own.token()
        await own.own("CutOffTokens", issuer=own.idp.url)
        assert (await own.refusal(token)).code is ErrorCode.TOKEN_CUT_OFF
        assert await own.harness.store.user("idp_alice") is None
        assert (await own.principal(own.later())).user_name == "idp_alice"


async def test_a_token_ends_when_the_key_that_signed_it_is_withdrawn(federation: Open) -> None:
    async with federation() as own:
        token = own.token()
        await own.principal(token)
        own.idp.rotate(keep=0)
        await own.principal(own.token("bob"))
        assert (await own.refusal(token)).code is ErrorCode.TOKEN_KEY_UNKNOWN


async def test_a_rotated_key_ends_nothing_as_long_as_the_old_one_is_published(federation: Open) -> None:
    async with federation() as own:
        token = own.token()
        await own.principal(token)
        own.idp.rotate(keep=1)
        await own.principal(own.token("bob"))
        await own.principal(token)
        assert own.count("remembered") == 1


async def test_changes_of_another_process_end_tokens_too(federation: Open, store_path: Path) -> None:
    async with federation() as own:
        token = own.token()
        await own.principal(token)
        async with federation() as other:
            await other.own("DisableUser", userName="idp_alice")
        await own.harness.policy_cache.follow_others()
        assert (await own.refusal(token)).code is ErrorCode.USER_DISABLED


async def test_a_change_while_a_token_is_verified_is_not_missed(
    federation: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with federation() as own:
        await own.principal(own.token())
        store, read = own.harness.store, own.harness.store.group_roles

        async def slow(issuer: str | None) -> Any:
            monkeypatch.setattr(store, "group_roles", read)
            found = await read(issuer)
            await own.own("DisableUser", userName="idp_alice")
            return found

        await own.own("GrantGroupRole", issuer=own.idp.url, group="x", roleName="public")
        monkeypatch.setattr(store, "group_roles", slow)
        assert (await own.refusal(own.token(jti="other"))).code is ErrorCode.USER_DISABLED


# What operators see


async def test_the_audit_trail_names_issuer_and_subject_and_no_token(federation: Open) -> None:
    async with federation() as own:
        token = own.token()
        await own.harness.call("ListDatabases", by=without_colon(token))
        await own.own("WhoAmI", without_colon(token))
        events = own.harness.trail.events
        assert {each.credential for each in events if each.principal == "idp_alice"} <= {
            f"oidc:{own.idp.url}#sub-alice"
        }
        made = await own.own("CreateApiKey", without_colon(token))
        with pytest.raises(AccessDenied):
            await own.own("ListUserAccounts", KeyCredential(Secret(made["key"])))
        await own.own("ListUserAccounts")
        theirs = [each for each in events if each.principal == "idp_alice"]
        assert {each.credential.partition(":")[0] for each in theirs} == {"oidc", "key"}
        assert {(each.issuer, each.subject) for each in theirs} == {(own.idp.url, "sub-alice")}
        assert {(each.issuer, each.subject) for each in events if each.principal == "root"} == {("", "")}
        with pytest.raises(KeyRejected):
            await own.harness.call("ListDatabases", by=without_colon(own.token(aud="other")))
        refused = events[-1]
        assert (refused.event, refused.outcome, refused.credential) == (Event.AUTHENTICATION, Outcome.REFUSED, "token")
        assert "`aud`" in refused.reason
        assert not any(part in str(events) for part in token.split("."))


async def test_explanations_use_the_rights_of_the_last_sign_in(federation: Open) -> None:
    async with federation(group_roles=GroupMapping({"a": frozenset({"mapped"})}), tag_claims={"t": "t"}) as own:
        await own.harness.role("mapped", ("Search", "default", "docs"))
        await own.principal(own.token(groups=["a"], t="1"))
        await record_last_used(own.harness.store, own.harness.authenticator)
        record = await own.harness.store.user("idp_alice")
        assert record is not None
        assert record.identity is not None
        assert record.identity.rights == ClaimedRights(("a",), (), {"t": "1"})
        asked = {"userName": "idp_alice", "privilege": "Search", "collectionName": "docs"}
        found = await own.own("ExplainAccess", **asked)
        assert (found["allowed"], found["issuer"], found["subject"]) == (True, own.idp.url, "sub-alice")
        held = await own.own("DescribeUserAccess", userName="idp_alice")
        assert (held["issuer"], [each["collectionName"] for each in held["collections"]]) == (own.idp.url, ["docs"])
        holders = await own.own("ListCollectionAccess", collectionName="docs")
        assert [(each["userName"], each["subject"]) for each in holders["holders"] if not each["administrator"]] == [
            ("idp_alice", "sub-alice")
        ]
        listed = await own.own("ListIdentities")
        assert listed["identities"][0]["groups"] == ["a"]
        described = await own.own("DescribeUserAccount", userName="idp_alice")
        assert (described["issuer"], described["subject"]) == (own.idp.url, "sub-alice")


async def test_a_federated_user_gets_no_password_and_is_not_locked_by_wrong_ones(federation: Open) -> None:
    async with federation() as own:
        await own.principal(own.token())
        with pytest.raises(InvalidArgument, match="has no password"):
            await own.own("ResetPassword", userName="idp_alice")
        await own.harness.policy_cache._lock("idp_alice")
        await own.principal(own.token())


async def test_without_an_issuer_a_token_is_an_unknown_api_key(harness: GatewayHarness, idp: Issuer) -> None:
    credential = without_colon(idp.token())
    assert isinstance(credential, TokenCredential)
    with pytest.raises(KeyRejected, match="please check api key is correct"):
        await harness.authenticator.authenticate(credential)


def test_what_has_not_the_shape_of_a_token_is_an_api_key() -> None:
    assert isinstance(without_colon("kw_x"), KeyCredential)
    for text in ("eyJ", "eyJ.x", "eyJhbGciOiJub25lIn0.e30.x.y.z", "xyJ.a.b", "eyJ a.b.c"):
        assert isinstance(without_colon(text), KeyCredential)


async def test_a_password_change_of_a_federated_user_is_refused(federation: Open) -> None:
    async with federation() as own:
        await own.principal(own.token())
        with pytest.raises(Exception, match="password"):
            await own.harness.succeed(
                "UpdateCredential", by="root", username="idp_alice", newPassword=encoded("Password-2")
            )


async def test_a_backup_leaves_federated_users_out_and_can_be_restored(federation: Open) -> None:
    async with federation() as own:
        await own.harness.user("local")
        await own.principal(own.token())
        taken = await own.harness.succeed("BackupRBAC")
        assert [each.user for each in taken.RBAC_meta.users] == ["local"]
        await own.harness.succeed("DeleteCredential", username="local")
        await own.harness.succeed("RestoreRBAC", RBAC_meta=taken.RBAC_meta)
        assert await own.harness.store.user_names() == ["idp_alice", "local", "root"]
