"""Headers that keep browsers from doing more with an answer than was meant."""

from __future__ import annotations

from flask import Flask, Response

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_DATA = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


def register(app: Flask) -> None:
    """Add the headers to every answer of ``app``; what a view has set stays."""

    def add(response: Response) -> Response:
        for name, value in (_ALWAYS | _DATA).items():
            response.headers.setdefault(name, value)
        return response

    app.after_request(add)
