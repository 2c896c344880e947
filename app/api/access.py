"""Who may call what: the scope of every operation, asked for before any view is called.

The table fails closed: an operation that is not in it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

import structlog
from apispec import BasePlugin
from flask import Flask, Response, request
from werkzeug.routing import Rule

from app.api.identity import identify
from app.api.services import services
from app.auth import LOCAL, SCOPES, Identity, Scope
from app.errors import AuthInvalid, Forbidden, TokenMissing
from app.settings.sections import AuthSettings


class Open(Enum):
    """Operations that no scope guards."""

    TO_ALL = "to all"
    TO_TOKENS = "to tokens"
    """Any good token will do."""


Access = Scope | Open

ACCESS: Mapping[str, Access] = {
    "GET /": Open.TO_ALL,
    "GET /web/<path:name>": Open.TO_ALL,
    "GET /docs": Open.TO_ALL,
    "GET /docs/": Open.TO_ALL,
    "GET /docs/<path:name>": Open.TO_ALL,
    "GET /openapi.json": Open.TO_ALL,
    "GET /health": Open.TO_ALL,
    "GET /health/ready": Open.TO_ALL,
    "POST /auth/token": Open.TO_ALL,
    "POST /auth/revoke": Open.TO_TOKENS,
    "GET /jobs": Scope.JOBS_READ,
    "POST /jobs": Scope.JOBS_WRITE,
    "GET /jobs/<job_id>": Scope.JOBS_READ,
    "DELETE /jobs/<job_id>": Scope.JOBS_WRITE,
    "GET /jobs/<job_id>/audio": Scope.JOBS_READ,
    "GET /jobs/<job_id>/result": Scope.JOBS_READ,
    "GET /jobs/<job_id>/events": Scope.JOBS_READ,
    "POST /jobs/<job_id>/redeliver": Scope.JOBS_WRITE,
    "GET /batches": Scope.JOBS_READ,
    "POST /batches": Scope.JOBS_WRITE,
    "GET /batches/<batch_id>": Scope.JOBS_READ,
    "DELETE /batches/<batch_id>": Scope.JOBS_WRITE,
    "GET /batches/<batch_id>/results": Scope.JOBS_READ,
    "POST /predict": Scope.JOBS_WRITE,
    "GET /metrics": Scope.METRICS_READ,
    "GET /stats": Scope.JOBS_READ,
}
BEARER = "bearer"
CLIENT = "client"
_BASIC = 'Basic realm="emotion-clf"'
_BEARER = 'Bearer realm="emotion-clf"'
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")

log = structlog.get_logger(__name__)


def access_to(method: str, rule: str) -> Access | None:
    """Return what an operation asks for; None for one that is not in the table."""
    return ACCESS.get(f"{'GET' if method == 'HEAD' else method} {rule}")


def register(app: Flask, auth: AuthSettings) -> None:
    """Let ``app`` find out who is asking, and refuse what they may not do."""

    def check() -> None:
        rule = request.url_rule
        if not auth.enabled:
            identify(LOCAL)
        elif rule is not None and not _is_preflight(rule):
            _admit(access_to(request.method, rule.rule))

    def challenge(response: Response) -> Response:
        text = _challenge(response.status_code) if response.status_code in (401, 403) else None
        if text:
            response.headers["WWW-Authenticate"] = text
        return response

    app.before_request(check)
    if auth.enabled:
        app.after_request(challenge)


def _challenge(status: int) -> str | None:
    """Return how to do better, as RFC 6750 words it; None where a token would not help."""
    rule = request.url_rule.rule if request.url_rule else ""
    access = access_to(request.method, rule)
    if access is Open.TO_ALL:
        # Only POST /auth/token refuses here, and credentials may come as HTTP Basic.
        return _BASIC if status == 401 else None
    if status == 403:
        scope = f', scope="{access.value}"' if isinstance(access, Scope) else ""
        return f'{_BEARER}, error="insufficient_scope"{scope}'
    return f'{_BEARER}, error="invalid_token"' if "Authorization" in request.headers else _BEARER


def _is_preflight(rule: Rule) -> bool:
    # Flask answers OPTIONS itself, from the table of routes.
    return request.method == "OPTIONS" and bool(getattr(rule, "provide_automatic_options", False))


def _admit(access: Access | None) -> None:
    if access is Open.TO_ALL:
        return
    identity = _bearer()
    identify(identity)
    if access is None:
        log.error("operation_without_scope", route=str(request.url_rule))
        raise Forbidden
    if isinstance(access, Scope):
        identity.require(access)


def _bearer() -> Identity:
    """Return whose token the request carries; it costs one query."""
    given = request.headers.get("Authorization")
    if given is None:
        raise TokenMissing
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "bearer":
        raise AuthInvalid("Send a token, as `Authorization: Bearer …`.")
    identity = services().tokens.verify(token.strip())
    if identity.jti is None or services().clients.revoked(identity.jti, identity.owner):
        raise AuthInvalid("The token was revoked.")
    return identity


class AccessPlugin(BasePlugin):
    """Writes into the OpenAPI document which scope each operation asks for."""

    def __init__(self, auth: AuthSettings) -> None:
        self._auth = auth

    def init_spec(self, spec: Any) -> None:
        """Describe the ways to get and to send a token."""
        if not self._auth.enabled:
            return
        spec.components.security_scheme(
            BEARER, {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        )
        if self._auth.secret:
            scopes = {scope.value: meaning for scope, meaning in SCOPES.items()}
            flow = {"tokenUrl": "/auth/token", "scopes": scopes}
            spec.components.security_scheme(
                CLIENT, {"type": "oauth2", "flows": {"clientCredentials": flow}}
            )

    def operation_helper(
        self,
        path: str | None = None,
        operations: dict[str, Any] | None = None,
        **arguments: Any,
    ) -> None:
        """Add security, and the answers to those who lack it, to each operation of a path."""
        for method, operation in (operations or {}).items():
            access = DOCUMENTED.get(f"{method.upper()} {path}")
            responses = operation.setdefault("responses", {})
            if not self._auth.enabled:
                responses.setdefault("403", "FORBIDDEN")
            elif access is not Open.TO_ALL:
                names = [access.value] if isinstance(access, Scope) else []
                schemes = [BEARER, CLIENT] if self._auth.secret else [BEARER]
                operation["security"] = [{scheme: names} for scheme in schemes]
                responses.setdefault("401", "UNAUTHORIZED")
                responses.setdefault("403", "FORBIDDEN")


DOCUMENTED = {_PARAMETER.sub(r"{\1}", operation): access for operation, access in ACCESS.items()}
"""The table with addresses as OpenAPI writes them."""
