"""Every operation, called by each kind of credential of one user: what a credential may is asked, not whose it is.

The user holds one role, that of the reader in `expectations`. A key that is restricted to this role may do what the
role grants, a key that is restricted to no role what everybody may do; neither acts as the user.
"""

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import pytest
from tests.access.expectations import EXPECTED, PRINCIPALS
from tests.access.test_expectations import verdict
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, encoded, least_arguments, opened, own_call, presented, quick_directory

from kiteward.domain.errors import AccessDenied, NotFound, OldPasswordWrong, OperationRefused
from kiteward.domain.identity import KeyCredential, PresentedCredential, Secret, SessionCredential
from kiteward.gateway.call import Call
from kiteward.gateway.operations import OPERATIONS, Executor
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.base import plain
from kiteward.iam.settings import KeyRules
from kiteward.milvus import messages

USER: Final = "reader"
CREDENTIALS: Final = ("password", "session", "key", "narrowed", "nothing")
"""A password, a session, an API key without limits, one restricted to the user's role, and one to no role."""

ABOUT_ONESELF: Final[dict[str, dict[str, Any]]] = {
    "UpdateCredential": {"username": USER, "description": "mine"},
    "SelectUser": {"user": {"name": USER}},
    "GetUserTags": {"user_name": USER},
    "SelectRole": {"role": {"name": f"of_{USER}"}},
    "SelectGrant": {"entity": {"role": {"name": f"of_{USER}"}}},
}
"""RPCs with an exemption for the user or the holder of the role that they are about."""

_NOBODY, _READER = (next(n for n, each in enumerate(PRINCIPALS) if each.name == name) for name in ("nobody", USER))
_HAS: Final = {"+": "+", "1": "+", "v": "+", "-": "-", "x": "x", "U": "U"}

_OWN_ROWS: Final = {
    # Answered for the credential itself.
    "+++++": """
        WhoAmI DescribePasswordPolicy ExplainAccess DescribeUserAccess CreateApiKey ListApiKeys DescribeTags
        DescribeLimits
    """,
    # Asked as the user.
    "+++--": "DescribeUserAccount EndOldPassword ListSessions EndSession EndSessions ListFactors ListCollectionSizes",
    # About another key of the user, which does not exist for a limited one.
    "+++xx": "DescribeApiKey AlterApiKey RotateApiKey DisableApiKey EnableApiKey RevokeApiKey ChangeApiKeys",
    "+----": "BeginSession",
    # In the console.
    "-+---": "StartApp ConfirmApp StartPasskey AddPasskey RemoveFactor RenewRecoveryCodes",
    "-----": """
        ListUserAccounts CreateUserAccount DeleteUserAccount ResetPassword DisableUser EnableUser UnlockUser
        ListCollectionAccess ListMissingAccess ListUnusedAccess SearchAudit ExplainAuditLine ChangeGrants DescribeServer
        ListServers ViewAsUser ExportPolicy PlanPolicy ApplyPolicy DescribeRole CopyRole DeleteRole ListGrants
        DescribeActivity ReviewCredentials
        MakeRowPolicy ChangeRowPolicy RemoveRowPolicy DescribeRowPolicies EnableRowPolicies DisableRowPolicies
        SetTags DeleteTags ListTaggedUsers PreviewRows
        SetLimits DeleteLimits ListLimits ExchangeToken
        ListRoles ChangeUsers ChangeRoleMembers MakePrivilegeGroup ChangePrivilegeGroup CompareRoles
        EndSessionsByProvider ResetFactors DescribeSignIn FinishSignIn
        ListScimUsers GetScimUser CreateScimUser ReplaceScimUser PatchScimUser DeleteScimUser HandOverToScim
        ListScimGroups GetScimGroup CreateScimGroup ReplaceScimGroup PatchScimGroup DeleteScimGroup TakeBackFromScim
        ListIssuers ListIdentities InviteUser UnbindIdentity CutOffTokens ListGroupRoles GrantGroupRole RevokeGroupRole
        ChangeGroupRoles
    """,
}
OWN: Final = {operation: marks for marks, operations in _OWN_ROWS.items() for operation in operations.split()}
"""Operation of our own -> a mark for each of `CREDENTIALS`: allowed, denied, or absent for the caller."""


class Holder:
    """The user with a credential of each kind.

    Attributes:
        credentials: those that stay the same through a test.
    """

    def __init__(self, harness: GatewayHarness) -> None:
        self.harness = harness
        self.credentials: dict[str, PresentedCredential] = {}

    async def move_in(self) -> None:
        """Create the user with its role and credentials."""
        self.harness.configure(key_rules=KeyRules(per_user=1_000))
        await self.harness.role(f"of_{USER}", PRINCIPALS[_READER].v2 or ("", "", ""))
        await self.harness.user(USER, f"of_{USER}")
        self.credentials["password"] = presented(USER)
        for kind, limits in (("key", {}), ("narrowed", {"roles": [f"of_{USER}"]}), ("nothing", {"roles": []})):
            made = await self.own("CreateApiKey", presented(USER), **limits)
            self.credentials[kind] = KeyCredential(Secret(made["key"]))
        await self.sign_in()

    async def sign_in(self) -> str:
        """Begin the session that is presented from now on, and return its id."""
        begun = await self.own("BeginSession", presented(USER))
        session = self.credentials["session"] = SessionCredential(Secret(begun["token"]))
        listed = await self.own("ListSessions", session)
        return str(next(each["sessionId"] for each in listed["sessions"] if each["current"]))

    async def own(self, operation: str, by: PresentedCredential, /, **arguments: Any) -> Any:
        """Call an operation of our own."""
        return plain(await self.harness.gateway.handle(own_call(operation, by, address="127.0.0.1:1", **arguments)))

    async def send(self, operation: str, by: PresentedCredential, payload: bytes) -> bytes:
        """Send a request from this machine."""
        return await self.harness.gateway.handle(Call(operation, payload, by, address="127.0.0.1:1"))

    async def sets_a_password(self, user_name: str, by: PresentedCredential) -> bool:
        """Return whether a credential sets a user's password without the old one."""
        request = messages.UpdateCredentialRequest(
            username=user_name, oldPassword=encoded("Wrong-one-1"), newPassword=encoded("Another-one-2")
        )
        try:
            await self.send("UpdateCredential", by, request.SerializeToString())
        except (AccessDenied, OldPasswordWrong):
            return False
        return True

    async def verdict(self, operation: str, kind: str) -> str:
        """Return the mark of an operation of our own for a kind of credential, with new objects."""
        session_id = await self.sign_in()
        key = await self.own("CreateApiKey", presented(USER))
        arguments = msgspec.to_builtins(least_arguments(operation), enc_hook=Secret.reveal)
        arguments |= {"keyId": key["keyId"]} if operation.endswith("ApiKey") and operation != "CreateApiKey" else {}
        named = {"userName": USER}
        arguments |= {
            "EndSession": {"sessionId": session_id},
            "ExplainAccess": {"operation": "Query"},
            "SetTags": named,
            "DeleteTags": named,
            "ChangeApiKeys": {"keyIds": [key["keyId"]], "change": "enable"},
        }.get(operation, {})
        try:
            await self.own(operation, self.credentials[kind], **arguments)
        except AccessDenied:
            return "-"
        except NotFound:
            return "x"
        except (OldPasswordWrong, OperationRefused):
            return "+"  # by the password that it demands too, or because there is no host name for passkeys
        return "+"


@pytest.fixture
async def holder() -> AsyncIterator[Holder]:
    engine = FakeEngine()
    engine.create("c1", "c2", database="db1")
    engine.answers = {name: messages.success(name) for name, row in OPERATIONS.items() if row.executor is Executor.DDL}
    with quick_directory() as directory:
        async with opened(directory / "store.db", engine) as harness:
            holder = Holder(harness)
            await holder.move_in()
            yield holder


def expected(operation: str) -> str:
    """Return the marks of an RPC: those of the reader in `expectations`, and of nobody for a key without roles."""
    if operation in ABOUT_ONESELF:
        return "+++--"
    reader, nobody = _HAS[EXPECTED[operation][_READER]], _HAS[EXPECTED[operation][_NOBODY]]
    return reader * 4 + nobody


def test_every_operation_is_expected() -> None:
    assert set(OWN) == set(ADMIN_OPERATIONS)
    assert {name for name, row in OPERATIONS.items() if (row.user and not row.not_oneself) or row.own_role} == set(
        ABOUT_ONESELF
    )


async def test_a_limited_key_calls_what_it_may_itself_and_nothing_as_its_user(holder: Holder) -> None:
    wrong = []
    for number, kind in enumerate(CREDENTIALS):
        for operation in OPERATIONS:
            found = await verdict(
                holder.harness, operation, holder.credentials[kind], "c1", **ABOUT_ONESELF.get(operation, {})
            )
            if found != expected(operation)[number]:
                wrong.append(f"{kind} {operation}: expected {expected(operation)[number]}, found {found}")
    assert not wrong, "\n".join(wrong)


async def test_a_limited_key_calls_none_of_our_own_operations_as_its_user(holder: Holder) -> None:
    wrong = []
    for number, kind in enumerate(CREDENTIALS):
        for operation, marks in OWN.items():
            found = await holder.verdict(operation, kind)
            if found != marks[number]:
                wrong.append(f"{kind} {operation}: expected {marks[number]}, found {found}")
    assert not wrong, "\n".join(wrong)


# What a limited key learns of itself, and what exempts its user


LIMITS: Final[dict[str, dict[str, Any]]] = {
    "narrowed": {"roles": [f"of_{USER}"]},
    "restricted to no role": {"roles": []},
    "ending": {"expiresIn": 60},
    "restricted to networks": {"networks": ["127.0.0.0/8"]},
}


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("super_user", [True, False])
async def test_a_limited_key_sets_no_password_of_its_user_without_the_old_one(
    holder: Holder, limits: dict[str, Any], super_user: bool
) -> None:
    holder.harness.configure(super_users=frozenset({USER} if super_user else ()))
    await holder.harness.grant(f"of_{USER}", "UpdateUser", "*")
    by = KeyCredential(Secret((await holder.own("CreateApiKey", presented(USER), **limits))["key"]))
    before = await holder.harness.state()
    assert not await holder.sets_a_password(USER, by)
    assert await holder.harness.state() == before
    assert await holder.sets_a_password(USER, holder.credentials["key"]) is super_user


@pytest.mark.parametrize("operation", ["DescribeUserAccess", "ExplainAccess"])
async def test_a_limited_key_gets_its_own_access_and_not_its_users(holder: Holder, operation: str) -> None:
    asked = {"operation": "Query", "dbName": "db1", "collectionName": "c1"} if operation == "ExplainAccess" else {}
    answers = {kind: await holder.own(operation, by, **asked) for kind, by in holder.credentials.items()}
    told = "allowed" if asked else "collections"
    assert {kind: bool(answer[told]) for kind, answer in answers.items()} == {
        kind: kind != "nothing" for kind in CREDENTIALS
    }
    for kind in ("narrowed", "nothing"):
        with pytest.raises(AccessDenied):
            await holder.own(operation, holder.credentials[kind], userName=USER, **asked)
        other = await holder.own("CreateApiKey", presented(USER))
        with pytest.raises(NotFound):
            await holder.own(operation, holder.credentials[kind], keyId=other["keyId"], **asked)
        made = await holder.own("CreateApiKey", holder.credentials[kind])
        await holder.own(operation, holder.credentials[kind], keyId=made["keyId"], **asked)


@pytest.mark.parametrize("limits", [{"expiresIn": 60}, {"roles": ["admin"]}], ids=["ending", "restricted to admin"])
async def test_a_limited_key_that_holds_the_role_admin_is_an_administrator_and_no_super_user(
    holder: Holder, limits: dict[str, Any]
) -> None:
    await holder.harness.user("boss", "admin")
    holder.harness.configure(super_users=frozenset({"boss"}))
    by = KeyCredential(Secret((await holder.own("CreateApiKey", presented("boss"), **limits))["key"]))
    await holder.own("DescribeUserAccount", by, userName=USER)
    await holder.own("EndSessions", by, userName=USER)
    assert not await holder.sets_a_password("boss", by)
