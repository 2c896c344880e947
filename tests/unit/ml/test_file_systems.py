from __future__ import annotations

import sys
from importlib import import_module

import pytest

from ml.artifacts import ArtifactStore
from ml.errors import ExtraMissing, SettingInvalid


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [("s3://bucket/x", "s3fs", "s3"), ("abfs://container/x", "adlfs", "azure")],
)
def test_an_extra_that_is_missing_is_named(
    url: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where another test has asked for it, fsspec knows it by now.
    known = import_module("fsspec.registry")._registry
    monkeypatch.delitem(known, url.partition(":")[0], raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExtraMissing, match=rf"emotion-clf\[{extra}\]"):
        ArtifactStore(url)


def test_an_address_that_nothing_reads_is_no_setting() -> None:
    with pytest.raises(SettingInvalid, match="artifact_url"):
        ArtifactStore("nosuch://x")
