"""Headers that keep browsers from doing more with an answer than was meant."""

from __future__ import annotations

from flask import Flask, Response, request

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_OVER_HTTPS = _HEADERS | {"Strict-Transport-Security": "max-age=31536000"}


def register(app: Flask) -> None:
    """Add the headers to every answer of ``app``; what a view has set stays."""

    def add(response: Response) -> Response:
        wanted = _OVER_HTTPS if request.is_secure else _HEADERS
        # Read once: each header that is looked for is looked for in all of them.
        there = {name.lower() for name, _ in response.headers}
        response.headers.extend(
            (name, value) for name, value in wanted.items() if name.lower() not in there
        )
        return response

    app.after_request(add)
