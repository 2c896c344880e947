"""``docker-compose.yml`` says what it promises; running_service.py tries it."""

from __future__ import annotations

import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from stack import PODMAN_COMPOSE, ROOT

from app.settings import Settings
from app.settings.environment import SHORT_NAMES, settings_in

TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
OWN = [name for name, service in SERVICES.items() if "build" in service]
LONG_LIVED = [name for name, s in SERVICES.items() if s["restart"] == "unless-stopped"]
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::[-?][^}]*)?\}")
OF_PROGRAMS = {"TMPDIR", "FLOWER_BASIC_AUTH"}
"""Variables that are read by others than the settings."""


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `make env` writes."""
    file = tmp_path_factory.mktemp("env") / "env"
    subprocess.run([ROOT / "deploy/compose/env.sh", file], check=True)
    pairs = [line.split("=", 1) for line in file.read_text().splitlines() if "=" in line]
    return {name: value for name, value in pairs if not name.startswith("#")}


def filled_in(value: str, secrets: dict[str, str]) -> str:
    """Return a value as compose does, with secrets and defaults."""
    with_secrets = re.sub(
        r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)\}", lambda m: secrets.get(m[1]) or m[2] or "", value
    )
    assert "${" not in with_secrets
    return with_secrets


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]
    assert service["pids_limit"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc"} & set(service)
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))


@pytest.mark.parametrize("name", LONG_LIVED)
def test_every_service_that_stays_is_checked(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


@pytest.mark.parametrize("name", OWN)
def test_what_is_set_are_settings(
    name: str, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = SERVICES[name].get("environment", {})
    monkeypatch.chdir(tmp_path)  # where there is no config.yaml
    for variable, value in given.items():
        assert variable in SHORT_NAMES | {v: v for v in OF_PROGRAMS} or variable.startswith(
            "EMOTION_CLF_"
        )
        monkeypatch.setenv(variable, filled_in(value, secrets))
    settings = Settings.load()
    assert settings_in({v: "x" for v in given if v not in OF_PROGRAMS}).keys() <= set(
        Settings.model_fields
    )
    assert settings.auth.enabled == (name in ("api", "metrics-token"))


def test_workers_have_the_time_to_give_back_what_they_do() -> None:
    for name in ("worker-cpu", "worker-gpu"):
        grace = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        assert grace >= 2 * Settings().jobs.drain_seconds


def test_only_loopback_is_published_and_neither_database_nor_broker() -> None:
    published = {name: s["ports"] for name, s in SERVICES.items() if "ports" in s}
    assert set(published) == {"api", "flower", "grafana"}
    for ports in published.values():
        for port in ports:
            assert filled_in(port, {}).startswith("127.0.0.1:")


def test_nobody_but_these_has_a_route_out() -> None:
    networks = COMPOSE["networks"]
    assert [name for name, network in networks.items() if not network.get("internal")] == [
        "outside"
    ]
    outside = {name for name, service in SERVICES.items() if "outside" in service["networks"]}
    assert outside == {"api", "egress", "flower", "grafana"}
    assert "inside" not in SERVICES["egress"]["networks"]
    proxy = SERVICES["worker-cpu"]["environment"]["EMOTION_CLF_SOURCE__PROXY"]
    assert proxy == f"http://egress:{Settings().egress.port}"


def test_the_images_are_those_that_the_dockerfiles_make() -> None:
    gpu = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())["services"]["worker-gpu"]
    builds = [SERVICES[name]["build"] for name in OWN]
    builds.append(SERVICES["worker-gpu"]["build"] | gpu["build"])
    for build in builds:
        dockerfile = (ROOT / build["dockerfile"]).read_text()
        if "target" in build:
            assert re.search(rf"^FROM .+ AS {build['target']}$", dockerfile, re.MULTILINE)
        for argument in build.get("args", {}):
            assert re.search(rf"^ARG {argument}\b", dockerfile, re.MULTILINE)


def test_what_is_mounted_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).is_file(), volume


def test_every_secret_is_made_and_each_is_asked_for(secrets: dict[str, str]) -> None:
    needed = {name for name in VARIABLE.findall(TEXT) if f"${{{name}:?run make env}}" in TEXT}
    assert needed == set(secrets)
    assert len(set(secrets.values())) == len(secrets)
    assert all(len(value) >= 64 for value in secrets.values())
    optional = set(VARIABLE.findall(TEXT)) - needed
    assert all(f"${{{name}:-" in TEXT for name in optional)


def test_secrets_are_for_their_owner_and_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "env"
    command = [ROOT / "deploy/compose/env.sh", file]
    subprocess.run(command, check=True, capture_output=True)
    before = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = subprocess.run(command, check=False, capture_output=True)
    assert again.returncode != 0
    assert file.read_text() == before


def test_without_secrets_nothing_starts_and_it_says_why(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text(TEXT)
    said = subprocess.run(
        [PODMAN_COMPOSE, "config"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert said.returncode != 0
    assert "run make env" in said.stderr


def test_prometheus_finds_what_compose_runs() -> None:
    monitoring = ROOT / "deploy" / "monitoring"
    scrapes = yaml.safe_load((monitoring / "prometheus.yml").read_text())["scrape_configs"]
    api, workers = scrapes
    assert api["static_configs"] == [{"targets": ["api:8000"]}]
    (names,) = workers["dns_sd_configs"]
    assert set(names["names"]) <= set(SERVICES)
    for name in names["names"]:
        port = SERVICES[name]["environment"]["EMOTION_CLF_METRICS__WORKER_PORT"]
        assert int(port) == names["port"]
        assert set(SERVICES[name]["networks"]) & set(SERVICES["prometheus"]["networks"])
    token = Path(api["authorization"]["credentials_file"])
    volumes = dict(
        v.rsplit(":ro", 1)[0].split(":")[::-1] for v in SERVICES["prometheus"]["volumes"]
    )
    assert volumes[str(token.parent)] == "metrics-token"
    (source,) = yaml.safe_load((monitoring / "grafana/datasources.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((monitoring / "grafana/dashboards.yml").read_text())["providers"]
    mounted = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert f"{provider['options']['path']}/emotion-clf.json" in mounted
