"""Ory Hydra: services sign in in every SDK, and the scopes of their tokens are roles here."""

import pytest
from tests.identity_providers.sdks import PROGRAMS, sign_in_everywhere, who
from tests.identity_providers.worlds import World
from tests.support import hydra
from tests.support.hydra import Hydra
from tests.support.oauth import claims


@pytest.mark.parametrize("language", PROGRAMS)
def test_service_signs_in_with_tokens_of_hydra(by_hydra: World[Hydra], language: str) -> None:
    with by_hydra.provider.client() as service, by_hydra.provider.client(scope="") as unscoped:
        member = service.by_own_secret(audience=hydra.AUDIENCE).access
        outsider = unscoped.by_own_secret(audience=hydra.AUDIENCE).access
        foreign = service.by_own_secret().access
    assert who(by_hydra.server, member)["userName"] == "idp_indexer"
    assert claims(foreign)["aud"] == []  # although the client is registered with one: it has to ask for it
    sign_in_everywhere(language, by_hydra.server, member, outsider, foreign)
