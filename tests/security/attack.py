"""Downloads many addresses in one process, as hardened as the request says.

:func:`main` reads a JSON object: ``urls`` by name, ``proxy``, ``hook``, ``directory``.
Without the hook nothing but yt-dlp runs: no guard, no address policy. It writes a line for
each, with its name and the code of its error; null stands for a download that succeeded.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import egress

from ml.errors import EmotionClfError, SourceForbiddenAddress
from ml.source import direct, extractor
from ml.source.addresses import AddressPolicy
from ml.source.extractor import Access, download_extracted
from ml.source.guard import Guard
from ml.source.isolated import OUTPUT, Request, download_by
from ml.source.route import ProxyRoute, route

EVERYWHERE = ("0.0.0.0/0", "::/0")
EXTRACTORS = ("generic", "html5", "mediasite", "peertube")
"""Those that follow addresses to any host; to load the others as well takes most of the time."""


class Attack:
    def __init__(self, *, hook: bool, proxy: str | None, directory: str) -> None:
        networks = (egress.OUTSIDE,) if hook else EVERYWHERE
        self._policy = AddressPolicy(networks)
        self._way = route(proxy, networks)
        self._guard = Guard(self._way, Path(directory)) if hook else None
        self._request = Request("", directory, 10_000_000, networks, proxy, EXTRACTORS)
        if self._guard:
            self._guard.install(10_000_000)

    def _download(self, url: str) -> None:
        def report(received: int, expected: int | None) -> None:
            pass

        if self._guard:
            self._policy.check_url(url)
            download_by(self._way, replace(self._request, url=url), report)
        else:
            proxy = self._way.url if isinstance(self._way, ProxyRoute) else None
            target = Path(self._request.directory, OUTPUT)
            download_extracted(url, target, 10_000_000, report, Access(proxy, EXTRACTORS))

    def code(self, url: str) -> str | None:
        """Download one address and return the code of the error that it ended with."""
        if self._guard:
            self._guard.refused_address = False
        try:
            self._download(url)
        except Exception as error:
            if self._guard and self._guard.refused_address:
                return SourceForbiddenAddress.code
            return error.code if isinstance(error, EmotionClfError) else type(error).__name__
        finally:
            Path(self._request.directory, OUTPUT).unlink(missing_ok=True)
        return None


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    direct.SOCKET_TIMEOUT = extractor.SOCKET_TIMEOUT = 1.0
    attack = Attack(hook=asked["hook"], proxy=asked["proxy"], directory=asked["directory"])
    for name, url in asked["urls"].items():
        print(json.dumps([name, attack.code(url)]), file=output, flush=True)
