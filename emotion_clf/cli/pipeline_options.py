"""The options of the pipeline on the command line, shared by the commands that run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from ml.options import PipelineOptions

Command = TypeVar("Command", bound=Callable[..., Any])

SETTINGS: Final[Mapping[str, tuple[str, str]]] = {
    "method": ("transcription", "method"),
    "whisper_model": ("transcription", "model"),
    "language": ("transcription", "language"),
    "translate": ("transcription", "translate"),
    "diarize": ("diarization", "enabled"),
    "speakers": ("diarization", "speakers"),
    "min_speakers": ("diarization", "min_speakers"),
    "max_speakers": ("diarization", "max_speakers"),
    "redact_pii": ("privacy", "redact_pii"),
    "prosody": ("prosody", "enabled"),
    "confidence_threshold": ("classification", "confidence_threshold"),
    "features": ("classification", "features"),
    "timeline_bins": ("summary", "timeline_bins"),
}
"""Which setting each option is: section and key."""

_OPTIONS: Final = (
    click.option(
        "--config", type=click.Path(path_type=Path, dir_okay=False), help="A config.yaml."
    ),
    click.option(
        "--method", help="faster-whisper, openai-whisper or assemblyai.  [default: faster-whisper]"
    ),
    click.option("--whisper-model", help="A size, a directory or a Hub name.  [default: tiny.en]"),
    click.option("--language", help="What is spoken, such as en or de.  [default: auto]"),
    click.option(
        "--translate/--no-translate",
        default=None,
        help="Translate other languages.  [default: off]",
    ),
    click.option(
        "--diarize/--no-diarize", default=None, help="Tell speakers apart.  [default: off]"
    ),
    click.option("--speakers", type=int, help="How many people speak, where that is known."),
    click.option("--min-speakers", type=int, help="How many there are at least.  [default: 1]"),
    click.option("--max-speakers", type=int, help="How many there are at most.  [default: 10]"),
    click.option(
        "--redact-pii",
        is_flag=False,
        flag_value="true",
        metavar="[POLICIES]",
        help="Leave out names, numbers, addresses …: all, or some, separated by commas.",
    ),
    click.option(
        "--prosody/--no-prosody", default=None, help="Measure how it is said.  [default: off]"
    ),
    click.option(
        "--confidence-threshold", type=float, help="Mark less sure predictions.  [default: 0.65]"
    ),
    click.option("--timeline-bins", type=int, help="Stretches in the timeline.  [default: 20]"),
    click.option(
        "--features/--no-features", default=None, help="Use linguistic features.  [default: on]"
    ),
)


def pipeline_options(command: Command) -> Command:
    """Give a command the options of the pipeline, and ``--config``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def chosen_options(
    config: Path | None, chosen: Mapping[str, object], *, redact_audio: bool = False
) -> PipelineOptions:
    """Return the settings of this machine with the options of the command line."""
    from app.settings import Settings

    overrides: dict[str, dict[str, object]] = {}
    for name, value in chosen.items():
        if value is not None:
            section, key = SETTINGS[name]
            overrides.setdefault(section, {})[key] = value
    if redact_audio:
        overrides.setdefault("privacy", {})["redact_audio"] = True
    return Settings.load(config).pipeline_options(overrides)
