"""What keeps browsers from doing more with an answer than was meant."""

from __future__ import annotations

import pytest

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


@pytest.mark.parametrize("path", ["/", "/docs", "/web/app.js", "/jobs", "/jobs/x", "/none"])
def test_every_answer_carries_them(client, path):
    headers = client.get(path).headers
    assert {name: headers.get(name) for name in EVERYWHERE} == EVERYWHERE
    assert "Content-Security-Policy" in headers
    assert "Strict-Transport-Security" not in headers


def test_data_is_kept_by_nobody(client):
    for path in ("/jobs", "/jobs/x"):
        headers = client.get(path).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_over_https_browsers_are_told_to_stay_there(client):
    reply = client.get("/health", base_url="https://localhost")
    assert reply.headers["Strict-Transport-Security"] == "max-age=31536000"
