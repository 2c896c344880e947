"""The errors of the service itself: what can go wrong with a job rather than in the pipeline."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Self

from ml.errors import EmotionClfError


class JobNotFound(EmotionClfError):
    """The job does not exist, or belongs to somebody else."""

    code = "job.not_found"
    exit_code = 69
    http_status = 404
    message = "There is no such job."
    hint = "Check the identifier; the list of your jobs shows those that exist."


class JobFinished(EmotionClfError):
    """The job has ended and can no longer be cancelled."""

    code = "job.finished"
    http_status = 409
    message = "The job has ended already."
    hint = "There is nothing left to cancel."


class JobNotFinished(EmotionClfError):
    """The result was asked for before the job completed."""

    code = "job.not_finished"
    http_status = 409
    message = "The job has not finished yet."
    hint = "Ask for its status until it is completed, then for the result."


class JobFailed(EmotionClfError):
    """The result of a failed job was asked for."""

    code = "job.failed"
    http_status = 409
    message = "The job failed, so it has no result."
    hint = "The job's own error says why."


class AudioNotFound(EmotionClfError):
    """The job made no redacted recording, or it has expired."""

    code = "job.no_audio"
    exit_code = 69
    http_status = 404
    message = "There is no redacted recording of this job."
    hint = "Submit the recording with the option redact_audio."


class ResultExpired(EmotionClfError):
    """The result grew older than this installation keeps results."""

    code = "job.expired"
    exit_code = 69
    http_status = 410
    message = "The result has expired and was removed."
    hint = "Submit the recording again; operators can raise retention.result_days."


class NoFailedDelivery(EmotionClfError):
    """A report shall be sent again, and there is none that failed."""

    code = "delivery.not_failed"
    exit_code = 64
    http_status = 409
    message = "There is no failed report on this job."
    hint = "Its `deliveries` say what became of the report; only a failed one is sent again."


class BatchNotFound(EmotionClfError):
    """The batch does not exist, or belongs to somebody else."""

    code = "batch.not_found"
    exit_code = 69
    http_status = 404
    message = "There is no such batch."
    hint = "Check the identifier."


class KeyReused(EmotionClfError):
    """An ``Idempotency-Key`` came again with another body."""

    code = "request.key_reused"
    exit_code = 64
    http_status = 422
    message = "This Idempotency-Key was sent with another request before."
    hint = "Send a new key with a new request, and the same body with the same key."


class RateLimited(EmotionClfError):
    """The client sends more requests than it may."""

    code = "request.rate_limited"
    exit_code = 75
    http_status = 429
    transient = True
    message = "You are sending requests faster than one client may."
    hint = "Wait as long as Retry-After says; operators can raise the settings in `limits`."
    retry_seconds: float = 10.0

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Return the error that asks to come again after ``seconds``."""
        error = cls()
        error.retry_seconds = seconds
        return error


class JobQuotaExceeded(EmotionClfError):
    """The client has as many open jobs as it may have."""

    code = "quota.jobs"
    exit_code = 75
    http_status = 429
    transient = True
    message = "You have as many unfinished jobs as one client may have."
    hint = "Submit more when some have ended; operators can raise limits.jobs_at_once."
    retry_seconds: float = 30.0


class AudioQuotaExceeded(EmotionClfError):
    """The client has used up today's audio."""

    code = "quota.audio"
    exit_code = 75
    http_status = 429
    message = "You have used up the minutes of audio that one client may submit in a day."
    hint = "Go on tomorrow (UTC); operators can raise limits.audio_minutes_a_day."

    @property
    def retry_seconds(self) -> float:
        """Seconds until midnight, UTC."""
        now = datetime.now(UTC)
        midnight = datetime.combine(now.date() + timedelta(days=1), time.min, UTC)
        return (midnight - now).total_seconds()


class QueueFull(EmotionClfError):
    """More jobs wait than the installation accepts."""

    code = "queue.full"
    exit_code = 75
    http_status = 503
    transient = True
    message = "Too many jobs are waiting already."
    hint = "Try again later; operators can raise jobs.max_queued or add workers."


class TokenMissing(EmotionClfError):
    """The request carries no token, and this installation asks for one."""

    code = "auth.required"
    exit_code = 77
    http_status = 401
    message = "This address needs a token."
    hint = "Send it as `Authorization: Bearer …`; POST /auth/token gives tokens to clients."


class AuthInvalid(EmotionClfError):
    """A token or a client's secret is not accepted. The answer never says which part is wrong."""

    code = "auth.invalid"
    exit_code = 77
    http_status = 401
    message = "The token or the credentials are not accepted."
    hint = "Ask for a new token; an operator can see whether the client was revoked."


class Forbidden(EmotionClfError):
    """The token is good, but not for this."""

    code = "auth.forbidden"
    exit_code = 77
    http_status = 403
    message = "The token does not allow this."
    hint = "Ask for a token with that scope; an operator decides which scopes a client has."


class KeysUnavailable(EmotionClfError):
    """The identity provider does not say with which keys it signs."""

    code = "auth.unavailable"
    exit_code = 69
    http_status = 503
    transient = True
    message = "Tokens cannot be checked at the moment."
    hint = "Try again in a minute; operators should look at auth.jwks."


class AuthBusy(EmotionClfError):
    """More clients ask for tokens than secrets can be checked."""

    code = "auth.busy"
    exit_code = 75
    http_status = 503
    transient = True
    message = "Too many clients ask for a token at the moment."
    hint = "Try again in a few seconds, and use each token until it expires."


class ClientNotFound(EmotionClfError):
    """No client has this identifier."""

    code = "client.not_found"
    exit_code = 69
    http_status = 404
    message = "There is no such client."
    hint = "See `emotion-clf client list`."


class LeaseLost(Exception):
    """The step is no longer this worker's: its lease ran out and the step went on elsewhere.

    Never shown to a user, so it is no :class:`ml.errors.EmotionClfError`.
    """
