"""What the doctor finds about a remote engine, and that nothing is changed to find it."""

import base64

import pytest
from benchmarks.peers import free_port
from tests.support.fake_upstream import FakeMilvus, serving

from kiteward.authz.privileges import PRIVILEGES
from kiteward.bootstrap.engine_review import TRIALS, review_engine
from kiteward.bootstrap.review import Review
from kiteward.domain.identity import Secret
from kiteward.engine import remote
from kiteward.engine.upstream import Address, RemoteEngineSettings
from kiteward.gateway.operations import OPERATIONS
from kiteward.milvus import messages

NO_AUTHORIZATION = (
    "the remote engine accepts calls without a credential: everybody who reaches it may do everything; set "
    "common.security.authorizationEnabled there"
)
DEFAULT_PASSWORD = "the remote engine accepts root with the default password: change it there"


def encoded(token: str) -> str:
    return base64.b64encode(token.encode()).decode()


def account(address: Address, *, user: str = "kiteward", password: str = "Other-1") -> RemoteEngineSettings:
    return RemoteEngineSettings(address, user=user, password=Secret(password))


@pytest.fixture
def milvus() -> FakeMilvus:
    return FakeMilvus(accepted={encoded("kiteward:Other-1")})


async def test_engine_with_an_account_of_its_own_is_well(milvus: FakeMilvus) -> None:
    async with serving(milvus) as address:
        assert await review_engine(account(address)) == Review(notes=(f"the remote engine {address} is Milvus 2.6.17",))


async def test_engine_without_authorization_is_unsafe() -> None:
    async with serving(FakeMilvus()) as address:
        assert (await review_engine(account(address, user="", password=""))).unsafe == (NO_AUTHORIZATION,)


async def test_default_password_of_root_is_unsafe_whoever_the_service_account_is(milvus: FakeMilvus) -> None:
    milvus.accepted = {encoded("root:Milvus"), encoded("kiteward:Other-1")}
    async with serving(milvus) as address:
        assert (await review_engine(account(address))).unsafe == (DEFAULT_PASSWORD,)
        found = await review_engine(account(address, password="Wrong-1"))
        assert (found.faults, found.unsafe) == ((remote.ACCOUNT_REJECTED,), (DEFAULT_PASSWORD,))


async def test_root_as_the_service_account_is_unsafe(milvus: FakeMilvus) -> None:
    milvus.accepted = {encoded("root:Other-1")}
    async with serving(milvus) as address:
        (finding,) = (await review_engine(account(address, user="root"))).unsafe
    assert finding.startswith("kiteward.engine.user is root: give the service account a role")


async def test_password_that_crosses_the_network_without_tls_is_unsafe() -> None:
    found = await review_engine(account(Address("milvus.invalid")))
    assert found.faults == ("the engine cannot be reached: it has a host name that cannot be resolved",)
    assert "crosses the network without TLS; use grpcs://" in found.unsafe[0]


async def test_engine_that_is_not_there_is_a_fault() -> None:
    found = await review_engine(account(Address("127.0.0.1", free_port())))
    assert found == Review(faults=("the engine cannot be reached: it refuses connections",))


@pytest.mark.parametrize("privilege", TRIALS)
async def test_privilege_that_the_account_lacks_is_named(milvus: FakeMilvus, privilege: str) -> None:
    milvus.allowed = {"ListDatabases", "Connect", *(method for method, _ in TRIALS.values())} - {TRIALS[privilege][0]}
    async with serving(milvus) as address:
        found = await review_engine(account(address))
    assert found.faults == (f"the service account lacks in the remote engine: {privilege}",)


async def test_account_that_may_not_list_databases_is_told_all_that_it_lacks(milvus: FakeMilvus) -> None:
    milvus.allowed = {"Search", "Query"}
    async with serving(milvus) as address:
        (fault,) = (await review_engine(account(address))).faults
    lacking = sorted({*TRIALS, "ListDatabases"} - {"Search", "Query"})
    assert fault == f"the service account lacks in the remote engine: {', '.join(lacking)}"


@pytest.mark.parametrize("privilege", TRIALS)
def test_trial_is_a_request_that_needs_its_privilege_and_names_nothing_that_exists(privilege: str) -> None:
    assert privilege in PRIVILEGES
    method, fields = TRIALS[privilege]
    messages.method_of(method).request(**fields)
    assert OPERATIONS[method].by_engine
    assert all(value in ("kiteward_doctor", ("kiteward_doctor",), "-") for value in fields.values())
