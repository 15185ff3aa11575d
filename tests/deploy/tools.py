"""The programs that hold deploy/ against what reads it, made once: `python -m tests.deploy.tools` makes all of them.

Those in Go are built from modules whose digests are in `go/*/go.sum`; a linter and the schemas of Kubernetes are
packages of the environment `deploy`. The schemas of the Prometheus operator come from its resource definitions.
"""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import yaml
from tests.support import environments, toolchains

_GO: Final = Path(__file__).with_name("go")
_SMALL: Final = ("-trimpath",)
_CACHE: Final = Path(__file__).resolve().parents[2] / ".cache" / "deploy"
_OPERATOR: Final = "github.com/prometheus-operator/prometheus-operator"
OLDEST_KUBERNETES: Final = "1.30.0"
"""The oldest version that the chart accepts."""

NEWEST_KUBERNETES: Final = "1.37.0"
_DEFINED: Final = ("prometheusrules", "servicemonitors")


def helm() -> list[str]:
    """Return the command that runs Helm."""
    return _program("helm", "helm", "helm.sh/helm/v3/cmd/helm")


def kubeconform() -> list[str]:
    """Return the command that validates manifests of Kubernetes by their schemas."""
    return _program("kubeconform", "helm", "github.com/yannh/kubeconform/cmd/kubeconform")


def compose() -> list[str]:
    """Return the command that reads Compose files as Docker does."""
    return _program("compose", "helm", "github.com/compose-spec/compose-go/v2/cmd")


def promtool() -> list[str]:
    """Return the command that checks Prometheus' rules; it is built without service discovery of cloud providers."""
    return _program("promtool", "promtool", "github.com/prometheus/prometheus/cmd/promtool", "-tags=remove_all_sd")


def hadolint() -> list[str]:
    """Return the command of the linter of Dockerfiles."""
    return [str(environments.python("deploy").with_name("hadolint"))]


def kubernetes_schemas(version: str = NEWEST_KUBERNETES) -> Path:
    """Return the directory with the schemas of a version of Kubernetes; no object may have an unknown field."""
    (package,) = environments.python("deploy").parents[1].glob("lib/python*/site-packages/kubernetes_validate")
    made = _CACHE / f"kubernetes-{version}"
    if not made.exists():
        scratch = _CACHE / "kubernetes"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        for schema in package.joinpath("kubernetes-json-schema", f"v{version}-local-strict").glob("*.json"):
            # The package gives them an address on the web; here they refer to the file beside them.
            document = json.loads(schema.read_text().replace('"/api/_definitions.json#', '"_definitions.json#'))
            document.pop("$id", None)
            (scratch / schema.name).write_text(json.dumps(document))
        scratch.rename(made)
    return made


def operator_schemas() -> Path:
    """Return the directory with the schemas of ServiceMonitor and PrometheusRule."""
    modules = _GO / "definitions"
    version = modules.joinpath("go.mod").read_text().split()[-1]
    made = _CACHE / f"operator-{version}"
    if not made.exists():
        compiler = toolchains.installed("go", package="golang-go")
        scratch = _CACHE / "operator"
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(modules, scratch)
        environment = {"GOMODCACHE": str(scratch / "modules"), "GOFLAGS": "-modcacherw -mod=readonly"}
        printed = toolchains.run(
            [compiler, "mod", "download", "-json", _OPERATOR], cwd=scratch, environment=environment
        )
        definitions = Path(json.loads(printed)["Dir"]) / "example" / "prometheus-operator-crd"
        (scratch / "schemas").mkdir()
        for name in _DEFINED:
            definition = yaml.safe_load((definitions / f"monitoring.coreos.com_{name}.yaml").read_text())
            (version_of_it,) = definition["spec"]["versions"]
            kind = definition["spec"]["names"]["singular"]
            schema = _closed(version_of_it["schema"]["openAPIV3Schema"])
            (scratch / "schemas" / f"{kind}-monitoring-v1.json").write_text(json.dumps(schema))
        (scratch / "schemas").rename(made)
        shutil.rmtree(scratch)
    return made


def _closed(schema: Any) -> Any:
    """Return a schema in which no object may have a field that is not described."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(each) for name, each in schema.items()}
    return {"additionalProperties": False, **closed} if isinstance(closed.get("properties"), dict) else closed


def _program(name: str, modules: str, package: str, *flags: str) -> list[str]:
    return toolchains.go_program(name, _GO / modules, package, {}, flags=(*_SMALL, *flags), caches=_CACHE / "go")


if __name__ == "__main__":
    for make in (helm, kubeconform, compose, promtool, hadolint, kubernetes_schemas, operator_schemas):
        print("making", make.__name__, flush=True)
        make()
    shutil.rmtree(_CACHE / "go", ignore_errors=True)  # gigabytes, and of no use to the programs
