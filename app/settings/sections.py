"""The sections of the settings that are the service's own; the pipeline's are :mod:`ml.options`."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Limit = Annotated[int, Field(ge=0)]
_ORIGIN = re.compile(r"https?://[a-z0-9.\-\[\]:]+")


def scheme(*allowed: str) -> AfterValidator:
    """Refuse an address of another scheme."""

    def check(url: str) -> str:
        if url.partition("://")[0] not in allowed:
            raise ValueError(" or ".join(f"{scheme}://…" for scheme in allowed))
        return url

    return AfterValidator(check)


def apart(value: object) -> object:
    """Return a list that is written as text, as in the environment, as a list."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


Names = Annotated[tuple[str, ...], BeforeValidator(apart)]


class Section(BaseModel):
    """A group of settings: frozen, and strict about what it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class JobSettings(Section):
    """How jobs are carried: section ``jobs``."""

    lease_seconds: Annotated[float, Field(ge=2)] = 60.0
    """How long a silent worker keeps a step. After that the step goes to another worker."""
    max_attempts: Count = 3
    """A step that lost this many workers fails with ``worker.lost``."""
    max_retries: Annotated[int, Field(ge=0)] = 4
    """How often a transient error of a step is retried."""
    retry_seconds: Positive = 2.0
    """Longest wait before the first retry. It doubles each time; the wait is drawn below it."""
    retry_max_seconds: Positive = 120.0
    """Longest wait before any retry."""
    republish_seconds: Positive = 15.0
    """A message that nobody took for this long is sent again once its queue has moved past."""
    max_queued: Count = 10_000
    """Jobs that may wait; more are refused with ``queue.full``."""
    step_seconds: Count = 7200
    """Longest run of one step: a backstop behind the limits of the single stages."""
    drain_seconds: Positive = 10.0
    """How long a worker that is told to stop waits for its running step, before it gives the
    step back to be run elsewhere."""
    cpu_concurrency: Count = 2
    """Steps that one CPU worker runs at the same time."""
    worker_timeout_seconds: Positive = 15.0
    """A worker that was not seen for this long does not count as alive."""

    @property
    def patience_seconds(self) -> float:
        """How long a step may wait beside an idle worker, which then counts as hanging.

        By then a message that was lost has been sent again.
        """
        return self.republish_seconds + 5.0

    @property
    def heartbeat_seconds(self) -> float:
        """How often a lease is renewed; cancelling must reach a step within two seconds."""
        return min(1.0, self.lease_seconds / 5)


class AuthSettings(Section):
    """Who may ask: section ``auth``.

    Without a secret and without keys everybody is ``local``, and the API answers this machine only.
    """

    algorithm: Literal["HS256", "RS256", "ES256"] = "HS256"
    """The one that tokens are signed with; no token chooses another."""
    secret: str | None = Field(default=None, min_length=32, repr=False)
    """Signs tokens with HS256; at least 32 characters."""
    jwks: str | None = None
    """Public keys for RS256 and ES256: a file, or the https address of an identity provider."""
    issuer: Annotated[str, Field(min_length=1)] = "emotion-clf"
    audience: Annotated[str, Field(min_length=1)] = "emotion-clf"
    token_seconds: Count = 3600
    """How long a token is good for that ``POST /auth/token`` gives."""

    @property
    def enabled(self) -> bool:
        """Whether requests need a token."""
        return bool(self.secret or self.jwks)

    @model_validator(mode="after")
    def _keys_fit_the_algorithm(self) -> Self:
        needed, other = ("secret", "jwks") if self.algorithm == "HS256" else ("jwks", "secret")
        if getattr(self, other) and not getattr(self, needed):
            raise ValueError(f"auth.{needed} with auth.algorithm {self.algorithm}")
        if getattr(self, other):
            raise ValueError(f"auth.{needed} alone with auth.algorithm {self.algorithm}")
        return self


class LimitSettings(Section):
    """What one client may ask for: section ``limits``; 0 switches a limit off."""

    reads_a_minute: Limit = 1200
    """Requests that look."""
    creations_a_minute: Limit = 120
    """Requests that create, change or erase."""
    tokens_a_minute: Limit = 20
    """Requests for a token, by address."""
    burst_seconds: Positive = 10.0
    """A client may save up what it did not use in this time, and spend it at once."""
    jobs_at_once: Limit = 0
    """Jobs that wait or run."""
    audio_minutes_a_day: Annotated[float, Field(ge=0)] = 0.0
    redis_url: Annotated[str, scheme("redis", "rediss")] | None = Field(default=None, repr=False)
    """Where requests are counted; without it in the broker."""

    def burst(self, a_minute: int) -> int:
        """Return how many requests a client may save up at this rate."""
        return max(1, int(a_minute * self.burst_seconds / 60))


class RetentionSettings(Section):
    """How long things are kept: section ``retention``; 0 keeps them for ever."""

    audio_hours: Annotated[float, Field(ge=0)] = 24.0
    """Uploads, audio and what stages stored, after their jobs have ended."""
    result_days: Annotated[float, Field(ge=0)] = 0.0
    """Results in the database."""


class WebhookSettings(Section):
    """Reports to a job's ``callback_url``: section ``webhooks``."""

    secret: str | None = Field(default=None, min_length=32, repr=False)
    """Each client's signing key is derived from it. Without it no callback is accepted."""
    timeout: Positive = 10.0
    """Longest delivery, in seconds."""
    give_up_hours: Positive = 24.0
    """How long a delivery is tried."""


class EgressSettings(Section):
    """The egress proxy, ``python -m workers.egress``: section ``egress``."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 3128
    upstream: str | None = Field(default=None, repr=False)
    """Another HTTP proxy that it connects through, such as one with addresses of its own."""
    connections: Count = 256
    """Connections at the same time."""
    idle_seconds: Positive = 60.0
    """A connection over which nothing came for this long is closed."""


class MetricsSettings(Section):
    """What Prometheus reads: section ``metrics``."""

    worker_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Where a worker serves its metrics; 0 serves none."""
    worker_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"


class TracingSettings(Section):
    """OpenTelemetry: section ``tracing``."""

    endpoint: str | None = None
    """OTLP over HTTP, such as ``http://localhost:4318``; without it nothing is traced."""


class ApiSettings(Section):
    """The HTTP API: section ``api``."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    threads: Count = 16
    """Requests that one process serves at the same time."""
    wait_seconds: Annotated[float, Field(ge=0)] = 10.0
    """How long ``POST /predict`` waits, unless the request says otherwise."""
    max_wait_seconds: Annotated[float, Field(ge=0)] = 60.0
    """How long a request may ask it to wait, and the longest stream of events."""
    max_page_size: Annotated[int, Field(ge=1, le=1000)] = 100
    page_size: Annotated[int, Field(ge=1, le=1000, validate_default=True)] = 20
    """Jobs on one page of the list, unless the request says otherwise."""

    trusted_proxies: Annotated[int, Field(ge=0)] = 0
    """How many reverse proxies stand before it, whose ``X-Forwarded-*`` are believed."""
    cors_origins: Names = ()
    """Origins whose pages may read answers; none unless listed."""

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(origin) for origin in origins):
            raise ValueError("origins as browsers send them, such as https://app.example.org")
        return origins

    @field_validator("page_size")
    @classmethod
    def _fits_on_a_page(cls, size: int, others: ValidationInfo) -> int:
        most = others.data.get("max_page_size", size)
        if size > most:
            raise ValueError(f"api.max_page_size, {most}, or less")
        return size
