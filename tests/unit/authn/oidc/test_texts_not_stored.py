"""Tokens with texts that no database can hold: whoever signs in by one for the first time is refused by its claim."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.gateway import opened
from tests.support.issuer import Issuer
from tests.support.postgresql import Cluster
from tests.unit.authn.oidc.test_authentication import Federation
from tests.unit.authn.oidc.verifying import configured

from kiteward.authn.oidc.issuers import SignUp
from kiteward.config.settings import Settings
from kiteward.domain.error_codes import ErrorCode


@pytest.fixture(params=["sqlite", "postgresql"])
async def signing_up(
    request: pytest.FixtureRequest, idp: Issuer, store_path: Path, cluster: Cluster, migrated: str
) -> AsyncIterator[Federation]:
    """A gateway on each kind of store, which makes users of those who sign in."""
    issuer = configured(
        idp, sign_up=SignUp.CREATE, groups_claim="groups", roles_claim="roles", tag_claims={"team": "team"}
    )
    with cluster.database(options=migrated) as location:
        store = store_path if request.param == "sqlite" else location
        async with opened(store, settings=Settings(issuers=(issuer,))) as harness:
            yield Federation(harness, idp)


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "\udfff"], ids=ascii)
async def test_a_first_sign_in_with_such_a_text_is_refused_and_makes_nobody(signing_up: Federation, text: str) -> None:
    cases: dict[str, Any] = {
        "sub": text,
        "preferred_username": text,
        "groups": ["staff", text],
        "roles": [text],
        "team": text,
    }
    for name, value in cases.items():
        error = await signing_up.refusal(signing_up.token(**{name: value}))
        assert error.code in (ErrorCode.TOKEN_CLAIM_MISSING, ErrorCode.TOKEN_USER_NAME), name
        assert text not in str(error)
    assert await signing_up.harness.store.user_names() == ["root"]
    assert (await signing_up.principal(signing_up.token())).user_name == "idp_alice"
