"""What the API says before it listens, or instead."""

from __future__ import annotations

import sys

import pytest

from app.api import __main__ as api


@pytest.mark.parametrize(
    ("words", "variables", "names"),
    [
        (["--host", "0.0.0.0"], {}, "api.host"),
        ([], {"API__HOST": "192.168.1.7"}, "api.host"),
        (["--host", "::"], {}, "api.host"),
        ([], {"API__TRUSTED_PROXIES": "1"}, "api.trusted_proxies"),
        ([], {"AUTH__SECRET": "thirty-one characters are weak."}, "auth.secret"),
        ([], {"AUTH__ALGORITHM": "none"}, "auth.algorithm"),
        ([], {"AUTH__ALGORITHM": "ES256", "AUTH__SECRET": "s" * 32}, "auth.jwks"),
        ([], {"AUTH__JWKS": "/none.json"}, "auth.secret"),
        ([], {"AUTH__ALGORITHM": "ES256", "AUTH__JWKS": "/none.json"}, "auth.jwks"),
        ([], {"AUTH__ALGORITHM": "ES256", "AUTH__JWKS": "http://a.example/"}, "auth.jwks"),
    ],
)
def test_settings_under_which_anybody_might_get_in_stop_the_start(
    monkeypatch, capsys, tmp_path, words, variables, names
):
    monkeypatch.chdir(tmp_path)
    # What it configures is the whole process', and this one has other tests to run.
    monkeypatch.setattr(api, "configure_logging", lambda level, service: None)
    monkeypatch.setattr(sys, "argv", ["api", *words])
    for name, value in {"ARTIFACT_URL": f"file://{tmp_path}", **variables}.items():
        monkeypatch.setenv(name if name == "ARTIFACT_URL" else f"EMOTION_CLF_{name}", value)
    assert api.main() == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert names in line
    assert "allowed" in line
    assert "weak" not in line
