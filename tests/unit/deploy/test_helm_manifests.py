"""What the chart makes holds together, and is what Kubernetes and its operators take."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec

import jsonschema
import kubernetes_validate
import pytest
import yaml
from crds import SCHEMAS
from helm_chart import (
    CHART,
    SIZES,
    Manifest,
    container,
    named,
    of_kind,
    render,
    run,
    templates,
    values,
)
from kubernetes_validate import utils

from app.api.uploads import form_limit
from app.settings import Settings
from emotion_clf._version import __version__

MONITORING = CHART.parents[1] / "monitoring"
OLDEST, NEWEST = "1.29", kubernetes_validate.latest_version()
EVERYTHING = (
    "--set=flower.enabled=true,prometheus.scrape=true,prometheus.rules=true,grafana.dashboard=true",
    "--set=prometheus.tokenSecret.name=token,secrets.flowerBasicAuth=flower:power",
)


@pytest.fixture(autouse=True, scope="module")
def schemas_are_read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", cache(utils.schema_contents))
        yield


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("size", SIZES)
def test_helm_finds_nothing_to_complain_of(size: str) -> None:
    done = run("lint", "--strict", str(CHART), *values(size))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


def test_kubernetes_takes_every_resource(size: str) -> None:
    manifests = render(size, *EVERYTHING)
    for manifest in manifests:
        if manifest["kind"] in SCHEMAS:
            jsonschema.validate(manifest, SCHEMAS[manifest["kind"]])
        else:
            kubernetes_validate.validate(manifest, OLDEST, strict=True)
            kubernetes_validate.validate(manifest, NEWEST, strict=True)
    assert len(manifests) > 25


def test_a_misspelt_key_would_be_noticed() -> None:
    deployment = named(render("aks"), "Deployment", "emotion-clf-api")
    wrong = yaml.safe_load(yaml.safe_dump(deployment).replace("readinessProbe", "readynessProbe"))
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


def test_names_are_given_once_and_fit(size: str) -> None:
    for release in ("emotion-clf", "x" * 53):
        manifests = render(size, release=release)
        counts = Counter((one["kind"], one["metadata"]["name"]) for one in manifests)
        assert set(counts.values()) == {1}
        longest = {"StatefulSet": 52, "ScaledObject": 63 - len("keda-hpa-")}
        assert all(len(name) <= longest.get(kind, 63) for kind, name in counts)


def test_selectors_find_the_pods_they_mean(size: str) -> None:
    manifests = render(size, *EVERYTHING)
    pods = templates(manifests)
    for one in of_kind(manifests, "Deployment", "StatefulSet"):
        own = one["spec"]["template"]["metadata"]["labels"]
        assert own.items() >= one["spec"]["selector"]["matchLabels"].items()
    for one in of_kind(manifests, "Service", "PodDisruptionBudget"):
        wanted = one["spec"]["selector"]
        wanted = wanted.get("matchLabels", wanted)
        found = [
            name
            for name, pod in pods.items()
            if pod["metadata"]["labels"].items() >= wanted.items()
        ]
        assert found == [one["metadata"]["name"].removeprefix("emotion-clf-")]
    for service in of_kind(manifests, "Service"):
        ports = container(pods[service["metadata"]["name"].removeprefix("emotion-clf-")])["ports"]
        assert {p["targetPort"] for p in service["spec"]["ports"]} <= {p["name"] for p in ports}


def test_what_scales_exists_and_its_replicas_are_left_to_it(size: str) -> None:
    manifests = render(size)
    scalers = of_kind(manifests, "ScaledObject", "HorizontalPodAutoscaler")
    targets = {one["spec"]["scaleTargetRef"]["name"] for one in scalers}
    deployments = {one["metadata"]["name"]: one["spec"] for one in of_kind(manifests, "Deployment")}
    assert len(targets) == len(scalers) == {"laptop": 0, "aks": 3, "large": 3}[size]
    assert targets == {name for name, spec in deployments.items() if "replicas" not in spec}
    for trigger in (one for scaler in scalers for one in scaler["spec"].get("triggers", [])):
        if trigger["type"] == "postgresql":
            named(manifests, "TriggerAuthentication", trigger["authenticationRef"]["name"])


def test_workers_scale_down_later_than_they_drain() -> None:
    for size in ("aks", "large"):
        manifests = render(size)
        for queue in ("cpu", "gpu"):
            scaled = named(manifests, "ScaledObject", f"emotion-clf-worker-{queue}")["spec"]
            pod = templates(manifests)[f"worker-{queue}"]
            drain = variables(pod)["EMOTION_CLF_JOBS__DRAIN_SECONDS"]
            behaviour = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
            assert scaled["cooldownPeriod"] > int(drain)
            assert behaviour["scaleDown"]["stabilizationWindowSeconds"] > int(drain)
            assert pod["spec"]["terminationGracePeriodSeconds"] > int(drain)


def test_the_api_scales_by_requests_where_they_are_counted() -> None:
    by_processor = named(render("aks"), "HorizontalPodAutoscaler", "emotion-clf-api")
    assert by_processor["spec"]["metrics"][0]["resource"]["name"] == "cpu"
    by_requests = named(render("large"), "ScaledObject", "emotion-clf-api")["spec"]["triggers"]
    assert [trigger["type"] for trigger in by_requests] == ["prometheus", "cpu"]
    query = by_requests[0]["metadata"]["query"]
    assert 'emotion_clf_http_requests_in_flight{job="emotion-clf-api",namespace="speech"}' in query


def test_the_ingress_takes_what_the_api_takes() -> None:
    def bounds(*arguments: str) -> tuple[int, int]:
        ingress = named(render("large", *arguments), "Ingress", "emotion-clf-api")
        prefix = "nginx.ingress.kubernetes.io/proxy-"
        said = ingress["metadata"]["annotations"]
        size = re.fullmatch(r"(\d+)m", said[f"{prefix}body-size"])
        assert size
        return int(size[1]) * 1024**2, int(said[f"{prefix}read-timeout"])

    size, seconds = bounds()
    settings = Settings()
    assert 0 <= size - form_limit(settings) < 2 * 1024**2
    assert seconds > settings.api.max_wait_seconds


def test_alerts_and_dashboard_are_those_of_the_repository() -> None:
    manifests = render("large")
    alerts = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    assert named(manifests, "PrometheusRule", "emotion-clf")["spec"] == alerts
    dashboard = named(manifests, "ConfigMap", "emotion-clf-dashboard")["data"]["emotion-clf.json"]
    assert dashboard.strip() == (MONITORING / "dashboard.json").read_text().strip()


def test_alerts_can_be_left_out() -> None:
    def alerts(*arguments: str) -> set[str]:
        rules = named(render("large", *arguments), "PrometheusRule", "emotion-clf")["spec"]
        return {rule["alert"] for group in rules["groups"] for rule in group["rules"]}

    left = alerts("--set=prometheus.leaveOut={EmotionClfNoWorkers}")
    assert alerts() - left == {"EmotionClfNoWorkers"}


def test_what_is_scraped_is_called_as_the_alerts_call_it() -> None:
    manifests = render("large")
    monitors = of_kind(manifests, "ServiceMonitor", "PodMonitor")
    jobs = re.findall(r"job: (\S+)|replacement: (\S+)", yaml.safe_dump_all(monitors))
    asked = set(re.findall(r'job="([^"]+)"', (MONITORING / "alerts.yml").read_text()))
    assert asked and asked <= {name for pair in jobs for name in pair}


def test_tables_come_before_those_who_use_them() -> None:
    def job(size: str, *arguments: str) -> Manifest:
        (found,) = of_kind(render(size, *arguments), "Job")
        return found

    def hook(manifest: Manifest) -> str | None:
        return manifest["metadata"].get("annotations", {}).get("helm.sh/hook")

    assert hook(job("aks")) == "pre-install,pre-upgrade"
    # Not before a Postgres that is installed at the same time.
    assert hook(job("laptop")) is None
    assert hook(job("laptop", "--is-upgrade")) == "pre-install,pre-upgrade"


def test_the_hook_has_its_secret_before_it() -> None:
    existing = render("aks")
    assert not of_kind(existing, "Secret")
    own = render("aks", "--set=secrets.existingSecret=,secrets.databaseUrl=postgresql://a:b@db/c",
                 "--set=secrets.redisUrl=rediss://:p@redis:6380/0")  # fmt: skip
    (job,) = of_kind(own, "Job")
    reference = container(job["spec"]["template"])["env"][0]["valueFrom"]["secretKeyRef"]["name"]
    secret = named(own, "Secret", reference)["metadata"]["annotations"]
    assert secret["helm.sh/hook"] == job["metadata"]["annotations"]["helm.sh/hook"]
    assert int(secret["helm.sh/hook-weight"]) < 0


def test_pods_are_replaced_when_their_settings_change_and_only_then() -> None:
    def marks(*arguments: str) -> dict[str, Manifest]:
        pods = templates(render("aks", *arguments))
        del pods["migrate"]
        return {name: pod["metadata"]["annotations"] for name, pod in pods.items()}

    before, after = marks(), marks("--set=settings.log_level=debug")
    assert all(before[name] != after[name] for name in before)
    assert marks("--set=workerCpu.autoscaling.maxReplicas=9") == before


def test_every_command_exists(size: str) -> None:
    for name, pod in templates(render(size, *EVERYTHING)).items():
        if name in ("postgres", "redis"):
            continue
        arguments = container(pod)["args"]
        module = {"python": 2, "gunicorn": 2, "celery": 2}[arguments[0]]
        assert find_spec(arguments[module].removeprefix("python:")), arguments


def test_the_chart_is_of_this_version() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__


def variables(pod: Manifest) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in container(pod)["env"]}
