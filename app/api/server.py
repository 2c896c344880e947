"""waitress, with its own errors as problem documents too."""

from __future__ import annotations

from typing import Any

from flask import Flask, json
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ErrorTask

from app.api.errors import RequestHeadersTooLarge, RequestMalformed, RequestTooLarge
from app.api.problems import MEDIA_TYPE, problem_document
from app.api.uploads import form_limit
from app.settings import Settings
from ml.errors import EmotionClfError

_LONGEST_HEADERS = 32 * 1024
_IDLE_SECONDS = 60
_CONNECTIONS = 1000
_TYPED: dict[int, type[EmotionClfError]] = {
    400: RequestMalformed,
    413: RequestTooLarge,
    431: RequestHeadersTooLarge,
}


class _ProblemTask(ErrorTask):  # type: ignore[misc]  # waitress carries no types
    """Answers requests that never reach the application, because they cannot be read."""

    def execute(self) -> None:
        error = self.request.error
        typed = _TYPED.get(error.code, RequestMalformed if error.code < 500 else EmotionClfError)
        document = problem_document(typed()) | {"status": error.code}
        body = json.dumps(document).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", MEDIA_TYPE))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _ProblemChannel(HTTPChannel):  # type: ignore[misc]  # waitress carries no types
    error_task_class = _ProblemTask


def make_server(app: Flask, settings: Settings, host: str, port: int) -> Any:
    """Return a waitress server that listens; its ``run()`` serves until the process ends."""
    server = create_server(
        app,
        host=host,
        port=port,
        threads=settings.api.threads,
        ident=None,
        connection_limit=_CONNECTIONS,
        channel_timeout=_IDLE_SECONDS,
        max_request_header_size=_LONGEST_HEADERS,
        # waitress keeps the rest on disk, and a larger body than this never gets in.
        max_request_body_size=form_limit(settings),
        # select() ends at 1,024 open files.
        asyncore_use_poll=True,
    )
    server.channel_class = _ProblemChannel
    return server
