"""What is shipped for platforms is valid by their own schemas, and agrees with what the gateway does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema

import gateway
from gateway.config import loads
from gateway.config.schema import Config, Limits, ServerTimeouts

CHECKOUT = Path(gateway.__file__).parents[1]
DEPLOY = CHECKOUT / "deploy"
MANIFESTS = DEPLOY / "kubernetes"
KUBERNETES = "1.30"
UID = 10001
SLACK_S = 10
"""Between the end of the drain and SIGKILL."""


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def kustomization() -> dict[str, Any]:
    settings: dict[str, Any] = read(MANIFESTS / "kustomization.yaml")
    return settings


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = read(MANIFESTS / "deployment.yaml")["spec"]["template"]["spec"]
    return spec


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def unit(name: str) -> dict[str, list[str]]:
    """The settings of a systemd unit; each may stand there several times."""
    settings: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            settings.setdefault(key, []).append(value)
    return settings


# -- Kubernetes


@pytest.mark.parametrize("name", kustomization()["resources"])
def test_manifest_is_valid(name: str) -> None:
    kubernetes_validate.validate(read(MANIFESTS / name), KUBERNETES, strict=True)


def test_kustomization_lists_every_manifest() -> None:
    names = {path.name for path in MANIFESTS.glob("*.yaml")}
    others = {"kustomization.yaml", "prometheus-adapter.values.yaml"}
    generated = {name for one in kustomization()["configMapGenerator"] for name in one["files"]}
    assert {*kustomization()["resources"], *generated} == names - others


def test_what_kustomize_makes_of_it_is_valid() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl")
    made = subprocess.run(["kubectl", "kustomize", MANIFESTS], capture_output=True, text=True, check=True)
    documents = list(yaml.safe_load_all(made.stdout))
    for document in documents:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    assert len(documents) == len(kustomization()["resources"]) + 1


def pod_configuration(tmp_path: Path) -> Config:
    """The configuration of the pods, with the keys where a test can have them."""
    (mount,) = (one["mountPath"] for one in pod()["containers"][0]["volumeMounts"] if one["name"] == "keys")
    text = (MANIFESTS / "gateway.yaml").read_text()
    (tmp_path / "openai").write_text("sk-test")
    assert mount in text
    return loads(text.replace(mount, str(tmp_path)), "gateway.yaml", {})


def test_pod_lives_until_its_streams_have_ended(tmp_path: Path) -> None:
    drain_s = pod_configuration(tmp_path).server.timeouts.drain
    waits_s = pod()["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod()["terminationGracePeriodSeconds"] >= waits_s + drain_s + SLACK_S


def test_memory_is_enough_for_the_bodies_that_workers_may_hold(tmp_path: Path) -> None:
    limits = pod()["containers"][0]["resources"]["limits"]
    assert pod_configuration(tmp_path).server.limits.max_buffered == Limits().max_buffered
    mib = int(limits["memory"].removesuffix("Gi")) * 1024
    assert mib >= int(limits["cpu"]) * ((Limits().max_buffered >> 20) + 128)


def test_probes_and_metrics_ask_where_the_gateway_answers(tmp_path: Path) -> None:
    (container,) = pod()["containers"]
    (port,) = container["ports"]
    template = read(MANIFESTS / "deployment.yaml")["spec"]["template"]
    annotations = template["metadata"]["annotations"]
    configured = pod_configuration(tmp_path).server.port
    assert port["containerPort"] == configured == int(annotations["prometheus.io/port"])
    probes = {name: container[name]["httpGet"] for name in container if name.endswith("Probe")}
    assert {name: one["path"] for name, one in probes.items()} == {
        "startupProbe": "/health/live",
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }
    assert {one["port"] for one in probes.values()} == {port["name"]}


def test_all_that_choose_pods_choose_the_same() -> None:
    deployment = read(MANIFESTS / "deployment.yaml")["spec"]
    chosen = [
        deployment["selector"]["matchLabels"],
        deployment["template"]["metadata"]["labels"],
        read(MANIFESTS / "service.yaml")["spec"]["selector"],
        read(MANIFESTS / "disruption.yaml")["spec"]["selector"]["matchLabels"],
        read(MANIFESTS / "network.yaml")["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(labels == chosen[0] for labels in chosen)


def test_scaling_asks_for_a_metric_that_exists() -> None:
    (metric,) = read(MANIFESTS / "autoscaling.yaml")["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    (rule,) = read(MANIFESTS / "prometheus-adapter.values.yaml")["rules"]["custom"]
    assert rule["seriesQuery"].startswith(f"{name}{{")
    assert f"`{name}`" in (CHECKOUT / "docs/metrics.md").read_text()


def test_pod_may_do_nothing_that_it_need_not() -> None:
    (container,) = pod()["containers"]
    security = container["securityContext"]
    assert pod()["securityContext"]["runAsUser"] == UID
    assert pod()["securityContext"]["runAsNonRoot"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}


def test_image_has_the_version_of_the_gateway() -> None:
    assert [one["newTag"] for one in kustomization()["images"]] == [gateway.__version__]


# -- Compose


def test_compose_file_is_valid() -> None:
    schema = get_builtin_schema("vendor.compose-spec")
    jsonschema.validate(read(DEPLOY / "compose.yaml"), schema)


def test_compose_gives_the_gateway_time_to_drain() -> None:
    grace_s = seconds(read(DEPLOY / "compose.yaml")["services"]["gateway"]["stop_grace_period"])
    assert grace_s >= ServerTimeouts().drain + SLACK_S


def test_compose_mounts_what_exists() -> None:
    services = read(DEPLOY / "compose.yaml")["services"]
    mounts = [mount.split(":")[0] for service in services.values() for mount in service.get("volumes", [])]
    assert all((DEPLOY / mount).exists() for mount in mounts if mount.startswith("."))


def test_compose_scrapes_as_the_prometheus_that_is_shipped() -> None:
    inside = yaml.safe_load(read(DEPLOY / "compose.yaml")["configs"]["prometheus"]["content"])
    shipped = read(DEPLOY / "prometheus/prometheus.yml")
    (job,) = shipped["scrape_configs"]
    job["static_configs"] = [{"targets": ["gateway:4000"]}]
    assert inside == shipped


def test_grafana_finds_the_dashboard_and_its_data() -> None:
    grafana = read(DEPLOY / "compose.yaml")["services"]["grafana"]
    (provider,) = read(DEPLOY / "grafana/provisioning/dashboards/gateway.yaml")["providers"]
    (source,) = read(DEPLOY / "grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    folder = provider["options"]["path"]
    assert f"./grafana/gateway.json:{folder}/gateway.json:ro" in grafana["volumes"]
    (variable,) = json.loads((DEPLOY / "grafana/gateway.json").read_text())["templating"]["list"]
    assert (source["type"], source["isDefault"]) == (variable["query"], True)
    assert source["url"] == "http://prometheus:9090"


def test_images_of_others_are_pinned() -> None:
    services = read(DEPLOY / "compose.yaml")["services"].values()
    images = [service["image"] for service in services if "build" not in service]
    assert images
    assert all(re.search(r":v?\d+\.\d+\.\d+$", image) for image in images)


# -- systemd


def test_service_gets_time_to_drain() -> None:
    (stop,) = unit("llm-gateway.service")["TimeoutStopSec"]
    assert seconds(stop) >= ServerTimeouts().drain + SLACK_S


def test_socket_is_at_the_address_of_the_default() -> None:
    server = Config(providers={}).server
    assert unit("llm-gateway.socket")["ListenStream"] == [f"{server.host}:{server.port}"]


def test_units_are_what_systemd_understands(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    for name in ("llm-gateway.service", "llm-gateway.socket"):
        text = (DEPLOY / "systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/llm-gateway/bin/gateway", "/bin/true"))
    paths = [tmp_path / "llm-gateway.service", tmp_path / "llm-gateway.socket"]
    checked = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
    exposure = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=15", paths[0]], capture_output=True
    )
    assert exposure.returncode == 0, exposure.stdout.decode()
