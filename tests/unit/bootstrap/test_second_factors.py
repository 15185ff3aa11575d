"""The key of authenticator apps: made once beside a store in a file, and never where servers share one."""

import stat
from pathlib import Path

import pytest

from kiteward.api.console.settings import ConsoleSettings
from kiteward.authn.second_factor.factors import SecondFactors
from kiteward.authn.second_factor.sealing import FactorKey
from kiteward.bootstrap.second_factors import open_factors
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.sql import SqlStore

SHARED = PostgresqlSettings.parse("postgresql://kiteward@localhost/store")


async def opened(settings: Settings) -> SecondFactors:
    store = await SqlStore.open(settings.data_dir / "store.db")
    try:
        return open_factors(settings, store)
    finally:
        await store.close()


def key_of(factors: SecondFactors) -> FactorKey:
    key = factors._key
    assert key is not None
    return key


async def test_the_key_beside_a_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    sealed = key_of(await opened(settings)).seal(Secret("secret"), about="a")
    file = tmp_path / "factors.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text().strip()) == 64
    assert key_of(await opened(settings)).open(sealed, about="a") == Secret("secret")
    assert not (tmp_path / "factors.part").exists()


async def test_a_key_of_the_settings_takes_precedence_and_makes_no_file(tmp_path: Path) -> None:
    text = Secret("0123456789abcdef0123456789abcdef")
    factors = await opened(Settings(data_dir=tmp_path, console=ConsoleSettings(factor_key=text)))
    assert key_of(factors).open(FactorKey(text).seal(Secret("secret"), about="a"), about="a") == Secret("secret")
    assert not (tmp_path / "factors.key").exists()


async def test_servers_that_share_a_store_have_no_key_of_their_own(tmp_path: Path) -> None:
    assert not (await opened(Settings(data_dir=tmp_path, store=SHARED))).apps
    assert not (tmp_path / "factors.key").exists()


async def test_a_key_that_is_empty_or_cannot_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "factors.key").write_text("\n")
    with pytest.raises(ConfigurationError, match="is empty"):
        await opened(Settings(data_dir=tmp_path))
    (tmp_path / "factors.key").unlink()
    (tmp_path / "factors.key").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be used"):
        await opened(Settings(data_dir=tmp_path))
