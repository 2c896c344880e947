"""The errors a user can meet, each with a stable code.

``code`` is what programs match on, ``hint`` what a person can do about it, ``transient``
whether the same call may succeed later. Over HTTP they become problem details, on the
command line one line and ``exit_code``, in Python exceptions. Messages never quote
internals: no paths of the server, no upstream text, no addresses.
"""

from __future__ import annotations

from typing import ClassVar


class EmotionClfError(Exception):
    """Base of every error that this project raises on purpose."""

    code: str = "internal"
    exit_code: ClassVar[int] = 70
    http_status: ClassVar[int] = 500
    transient: ClassVar[bool] = False
    message: ClassVar[str] = "Something went wrong inside."
    hint: ClassVar[str] = "Please report it with the command you ran."

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        self.text = message or self.message
        self.advice = hint or self.hint
        super().__init__(f"{self.text} {self.advice}")


class InputError(EmotionClfError):
    """The input cannot be used as it is."""

    exit_code = 65
    http_status = 422


class SourceError(EmotionClfError):
    """The audio could not be fetched."""

    exit_code = 69
    http_status = 422


class SourceNotFound(SourceError):
    code = "source.not_found"
    message = "There is no audio or video at that address."
    hint = "Check that the link opens in a browser and is public."


class SourceUnreachable(SourceError):
    code = "source.unreachable"
    transient = True
    message = "The address did not answer."
    hint = "Try again later, or download the file and submit it directly."


class SourceTimeout(SourceUnreachable):
    code = "source.timeout"
    transient = False  # it has had its time; the next attempt would take as long
    message = "The download took too long."


class SourceBotCheck(SourceError):
    code = "source.bot_check"
    message = "The site asks for a sign-in to prove that you are not a robot."
    hint = (
        "Download the file yourself and submit it directly; operators can set source.cookie_file "
        "or egress.upstream."
    )


class SourceRateLimited(SourceUnreachable):
    code = "source.rate_limited"
    message = "The site limits how often it may be asked."


class SourceGeoBlocked(SourceError):
    code = "source.geo_blocked"
    message = "The site does not show the recording in this country."
    hint = (
        "Download the file yourself and submit it directly; operators can set egress.upstream "
        "to a proxy elsewhere."
    )


class SourceAgeRestricted(SourceError):
    code = "source.age_restricted"
    message = "The site shows the recording only to people who prove their age."
    hint = (
        "Download the file yourself and submit it directly; operators can set source.cookie_file."
    )


class SourcePrivate(SourceError):
    code = "source.private"
    message = "The recording is private, or needs a sign-in."
    hint = "Ask its owner to share it publicly, or submit the file directly."


class SourcePaid(SourceError):
    code = "source.paid"
    message = "The recording is for members or paying customers of the site."
    hint = "If you may use it, submit the file directly; operators can set source.cookie_file."


class SourceRemoved(SourceError):
    code = "source.removed"
    message = "The recording was removed."
    hint = "Look for another copy, and submit that."


class SourceLive(SourceError):
    code = "source.live"
    message = "The link is a live stream."
    hint = "Submit the recording when the stream has ended."


class SourceUpcoming(SourceError):
    code = "source.upcoming"
    message = "The recording has not been published yet."
    hint = "Submit the link again after its premiere."


class SourceProtected(SourceError):
    code = "source.protected"
    message = "The recording is protected against copying (DRM)."
    hint = "Submit a recording that is not protected."


class SourceTooLarge(SourceError):
    code = "source.too_large"
    http_status = 413
    message = "The file is larger than this installation accepts."
    hint = "Submit a shorter or more compressed recording, or raise source.max_bytes."


class SourcePlaylist(SourceError):
    code = "source.playlist"
    message = "The link is a playlist, not a single recording."
    hint = "Submit its items one by one."


class SourceUnsupported(SourceError):
    code = "source.unsupported"
    message = "No recording could be read from that page."
    hint = "Download the file yourself and submit it directly."


class SourceForbiddenAddress(SourceError):
    code = "source.forbidden_address"
    message = "That address may not be fetched."
    hint = "Check the link: only public http and https addresses are fetched."


class MediaError(InputError):
    """The bytes are not a recording that can be decoded."""


class MediaInvalid(MediaError):
    code = "media.invalid"
    message = "The file is not audio or video in a supported format, or it is damaged."
    hint = "Supported: wav, mp3, flac, ogg, opus, m4a, aac, mp4, mov, mkv, webm."


class MediaNoAudio(MediaError):
    code = "media.no_audio"
    message = "The file holds no audio track."
    hint = "Submit a recording with sound."


class MediaTooLong(MediaError):
    code = "media.too_long"
    http_status = 413
    message = "The recording is longer than this installation accepts."
    hint = "Cut it into parts, or raise source.max_seconds."


class TextEmpty(InputError):
    code = "text.empty"
    message = "The text is empty."
    hint = "Send at least one word."


class TextTooLong(InputError):
    code = "text.too_long"
    http_status = 413
    message = "The text is longer than this installation accepts."
    hint = "Cut it into parts, or raise source.max_characters."


class SpeechError(EmotionClfError):
    """Speech recognition failed."""


class SpeechTimeout(SpeechError):
    code = "speech.timeout"
    message = "Speech recognition took too long."
    hint = "Raise transcription.timeout, or choose a smaller transcription.model."


class SpeechAuth(SpeechError):
    code = "speech.auth"
    exit_code = 77
    message = "The speech service refused the key."
    hint = "Check ASSEMBLYAI_API_KEY."


class SpeechUnavailable(SpeechError):
    code = "speech.unavailable"
    exit_code = 69
    http_status = 503
    transient = True
    message = "The speech service did not answer."
    hint = "Try again later, or choose another transcription.method."


class SpeechRateLimited(SpeechUnavailable):
    code = "speech.rate_limited"
    message = "The speech service limits how often it may be asked."


class SpeechFailed(SpeechError):
    code = "speech.failed"
    http_status = 422
    exit_code = 65
    message = "The speech service could not transcribe the recording."
    hint = "Listen to the recording, or choose another transcription.method."


class LanguageUnsupported(InputError):
    code = "language.unsupported"
    message = "The language is not supported; the classifier reads English."
    hint = "Submit English."


class ModelUnavailable(EmotionClfError):
    code = "model.unavailable"
    exit_code = 78
    http_status = 503
    message = "A model's weights are missing or damaged."
    hint = "Run `emotion-clf doctor` to see which weights are found."


class OptionInvalid(EmotionClfError):
    code = "option.invalid"
    exit_code = 64
    http_status = 422
    message = "An option has a value that is not allowed."
    hint = "See `emotion-clf predict --help`."


class SettingInvalid(EmotionClfError):
    code = "setting.invalid"
    exit_code = 78
    message = "A setting is unknown or has a value that is not allowed."
    hint = "See README.md, section Settings."


class ExtraMissing(EmotionClfError):
    code = "extra.missing"
    exit_code = 78
    message = "A part of emotion-clf is not installed."
    hint = "Install it with pip install 'emotion-clf[worker]'."


class ServiceError(EmotionClfError):
    """The local service could not be started or reached."""

    code = "service.failed"
    exit_code = 69
    http_status = 503
    message = "The local service could not be started."
    hint = "Run `emotion-clf doctor`, and look at the log files it names."


class StoreUnavailable(EmotionClfError):
    """Artifacts cannot be written or read at the moment."""

    code = "store.unavailable"
    exit_code = 69
    http_status = 503
    transient = True
    message = "The artifact store does not answer."
    hint = "Try again in a few seconds."


class StoreRefused(StoreUnavailable):
    """The store answers, and says no: whoever runs the service must act."""

    code = "store.refused"
    exit_code = 78
    message = "The artifact store refuses access."
    hint = "An operator can check ARTIFACT_URL, its bucket and the credentials."


class WorkerLost(EmotionClfError):
    code = "worker.lost"
    message = "The step ended its worker three times and was set aside."
    hint = "Submit another recording; an operator can read the step in the database."


class Cancelled(EmotionClfError):
    """The caller asked for the work to stop."""

    code = "job.cancelled"
    exit_code = 130
    http_status = 409
    message = "The job was cancelled."
    hint = "Submit it again if that was a mistake."


def _subclasses(cls: type[EmotionClfError]) -> list[type[EmotionClfError]]:
    return [cls] + [found for sub in cls.__subclasses__() for found in _subclasses(sub)]


def catalogue() -> dict[str, type[EmotionClfError]]:
    """Return every error of this module by its code, whatever else was imported."""
    found = _subclasses(EmotionClfError)
    return {c.code: c for c in found if "code" in vars(c) and c.__module__ == __name__}
