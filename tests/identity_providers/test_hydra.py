"""Ory Hydra: services sign in in every SDK, and the scopes of their tokens are roles here."""

import pytest
from tests.identity_providers.sdks import PROGRAMS, Programs, demand_that_groups_decide, who
from tests.support import hydra
from tests.support.hydra import Hydra
from tests.support.oauth import claims
from tests.support.server import RunningServer


@pytest.mark.parametrize("language", PROGRAMS)
def test_service_signs_in_with_tokens_of_hydra(
    by_hydra: Hydra, server: RunningServer, programs: Programs, language: str
) -> None:
    with by_hydra.client() as service, by_hydra.client(scope="") as unscoped:
        member = service.by_own_secret(audience=hydra.AUDIENCE).access
        outsider = unscoped.by_own_secret(audience=hydra.AUDIENCE).access
        foreign = service.by_own_secret().access
    assert who(server, member)["userName"] == "hydra_indexer"
    assert claims(foreign)["aud"] == []  # although the client is registered with one: it has to ask for it
    demand_that_groups_decide(programs.of(language), member, outsider, foreign)
