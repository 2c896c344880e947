"""What runs in the pods of the chart is confined, bounded, watched, and set soundly."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from helm_chart import SIZES, Manifest, container, named, of_kind, render, templates

from app.settings import Settings
from app.settings.environment import CONFIG_VARIABLE, PREFIX, SHORT_NAMES
from ml.errors import SettingInvalid

FLOWER = "--set=flower.enabled=true,secrets.flowerBasicAuth=flower:power"
OURS = ("api", "dispatcher", "worker-cpu", "worker-gpu", "egress", "flower")
NO_SETTINGS = {
    "AWS_REGION",
    "AZURE_STORAGE_ANON",
    "FLOWER_BASIC_AUTH",
    "GUNICORN_CMD_ARGS",
    "PGDATA",
    "POSTGRES_DB",
    "POSTGRES_PASSWORD",
    "POSTGRES_USER",
    "REDIS_PASSWORD",
}
SECRETS = {
    "DATABASE_URL": "postgresql://user:password@db:5432/emotion_clf",
    "REDIS_URL": "rediss://:password@redis:6380/0",
    "EMOTION_CLF_AUTH__SECRET": "s" * 48,
    "EMOTION_CLF_WEBHOOKS__SECRET": "w" * 48,
    "EMOTION_CLF_EGRESS__UPSTREAM": "http://user:password@upstream:3128",
    "ASSEMBLYAI_API_KEY": "key",
}


def pods(size: str, *arguments: str) -> dict[str, Manifest]:
    return templates(render(size, FLOWER, *arguments))


def secret_keys(pod: Manifest) -> set[str]:
    sources = [one.get("valueFrom", {}) for one in container(pod)["env"]]
    return {source["secretKeyRef"]["key"] for source in sources if "secretKeyRef" in source}


@pytest.mark.parametrize("size", SIZES)
def test_every_pod_is_confined(size: str) -> None:
    for name, pod in pods(size).items():
        spec, inner = pod["spec"], container(pod)["securityContext"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        outer = spec["securityContext"]
        assert outer["runAsNonRoot"] is True
        assert (
            outer["runAsUser"]
            == outer["fsGroup"]
            == (999 if name in ("postgres", "redis") else 10001)
        )
        assert outer["seccompProfile"] == {"type": "RuntimeDefault"}
        assert inner == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()


@pytest.mark.parametrize("size", SIZES)
def test_every_pod_is_bounded_and_watched(size: str) -> None:
    for name, pod in pods(size).items():
        main = container(pod)
        for amounts in (main["resources"]["requests"], main["resources"]["limits"]):
            assert amounts.keys() >= {"cpu", "memory", "ephemeral-storage"}, name
        if name == "migrate":
            continue
        assert {"startupProbe", "livenessProbe"} <= main.keys(), name
        serves = name not in ("dispatcher", "worker-cpu", "worker-gpu")
        assert ("readinessProbe" in main) == serves, name


@pytest.mark.parametrize("size", SIZES)
def test_what_is_written_has_a_place(size: str) -> None:
    for name, pod in pods(size).items():
        mounts = {mount["mountPath"] for mount in container(pod)["volumeMounts"]}
        assert "/tmp" in mounts or name == "redis", name
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        for volume in volumes.values():
            assert volume.get("emptyDir", {"sizeLimit": "-"})["sizeLimit"], name
        stores = name in ("api", "dispatcher", "worker-cpu", "worker-gpu")
        on_disk = size == "laptop" and stores
        assert ("artifacts" in volumes) == on_disk, name
        assert not on_disk or "/data" in mounts


def test_files_can_be_mounted_where_settings_name_them() -> None:
    volume = '[{"name": "cookies", "secret": {"secretName": "cookies"}}]'
    mount = '[{"name": "cookies", "mountPath": "/cookies", "readOnly": true}]'
    found = pods(
        "aks", f"--set-json=extraVolumes={volume}", f"--set-json=extraVolumeMounts={mount}"
    )
    mounted = {
        name
        for name, pod in found.items()
        if {"name": "cookies", "mountPath": "/cookies", "readOnly": True}
        in container(pod)["volumeMounts"]
        and any(one["name"] == "cookies" for one in pod["spec"]["volumes"])
    }
    assert mounted == {"api", "dispatcher", "worker-cpu", "worker-gpu"}


def test_the_api_is_ready_without_workers() -> None:
    # Else workers that scale to none would never come back: nothing could be submitted.
    main = container(pods("aks")["api"])
    for probe in ("startupProbe", "readinessProbe"):
        assert main[probe]["httpGet"]["path"] == "/health"


def test_a_busy_api_is_not_killed() -> None:
    for size in SIZES:
        # What asks over HTTP waits for a thread, and uploads can hold all of them.
        assert container(pods(size)["api"])["livenessProbe"]["tcpSocket"] == {"port": "http"}


def test_gunicorn_serves_only_behind_what_takes_requests_in_whole() -> None:
    servers = {size: container(pods(size)["api"])["args"][0] for size in SIZES}
    assert servers == {"laptop": "python", "aks": "python", "large": "gunicorn"}


def test_requests_under_way_have_the_same_time_under_either_server() -> None:
    def times(server: str) -> tuple[int, int]:
        pod = pods("aks", f"--set=api.server={server}", "--set=api.graceSeconds=60")["api"]
        main = container(pod)
        given = {one["name"]: one.get("value", "") for one in main["env"]}
        waits = int(given.get("GUNICORN_CMD_ARGS", "=0").partition("=")[2])
        paused = int(main["lifecycle"]["preStop"]["exec"]["command"][1])
        assert paused + waits < pod["spec"]["terminationGracePeriodSeconds"] - 5
        return paused, waits

    assert times("waitress") == (45, 0)
    assert times("gunicorn") == (5, 45)


def test_secrets_go_where_they_are_used_and_nowhere_else() -> None:
    stores = {"DATABASE_URL", "REDIS_URL"}
    assert {name: secret_keys(pod) for name, pod in pods("large").items()} == {
        "api": stores | {"EMOTION_CLF_AUTH__SECRET", "EMOTION_CLF_WEBHOOKS__SECRET"},
        "dispatcher": stores | {"EMOTION_CLF_WEBHOOKS__SECRET"},
        "worker-cpu": stores,
        "worker-gpu": stores | {"ASSEMBLYAI_API_KEY"},
        "egress": {"EMOTION_CLF_EGRESS__UPSTREAM"},
        "flower": {"REDIS_URL", "FLOWER_BASIC_AUTH"},
        "migrate": {"DATABASE_URL"},
    }


def test_the_identity_goes_to_those_who_use_the_store() -> None:
    identified = {
        name
        for name, pod in pods("aks").items()
        if pod["metadata"]["labels"].get("azure.workload.identity/use") == "true"
    }
    accounts = {
        name for name, pod in pods("aks").items() if pod["spec"]["serviceAccountName"] != "default"
    }
    assert identified == accounts == {"api", "dispatcher", "worker-cpu", "worker-gpu"}


@pytest.mark.parametrize("size", SIZES)
def test_every_variable_is_known(size: str) -> None:
    for pod in pods(size).values():
        for one in container(pod)["env"]:
            known = one["name"] in {*SHORT_NAMES, CONFIG_VARIABLE, *NO_SETTINGS}
            # That those with the prefix are settings, loading them shows below.
            assert known or one["name"].startswith(PREFIX), one["name"]


def load(
    size: str, component: str, patch: pytest.MonkeyPatch, tmp_path: Path, *arguments: str
) -> Settings:
    """Settings as a process of this component would read them."""
    manifests = render(size, FLOWER, *arguments)
    config = tmp_path / "config.yaml"
    config.write_text(named(manifests, "ConfigMap", "emotion-clf")["data"]["config.yaml"])
    for name in os.environ:
        if name.startswith(PREFIX) or name in SHORT_NAMES:
            patch.delenv(name)
    main = container(templates(manifests)[component])
    for one in main["env"]:
        patch.setenv(one["name"], resolved(one, main["resources"]["limits"]))
    patch.setenv(CONFIG_VARIABLE, str(config))
    return Settings.load()


def resolved(variable: dict[str, Any], limits: dict[str, str]) -> str:
    source = variable.get("valueFrom", {})
    if "secretKeyRef" in source:
        return SECRETS.get(source["secretKeyRef"]["key"], "")
    if "resourceFieldRef" in source:
        return limits[source["resourceFieldRef"]["resource"].removeprefix("limits.")]
    return str(variable["value"])


@pytest.mark.parametrize("component", OURS)
@pytest.mark.parametrize("size", SIZES)
def test_settings_are_sound(
    size: str, component: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = load(size, component, monkeypatch, tmp_path)
    pod = pods(size)[component]
    assert (settings.api.host, settings.api.port) == ("0.0.0.0", 8000)
    assert settings.api.trusted_proxies == (0 if size == "laptop" else 1)
    assert settings.source.proxy == "http://emotion-clf-egress:3128"
    assert settings.egress.port == container(pods(size)["egress"])["ports"][0]["containerPort"]
    assert (
        settings.metrics.worker_port
        == container(pods(size)["worker-cpu"])["ports"][0]["containerPort"]
    )
    if component == "api":
        assert settings.auth.enabled
    if component.startswith("worker"):
        assert pod["spec"]["terminationGracePeriodSeconds"] >= settings.jobs.drain_seconds + 15
    if component == "worker-gpu":
        cores = int(container(pod)["resources"]["limits"]["cpu"])
        assert settings.transcription.threads == settings.classification.threads == cores


def test_settings_of_the_values_win(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen = {"api": {"trusted_proxies": 2}, "transcription": {"model": "small"}}
    settings = load(
        "aks", "api", monkeypatch, tmp_path, f"--set-json=settings={json.dumps(chosen)}"
    )
    assert settings.api.trusted_proxies == 2
    assert settings.transcription.model == "small"
    assert settings.api.host == "0.0.0.0"


def test_a_wrong_setting_would_be_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="max_queue"):
        load("aks", "api", monkeypatch, tmp_path, "--set=settings.jobs.max_queue=5")


def test_gpu_workers_ask_for_a_gpu_and_go_where_there_is_one() -> None:
    for size in ("aks", "large"):
        pod = pods(size)["worker-gpu"]
        assert container(pod)["resources"]["limits"]["nvidia.com/gpu"] == 1
        assert container(pod)["image"].endswith("-gpu")
        assert pod["spec"]["nodeSelector"] and pod["spec"]["tolerations"]
    others = [pod for name, pod in pods("aks").items() if name != "worker-gpu"]
    others.append(pods("laptop")["worker-gpu"])
    for pod in others:
        assert "nvidia.com/gpu" not in container(pod)["resources"]["limits"]
        assert not container(pod)["image"].endswith("-gpu")


def test_a_digest_wins_over_a_tag() -> None:
    digest = "sha256:" + "0" * 64
    pod = pods("aks", f"--set=image.api.digest={digest}", "--set=image.api.tag=1.2")["api"]
    assert container(pod)["image"] == f"REGISTRY.azurecr.io/emotion-clf-api@{digest}"


def test_gpu_workers_are_replaced_in_shares_and_others_beside_the_old_ones() -> None:
    def strategies(*arguments: str) -> dict[str, Manifest]:
        deployments = of_kind(render("large", *arguments), "Deployment")
        return {
            one["metadata"]["name"].removeprefix("emotion-clf-"): one["spec"]["strategy"]
            for one in deployments
            if "strategy" in one["spec"]
        }

    shares = {"rollingUpdate": {"maxUnavailable": "25%", "maxSurge": 0}}
    assert strategies()["worker-gpu"] == shares
    chosen = strategies("--set=workerGpu.maxUnavailable=3")["worker-gpu"]
    assert chosen["rollingUpdate"]["maxUnavailable"] == 3
    assert set(strategies("--set=workerGpu.gpus=0")) == {"api"}
