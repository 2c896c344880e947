"""Logs: one JSON object a line, or readable lines on a terminal.

No log line holds text of a user, a credential or the query of a URL. Three things see to it:
transcripts are never passed to a logger; of an exception the log says the kind and the place, not
the message, which may quote anything; and whatever remains is cut by :func:`scrub`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import structlog

OURS = ("app", "workers", "ml", "emotion_clf", "migrations", "__main__")
"""The loggers that ``LOG_LEVEL`` speaks of. Libraries tell at level debug what they send and
receive, headers and bodies with it, so below info they are not heard."""
_CHATTY = (
    "aiobotocore",
    "alembic",
    "azure",
    "botocore",
    "celery.worker.strategy",
    "httpx",
    "presidio-analyzer",
    "urllib3",
    "werkzeug",
)
"""They say of each task and request what our own lines say better, or, as presidio may, words
that somebody wanted to have redacted."""
_SILENT = ("celery.app.trace", "celery.utils.dispatch.signal")
"""They quote the exception that ends a task or the start of a child. :mod:`workers.tasks` and
:mod:`workers.child` log those by their kind."""

_QUERY = re.compile(r"(\bhttps?://[^\s?#\"']+)[?#][^\s\"']*", re.IGNORECASE)
_LOCAL_QUERY = re.compile(r"((?<![^\s\"'=(])/[^\s?#\"']*)[?#][^\s\"']*")
_CREDENTIALS = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@]+@", re.IGNORECASE)
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_WORTH_A_LOOK = re.compile(r"[?#]|://|bearer|basic|eyJ", re.IGNORECASE)
"""Without any of these nothing below can match; most values of a line hold none."""
_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")

_JSON = json.JSONEncoder()
"""Made once: ``json.dumps`` with any option makes one for each line."""


def scrub(text: str) -> str:
    """Return the text without queries and credentials of URLs, and without tokens."""
    if not _WORTH_A_LOOK.search(text):
        return text
    text = _LOCAL_QUERY.sub(r"\1", _QUERY.sub(r"\1", text))
    text = _CREDENTIALS.sub(r"\1", text)
    return _TOKEN.sub("[token]", _AUTHORIZATION.sub(r"\1 [token]", text))


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {key: _scrubbed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return scrub(str(value))


def _scrub_event(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in event.items():
        # What structlog carries along for itself is not shown.
        if not key.startswith("_"):
            event[key] = _scrubbed(value)
    return event


def describe(error: BaseException) -> str:
    """Return where an exception came from, and from which others, without their messages.

    What goes wrong with somebody's text is told with that text: a word that is no key, a value
    that is no number. The codes of the system and of Postgres say nothing of it and are kept.
    """
    return "\n".join(_links(error))


def _links(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        code = getattr(error, "pgcode", None) or getattr(error, "strerror", None)
        kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        yield f"{kind} ({code})" if code else kind
        yield from _frames(error.__traceback__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _frames(trace: TracebackType | None) -> Iterator[str]:
    for frame in traceback.extract_tb(trace):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"


def _describe_exception(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    raised = event.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()
    error = raised[1] if isinstance(raised, tuple) else raised
    if isinstance(error, BaseException):
        event["exception"] = describe(error)
    return event


def _naming(service: str) -> structlog.typing.Processor:
    # No context variable: threads would not inherit it.
    def add(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    return add


class _Lines:
    """Writes lines to stderr, under the name of a logger.

    As with the standard library, work goes on where its log cannot be written: on a full disk, or
    without a reader.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name

    def msg(self, line: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")

    debug = info = warning = error = critical = exception = log = msg


def _as_json(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    return _JSON.encode(event)


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
        _describe_exception,
        _scrub_event,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else _as_json
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared[:-1], structlog.stdlib.ExtraAdder(), shared[-1]],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.getLogger().handlers = [handler]
    logging.captureWarnings(True)
    sys.excepthook = _log_crash
    threading.excepthook = lambda raised: _log_crash(
        raised.exc_type, raised.exc_value, raised.exc_traceback
    )
    lowest = logging.getLevelNamesMapping()[level.upper()]
    _set_levels(lowest)
    # Our own lines do not pass through the standard library, which takes longer than all the rest.
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        cache_logger_on_first_use=True,
    )


def _log_crash(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger(__name__).critical("crashed", exc_info=error or kind())


def _set_levels(level: int) -> None:
    logging.getLogger().setLevel(max(level, logging.INFO))
    for names, lowest in ((OURS, level), (_CHATTY, logging.WARNING), (_SILENT, logging.CRITICAL)):
        for name in names:
            logging.getLogger(name).setLevel(max(level, lowest))
