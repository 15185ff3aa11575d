"""A data directory for each test, which is made once for all of them: its store takes a while."""

import shutil
from pathlib import Path

import pytest
from tests.unit.bootstrap.backup.directories import make_directory

from kiteward.config.settings import Settings


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that stays as it is."""
    directory = tmp_path_factory.mktemp("template") / "data"
    make_directory(directory, users={"root": "x", "emma": "y"})
    return directory


@pytest.fixture
def settings(tmp_path: Path, template: Path) -> Settings:
    """The settings of a data directory that is the test's own, with the users `root` and `emma`."""
    shutil.copytree(template, tmp_path / "data")
    return Settings(data_dir=tmp_path / "data")
