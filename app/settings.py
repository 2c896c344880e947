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

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from app.environment import CONFIG_VARIABLE, settings_in
from app.setting_errors import explain, refuse_booleans
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

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


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
    def heartbeat_seconds(self) -> float:
        """How often a lease is renewed; cancelling must reach a step within two seconds."""
        return min(1.0, self.lease_seconds / 5)


class ApiSettings(Section):
    """The HTTP API: section ``api``."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    threads: Count = 16
    """Requests that one process serves at the same time."""
    wait_seconds: Annotated[float, Field(ge=0)] = 10.0
    """How long ``POST /predict`` waits, unless the request says otherwise."""
    max_wait_seconds: Annotated[float, Field(ge=0)] = 60.0
    """How long a request may ask it to wait."""
    max_page_size: Annotated[int, Field(ge=1, le=1000)] = 100
    page_size: Annotated[int, Field(ge=1, le=1000, validate_default=True)] = 20
    """Jobs on one page of the list, unless the request says otherwise."""

    @field_validator("page_size")
    @classmethod
    def _fits_on_a_page(cls, size: int, others: ValidationInfo) -> int:
        most = others.data.get("max_page_size", size)
        if size > most:
            raise ValueError(f"api.max_page_size, {most}, or less")
        return size


def _policies_apart(section: object) -> object:
    """Return the section with ``redact_pii`` as a list, which the environment holds as text."""
    if not isinstance(section, Mapping) or not isinstance(section.get("redact_pii"), str):
        return section
    text = str(section["redact_pii"])
    if text.lower() in ("true", "false", "1", "0", "yes", "no", "on", "off"):
        return section
    return {**section, "redact_pii": [name.strip() for name in text.split(",")]}


class PipelineSections(Section):
    """The sections that the pipeline is told."""

    source: SourceOptions = SourceOptions()
    transcription: TranscriptionOptions = TranscriptionOptions()
    diarization: DiarizationOptions = DiarizationOptions()
    privacy: Annotated[PrivacyOptions, BeforeValidator(_policies_apart)] = PrivacyOptions()
    prosody: ProsodyOptions = ProsodyOptions()
    classification: ClassificationOptions = ClassificationOptions()
    summary: SummaryOptions = SummaryOptions()


def _scheme(*allowed: str) -> AfterValidator:
    def check(url: str) -> str:
        if url.partition("://")[0] not in allowed:
            raise ValueError(" or ".join(f"{scheme}://…" for scheme in allowed))
        return url

    return AfterValidator(check)


def _in_lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class Settings(PipelineSections):
    """Everything that can be set, checked and frozen. Use :meth:`load`."""

    database_url: Annotated[str, _scheme("postgresql", "postgres", "postgresql+psycopg2")] = (
        "postgresql://localhost:5432/emotion_clf"
    )
    redis_url: Annotated[str, _scheme("redis", "rediss")] = "redis://localhost:6379/0"
    artifact_url: Annotated[str, Field(min_length=1)] = "file:///var/lib/emotion-clf/artifacts"
    """Any fsspec address: ``file:///path``, ``s3://bucket/prefix``, ``abfs://…``."""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], BeforeValidator(_in_lower_case)
    ] = "info"
    jobs: JobSettings = JobSettings()
    api: ApiSettings = ApiSettings()

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
        values = {name: asdict(getattr(self, name)) for name in PipelineSections.model_fields}
        _merge(values, overrides or {})
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
