"""The errors that exist over HTTP alone; the others stand in :mod:`ml.errors`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ml.errors import EmotionClfError

FieldErrors = Sequence[Mapping[str, str]]
"""What is wrong with which field: ``[{"field": "options.features", "message": "…"}]``."""


class RequestError(EmotionClfError):
    """The request itself is wrong, whatever it asks for."""

    exit_code = 64
    hint = "See /docs for what this address accepts."


class RequestMalformed(RequestError):
    code = "request.malformed"
    http_status = 400
    message = "The request could not be read."
    hint = "Send valid JSON, or a multipart form with a `file` part."


class RequestNotFound(RequestError):
    code = "request.not_found"
    http_status = 404
    message = "There is nothing at this address."


class RequestMethodNotAllowed(RequestError):
    code = "request.method_not_allowed"
    http_status = 405
    message = "This address does not answer that method."


class RequestTooLarge(RequestError):
    code = "request.too_large"
    http_status = 413
    message = "The request is larger than this address accepts."
    hint = "Send recordings as a multipart upload to POST /jobs, and long texts in parts."


class RequestUnsupportedMediaType(RequestError):
    code = "request.unsupported_media_type"
    http_status = 415
    message = "This address does not read that content type."
    hint = "Send application/json, or multipart/form-data to POST /jobs."


class RequestInvalid(RequestError):
    """Some fields have values that are not allowed; ``errors`` names them."""

    code = "request.invalid"
    http_status = 422
    message = "Some fields are missing or have values that are not allowed."
    hint = "See `errors` for the fields and /docs for what is allowed."

    def __init__(self, errors: FieldErrors) -> None:
        super().__init__()
        self.errors = errors


class RequestTimeout(RequestError):
    code = "request.timeout"
    http_status = 408
    message = "The request did not arrive in time."
    hint = "Send it again, over a faster connection."


class WebhookDisabled(RequestError):
    code = "webhook.disabled"
    http_status = 422
    message = "This installation sends no reports to a callback_url."
    hint = "Leave callback_url out; operators can set webhooks.secret."


class RequestHeadersTooLarge(RequestError):
    code = "request.headers_too_large"
    http_status = 431
    message = "The request's headers are larger than this installation accepts."
    hint = "Send fewer or shorter headers."


class LocalOnly(RequestError):
    """Without authentication only programs and pages of this machine are answered."""

    code = "auth.local_only"
    http_status = 403
    message = "Without authentication this service answers its own machine only."
    hint = "Open it as http://localhost, or let an operator set auth.secret or auth.jwks."


class ServiceUnavailable(EmotionClfError):
    code = "service.unavailable"
    http_status = 503
    transient = True
    message = "The service cannot reach its database at the moment."
    hint = "Try again in a few seconds."


class ServiceBusy(EmotionClfError):
    code = "service.busy"
    http_status = 503
    transient = True
    message = "Too many uploads arrive at the moment."
    hint = "Try again in a few seconds."


class ServiceNotReady(EmotionClfError):
    """Something that jobs need is missing; ``errors`` names what."""

    code = "service.not_ready"
    http_status = 503
    transient = True
    message = "The service is up but cannot work on jobs yet."
    hint = "See `errors` for what is missing."

    def __init__(self, message: str, errors: FieldErrors) -> None:
        super().__init__(message)
        self.errors = errors
