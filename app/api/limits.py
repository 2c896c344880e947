"""Rate limits: which requests are counted, for whom, and what they are told.

Requests with a token count for its client, those that ask for one or show a bad one for the
address that they come from. See :mod:`app.rate_limit` for how they are counted.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping
from typing import Any

import structlog
from apispec import BasePlugin
from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter

from app.api.access import DOCUMENTED, Access, Open, access_to
from app.api.identity import current_owner
from app.api.problems import problem_response
from app.api.services import services
from app.errors import RateLimited
from app.rate_limit import Policy, Verdict
from app.settings import Settings

READS, CREATIONS, TOKENS, FAILURES = "reads", "creations", "tokens", "failures"
_SCRAPED = "/metrics"
_IPV6_SITE = 64
"""Bits of an IPv6 address that one customer is given whole."""

log = structlog.get_logger(__name__)


def policies(settings: Settings) -> Mapping[str, Policy]:
    """Return the policy of each class of requests that is limited.

    Without authentication there is one client, this machine, which is limited only where an
    operator has said so.
    """
    limits = settings.limits
    asked = limits.model_fields_set
    rates = {
        READS: ("reads_a_minute", limits.reads_a_minute),
        CREATIONS: ("creations_a_minute", limits.creations_a_minute),
        TOKENS: ("tokens_a_minute", limits.tokens_a_minute),
        FAILURES: ("tokens_a_minute", limits.tokens_a_minute),
    }
    return {
        name: Policy(name, rate, limits.burst(rate))
        for name, (setting, rate) in rates.items()
        if rate and (settings.auth.enabled or setting in asked)
    }


def counted() -> bool:
    """Whether a rate limiter has counted the current request, as far as requests are limited.

    Otherwise the database counts what it creates.
    """
    verdict: Verdict | None = g.get("rate_verdict")
    return verdict is None or verdict.shared


class RateLimits:
    """Counts the requests to one application, and refuses those that come too fast."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        self._policies = policies(settings)
        self._refused = Counter(
            "emotion_clf_rate_limited",
            "Requests that were refused because they came too fast",
            ("class",),
            registry=registry,
        )

    def check(self) -> None:
        """Take a token for the current request; raise RateLimited where there is none."""
        rule = request.url_rule
        if rule is None:
            return
        name = _class_of(request.method, access_to(request.method, rule.rule), rule.rule)
        if name is not None:
            self._take(name, _address() if name == TOKENS else current_owner())

    def refuse(self, error: RateLimited) -> Response:
        """Answer a request that came too fast, whoever counted it."""
        name = g.rate_policy.name
        self._refused.labels(name).inc()
        log.info("rate_limited", policy=name)
        return problem_response(error)

    def finish(self, response: Response) -> Response:
        """Count a failed authentication; tell the client what it has left."""
        if response.status_code in {401, 403} and "rate_policy" not in g:
            try:
                self._take(FAILURES, _address())
            except RateLimited as error:
                response = self.refuse(error)
        if "rate_policy" in g:
            response.headers.extend(_headers(g.rate_policy, g.rate_verdict))
        return response

    def _take(self, name: str, who: str) -> None:
        policy = self._policies.get(name)
        if policy is None:
            return
        verdict = services().limiter.take(policy, who)
        g.rate_policy, g.rate_verdict = policy, verdict
        if not verdict.allowed:
            raise RateLimited.after(verdict.retry_seconds)


def register(app: Flask, settings: Settings, registry: CollectorRegistry) -> None:
    """Limit the requests to ``app``; register it behind what finds out who is asking."""
    limits = RateLimits(settings, registry)
    app.before_request(limits.check)
    app.after_request(limits.finish)
    app.register_error_handler(RateLimited, limits.refuse)


def _class_of(method: str, access: Access | None, path: str) -> str | None:
    """Return the class of an operation; None for what is open to all, such as probes."""
    if path == "/auth/token":
        return TOKENS
    if access is None or access is Open.TO_ALL or path == _SCRAPED:
        return None
    return READS if method in {"GET", "HEAD"} else CREATIONS


def _address() -> str:
    """Return where the request comes from, by customer rather than by machine."""
    try:
        address = ipaddress.ip_address(_without_port(request.remote_addr or ""))
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_SITE), strict=False).network_address)


def _without_port(address: str) -> str:
    """Return an address without the port that some proxies add in ``X-Forwarded-For``."""
    host, _, _ = address.rpartition(":")
    return host.strip("[]") if "." in host or host.endswith("]") else address


def _headers(policy: Policy, verdict: Verdict) -> dict[str, str]:
    """Return the fields of draft-ietf-httpapi-ratelimit-headers."""
    full = math.ceil(verdict.full_seconds)
    return {
        "RateLimit-Policy": f'"{policy.name}";q={policy.burst};w={policy.window_seconds}',
        "RateLimit": f'"{policy.name}";r={verdict.remaining};t={full}',
    }


class LimitPlugin(BasePlugin):
    """Writes the answer to those who come too fast into the OpenAPI document."""

    def operation_helper(
        self,
        path: str | None = None,
        operations: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Add it to each operation of a path that is limited."""
        for method, operation in (operations or {}).items():
            access = DOCUMENTED.get(f"{method.upper()} {path}")
            if _class_of(method.upper(), access, path or ""):
                operation.setdefault("responses", {}).setdefault("429", "TOO_MANY_REQUESTS")
