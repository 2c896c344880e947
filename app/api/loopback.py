"""Without authentication: this machine alone.

The service then binds to loopback. That is not enough: another server may listen for it, and a
page of another site may send its requests from a browser on this machine, also after its name
was made to resolve to 127.0.0.1. So every request is looked at too.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from flask import Flask, request

from app.api.errors import LocalOnly
from app.settings import Settings
from ml.errors import SettingInvalid

_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")
_OWN_SITES = ("same-origin", "none")


def check_reach(settings: Settings, host: str) -> None:
    """Raise :class:`ml.errors.SettingInvalid` where others could ask and nobody asks them."""
    if settings.auth.enabled:
        return
    if not is_loopback(host):
        raise SettingInvalid(
            f"api.host is {host!r} without auth.secret or auth.jwks; "
            "allowed: localhost, 127.0.0.1, ::1."
        )
    check_proxies(settings)


def check_proxies(settings: Settings) -> None:
    """Raise :class:`ml.errors.SettingInvalid` for a proxy that would bring anybody in."""
    if settings.api.trusted_proxies and not settings.auth.enabled:
        raise SettingInvalid(
            f"api.trusted_proxies is {settings.api.trusted_proxies} without auth.secret or "
            "auth.jwks; allowed: 0."
        )


@lru_cache
def is_loopback(host: str) -> bool:
    """Whether a name or an address can mean nothing but this machine."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def register(app: Flask, settings: Settings) -> None:
    """Refuse what does not come from this machine, where nothing else tells who asks."""
    origins = settings.api.cors_origins

    def check() -> None:
        if not (
            is_loopback(request.remote_addr or "")
            and is_loopback(_host_name(request.host))
            and not any(name in request.headers for name in _FORWARDED)
            and (request.method in _HARMLESS or _is_own_page(origins))
        ):
            raise LocalOnly

    if not settings.auth.enabled:
        app.before_request(check)


def _host_name(host: str) -> str:
    """Return a ``Host`` header without its port."""
    return host.partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_own_page(origins: tuple[str, ...]) -> bool:
    """Whether no browser sent the request, or one that shows a page of this service."""
    origin = request.headers.get("Origin")
    if origin is not None:
        return origin == request.host_url.rstrip("/") or origin in origins
    return request.headers.get("Sec-Fetch-Site", "none") in _OWN_SITES
