"""`python -m tests.identity_providers` fetches and builds the identity providers that tests start."""

from tests.support import dex, hydra, keycloak

for make in (dex.program, hydra.program, keycloak.distribution):
    print("making", make.__module__, flush=True)
    make()
