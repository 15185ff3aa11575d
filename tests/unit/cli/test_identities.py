"""The command line of identity providers, their users and the roles of their groups, on the store itself."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kiteward.cli.main import main

IDP = "https://idp.example"

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in a data directory with an identity provider, and return what it prints."""
    file = tmp_path / "milvus.yaml"
    entry = {"issuer": IDP, "audience": "kiteward", "userPrefix": "idp_", "groupsClaim": "g", "groupRoles": {"a": "r"}}
    file.write_text(json.dumps({"kiteward": {"oidc": [entry]}}))

    def command(*words: str, status: int = 0) -> str:
        found = main([*words, "--data-dir", str(tmp_path / "data"), "--config", str(file)])
        captured = capsys.readouterr()
        assert found == status, captured.err
        return captured.out or captured.err

    command("init", "--admin", "db_admin")
    return command


def test_a_user_is_invited_listed_cut_off_and_unbound(run: Run) -> None:
    run("identities", "invite", IDP, "idp_alice", "--role", "public", "--subject", "sub-1", "--description", "A")
    (listed,) = json.loads(run("identities", "list", "--json"))
    assert (listed["userName"], listed["issuer"], listed["subject"]) == ("idp_alice", IDP, "sub-1")
    assert "idp_alice" in run("identities", "list", "--issuer", IDP)
    run("identities", "cut-off", "--user", "idp_alice", "--not-before", "2026-01-02T03:04:05Z")
    (listed,) = json.loads(run("identities", "list", "--json"))
    assert listed["notBefore"] == "2026-01-02T03:04:05Z"
    assert "not before: 20" in run("identities", "cut-off", "--issuer", IDP)
    run("identities", "unbind", "idp_alice")
    (listed,) = json.loads(run("identities", "list", "--json"))
    assert (listed["subject"], listed["notBefore"] > "2026-02") == (None, True)


def test_the_configured_identity_providers_are_listed_with_their_cut_offs_and_without_secrets(
    run: Run, tmp_path: Path
) -> None:
    secret = "a secret of the client"
    file = tmp_path / "milvus.yaml"
    entry = {"issuer": IDP, "audience": "kiteward", "userPrefix": "idp_", "clientId": "web", "clientSecret": secret}
    other = {"issuer": "https://other.example", "audience": "other", "userPrefix": "other_"}
    file.write_text(json.dumps({"kiteward": {"oidc": [entry, other]}}))
    run("identities", "cut-off", "--issuer", IDP, "--not-before", "2026-01-02T03:04:05Z")
    printed = run("issuers", "list", "--json")
    assert [(each["issuer"], each["clientId"], each["notBefore"]) for each in json.loads(printed)] == [
        (IDP, "web", "2026-01-02T03:04:05Z"),
        ("https://other.example", None, None),
    ]
    table = run("issuers", "list")
    assert [line.split()[0] for line in table.splitlines()] == ["issuer", IDP, "https://other.example"]
    assert secret not in printed + table


def test_without_identity_providers_none_are_listed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "milvus.yaml").write_text("{}")
    assert run("issuers", "list").strip() == "none"


def test_roles_of_groups_are_granted_listed_and_revoked(run: Run) -> None:
    run("group-roles", "grant", IDP, "searchers", "public")
    run("group-roles", "grant", IDP, "team-*", "admin", "--pattern")
    run("group-roles", "grant", "scim", "searchers", "public")
    listed = json.loads(run("group-roles", "list", "--json"))
    assert [
        (each["issuer"], each["group"], each["pattern"], each["roleName"], each["configured"]) for each in listed
    ] == [
        (IDP, "a", False, "r", True),
        (IDP, "searchers", False, "public", False),
        (IDP, "team-*", True, "admin", False),
        ("scim", "searchers", False, "public", False),
    ]
    run("group-roles", "revoke", IDP, "team-*", "admin", "--pattern")
    assert "team" not in run("group-roles", "list", "--issuer", IDP)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("identities", "invite", "https://other.example", "idp_a"), "no such identity provider in kiteward.oidc"),
        (("identities", "invite", IDP, "alice"), "needs a name that begins with idp_"),
        (("identities", "invite", IDP, "idp_"), "needs a name that begins with idp_"),
        (("identities", "invite", IDP, "idp_a b"), "invalid user name"),
        (("identities", "unbind", "db_admin"), "does not sign in by an identity provider"),
        (("identities", "unbind", "nobody"), "user not found"),
        (("identities", "cut-off", "--user", "db_admin"), "does not sign in by an identity provider"),
        (("identities", "cut-off", "--issuer", "https://other.example"), "no such identity provider"),
        (
            ("identities", "cut-off", "--issuer", IDP, "--not-before", "2999-01-01T00:00:00Z"),
            "must not be in the future",
        ),
        (("group-roles", "grant", "https://other.example", "a", "public"), "no such identity provider"),
        (("group-roles", "grant", IDP, "a", "nobody"), "role not found"),
        (("group-roles", "grant", IDP, "a", "public", "--pattern"), "a pattern needs a `*` in it"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(run: Run, words: tuple[str, ...], told: str) -> None:
    assert told in run(*words, status=1)


def test_a_subject_and_a_name_belong_to_one_user(run: Run) -> None:
    run("identities", "invite", IDP, "idp_alice", "--subject", "sub-1")
    assert "the subject already signs in another user: idp_alice" in run(
        "identities", "invite", IDP, "idp_bob", "--subject", "sub-1", status=1
    )
    assert "user already exists" in run("identities", "invite", IDP, "idp_alice", status=1)
    assert "has no password" in run("users", "reset-password", "idp_alice", status=1)


def test_a_cut_off_of_nobody_is_wrong_usage(run: Run) -> None:
    assert "give --user NAME or --issuer URL" in run("identities", "cut-off", status=2)
