"""The page and the documentation: whole, and without any other host."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest


class _Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.found += [named[name] for name in ("src", "href") if named.get(name)]
        if tag == "style" or (tag == "script" and "src" not in named) or "style" in named:
            self.inline.append(tag)
        self.inline += [name for name in named if name.startswith("on")]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_every_file_of_a_page_is_served(client, path):
    page = client.get(path)
    assert page.status_code == 200
    assert page.mimetype == "text/html"
    parsed = _Addresses()
    parsed.feed(page.text)
    assert parsed.found
    assert not parsed.inline
    for address in parsed.found:
        if address.startswith("#"):
            continue
        assert address.startswith("/")
        assert not address.startswith("//")
        assert client.get(address).status_code == 200, address


@pytest.mark.parametrize("path", ["/", "/docs", "/web/page.js", "/docs/swagger-ui-bundle.js"])
def test_pages_carry_a_policy_that_names_no_host(client, path):
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert not re.search(r"https?:|\*", policy)
    assert headers["Cache-Control"] == "no-cache"


def test_the_documentation_is_found_with_a_slash_too(client):
    reply = client.get("/docs/")
    assert (reply.status_code, reply.headers["Location"]) == (308, "/docs")


def test_files_outside_are_not_served(client):
    for path in ("/web/..%2fapi%2ferrors.py", "/docs/..%2f__init__.py", "/web/", "/web/none"):
        assert client.get(path).status_code == 404
