"""AssemblyAI's HTTP API through its SDK, asked again where asking again may help.

The SDK (1.8) retries nothing, raises TranscriptError with the status for every answer but 200,
lets its HTTP library's errors through, and takes what it is not told from the environment and
from settings that the whole process shares. So the client here has settings of its own.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import IO, TYPE_CHECKING, Any, TypeVar

from ml.errors import (
    ExtraMissing,
    LanguageUnsupported,
    OptionInvalid,
    SpeechAuth,
    SpeechError,
    SpeechFailed,
    SpeechRateLimited,
    SpeechUnavailable,
)
from ml.options import TranscriptionOptions
from ml.speech.patience import Patience

if TYPE_CHECKING:
    from assemblyai import Client
    from assemblyai.types import TranscriptRequest, TranscriptResponse
    from tenacity import RetryCallState

T = TypeVar("T")

_DISCARD_SECONDS = 5.0
_TRANSIENT = frozenset({408, 425})
"""Statuses below 500 that say "later", beside 429."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the service is asked; times in seconds."""

    poll: float = 3.0
    """Between two looks at a transcript that is not done."""
    silence: float = 60.0
    """Longest wait for the next byte of an answer."""
    attempts: int = 8
    """How often one request is tried: for about two minutes, with the waits below."""
    first_wait: float = 1.0
    """After the first failure; doubled after each more, and lengthened a little by chance."""
    longest_wait: float = 60.0
    """Longest of these waits; what the service asks for may be longer."""


PACE = Pace()


class AssemblyAI:
    """One recording's dealings with the service.

    Every call raises a :class:`~ml.errors.SpeechError`, or what ``patience`` raises.

    Raises:
        SpeechAuth: there is no key, or none that could be sent.
        ExtraMissing: the SDK is not installed.

    """

    def __init__(self, options: TranscriptionOptions, patience: Patience, pace: Pace) -> None:
        self._options = options
        self._patience = patience
        self._pace = pace
        self._client = self._connect(pace.silence)
        self._created: list[str] = []
        self._discarded = threading.Event()

    def upload(self, audio: IO[bytes]) -> str:
        """Send a file in chunks, from its beginning, and return the address it got."""
        from assemblyai import api

        def send() -> str:
            audio.seek(0)
            return api.upload_file(self._client.http_client, audio)  # type: ignore[arg-type]

        return self._call(send)

    def create(self, request: TranscriptRequest) -> str:
        """Order a transcript and return its id."""
        from assemblyai.prerecorded.v2 import api

        def order() -> str:
            identity = str(api.create_transcript(self._client.http_client, request).id)
            self._created.append(identity)
            # Nobody waits for this thread any more: it finds what it ordered unwanted.
            if self._discarded.is_set():
                self._delete()
            return identity

        return self._call(order)

    def fetch(self, identity: str) -> TranscriptResponse:
        """Return a transcript as it stands."""
        from assemblyai.prerecorded.v2 import api

        return self._call(lambda: api.get_transcript(self._client.http_client, identity))

    def discard(self) -> None:
        """Delete what was ordered, as far as the service lets us within a few seconds.

        The client stays open: an order that is still under way must learn its id to be deleted.
        """
        self._discarded.set()
        self._delete()

    def close(self) -> None:
        """Close the connections."""
        self._client.http_client.close()

    def _delete(self) -> None:
        from assemblyai.prerecorded.v2 import api

        for identity in self._created:
            with (
                contextlib.suppress(Exception),
                self._connect(_DISCARD_SECONDS).http_client as http,
            ):
                api.delete_transcript(http, identity)

    def _connect(self, silence: float) -> Client:
        try:
            from assemblyai import Client
            from assemblyai.types import Settings
        except ImportError as error:
            raise ExtraMissing(
                "transcription.method is assemblyai, and its SDK is not installed.",
                hint="Install it with pip install 'emotion-clf[assemblyai]'.",
            ) from error
        key = (self._options.api_key or "").strip()
        if not key:
            raise SpeechAuth("transcription.method is assemblyai, and there is no key.")
        # A header holds nothing else, and an error about it would quote the key.
        if not (key.isascii() and key.isprintable()):
            raise SpeechAuth("The key of the speech service holds characters that no key has.")
        told: dict[str, Any] = {"api_key": key, "http_timeout": silence}
        if self._options.api_url:
            told["base_url"] = self._options.api_url
        # Not Settings(...), which would read what it is not told from the environment.
        return Client(settings=Settings.model_construct(**told))

    def _call(self, request: Callable[[], T]) -> T:
        """Return what a request gives, tried again as long as that may help."""
        from tenacity import (
            Retrying,
            retry_if_exception_type,
            stop_after_attempt,
            stop_before_delay,
        )

        retrying = Retrying(
            retry=retry_if_exception_type(SpeechUnavailable),
            wait=self._wait,
            # A wait that cannot end in time is not begun: the caller learns the reason instead.
            stop=stop_after_attempt(self._pace.attempts) | stop_before_delay(self._patience.left),
            sleep=self._patience.sleep,
            reraise=True,
        )
        given: T = retrying(self._patience.run, lambda: _told_apart(request))
        return given

    def _wait(self, state: RetryCallState) -> float:
        from tenacity import wait_exponential, wait_random

        first, longest = self._pace.first_wait, self._pace.longest_wait
        usual = wait_exponential(multiplier=first, max=longest) + wait_random(0, first)
        response = self._client.last_response
        asked = response.headers.get("retry-after") if response is not None else None
        return max(usual(state), _seconds(asked))


def _told_apart(request: Callable[[], T]) -> T:
    """Run a request; raise a SpeechError that quotes nothing of the service's answer."""
    import httpx
    from assemblyai.types import AssemblyAIError

    try:
        return request()
    except AssemblyAIError as error:
        raise _refusal(error.status_code or 0, str(error)) from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise OptionInvalid("transcription.api_url is not the address of a service.") from error
    except httpx.HTTPError as error:
        raise SpeechUnavailable() from error
    except (ValueError, KeyError, TypeError):
        # The SDK's own message would quote the transcript.
        raise SpeechUnavailable("The speech service's answer cannot be read.") from None


def _refusal(status: int, reason: str) -> SpeechError | LanguageUnsupported:
    if status in (401, 403):
        return SpeechAuth()
    if status == 429:
        return SpeechRateLimited()
    # What is neither an answer nor a refusal comes from something between us and the service.
    if status < 400 or status >= 500 or status in _TRANSIENT:
        return SpeechUnavailable()
    return failure(
        reason,
        SpeechFailed(
            "The speech service refused the order.",
            hint="Check the account's balance and plan, or choose another transcription.method.",
        ),
    )


def failure(reason: str, otherwise: SpeechFailed) -> SpeechFailed | LanguageUnsupported:
    """Return the error for what the service says; it has no codes, only sentences."""
    if "language" in reason.lower():
        return LanguageUnsupported(
            "The speech service does not support this language with the options chosen.",
            hint="Set transcription.language, or choose another transcription.method.",
        )
    return otherwise


def _seconds(retry_after: str | None) -> float:
    """Return how long to wait, from either form of the header (RFC 9110, 10.2.3); 0 for none."""
    if retry_after is None:
        return 0.0
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return parsedate_to_datetime(retry_after).timestamp() - time.time()
    except ValueError:
        return 0.0
