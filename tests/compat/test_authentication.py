"""Authentication, with the codes and messages of contract 1.4, by raw calls and by clients of their own."""

import grpc
import pytest
from pymilvus import MilvusClient, MilvusException
from tests.compat import accounts
from tests.support import raw_grpc
from tests.support.server import ROOT_TOKEN, RunningServer

ENGINES = ("embedded",)  # no engine takes part
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
PASSWORD_REFUSED = "auth check failure, please check username and password are correct"
KEY_REFUSED = "auth check failure, please check api key is correct"
REFUSED_TOKENS = {
    "wrong password": ("guessed:milvus", PASSWORD_REFUSED),
    "unknown user": ("nobody:Milvus", PASSWORD_REFUSED),
    "empty password": ("guessed:", PASSWORD_REFUSED),
    "empty user": (":Milvus", PASSWORD_REFUSED),
    "password with more behind it": ("guessed:Password-1:", PASSWORD_REFUSED),
    "user in another case": ("Guessed:Password-1", PASSWORD_REFUSED),
    "user with a space": (" guessed:Password-1", PASSWORD_REFUSED),
    "key": ("an-api-key", KEY_REFUSED),
    "empty value": ("", KEY_REFUSED),
}


@pytest.fixture(autouse=True)
def guessed_is_there(root: MilvusClient) -> None:
    """Create a user for guesses: wrong passwords of `root` would make new connections of `root` wait."""
    if "guessed" not in root.list_users():
        root.create_user("guessed", "Password-1")


METHODS = ("Connect", "CheckHealth", "Search", "CreateCredential")


@pytest.mark.parametrize(("token", "text"), REFUSED_TOKENS.values(), ids=REFUSED_TOKENS)
@pytest.mark.parametrize("method", METHODS)
def test_wrong_credential_is_refused_at_once_whatever_is_asked(
    server: RunningServer, method: str, token: str, text: str
) -> None:
    assert raw_grpc.refusal(server.uri, method, header=raw_grpc.authorization(token)) == (UNAUTHENTICATED, text)


@pytest.mark.parametrize("method", METHODS)
def test_missing_credential_is_refused_with_its_own_words(server: RunningServer, method: str) -> None:
    assert raw_grpc.refusal(server.uri, method, header=None) == (UNAUTHENTICATED, "missing authorization in header")


@pytest.mark.parametrize("header", ["root:Milvus", "Bearer cm9vdDpNaWx2dXM=", "cm9vdDpNaWx2dXM", "%%%%", "-_-_"])
def test_header_that_is_not_standard_base64_is_refused(server: RunningServer, header: str) -> None:
    assert raw_grpc.refusal(server.uri, "GetVersion", header=header) == (UNAUTHENTICATED, "invalid token format")


def test_right_credential_gets_in(server: RunningServer) -> None:
    answer = raw_grpc.call(server.uri, "Connect", header=raw_grpc.authorization(ROOT_TOKEN))
    assert answer.status.code == 0
    assert answer.identifier != 0
    assert answer.server_info.build_tags
    assert raw_grpc.call(server.uri, "CheckHealth", header=raw_grpc.authorization(ROOT_TOKEN)).isHealthy


def test_connecting_to_a_database_that_is_not_there_names_it(server: RunningServer) -> None:
    answer = raw_grpc.call(server.uri, "Connect", header=raw_grpc.authorization(ROOT_TOKEN), database="nowhere")
    assert (answer.status.code, answer.status.error_code) == (800, 1)
    assert answer.status.reason == "database not found[database=nowhere]"
    assert answer.identifier == 0


def test_unknown_method_is_not_implemented_rather_than_forbidden(server: RunningServer) -> None:
    channel = grpc.insecure_channel(server.uri.removeprefix("http://"))
    with channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/milvus.proto.milvus.MilvusService/Nothing")(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.details() == "unknown method Nothing for service milvus.proto.milvus.MilvusService"


@pytest.mark.parametrize("options", [{"token": "root:wrong"}, {"user": "root", "password": "wrong"}, {}])
def test_client_with_a_wrong_credential_shows_the_sentence_and_does_not_keep_trying(
    server: RunningServer, options: dict[str, str]
) -> None:
    text = PASSWORD_REFUSED if options else "missing authorization in header"
    with pytest.raises(MilvusException) as caught:
        MilvusClient(uri=server.uri, dedicated=True, timeout=5, **options)
    assert (caught.value.code, caught.value.message) == (1400, text)


@pytest.mark.parametrize(
    "options", [{"token": ROOT_TOKEN}, {"user": "root", "password": "Milvus"}], ids=["token", "user and password"]
)
def test_client_may_present_a_token_or_user_and_password(server: RunningServer, options: dict[str, str]) -> None:
    client = MilvusClient(uri=server.uri, dedicated=True, **options)
    assert "root" in client.list_users()
    client.close()


def test_client_may_carry_its_credential_in_the_address(server: RunningServer) -> None:
    client = MilvusClient(uri=f"http://root:Milvus@127.0.0.1:{server.port}", dedicated=True)
    assert "root" in client.list_users()
    client.close()


def test_password_may_hold_colons_and_letters_of_any_script(server: RunningServer, root: MilvusClient) -> None:
    password = "Пароль:日本-1 ü"
    root.create_user("polyglot", password)
    assert raw_grpc.accepts(server.uri, f"polyglot:{password}")
    assert not raw_grpc.accepts(server.uri, "polyglot:Пароль")


def test_every_character_of_a_long_password_counts(server: RunningServer, root: MilvusClient) -> None:
    stem = "Ab1-" + "я" * 59
    root.create_user("long_password", f"{stem}x")
    assert raw_grpc.accepts(server.uri, f"long_password:{stem}x")
    assert not raw_grpc.accepts(server.uri, f"long_password:{stem}y")


def test_deleted_user_is_out_with_the_next_call_of_an_open_client(server: RunningServer, root: MilvusClient) -> None:
    accounts.add(root, "leaver")
    with accounts.signed_in(server.uri, "leaver") as leaver:
        assert leaver.describe_user("leaver")["user_name"] == "leaver"
        root.drop_user("leaver")
        with pytest.raises(grpc.RpcError) as caught:
            leaver.describe_user("leaver")
    assert (caught.value.code(), caught.value.details()) == (UNAUTHENTICATED, PASSWORD_REFUSED)
