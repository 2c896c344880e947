"""``docker-compose.yml`` says what it promises; running_service.py tries it."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest
import sqlalchemy as sa
import yaml
from stack import PODMAN_COMPOSE, ROOT

from app.auth import Scope
from app.db import create_db_engine
from app.settings import Settings
from app.settings.environment import PREFIX, SHORT_NAMES, settings_in
from app.stores.clients import ClientStore

TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
GPU = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())["services"]["worker-gpu"]
OWN = [name for name, service in SERVICES.items() if "emotion-clf-" in service["image"]]
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


@pytest.mark.parametrize("with_gpu", [False, True])
def test_each_image_is_built_once_and_from_its_dockerfile(with_gpu: bool) -> None:
    services = SERVICES | ({"worker-gpu": SERVICES["worker-gpu"] | GPU} if with_gpu else {})
    building = [name for name in OWN if "build" in services[name]]
    tags = [services[name]["image"] for name in building]
    assert len(tags) == len(set(tags)), "exported at the same time they are in each other's way"
    assert set(tags) == {services[name]["image"] for name in OWN}
    for name in OWN:
        # Others would ask a registry for what is about to be built.
        assert services[name]["pull_policy"] == ("missing" if name in building else "never")
    for build in (services[name]["build"] for name in building):
        dockerfile = (ROOT / build["dockerfile"]).read_text()
        if "target" in build:
            assert re.search(rf"^FROM .+ AS {build['target']}$", dockerfile, re.MULTILINE)
        for argument in build.get("args", {}):
            assert re.search(rf"^ARG {argument}\b", dockerfile, re.MULTILINE)


def test_each_service_gets_the_secrets_that_it_uses_and_no_other(secrets: dict[str, str]) -> None:
    by_secret = {
        secret: {
            name
            for name, service in SERVICES.items()
            if any(f"{{{secret}:?" in str(v) for v in service.get("environment", {}).values())
        }
        for secret in secrets
    }
    queue = {"api", "dispatcher", "worker-cpu", "worker-gpu"}
    assert by_secret == {
        "POSTGRES_PASSWORD": queue | {"migrate", "metrics-token", "postgres"},
        "REDIS_PASSWORD": queue | {"flower", "redis"},
        "AUTH_SECRET": {"api", "metrics-token"},
        "WEBHOOK_SECRET": {"api", "dispatcher"},
        "FLOWER_PASSWORD": {"flower"},
        "GRAFANA_PASSWORD": {"grafana"},
    }
    reads = {
        name: [file["path"] for file in service["env_file"]]
        for name, service in SERVICES.items()
        if "env_file" in service
    }
    expected = {name: ["settings.env"] for name in queue | {"metrics-token"}}
    assert reads == expected | {"egress": ["egress.env"]}


def test_what_compose_reads_for_itself_is_no_setting() -> None:
    files = TEXT + (ROOT / "docker-compose.gpu.yml").read_text()
    assert not [name for name in VARIABLE.findall(files) if name.startswith(PREFIX)]


def test_a_worker_is_given_the_time_that_its_image_gives_it() -> None:
    dockerfile = (ROOT / "Dockerfile.worker").read_text()
    stated = re.findall(r"--start-period=(\w+) .*\\\n.+workers\.health\", \"(\w+)\"", dockerfile)
    seconds = {kind: period for period, kind in stated}
    assert seconds == {
        kind: SERVICES[f"worker-{kind}"]["healthcheck"]["start_period"] for kind in ("cpu", "gpu")
    }


def test_the_number_of_workers_is_kept_in_env(tmp_path: Path, secrets: dict[str, str]) -> None:
    file = tmp_path / "env"
    counts = {"WORKER_CPU_COUNT": "2", "WORKER_GPU_COUNT": "3"}
    file.write_text("".join(f"{name}={value}\n" for name, value in (secrets | counts).items()))
    command = [PODMAN_COMPOSE, "--env-file", file, "config"]
    config = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    services = yaml.safe_load(config)["services"]
    assert [int(services[f"worker-{kind}"]["scale"]) for kind in ("cpu", "gpu")] == [2, 3]
    suggested = (ROOT / "deploy/compose/env.sh").read_text()
    assert all(f"#{name}=1\n" in suggested for name in counts)


def test_prometheus_gets_a_token_of_a_client_that_there_is(database: str, tmp_path: Path) -> None:
    *shell, script = SERVICES["metrics-token"]["command"]
    script = script.replace("$$", "$").replace("/data/", f"{tmp_path}/")
    secret = "x" * 64
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DATABASE_URL": database,
        "EMOTION_CLF_AUTH__SECRET": secret,
    }

    def owner() -> str:
        subprocess.run([*shell, script], env=environment, check=True, cwd=tmp_path)
        token = (tmp_path / "token").read_text().strip()
        options: dict[str, Any] = {"algorithms": ["HS256"], "audience": "emotion-clf"}
        return str(jwt.decode(token, secret, **options)["sub"])

    engine = create_db_engine(database)
    clients = ClientStore(engine)
    revoked, known = (clients.add("prometheus", {Scope.METRICS_READ})[0].id for _ in range(2))
    clients.revoke(revoked)
    assert owner() == known
    with engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE clients CASCADE"))  # as after a restore
    new = owner()
    assert [client.id for client in clients.list()] == [new]
    engine.dispose()


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
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    assert made.stderr == ""
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
