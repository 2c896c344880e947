"""The settings of the program: the only reader of the environment and of ``config.yaml``.

Explicit arguments win over the environment, the environment over ``config.yaml``, that over
the defaults. An unknown key or a value that is not allowed stops the start with a
:class:`ml.errors.SettingInvalid` that names the key, the value and what is allowed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
)

from app.jobs import Quotas
from app.settings.environment import CONFIG_VARIABLE, settings_in
from app.settings.errors import explain, refuse_booleans
from app.settings.sections import (
    ApiSettings,
    AuthSettings,
    EgressSettings,
    JobSettings,
    LimitSettings,
    MetricsSettings,
    RetentionSettings,
    Section,
    TracingSettings,
    WebhookSettings,
    apart,
    scheme,
)
from ml.errors import OptionInvalid, SettingInvalid
from ml.options import (
    PII_POLICIES,
    ClassificationOptions,
    DiarizationOptions,
    PipelineOptions,
    PrivacyOptions,
    ProsodyOptions,
    SourceOptions,
    SummaryOptions,
    TranscriptionOptions,
)


def _policies_apart(section: object) -> object:
    """Return the section with ``redact_pii`` as a list, which the environment holds as text."""
    if not isinstance(section, Mapping) or not isinstance(section.get("redact_pii"), str):
        return section
    text = str(section["redact_pii"])
    if text.lower() in ("true", "false", "1", "0", "yes", "no", "on", "off"):
        return section
    return {**section, "redact_pii": [name.strip() for name in text.split(",")]}


def _lists_apart(section: object) -> object:
    """Return the section ``source`` with lists where the environment holds text."""
    if not isinstance(section, Mapping):
        return section
    lists = {name: apart(section[name]) for name in _SOURCE_LISTS if name in section}
    return {**section, **lists}


_SOURCE_LISTS = ("allowed_networks", "extractors")


class PipelineSections(Section):
    """The sections that the pipeline is told."""

    source: Annotated[SourceOptions, BeforeValidator(_lists_apart)] = SourceOptions()
    transcription: TranscriptionOptions = TranscriptionOptions()
    diarization: DiarizationOptions = DiarizationOptions()
    privacy: Annotated[PrivacyOptions, BeforeValidator(_policies_apart)] = PrivacyOptions()
    prosody: ProsodyOptions = ProsodyOptions()
    classification: ClassificationOptions = ClassificationOptions()
    summary: SummaryOptions = SummaryOptions()


def _in_lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _verified(redis_url: str) -> str:
    """Return an address that has the server's certificate checked, unless it says otherwise.

    kombu takes any certificate where it is not told what to ask for.
    """
    parts = urlsplit(redis_url)
    if parts.scheme != "rediss" or "ssl_cert_reqs=" in parts.query:
        return redis_url
    asked = "ssl_cert_reqs=required"
    return parts._replace(query=f"{parts.query}&{asked}" if parts.query else asked).geturl()


class Settings(PipelineSections):
    """Everything that can be set, checked and frozen. Use :meth:`load`."""

    database_url: Annotated[
        str, scheme("postgresql", "postgres", "postgresql+psycopg2"), Field(repr=False)
    ] = "postgresql://localhost:5432/emotion_clf"
    redis_url: Annotated[
        str, scheme("redis", "rediss"), AfterValidator(_verified), Field(repr=False)
    ] = "redis://localhost:6379/0"
    artifact_url: Annotated[str, Field(min_length=1)] = "file:///var/lib/emotion-clf/artifacts"
    """Any fsspec address: ``file:///path``, ``s3://bucket/prefix``, ``abfs://…``."""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], BeforeValidator(_in_lower_case)
    ] = "info"
    jobs: JobSettings = JobSettings()
    api: ApiSettings = ApiSettings()
    auth: AuthSettings = AuthSettings()
    limits: LimitSettings = LimitSettings()
    retention: RetentionSettings = RetentionSettings()
    webhooks: WebhookSettings = WebhookSettings()
    egress: EgressSettings = EgressSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()

    @property
    def quotas(self) -> Quotas:
        """How much work is accepted."""
        limits = self.limits
        rate = limits.creations_a_minute
        return Quotas(
            max_queued=self.jobs.max_queued,
            jobs_at_once=limits.jobs_at_once,
            audio_seconds_a_day=limits.audio_minutes_a_day * 60,
            # As many as a token bucket lets through in its best minute.
            creations_a_minute=rate + limits.burst(rate) if rate else 0,
        )

    @classmethod
    def load(cls, config: Path | None = None, **overrides: Any) -> Self:
        """Read and check all settings; raise :class:`ml.errors.SettingInvalid`.

        ``config`` names the YAML file. Without it ``EMOTION_CLF_CONFIG`` does, and without
        that ``config.yaml`` in the working directory is read if it is there. ``overrides``
        are by name, sections as mappings: ``load(transcription={"model": "base"})``.
        """
        values = _read_config(config)
        _merge(values, settings_in(os.environ))
        _merge(values, overrides)
        try:
            settings = cls.model_validate(values)
            refuse_booleans(values, settings)
            return settings
        except OptionInvalid as error:
            raise SettingInvalid(error.text) from error
        except ValidationError as error:
            raise SettingInvalid(explain(error, cls)) from error

    def pipeline_options(self, overrides: Mapping[str, Any] | None = None) -> PipelineOptions:
        """Return the options of the pipeline, with those that one job overrides.

        ``overrides`` is by section: ``{"classification": {"confidence_threshold": 0.5}}``.
        What these settings redact is redacted whatever a job says.
        Raises :class:`ml.errors.OptionInvalid` for a key or a value that is not allowed.
        """
        if not overrides:
            # What most jobs ask for: nothing of their own.
            own = {name: getattr(self, name) for name in PipelineSections.model_fields}
            return PipelineOptions(**own)
        values = {name: asdict(getattr(self, name)) for name in PipelineSections.model_fields}
        _merge(values, overrides)
        try:
            checked = PipelineSections.model_validate(values)
            refuse_booleans(values, checked)
        except ValidationError as error:
            raise OptionInvalid(explain(error, PipelineSections)) from error
        options = PipelineOptions(**dict(checked))
        return replace(options, privacy=_as_private(options.privacy, self.privacy))


def _as_private(asked: PrivacyOptions, least: PrivacyOptions) -> PrivacyOptions:
    """Return what a job asks for, and what the operator asks for in any case."""
    policies = tuple(name for name in PII_POLICIES if name in asked.policies + least.policies)
    return PrivacyOptions(policies or False, asked.redact_audio or least.redact_audio)


def _read_config(config: Path | None) -> dict[str, Any]:
    named = config or os.environ.get(CONFIG_VARIABLE)
    path = Path(named) if named else Path("config.yaml")
    if not named and not path.is_file():
        return {}
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingInvalid(f"{path} cannot be read; allowed: a readable YAML file.") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        raise SettingInvalid(f"{path} is not YAML{line}; allowed: keys and values.") from error
    if not isinstance(values or {}, dict):
        raise SettingInvalid(f"{path} holds no keys; allowed: {', '.join(Settings.model_fields)}.")
    return values or {}


def _merge(values: dict[str, Any], stronger: Mapping[str, Any]) -> None:
    """Overlay ``stronger`` on ``values``, section by section."""
    for name, value in stronger.items():
        present = values.get(name)
        if isinstance(present, dict) and isinstance(value, Mapping):
            values[name] = present | dict(value)
        else:
            values[name] = value
