import logging
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import postgresql
from tests.support.postgresql import Cluster

from kiteward.bootstrap.store import await_store, store_location
from kiteward.config.settings import Settings
from kiteward.domain.errors import StoreUnavailable, StoreUnreachable
from kiteward.domain.identity import Secret
from kiteward.store.connections import unobserved


def test_store_is_a_file_in_the_data_directory_unless_the_settings_name_a_database(cluster: Cluster) -> None:
    database = cluster.settings("store")
    assert store_location(Settings(data_dir=Path("/srv/kiteward"))) == Path("/srv/kiteward/store.db")
    assert store_location(Settings(data_dir=Path("/srv/kiteward"), store=database)) == database


async def test_database_that_stays_away_ends_the_start(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    absent = replace(cluster.settings("store"), hosts=(("127.0.0.1", postgresql.free_port()),))
    with caplog.at_level(logging.WARNING), pytest.raises(StoreUnreachable, match="cannot be reached"):
        await await_store(Settings(store=absent), observer=unobserved, patience=0.6)
    assert [record.message.count("waiting for it") for record in caplog.records] == [1]


async def test_what_waiting_does_not_help_ends_the_start_at_once(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        cluster.database() as database,
        caplog.at_level(logging.WARNING),
        pytest.raises(StoreUnavailable, match="rejects the user or the password"),
    ):
        await await_store(Settings(store=replace(database, password=Secret("hunter2"))), observer=unobserved)
    assert not caplog.records
