"""Logs: one JSON object a line, or readable lines on a terminal.

No log line holds text of a user or the query of a URL: transcripts are never passed to a
logger, and addresses are cut by :func:`scrub`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_CHATTY = ("celery.worker.strategy", "celery.app.trace", "alembic", "presidio-analyzer")
"""They say of each task what our own lines say better, or, as presidio may, words that somebody
wanted to have redacted."""
_QUERY = re.compile(r"(\bhttps?://[^\s?#\"']+)[?#][^\s\"']*", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@]+@", re.IGNORECASE)


def scrub(text: str) -> str:
    """Return the text with the queries and the credentials of its URLs removed."""
    return _CREDENTIALS.sub(r"\1", _QUERY.sub(r"\1", text))


def _scrub_event(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = scrub(value)
    return event


def _naming(service: str) -> structlog.typing.Processor:
    # No context variable: threads would not inherit it.
    def add(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    return add


def configure_logging(level: str, service: str) -> None:
    """Send the logs of this process, and of the libraries in it, to stderr.

    ``service`` names the process in every line: api, dispatcher, cpu-worker, gpu-worker.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _naming(service),
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _scrub_event,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared[:-1], structlog.stdlib.ExtraAdder(), shared[-1]],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
