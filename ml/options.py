"""What a caller may choose, as frozen dataclasses. Only these reach the pipeline.

The environment and configuration files are read by ``app.settings`` and by the command
line, never in here. Values out of range raise :class:`ml.errors.OptionInvalid`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

from ml.errors import OptionInvalid

TranscriptionMethod = Literal["faster-whisper", "openai-whisper", "assemblyai"]
DiarizationMethod = Literal["embeddings", "pyannote"]
Device = Literal["auto", "cpu", "cuda"]
PiiPolicy = Literal[
    "person_name",
    "phone_number",
    "email_address",
    "location",
    "date_of_birth",
    "credit_card_number",
    "account_number",
    "us_social_security_number",
    "ip_address",
    "url",
]
PII_POLICIES: tuple[PiiPolicy, ...] = get_args(PiiPolicy)
"""What can be redacted. The names are AssemblyAI's where it has the same policy."""
MAX_SPEAKERS = 50
_CODES = (
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he "
    "hi hr ht hu hy id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne "
    "nl nn no oc pa pl ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk "
    "ur uz vi yi yo yue zh"
)
LANGUAGES: tuple[str, ...] = ("auto", *_CODES.split())
"""What may be spoken: ISO 639 codes, as Whisper writes them; ``auto`` finds out."""


def _require(ok: bool, key: str, value: object, allowed: str) -> None:
    if not ok:
        raise OptionInvalid(f"{key} is {value!r}; allowed: {allowed}.")


_READ = ("auto", "en")
_PROXY = re.compile(r"http://[^\s/?#@]+/?")


def _is_network(network: str) -> bool:
    try:
        ipaddress.ip_network(network)
    except ValueError:
        return False
    return True


def _is_proxy(url: str) -> bool:
    try:
        return bool(_PROXY.fullmatch(url)) and urlsplit(url).port != 0
    except ValueError:  # no port at all, or one above 65535
        return False


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Limits on what is fetched, decoded and read."""

    max_bytes: int = 2 * 1024**3
    """Largest upload or download, in bytes."""
    max_seconds: float = 6 * 3600.0
    """Longest recording, in seconds; counted while decoding, headers are not believed."""
    max_characters: int = 500_000
    """Longest text, in characters."""
    timeout: float = 600.0
    """Longest download, in seconds."""
    allowed_networks: tuple[str, ...] = ()
    """Networks that are not public and may be fetched from all the same, such as
    ``192.168.7.0/24``."""
    extractors: tuple[str, ...] = ("default",)
    """Which of yt-dlp's extractors may be used, by name; ``default`` means all."""
    proxy: str | None = None
    """The egress proxy that downloads go through, such as ``http://egress:3128``."""
    cookie_file: str | None = None
    """Cookies in Netscape's format, for sites that ask for a sign-in."""
    jitter: float = 0.0
    """Longest pause before a download, in seconds; it is drawn below it, so that a site is not
    asked in a rhythm."""
    part_seconds: float = 600.0
    """Recordings longer than this are cut at silences into parts of about this length,
    which several workers transcribe at the same time."""

    def __post_init__(self) -> None:
        _require(self.max_bytes > 0, "source.max_bytes", self.max_bytes, "above 0")
        _require(self.max_seconds > 0, "source.max_seconds", self.max_seconds, "above 0")
        _require(self.max_characters > 0, "source.max_characters", self.max_characters, "above 0")
        _require(self.timeout > 0, "source.timeout", self.timeout, "above 0")
        for network in self.allowed_networks:
            _require(_is_network(network), "source.allowed_networks", network, "an IP network")
        _require(
            self.proxy is None or _is_proxy(self.proxy),
            "source.proxy",
            (self.proxy or "").rpartition("@")[2],
            "http://host:port, without credentials",
        )
        _require(bool(self.extractors), "source.extractors", self.extractors, "at least one name")
        _require(self.jitter >= 0, "source.jitter", self.jitter, "0 or more")
        _require(self.part_seconds >= 30, "source.part_seconds", self.part_seconds, "30 or more")


@dataclass(frozen=True, slots=True)
class TranscriptionOptions:
    """How speech becomes words."""

    method: TranscriptionMethod = "faster-whisper"
    model: str = "tiny.en"
    """A Whisper size, a directory with a CTranslate2 model, or a Hub name; for openai-whisper a
    size or a checkpoint file."""
    multilingual_model: str = "base"
    """Tells the language, and transcribes and translates other languages than English, where
    ``model`` knows English alone."""
    language: str = "auto"
    """ISO 639-1 code of what is spoken; ``auto`` finds out."""
    translate: bool = False
    """Whether other languages are translated into English, which the classifier reads."""
    timeout: float = 3600.0
    """Longest transcription of one part, in seconds."""
    beam_size: int = 5
    batch_size: int = 0
    """Stretches of at most 30 s that are decoded at once; 0 takes what suits the device."""
    threads: int = 0
    """Processor threads; 0 takes as many as there are cores."""
    api_key: str | None = field(default=None, repr=False)
    """Key of the cloud service, for ``assemblyai``."""
    api_url: str | None = None
    """Address of the cloud service, where it is not the vendor's usual one."""

    @property
    def in_parts(self) -> bool:
        """Whether long recordings are cut; a service is given the whole one, to hear speakers."""
        return self.method != "assemblyai"

    def __post_init__(self) -> None:
        methods = get_args(TranscriptionMethod)
        _require(self.method in methods, "transcription.method", self.method, ", ".join(methods))
        _require(bool(self.model), "transcription.model", self.model, "a size, path or name")
        _require(
            self.language in LANGUAGES,
            "transcription.language",
            self.language,
            "auto, or an ISO 639-1 code such as en or de",
        )
        _require(
            self.translate or self.language in _READ,
            "transcription.language",
            self.language,
            "auto or en, unless transcription.translate is true",
        )
        _require(
            self.in_parts or not self.translate,
            "transcription.translate",
            self.translate,
            "false with assemblyai, which does not translate",
        )
        _require(self.timeout > 0, "transcription.timeout", self.timeout, "above 0")
        _require(1 <= self.beam_size <= 20, "transcription.beam_size", self.beam_size, "1 to 20")
        _require(
            0 <= self.batch_size <= 128, "transcription.batch_size", self.batch_size, "0 to 128"
        )
        _require(self.threads >= 0, "transcription.threads", self.threads, "0 or more")


@dataclass(frozen=True, slots=True)
class DiarizationOptions:
    """Who said what."""

    enabled: bool = False
    method: DiarizationMethod = "embeddings"
    """``pyannote`` needs its weights and the extra ``pyannote``."""
    speakers: int | None = None
    """How many people speak, where that is known."""
    min_speakers: int = 1
    max_speakers: int = 10
    """Not looked at, like ``min_speakers``, where ``speakers`` is given."""

    def __post_init__(self) -> None:
        methods = get_args(DiarizationMethod)
        _require(self.method in methods, "diarization.method", self.method, ", ".join(methods))
        for name in ("speakers", "min_speakers", "max_speakers"):
            number = getattr(self, name)
            if number is not None or name != "speakers":
                _require(1 <= number <= MAX_SPEAKERS, f"diarization.{name}", number, "1 to 50")
        _require(
            self.min_speakers <= self.max_speakers,
            "diarization.min_speakers",
            self.min_speakers,
            f"at most diarization.max_speakers, {self.max_speakers}",
        )

    @property
    def wanted(self) -> bool:
        """Whether speakers are told apart: who says how many there are wants them named."""
        return self.enabled or self.speakers is not None


@dataclass(frozen=True, slots=True)
class PrivacyOptions:
    """What of the people who speak, or are spoken of, is left out of the result."""

    redact_pii: bool | tuple[str, ...] = False
    """True for all of :data:`PII_POLICIES`, or some of them by name."""
    redact_audio: bool = False
    """Whether a copy of the recording is made in which those words are silent. Without
    ``redact_pii`` it is about all policies, since silenced words cannot stay in the text."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.policies) - set(PII_POLICIES))
        _require(not unknown, "privacy.redact_pii", ", ".join(unknown), ", ".join(PII_POLICIES))

    @property
    def policies(self) -> tuple[PiiPolicy, ...]:
        """What is redacted; empty for nothing."""
        chosen = self.redact_pii or self.redact_audio
        return PII_POLICIES if chosen is True else cast(tuple[PiiPolicy, ...], chosen or ())


@dataclass(frozen=True, slots=True)
class ProsodyOptions:
    """How it was said."""

    enabled: bool = False
    """Whether each sentence's loudness, pitch, rate and pauses are measured."""


@dataclass(frozen=True, slots=True)
class ClassificationOptions:
    """How sentences become emotions."""

    model: str = "default"
    """``default`` for the checkpoint that the package carries, a directory, or a Hub name,
    ``org/name`` or ``org/name@revision``."""
    device: Device = "auto"
    """``auto`` takes a GPU where torch is installed and sees one."""
    confidence_threshold: float = 0.65
    """Predictions with a lower confidence are marked ``low_confidence``."""
    batch_size: int = 32
    """Sentences that are classified at once; a cancel is heard between two batches."""
    features: bool = True
    """Whether the linguistic features are fused into the prediction."""
    threads: int = 0
    """Processor threads; 0 takes as many as there are cores."""

    def __post_init__(self) -> None:
        devices = get_args(Device)
        _require(bool(self.model), "classification.model", self.model, "a path or name")
        _require(self.device in devices, "classification.device", self.device, ", ".join(devices))
        _require(
            0 <= self.confidence_threshold <= 1,
            "classification.confidence_threshold",
            self.confidence_threshold,
            "0 to 1",
        )
        _require(
            1 <= self.batch_size <= 1024,
            "classification.batch_size",
            self.batch_size,
            "1 to 1024",
        )
        _require(self.threads >= 0, "classification.threads", self.threads, "0 or more")


@dataclass(frozen=True, slots=True)
class SummaryOptions:
    """How sentences become a summary."""

    timeline_bins: int = 20
    """Number of equal stretches in the timeline."""

    def __post_init__(self) -> None:
        _require(
            1 <= self.timeline_bins <= 1000,
            "summary.timeline_bins",
            self.timeline_bins,
            "1 to 1000",
        )


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """Everything the pipeline may be told."""

    source: SourceOptions = field(default_factory=SourceOptions)
    transcription: TranscriptionOptions = field(default_factory=TranscriptionOptions)
    diarization: DiarizationOptions = field(default_factory=DiarizationOptions)
    privacy: PrivacyOptions = field(default_factory=PrivacyOptions)
    prosody: ProsodyOptions = field(default_factory=ProsodyOptions)
    classification: ClassificationOptions = field(default_factory=ClassificationOptions)
    summary: SummaryOptions = field(default_factory=SummaryOptions)
