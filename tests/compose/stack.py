"""The service of ``docker-compose.yml`` in containers, seen and ill-treated from outside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests
import yaml

from emotion_clf.client import Client
from emotion_clf.local.servers import free_port

ROOT = Path(__file__).parents[2]
FILES = ("docker-compose.yml", "tests/compose/quick.yml")
SERVICES = yaml.safe_load((ROOT / FILES[0]).read_text())["services"]
ALWAYS_UP = [
    name
    for name, service in SERVICES.items()
    if "profiles" not in service and service["restart"] == "unless-stopped"
]
PODMAN_COMPOSE = Path(sys.executable).with_name("podman-compose")


def engine() -> tuple[str, list[str]] | None:
    """Return the container engine that works here and its compose; None where there is none."""
    for name, compose in (
        ("docker", ["docker", "compose"]),
        ("podman", [str(PODMAN_COMPOSE)]),
    ):
        if shutil.which(name) and _works([name, "info"]) and _works([*compose, "version"]):
            return name, compose
    return None


def _works(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Stack:
    """One project of containers, with secrets, ports and volumes of its own."""

    def __init__(self, directory: Path, name: str, engine: str, compose: list[str]) -> None:
        self.name = name
        self.engine = engine
        self.directory = directory
        self.secrets = directory / "env"
        subprocess.run([ROOT / "deploy/compose/env.sh", self.secrets], check=True)
        self.ports = {"api": free_port(), "flower": free_port()}
        for service, port in self.ports.items():
            self.write(f"{service.upper()}_PORT", str(port))
        self.address = f"http://127.0.0.1:{self.ports['api']}"
        files = [part for file in FILES for part in ("--file", str(ROOT / file))]
        self.command = [*compose, "-p", name, *files, "--env-file", str(self.secrets)]

    def secret(self, name: str) -> str:
        lines = self.secrets.read_text().splitlines()
        return next(line.partition("=")[2] for line in lines if line.startswith(f"{name}="))

    def compose(self, *arguments: str, timeout: float = 300) -> str:
        """Run docker compose or podman-compose on the project."""
        return run([*self.command, *arguments], timeout)

    def build(self) -> None:
        """Build the images of this tree, unless the environment names others."""
        if "IMAGE_API" not in os.environ:
            self.compose("build", "api", "worker-cpu", timeout=3600)

    def write(self, name: str, value: str) -> None:
        """Add a line to what is .env elsewhere."""
        with self.secrets.open("a") as file:
            file.write(f"{name}={value}\n")

    def up(self) -> None:
        """Start everything, and wait until jobs can be worked on."""
        # podman-compose has podman before 4.6 require a `migrate` that runs, and it has ended.
        order = ["--no-deps"] if self.engine == "podman" else []
        self.compose("up", "-d", "--no-build", *order)
        until(self.ready, 180, self.logs)

    def down(self, *, volumes: bool = False) -> None:
        self.compose("down", *(["--volumes"] if volumes else []))

    def ready(self) -> bool:
        return Client(self.address).ready()

    def containers(self, service: str) -> list[str]:
        """Return the ids of all containers of a service, running or not."""
        label = "label=com.docker.compose"
        filters = [f"{label}.project={self.name}", f"{label}.service={service}"]
        chosen = [part for each in filters for part in ("--filter", each)]
        return run([self.engine, "ps", "--all", "--quiet", *chosen]).split()

    def kill(self, service: str) -> list[str]:
        """End all containers of a service as a crash does; return their ids."""
        killed = self.containers(service)
        run([self.engine, "kill", "--signal", "KILL", *killed])
        return killed

    def start(self, containers: list[str]) -> None:
        run([self.engine, "start", *containers])

    def execute(self, service: str, *command: str, number: int = 0) -> str:
        """Run a command in a container."""
        return run([self.engine, "exec", self.containers(service)[number], *command])

    def python(self, service: str, code: str) -> str:
        return self.execute(service, "python", "-c", code)

    def rows(self, query: str) -> list[str]:
        """Return the rows of a query; the superuser asks, so it sees what the service writes."""
        options = ("--username=emotion_clf", "--no-align", "--tuples-only", f"--command={query}")
        return self.execute("postgres", "psql", *options).splitlines()

    def healthy(self, container: str, test: list[str]) -> bool:
        """Run the check of a service, as the engine does in its interval."""
        kind, *command = test
        command = command if kind == "CMD" else ["sh", "-c", *command]
        return _works([self.engine, "exec", container, *command])

    def token(self, *scopes: str) -> str:
        """Enter a client, as the README says, and return a token that it asks for."""
        chosen = [part for scope in scopes for part in ("--scope", scope)]
        words = self.execute("api", "emotion-clf", "client", "add", "tests", *chosen).split()
        form = {"grant_type": "client_credentials"}
        who = (words[1], words[3])
        answer = requests.post(f"{self.address}/auth/token", data=form, auth=who, timeout=10)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def logs(self, lines: int = 5) -> str:
        """Return the last words of every container."""
        told = []
        for service in ALWAYS_UP:
            for container in self.containers(service):
                command = [self.engine, "logs", "--tail", str(lines), container]
                said = subprocess.run(command, capture_output=True, text=True, check=False)
                told.append(f"--- {service} {container}\n{said.stdout}{said.stderr}")
        return "\n".join(told)


def run(command: list[str], timeout: float = 120) -> str:
    """Return what a command printed; raise with its complaints where it fails."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")
    }
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def until(condition: Callable[[], object], seconds: float, explain: Callable[[], str]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s\n{explain()}"
        time.sleep(0.5)
