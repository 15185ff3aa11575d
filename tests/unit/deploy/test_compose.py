"""The Compose file: only Kiteward is reachable, and secrets are files."""

import ast
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support import upstream
from tests.support.python_sources import syntax_tree
from tests.unit.deploy.test_chart import STOP_SECONDS

from kiteward import __version__
from kiteward.authn.password_policy import POLICIES
from kiteward.authz.privileges import PRIVILEGES
from kiteward.config.loading import load
from kiteward.domain.identity import Secret

DIRECTORY = Path(__file__).resolve().parents[3] / "deploy" / "compose"
COMPOSE = yaml.safe_load((DIRECTORY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"].startswith("kiteward:")}


def test_only_the_port_of_kiteward_is_published_and_on_loopback_unless_said_otherwise() -> None:
    published = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    assert published == {"kiteward": ["${KITEWARD_LISTEN:-127.0.0.1}:19530:19530"]}
    assert not any("network_mode" in each for each in SERVICES.values())


def test_what_is_behind_has_no_other_network_and_that_one_leads_nowhere() -> None:
    assert COMPOSE["networks"]["behind"] == {"internal": True}
    assert {name for name, each in SERVICES.items() if each["networks"] != ["behind"]} == {"kiteward"}


def test_every_secret_is_a_file_and_no_variable_is_one() -> None:
    assert all(list(secret) == ["file"] for secret in COMPOSE["secrets"].values())
    for each in SERVICES.values():
        for name, value in each.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|TOKEN", name):
                assert name.endswith("_FILE"), name
                assert value.removeprefix("/run/secrets/") in COMPOSE["secrets"]


def test_our_containers_are_read_only_and_without_capabilities() -> None:
    assert len(OURS) == 2
    for each in OURS.values():
        assert each["image"] == f"kiteward:{__version__}"
        assert each["read_only"] is True
        assert each["cap_drop"] == ["ALL"]
        assert each["security_opt"] == ["no-new-privileges:true"]
        assert each["tmpfs"]


def test_the_container_has_time_to_stop() -> None:
    assert int(SERVICES["kiteward"]["stop_grace_period"].removesuffix("s")) >= STOP_SECONDS


def test_the_configuration_is_one_of_kiteward(tmp_path: Path) -> None:
    text = (DIRECTORY / "milvus.yaml").read_text()
    named = set(re.findall(r"/run/secrets/(\w+)", text))
    assert named == {"kiteward_engine", "postgresql"}
    assert named < set(SERVICES["kiteward"]["secrets"])
    for name in named:
        (tmp_path / name).write_text("Service-account-1")
    (tmp_path / "milvus.yaml").write_text(text.replace("/run/secrets", str(tmp_path)))
    settings = load(tmp_path / "milvus.yaml", {})
    assert settings.engine is not None
    assert str(settings.engine.address) == "grpc://milvus:19530"


def test_secrets_are_made_once_private_and_fit_for_a_password(tmp_path: Path) -> None:
    script = shutil.copy(DIRECTORY / "make-secrets", tmp_path)

    def made() -> dict[str, str]:
        done = subprocess.run([script], capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
        found = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
        assert not any(each in done.stdout + done.stderr for each in found.values())
        return found

    first = made()
    assert set(first) == set(COMPOSE["secrets"])
    assert len(set(first.values())) == len(first)
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    for password in first.values():
        POLICIES["strict"].check(Secret(password), user_name="root")
    assert made() == first


@pytest.mark.parametrize("kind", ["Global", "Collection"])
def test_the_service_account_gets_the_least_privileges_with_which_all_tests_pass(kind: str) -> None:
    tree = syntax_tree((DIRECTORY / "service_account.py").read_text())
    text = next(
        ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NEEDED"
    )
    granted = eval(text, {})  # noqa: S307  a literal of our own, whose words are split
    needed = {name for name in upstream.NEEDED if str(PRIVILEGES[name].object_type) == kind}
    assert set(granted[kind]) == needed
