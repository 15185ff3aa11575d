"""The Helm chart: what it makes of several sets of values is valid, safe, and a configuration that the server reads."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.deploy import tools
from tests.deploy.chart_schema import CHART
from tests.deploy.tools import NEWEST_KUBERNETES, OLDEST_KUBERNETES
from tests.support import toolchains

from kiteward.config.loading import load

pytestmark = pytest.mark.timeout(1800)

SETS = sorted((CHART / "ci").glob("*-values.yaml"))
POD_LABELS = {
    "app.kubernetes.io/name": "kiteward",
    "app.kubernetes.io/instance": "kiteward",
    "app.kubernetes.io/component": "server",
}


def template(
    values: Path | None, *options: str, version: str = NEWEST_KUBERNETES
) -> "subprocess.CompletedProcess[str]":
    files = [] if values is None else [f"--values={values}"]
    command = [*tools.helm(), "template", "kiteward", str(CHART), "--namespace=search", f"--kube-version={version}"]
    return subprocess.run([*command, *files, *options], capture_output=True, text=True, timeout=120, check=False)


def named(name: str) -> Path:
    return CHART / "ci" / f"{name}-values.yaml"


def rendered(values: Path, *options: str) -> list[dict[str, Any]]:
    done = template(values, *options)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def of_kind(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in documents if each["kind"] == kind]


def pods(documents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the specification of each pod."""
    for each in documents:
        if each["kind"] in {"StatefulSet", "Pod"}:
            yield each["spec"]["template"]["spec"] if "template" in each["spec"] else each["spec"]


def validation(version: str) -> list[str]:
    """Return the command that validates manifests, to be followed by their file."""
    directories = (tools.kubernetes_schemas(version), tools.operator_schemas())
    schemas = [f"-schema-location={each}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json" for each in directories]
    return [*tools.kubeconform(), "-strict", "-summary", *schemas]


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_the_linter_of_helm_finds_nothing(values: Path) -> None:
    toolchains.run([*tools.helm(), "lint", "--strict", str(CHART), f"--values={values}"], cwd=CHART)


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, NEWEST_KUBERNETES])
@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_every_manifest_is_valid_in_the_oldest_and_the_newest_kubernetes(
    values: Path, version: str, tmp_path: Path
) -> None:
    manifests = tmp_path / "manifests.yaml"
    manifests.write_text(template(values, version=version).stdout)
    printed = toolchains.run([*validation(version), str(manifests)], cwd=tmp_path)
    made = len([each for each in yaml.safe_load_all(manifests.read_text()) if each])
    assert f"Valid: {made}, Invalid: 0, Errors: 0, Skipped: 0" in printed


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("jobLabel:", "jobLabels:"), ("serviceName:", "servicesName:"), ("podSelector:", "podsSelector:")],
)
def test_the_validation_sees_what_is_wrong(field: str, wrong: str, tmp_path: Path) -> None:
    manifests = tmp_path / "manifests.yaml"
    text = template(named("cluster")).stdout
    assert field in text
    manifests.write_text(text.replace(field, wrong))
    command = [*validation(NEWEST_KUBERNETES), str(manifests)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "Invalid: 0" not in done.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "rootPassword.existingSecret is not set"),
        (["--set=replicas=2,rootPassword.existingSecret=root"], "the store is a file"),
        (
            ["--set=replicas=2,rootPassword.existingSecret=root,store.url=postgresql://kiteward@db/kiteward"],
            "the engine is embedded",
        ),
        (["--set=workers=2,rootPassword.existingSecret=root"], "workers is more than 1 and the store is a file"),
        (
            ["--set=workers=2,rootPassword.existingSecret=root,store.url=postgresql://kiteward@db/kiteward"],
            "workers is more than 1 and the engine is embedded",
        ),
        (
            ["--set=rootPassword.existingSecret=root,store.url=postgresql://kiteward:secret@db/kiteward"],
            "store.url holds a password",
        ),
        (["--set=rootPassword.existingSecret=root,store.urlKey=url"], "store.existingSecret names none"),
        (
            [
                "--set=rootPassword.existingSecret=root,store.existingSecret=s,store.urlKey=url,store.url=postgresql://db/k"
            ],
            "are both set",
        ),
        (["--set=rootPassword.existingSecret=root,engine.existingSecret=engine"], "the engine is embedded"),
        (["--set=rootPassword.existingSecret=root,engine.tls.clientCertificate=true"], "engine.tls.existingSecret"),
        (["--set=rootPassword.existingSecret=root,tls.clientCa=true"], "tls.existingSecret names no secret"),
        (["--set=rootPassword.existingSecret=root,preStopSeconds=60"], "add at least 75 to preStopSeconds"),
        (["--set=rootPassword.existingSecret=root,config.kiteward.engine.password=secret"], "password"),
        (["--set=rootPassword.existingSecret=root,rootPasword=x"], "rootPasword"),
    ],
)
def test_values_that_do_not_fit_together_are_refused_with_a_sentence(options: list[str], sentence: str) -> None:
    done = template(None, *options)
    assert done.returncode != 0
    assert sentence in done.stderr


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_pods_keep_to_the_restricted_profile(values: Path) -> None:
    for pod in pods(rendered(values)):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        allowed = {"configMap", "emptyDir", "secret"}
        assert all(set(volume) - {"name"} <= allowed for volume in pod.get("volumes", []))
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_the_configuration_is_one_that_the_server_reads(values: Path, tmp_path: Path) -> None:
    documents = rendered(values)
    (configuration,) = of_kind(documents, "ConfigMap")
    (container,) = next(pods(documents))["containers"]
    mounted = {each["mountPath"] for each in container["volumeMounts"]}
    text = configuration["data"]["milvus.yaml"]
    environment = {"KITEWARD_ROOT_PASSWORD_FILE": f"{tmp_path}/root/password"}
    for each in container["env"]:
        if each["name"].startswith("KITEWARD_"):
            environment.setdefault(each["name"], "postgresql://kiteward@db/kiteward")
    for directory in ("root", "engine", "store"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "password").write_text("Service-account-1")
    for line in text.splitlines():
        if "/run/secrets/" in line:
            assert line.split(": ")[1].rpartition("/")[0] in mounted
    (tmp_path / "milvus.yaml").write_text(text.replace("/run/secrets/kiteward", str(tmp_path)))
    environment.pop("KITEWARD_REPLICAS_NAME", None)
    settings = load(tmp_path / "milvus.yaml", environment)
    assert (settings.host, settings.port, settings.metrics.host) == ("0.0.0.0", 19530, "0.0.0.0")
    assert settings.hosts.allow("kiteward.search.svc.cluster.local")
    assert (settings.tls is not None) == bool(yaml.safe_load(values.read_text()).get("tls"))
    assert settings.workers == yaml.safe_load(values.read_text()).get("workers", 1)


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_no_manifest_holds_a_secret(values: Path) -> None:
    documents = rendered(values)
    assert not of_kind(documents, "Secret")
    for pod in pods(documents):
        for container in pod["containers"]:
            for variable in container.get("env", []):
                name = variable["name"]
                given = "valueFrom" in variable or name in {"KITEWARD_ROOT_PASSWORD_FILE", "SERVICE"}
                assert given, name


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return set(selector["matchLabels"].items()) <= set(labels.items())


def test_selectors_select_the_pods_of_the_chart_and_no_others() -> None:
    documents = rendered(named("cluster"))
    (stateful_set,) = of_kind(documents, "StatefulSet")
    labels = stateful_set["spec"]["template"]["metadata"]["labels"]
    (test_pod,) = of_kind(documents, "Pod")
    services = of_kind(documents, "Service")
    (budget,) = of_kind(documents, "PodDisruptionBudget")
    (monitor,) = of_kind(documents, "ServiceMonitor")
    selectors = [each["spec"]["selector"] for each in services]
    selectors += [budget["spec"]["selector"]["matchLabels"], stateful_set["spec"]["selector"]["matchLabels"]]
    for selector in selectors:
        assert selector == POD_LABELS
        assert selector.items() <= labels.items()
        assert not selector.items() <= test_pod["metadata"]["labels"].items()
    measured = [each for each in services if matches(monitor["spec"]["selector"], each["metadata"]["labels"])]
    assert [port["name"] for each in measured for port in each["spec"]["ports"]] == ["metrics"]
    assert stateful_set["spec"]["serviceName"] in {each["metadata"]["name"] for each in services}


def test_only_kiteward_and_milvus_itself_reach_milvus() -> None:
    documents = rendered(named("cluster"))
    (protecting,) = [each for each in of_kind(documents, "NetworkPolicy") if each["metadata"]["namespace"] == "milvus"]
    milvus = {"app.kubernetes.io/name": "milvus", "component": "proxy"}
    assert matches(protecting["spec"]["podSelector"], milvus)
    assert protecting["spec"]["policyTypes"] == ["Ingress"]
    ours, own = protecting["spec"]["ingress"]
    (peer,) = ours["from"]
    assert peer["podSelector"]["matchLabels"] == POD_LABELS
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "search"}
    assert ours["ports"] == [{"port": 19530, "protocol": "TCP"}]
    # Without a selector of namespaces: the pods of the same one.
    assert own == {"from": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "milvus"}}}]}


def test_kiteward_is_reached_by_its_clients_and_reaches_what_it_needs() -> None:
    documents = rendered(named("cluster"))
    (policy,) = [each for each in of_kind(documents, "NetworkPolicy") if each["metadata"]["namespace"] == "search"]
    assert policy["spec"]["podSelector"]["matchLabels"] == POD_LABELS
    clients, metrics = policy["spec"]["ingress"]
    namespaces = [each["namespaceSelector"]["matchLabels"] for each in clients["from"] if "namespaceSelector" in each]
    assert namespaces == [{"kubernetes.io/metadata.name": "applications"}]
    assert [each["port"] for each in clients["ports"]] == ["milvus"]
    assert [each["namespaceSelector"]["matchLabels"] for each in metrics["from"]] == [
        {"kubernetes.io/metadata.name": "monitoring"}
    ]
    assert [each["port"] for each in metrics["ports"]] == ["metrics"]
    reached = [sorted({port["port"] for port in each["ports"]}) for each in policy["spec"]["egress"]]
    assert reached == [[53], [19530], [5432], [4318]]


def test_with_an_embedded_engine_a_pod_connects_to_nothing_but_the_names_of_the_cluster() -> None:
    (policy,) = of_kind(rendered(named("embedded")), "NetworkPolicy")
    assert [sorted({port["port"] for port in each["ports"]}) for each in policy["spec"]["egress"]] == [[53]]
    assert len(policy["spec"]["ingress"]) == 1
    assert policy["spec"]["ingress"][0]["ports"] == [{"port": "milvus", "protocol": "TCP"}]


def test_probes_use_the_port_for_health_and_a_stop_waits_for_requests() -> None:
    pod = next(pods(rendered(named("cluster"))))
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"milvus": 19530, "metrics": 9091}
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {probe["port"] for probe in probes.values()} == {"metrics"}
    paths = {name: probe["path"] for name, probe in probes.items()}
    assert paths == {"startup": "/healthz/live", "liveness": "/healthz/live", "readiness": "/healthz/ready"}
    assert container["lifecycle"] == {"preStop": {"sleep": {"seconds": 10}}}
    assert pod["terminationGracePeriodSeconds"] == 90


def test_another_configuration_starts_the_pods_again() -> None:
    def checksum(*options: str) -> str:
        (found,) = of_kind(rendered(named("embedded"), *options), "StatefulSet")
        return str(found["spec"]["template"]["metadata"]["annotations"]["checksum/configuration"])

    assert checksum() == checksum()
    assert checksum() != checksum("--set=config.kiteward.passwordPolicy=strict")


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("embedded", {"ConfigMap": 1, "NetworkPolicy": 1, "Service": 2, "StatefulSet": 1, "Pod": 1}),
        ("cluster", {"NetworkPolicy": 2, "PodDisruptionBudget": 1, "PrometheusRule": 1, "ServiceMonitor": 1}),
        ("address-in-secret", {"NetworkPolicy": 0, "PodDisruptionBudget": 0, "Pod": 0, "ServiceMonitor": 0}),
    ],
)
def test_what_is_off_is_left_out(name: str, kinds: dict[str, int]) -> None:
    documents = rendered(named(name))
    assert {kind: len(of_kind(documents, kind)) for kind in kinds} == kinds


def test_each_replica_has_the_name_of_its_pod_and_a_volume_of_its_own() -> None:
    documents = rendered(named("cluster"))
    (stateful_set,) = of_kind(documents, "StatefulSet")
    (claim,) = stateful_set["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    (container,) = next(pods(documents))["containers"]
    variables = {each["name"]: each for each in container["env"]}
    assert variables["KITEWARD_REPLICAS_NAME"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
