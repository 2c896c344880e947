"""What the options need beside the package itself, looked at before any work is done."""

from __future__ import annotations

from importlib.util import find_spec

from ml.errors import ExtraMissing, SpeechAuth
from ml.options import PipelineOptions, SourceOptions
from ml.source.cookies import read_cookies
from ml.stage import InputKind


def require(options: PipelineOptions, kind: InputKind) -> None:
    """Raise what a stage would raise later for want of a key or of an extra.

    Raises:
        SpeechAuth: the speech service needs a key, and there is none.
        ExtraMissing: a library is not installed.
        SettingInvalid: the cookie file or an extractor's name is no good.

    """
    if kind == "url":
        require_for_links(options.source)
    chosen = options.transcription
    by_service = chosen.method == "assemblyai" and kind != "text"
    if options.privacy.policies and not by_service:
        _need("presidio_analyzer", "pii", "privacy.redact_pii is set")
    if by_service:
        _need("assemblyai", "assemblyai", "transcription.method is assemblyai")
        if not chosen.api_key:
            raise SpeechAuth("transcription.method is assemblyai, and there is no key.")
    elif kind != "text":
        _require_here(options)


def require_for_links(options: SourceOptions) -> None:
    """Raise :class:`SettingInvalid` for what each download would fail with.

    Like downloading, looking for extractors needs yt-dlp; where all may be used it is not loaded.
    """
    read_cookies(options.cookie_file)
    if options.extractors != ("default",):
        from ml.source.extractor import require_extractors

        require_extractors(options.extractors)


def _require_here(options: PipelineOptions) -> None:
    """Look for what recognisers on this machine need."""
    if options.transcription.method == "openai-whisper":
        _need("whisper", "openai-whisper", "transcription.method is openai-whisper")
    if options.diarization.wanted and options.diarization.method == "pyannote":
        _need("pyannote.audio", "pyannote", "diarization.method is pyannote")


def _need(module: str, extra: str, because: str) -> None:
    # Looking for a module inside a package imports the package, which may not be there.
    if find_spec(module.partition(".")[0]) is None or find_spec(module) is None:
        raise ExtraMissing(
            f"{because}, and what it needs is not installed.",
            hint=f"Install it with pip install 'emotion-clf[{extra}]'.",
        )
