"""Commands of these tests see no login and no server of the machine that runs them."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    for name in ("KITEWARD_SERVER", "KITEWARD_TOKEN_FILE", "KITEWARD_CA_FILE"):
        monkeypatch.delenv(name, raising=False)
