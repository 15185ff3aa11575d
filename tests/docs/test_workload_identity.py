"""Tokens of workloads, by the settings in docs/workload-identity.md, unchanged.

The tokens have the claims that Kubernetes, GitHub and GitLab document; a small issuer signs them.
"""

import json
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.docs import snippets
from tests.support.federation import federate, publish
from tests.support.gateway import GatewayHarness, opened, quick_directory
from tests.support.issuer import Issuer
from tests.unit.iam.json_api.conftest import Own

from kiteward.authn.oidc.key_sets import REFRESH, WINDOW, KeySet
from kiteward.config.loading import settings_from
from kiteward.domain.errors import KeyRejected
from kiteward.domain.identity import Secret, TokenCredential
from kiteward.iam.settings import ExchangeRules
from kiteward.iam.token_exchange import TokenType

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "workload-identity.md"
BLOCKS: Final = [yaml.safe_load(each.text) for each in snippets.of(DOCUMENT, "yaml")]
SETTINGS: Final = [each for each in BLOCKS if "kiteward" in each]
KUBERNETES, GITHUB, GITLAB, ACTING = SETTINGS
POD, JOB = (each for each in BLOCKS if "kiteward" not in each)
(CLAIMS,) = (json.loads(each.text) for each in snippets.of(DOCUMENT, "json"))

GITHUB_CLAIMS: Final = {
    "iss": "https://token.actions.githubusercontent.com",
    "aud": "kiteward",
    "sub": "repo:octo-org/app:environment:production",
    "ref": "refs/heads/main",
    "sha": "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "repository": "octo-org/app",
    "repository_id": "74",
    "repository_owner": "octo-org",
    "repository_owner_id": "65",
    "repository_visibility": "private",
    "actor": "octocat",
    "actor_id": "12",
    "environment": "production",
    "event_name": "push",
    "ref_type": "branch",
    "runner_environment": "github-hosted",
    "job_workflow_ref": "octo-org/app/.github/workflows/index.yml@refs/heads/main",
    "jti": "example-id",
}
"""As of "OpenID Connect reference" in the documentation of GitHub Actions."""

GITLAB_CLAIMS: Final = {
    "iss": "https://gitlab.example",
    "aud": "kiteward",
    "sub": "project_path:group/app:ref_type:branch:ref:main",
    "namespace_id": "72",
    "namespace_path": "group",
    "project_id": "20",
    "project_path": "group/app",
    "user_login": "sample-user",
    "pipeline_source": "push",
    "ref": "main",
    "ref_type": "branch",
    "ref_protected": "true",
    "runner_environment": "gitlab-hosted",
    "jti": "3db1f8ba-a1a5-4b8b-bd85-7a2d3a3a2d0a",
}
"""As of "OpenID Connect (OIDC) authentication using ID tokens" in the documentation of GitLab."""


class Platform:
    """A gateway with the settings of the document, whose issuers are played by small ones with keys in files."""

    def __init__(self, harness: GatewayHarness, folder: Path) -> None:
        self.own = Own(harness)
        self.harness = harness
        self.folder = folder
        self.issuers: dict[str, Issuer] = {}
        self.key_sets: Sequence[KeySet] = ()

    async def configure(self, document: dict[str, Any], **changed: Any) -> None:
        """Accept the tokens of the issuers of a block of the document.

        Args:
            document: the block.
            changed: keys of its first issuer that a test sets otherwise.
        """
        entries = []
        for number, entry in enumerate(document["kiteward"]["oidc"]):
            issuer = self.issuers.setdefault(entry["issuer"], Issuer(entry["issuer"]))
            file = self.folder / f"{number}.json"
            publish(issuer, file)
            entries.append({**entry, "jwksFile": str(file), **({} if number else changed)})
        _, self.key_sets = await federate(self.harness, entries, **document.get("proxy", {}))

    def token(self, claims: dict[str, Any], **changed: Any) -> str:
        """Return a token with claims, some of them changed or, where None, left out."""
        merged = {**claims, **changed}
        return self.issuers[merged["iss"]].token(merged.pop("sub"), **merged)

    async def user(self, token: str) -> str:
        me = await self.own("WhoAmI", by=TokenCredential(Secret(token)))
        return str(me["userName"])

    async def refused(self, token: str, told: str) -> None:
        with pytest.raises(KeyRejected, match=told):
            await self.user(token)


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    with quick_directory() as directory:
        async with opened(directory / "store.db") as harness:
            yield Platform(harness, Path(directory))


@pytest.mark.parametrize("document", SETTINGS, ids=["kubernetes", "github", "gitlab", "acting"])
def test_settings_of_the_document_are_accepted_as_they_stand(document: dict[str, Any]) -> None:
    settings = settings_from(document)
    assert [each.name for each in settings.issuers] == [each["issuer"] for each in document["kiteward"]["oidc"]]


def test_the_pod_and_the_job_ask_for_the_audience_that_is_configured() -> None:
    (source,) = POD["spec"]["volumes"][0]["projected"]["sources"]
    (asked,) = JOB["index"]["id_tokens"].values()
    audiences = {issuer["audience"] for document in SETTINGS for issuer in document["kiteward"]["oidc"]}
    assert {source["serviceAccountToken"]["audience"], asked["aud"]} == audiences == {"kiteward"}


async def test_a_service_account_is_a_user_of_its_namespace_and_name(platform: Platform) -> None:
    await platform.configure(KUBERNETES)
    assert await platform.user(platform.token(CLAIMS)) == "k8s_search_indexer"
    long = "a" * 63
    other = {"namespace": "ingest", "serviceaccount": {"name": long, "uid": "u"}}
    token = platform.token(CLAIMS, sub=f"system:serviceaccount:ingest:{long}", **{"kubernetes.io": other})
    assert await platform.user(token) == f"k8s_ingest_{long}"


async def test_every_pod_of_a_service_account_is_the_same_user(platform: Platform) -> None:
    await platform.configure(KUBERNETES)
    for name in ("indexer-7d9c", "indexer-b41f"):
        bound = {**CLAIMS["kubernetes.io"], "pod": {"name": name, "uid": name}, "warnafter": 1}
        assert await platform.user(platform.token(CLAIMS, **{"kubernetes.io": bound})) == "k8s_search_indexer"


async def test_a_token_of_another_namespace_or_audience_is_refused(platform: Platform) -> None:
    await platform.configure(KUBERNETES)
    other = {**CLAIMS["kubernetes.io"], "namespace": "default"}
    await platform.refused(platform.token(CLAIMS, **{"kubernetes.io": other}), "none of the required values")
    await platform.refused(platform.token(CLAIMS, aud=["https://kubernetes.default.svc"]), "for somebody else")
    await platform.refused(platform.token(CLAIMS, **{"kubernetes.io": None}), "kubernetes.io/namespace")


async def test_an_account_that_was_made_anew_is_told_apart_by_its_uid_where_that_is_required(
    platform: Platform,
) -> None:
    account = "kubernetes.io/serviceaccount/uid"
    await platform.configure(KUBERNETES, requiredClaims={account: [CLAIMS["kubernetes.io"]["serviceaccount"]["uid"]]})
    assert await platform.user(platform.token(CLAIMS)) == "k8s_search_indexer"
    anew = {**CLAIMS["kubernetes.io"], "serviceaccount": {"name": "indexer", "uid": "another"}}
    await platform.refused(platform.token(CLAIMS, **{"kubernetes.io": anew}), "none of the required values")


async def test_namespaces_give_roles(platform: Platform) -> None:
    await platform.harness.role("viewer")
    groups = {"groupsClaim": "kubernetes.io/namespace", "groupRoles": {"search": ["viewer"]}}
    await platform.configure(KUBERNETES, **groups)
    me = await platform.own("WhoAmI", by=TokenCredential(Secret(platform.token(CLAIMS))))
    assert me["roles"] == ["viewer"]


async def test_another_subject_does_not_become_a_user_that_is_taken(platform: Platform) -> None:
    await platform.configure(KUBERNETES)
    await platform.user(platform.token(CLAIMS))
    await platform.refused(platform.token(CLAIMS, sub="system:serviceaccount:search:other"), "belongs to somebody else")


async def test_keys_in_a_file_are_rotated_without_a_valid_token_refused(platform: Platform) -> None:
    await platform.configure(KUBERNETES)
    issuer, file = platform.issuers[CLAIMS["iss"]], platform.folder / "0.json"
    before = platform.token(CLAIMS)
    await platform.user(before)
    issuer.rotate()
    publish(issuer, file)
    after = platform.token(CLAIMS)
    assert await platform.user(after) == await platform.user(before) == "k8s_search_indexer"
    (key_set,) = platform.key_sets
    assert key_set.fetches == 2, "the new key was read when a token named it"


async def test_a_key_that_is_gone_from_the_file_is_refused_after_the_next_reading(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    await platform.configure(KUBERNETES)
    issuer, file = platform.issuers[CLAIMS["iss"]], platform.folder / "0.json"
    before = platform.token(CLAIMS)
    await platform.user(before)
    issuer.rotate(keep=0)
    publish(issuer, file)
    (key_set,) = platform.key_sets
    later = key_set._clock() + max(REFRESH, WINDOW) + 1  # a test does not wait for it
    monkeypatch.setattr(key_set, "_clock", lambda: later)
    await key_set.refresh()
    await platform.refused(before, "does not publish")
    assert await platform.user(platform.token(CLAIMS)) == "k8s_search_indexer"


async def test_a_file_that_is_broken_for_a_while_refuses_nobody_who_was_accepted(platform: Platform) -> None:
    await platform.configure(KUBERNETES)
    token = platform.token(CLAIMS)
    await platform.user(token)
    (platform.folder / "0.json").write_text("{", encoding="utf-8")
    (key_set,) = platform.key_sets
    await key_set._fetched()  # as the next refresh does
    platform.harness.authenticator.forget_all()
    assert await platform.user(token) == "k8s_search_indexer"


async def test_tokens_of_a_workload_are_cut_off(platform: Platform) -> None:
    await platform.configure(KUBERNETES)
    token = platform.token(CLAIMS, iat=1_000_000_000)
    user = await platform.user(token)
    await platform.own("CutOffTokens", userName=user)
    await platform.refused(token, "issued")


async def test_a_job_of_github_is_a_user_of_its_repository_and_environment(platform: Platform) -> None:
    await platform.configure(GITHUB)
    assert await platform.user(platform.token(GITHUB_CLAIMS)) == "gh_74_production"
    again = platform.token(GITHUB_CLAIMS, sha="f" * 40, actor="hubot", actor_id="13")
    assert await platform.user(again) == "gh_74_production"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"repository_owner_id": "66", "repository_owner": "evil-org"}, "none of the required values"),
        ({"environment": "staging"}, "none of the required values"),
        ({"environment": None, "sub": "repo:octo-org/app:pull_request"}, "environment"),
        ({"sub": "repo:octo-org/app:ref:refs/heads/main"}, "belongs to somebody else"),
        ({"aud": "https://github.com/octo-org"}, "for somebody else"),
    ],
)
async def test_a_job_that_is_not_meant_is_refused(platform: Platform, changed: dict[str, Any], told: str) -> None:
    await platform.configure(GITHUB)
    await platform.user(platform.token(GITHUB_CLAIMS))
    await platform.refused(platform.token(GITHUB_CLAIMS, **changed), told)


async def test_a_job_of_gitlab_is_a_user_of_its_project(platform: Platform) -> None:
    await platform.configure(GITLAB)
    assert await platform.user(platform.token(GITLAB_CLAIMS)) == "gitlab_20"
    for changed in ({"ref": "feature"}, {"ref_protected": "false"}, {"namespace_id": "73"}, {"ref_type": "tag"}):
        await platform.refused(platform.token(GITLAB_CLAIMS, **changed), "none of the required values")


async def test_a_project_that_was_renamed_is_unbound_and_becomes_its_user_again(platform: Platform) -> None:
    await platform.configure(GITLAB)
    await platform.user(platform.token(GITLAB_CLAIMS))
    renamed = platform.token(GITLAB_CLAIMS, sub="project_path:group/new:ref_type:branch:ref:main")
    await platform.refused(renamed, "belongs to somebody else")
    await platform.own("UnbindIdentity", userName="gitlab_20")
    await platform.refused(renamed, "issued before")
    later = {"sub": "project_path:group/new:ref_type:branch:ref:main", "iat": int(time.time()) + 1}
    assert await platform.user(platform.token(GITLAB_CLAIMS, **later)) == "gitlab_20"


async def test_a_workload_is_invited_by_its_name_where_nobody_becomes_a_user_otherwise(platform: Platform) -> None:
    await platform.configure(KUBERNETES, signUp="invited")
    await platform.refused(platform.token(CLAIMS), "nobody has invited")
    await platform.own("InviteUser", issuer=CLAIMS["iss"], userName="k8s_search_indexer")
    assert await platform.user(platform.token(CLAIMS)) == "k8s_search_indexer"


async def test_a_pod_acts_for_a_user_with_both_tokens(platform: Platform) -> None:
    await platform.configure(ACTING)
    rules = settings_from(ACTING).exchange_rules
    assert rules == ExchangeRules({"k8s_search_api": frozenset({"viewer"})})
    platform.harness.configure(exchange_rules=rules)
    await platform.harness.role("viewer")
    await platform.harness.role("exchangers", ("ExchangeToken", "*", "*"))
    await platform.own("InviteUser", issuer=CLAIMS["iss"], userName="k8s_search_api", roles=["exchangers"])
    account = {**CLAIMS["kubernetes.io"], "serviceaccount": {"name": "api", "uid": "u"}}
    pod = platform.token(CLAIMS, sub="system:serviceaccount:search:api", **{"kubernetes.io": account})
    person = platform.issuers["https://idp.example"].token("p-1", preferred_username="ann", groups=["searchers"])
    made = await platform.own(
        "ExchangeToken",
        by=TokenCredential(Secret(pod)),
        subjectToken=person,
        subjectTokenType=TokenType.ACCESS_TOKEN.value,
    )
    me = await platform.own("WhoAmI", by=made["key"])
    assert (me["userName"], me["actor"], me["roles"]) == ("idp_ann", "k8s_search_api", ["viewer"])
