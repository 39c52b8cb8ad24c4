"""The Helm chart: Helm's own linter and renderer, and the schemas of Kubernetes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from capture_agent.config import load

# Helm as a library is published for few machines: pyproject.toml says which.
helm = pytest.importorskip("helm_python")
ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/capture-agent"
TOKEN = "0123456789abcdef"
HTTP = {"http": {"enabled": True, "token": TOKEN}}
# The oldest that the chart is for, and one of today. ServiceMonitor is not of Kubernetes itself.
KUBERNETES = ["1.25", "1.33"]
pytestmark = pytest.mark.once

VALUES = [
    pytest.param({}, id="defaults"),
    pytest.param(HTTP, id="HTTP"),
    pytest.param(
        HTTP | {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}, id="ServiceMonitor"
    ),
    pytest.param(
        {
            "existingConfigSecret": "mine",
            "http": {"enabled": True, "existingTokenSecret": "ours", "address": "[::]"},
            "image": {"repository": "registry.example:5000/capture-agent", "tag": "0.1.0"},
            "imagePullSecrets": [{"name": "registry"}],
            "stateHostPath": "/var/lib/capture-agent",
            "extraEnv": [{"name": "CAPTURE_AGENT_HEP__1__CAPTURE_ID", "value": "7"}],
            "podAnnotations": {"a.example/b": "c"},
            "podLabels": {"team": "voice"},
            "priorityClassName": "system-node-critical",
            "nodeSelector": {"role": "voip"},
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}},
        },
        id="everything",
    ),
]


def rendered(values: dict[str, Any], name: str = "voice") -> dict[str, dict[str, Any]]:
    """The objects, by kind and name."""
    with helm.Chart.load(CHART) as chart:
        files = chart.render(values, name=name, namespace="voip")
    documents = [
        one for file, text in sorted(files.items()) if file.endswith(".yaml") for one in yaml.safe_load_all(text)
    ]
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in documents if one}


def pod(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    template: dict[str, Any] = next(one for one in objects.values() if one["kind"] == "DaemonSet")["spec"]["template"]
    return template


@pytest.mark.parametrize("values", VALUES)
def test_helm_lints_it(values: dict[str, Any]) -> None:
    report = helm.lint(CHART, values, strict=True)
    assert report["errors"] == []
    assert [one for one in report["messages"] if one["severity"] > 1] == []


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", VALUES)
def test_kubernetes_accepts_it(values: dict[str, Any], version: str) -> None:
    objects = rendered(values)
    assert "DaemonSet/voice-capture-agent" in objects
    for one in objects.values():
        if one["kind"] != "ServiceMonitor":
            kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("values", VALUES)
def test_it_may_capture_and_no_more(values: dict[str, Any]) -> None:
    spec = pod(rendered(values))["spec"]
    (container,) = spec["containers"]
    assert spec["hostNetwork"] is True
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_RAW"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert "privileged" not in container["securityContext"]
    assert {"hostPID", "hostIPC"}.isdisjoint(spec)


@pytest.mark.parametrize("values", VALUES)
def test_every_mount_has_its_volume(values: dict[str, Any]) -> None:
    objects = rendered(values)
    spec = pod(objects)["spec"]
    (container,) = spec["containers"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    named = {volume["secret"]["secretName"] for volume in volumes.values() if "secret" in volume}
    made = {one["metadata"]["name"] for one in objects.values() if one["kind"] == "Secret"}
    assert named - made == {secret for secret in ("mine", "ours") if secret in json.dumps(values)}


def test_the_configuration_is_a_secret_and_good(tmp_path: Path) -> None:
    objects = rendered({})
    assert not [one for one in objects.values() if one["kind"] == "ConfigMap"]
    file = tmp_path / "capture-agent.toml"
    file.write_text(objects["Secret/voice-capture-agent"]["stringData"]["capture-agent.toml"])
    config = load(file, {}, {})
    assert config.capture.interfaces == ("any",)
    assert len(config.targets()) == 1


def test_a_new_configuration_makes_new_pods() -> None:
    first, second = (pod(rendered(values))["metadata"] for values in ({}, {"config": "# another"}))
    assert first["annotations"] != second["annotations"]
    assert first["labels"] == second["labels"]


def test_the_probes_ask_the_agent() -> None:
    asks = {"command": ["capture-agent", "status", "check"]}
    for values, readiness in (({}, {"exec": asks}), (HTTP, {"httpGet": {"path": "/ready", "port": "http"}})):
        (container,) = pod(rendered(values))["spec"]["containers"]
        assert container["startupProbe"]["exec"] == asks
        assert container["livenessProbe"]["exec"] == asks
        assert {key: container["readinessProbe"].get(key) for key in readiness} == readiness


def test_prometheus_finds_the_metrics() -> None:
    objects = rendered(HTTP | {"serviceMonitor": {"enabled": True, "interval": "5s", "labels": {"release": "prom"}}})
    monitor, service = objects["ServiceMonitor/voice-capture-agent"], objects["Service/voice-capture-agent"]
    (endpoint,) = monitor["spec"]["endpoints"]
    credentials = endpoint.pop("authorization")["credentials"]
    assert endpoint == {"port": "http", "path": "/metrics", "interval": "5s"}
    assert monitor["metadata"]["labels"]["release"] == "prom"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    labels = pod(objects)["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    (port,) = service["spec"]["ports"]
    (container,) = pod(objects)["spec"]["containers"]
    assert port["targetPort"] == container["ports"][0]["name"] == endpoint["port"] == port["name"]
    secret = objects[f"Secret/{credentials['name']}"]
    assert secret["stringData"] == {credentials["key"]: TOKEN}
    environ = {one["name"]: one.get("value") for one in container["env"]}
    assert environ["CAPTURE_AGENT_HTTP__LISTEN"] == f"$(NODE_ADDRESS):{port['port']}"
    assert environ["CAPTURE_AGENT_HTTP__TOKEN_FILE"].endswith(f"/{credentials['key']}")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        pytest.param({"http": {"enabled": True}}, "http.token", id="HTTP without a token"),
        pytest.param({"http": {"enabled": True, "token": "short"}}, "http/token", id="a short token"),
        pytest.param({"serviceMonitor": {"enabled": True}}, "needs http.enabled", id="metrics without HTTP"),
        pytest.param({"interfaces": ["eth0"]}, "interfaces", id="an unknown value"),
        pytest.param({"config": ""}, "config", id="no configuration"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(helm.HelmError, match=problem):
        rendered(values)


def test_the_versions_are_those_of_the_program() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert [chart["version"], chart["appVersion"]] == [version, version]
    (container,) = pod(rendered({}))["spec"]["containers"]
    assert container["image"] == f"capture-agent:{version}"
