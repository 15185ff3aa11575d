"""An identity provider that runs while a test module does."""

from collections.abc import Iterator

import pytest
from tests.support.issuer import Issuer, running_issuer


@pytest.fixture
def idp() -> Iterator[Issuer]:
    """Return an identity provider on loopback."""
    with running_issuer() as issuer:
        yield issuer
