"""The errors of the service itself: what can go wrong with a job rather than in the pipeline."""

from __future__ import annotations

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


class QueueFull(EmotionClfError):
    """More jobs wait than the installation accepts."""

    code = "queue.full"
    exit_code = 75
    http_status = 503
    transient = True
    message = "Too many jobs are waiting already."
    hint = "Try again later; operators can raise jobs.max_queued or add workers."


class LeaseLost(Exception):
    """The step is no longer this worker's: its lease ran out and the step went on elsewhere.

    Never shown to a user, so it is no :class:`ml.errors.EmotionClfError`.
    """
