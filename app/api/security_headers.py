"""Headers that keep browsers from doing more with an answer than was meant."""

from __future__ import annotations

from flask import Flask, Response, request

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_OVER_HTTPS = {"Strict-Transport-Security": "max-age=31536000"}
_DATA = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


def register(app: Flask) -> None:
    """Add the headers to every answer of ``app``; what a view has set stays."""

    def add(response: Response) -> Response:
        wanted = _ALWAYS | _DATA | (_OVER_HTTPS if request.is_secure else {})
        for name, value in wanted.items():
            response.headers.setdefault(name, value)
        return response

    app.after_request(add)
