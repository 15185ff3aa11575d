"""The Dockerfile: what reaches the builder, and what the image says of itself."""

from pathlib import Path

from tests.deploy import dockerfile

from kiteward.config.loading import load

SOURCE = Path(__file__).resolve().parents[3]
STAGES = dockerfile.stages((SOURCE / "deploy" / "image" / "Dockerfile").read_text())


def test_only_what_the_image_is_made_from_reaches_the_builder() -> None:
    files = dockerfile.context(SOURCE)
    assert {name.split("/")[0] for name in files} == {
        "LICENSE",
        "README.md",
        "deploy",
        "pyproject.toml",
        "requirements",
        "src",
    }
    assert {name for name in files if not name.startswith("src/")} == {
        "LICENSE",
        "README.md",
        "deploy/image/milvus.yaml",
        "pyproject.toml",
        "requirements/build.lock",
        "requirements/run.lock",
    }
    assert not any("__pycache__" in name for name in files)


def test_everything_that_is_installed_is_locked_by_digest() -> None:
    steps = [each.text for stage in STAGES for each in stage.instructions if each.name == "RUN"]
    installs = [part for step in steps for part in step.split("&&") if "-m pip" in part and " install " in part]
    assert len(installs) == 3
    assert all("--require-hashes" in part or "--no-index" in part for part in installs)


def test_the_image_has_a_user_without_rights_and_a_probe_of_its_own() -> None:
    final = STAGES[-1]
    assert final.last("USER") == ["65532:65532"]
    assert final.last("VOLUME") == ["/var/lib/kiteward", "/tmp"]  # noqa: S108  a volume of the image
    assert final.last("HEALTHCHECK")[-2:] == ['["kiteward",', '"health"]']
    assert final.last("STOPSIGNAL") == ["SIGTERM"]
    assert final.last("ENTRYPOINT") + final.last("CMD") == [
        "kiteward",
        "serve",
        "--config",
        "/etc/kiteward/milvus.yaml",
    ]


def test_no_variable_of_the_image_overrides_a_configuration_that_is_mounted() -> None:
    assert not any(name.startswith("KITEWARD_") for name in dockerfile.environment(STAGES[-1]))


def test_the_configuration_in_the_image_keeps_data_in_the_volume() -> None:
    settings = load(SOURCE / "deploy" / "image" / "milvus.yaml", {})
    assert (settings.host, str(settings.data_dir)) == ("0.0.0.0", "/var/lib/kiteward/data")
    assert settings.metrics.host == "127.0.0.1"
