"""The tests of the store run on the driver of SQLite as the server has it."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def driver_of_sqlite() -> None:
    """The driver itself is what runs here."""
