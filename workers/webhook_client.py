"""One POST to a server that a stranger chose, which may be slow, hostile or gone.

It goes where a download may go and nowhere else. Redirects are not followed, of the answer
nothing but the status and ``Retry-After`` is looked at, and all of it has one time-out.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, quote

from app.stores.deliveries import DeliveryFailure
from ml.errors import SourceError, SourceForbiddenAddress, SourceNotFound
from ml.options import SourceOptions
from ml.source.addresses import AddressPolicy
from ml.source.route import Route, route

_URL_CHARACTERS = "/:?#[]@!$&'()*+,;=%-._~"
"""Everything else is percent-encoded, as browsers do."""


class NotDelivered(Exception):
    """There was no answer; ``failure`` says why."""

    def __init__(self, failure: DeliveryFailure) -> None:
        self.failure = failure
        super().__init__(failure)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said."""

    status: int
    retry_after: float = 0.0
    """Seconds that it asks to be left alone."""


class WebhookClient:
    """Sends reports. Safe to share between threads."""

    def __init__(self, source: SourceOptions, *, timeout: float) -> None:
        self._policy = AddressPolicy(source.allowed_networks)
        self._proxy = source.proxy
        self._timeout = timeout
        self._tls = ssl.create_default_context()

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send ``body`` to ``url`` and return the answer; raise :class:`NotDelivered`.

        All of it ends after ``timeout`` seconds; only the system's resolver may take longer.
        """
        with _translated_errors():
            parts = self._policy.check_url(url)
            way = route(self._proxy, self._policy.allowed_networks)
            connection = _Connection(parts, way, self._tls, self._timeout)
            with closing(connection), connection.watched():
                connection.request("POST", _target(parts), body, dict(headers))
                answer = connection.getresponse()
        return Answer(answer.status, seconds_of(answer.headers.get("Retry-After", "")))


class _Connection(http.client.HTTPConnection):
    """A connection to where its route allows, which is cut when its time is over."""

    def __init__(self, parts: SplitResult, way: Route, tls: ssl.SSLContext, timeout: float) -> None:
        self._route = way
        self._tls = tls if parts.scheme == "https" else None
        self._deadline = time.monotonic() + timeout
        super().__init__(parts.hostname or "", parts.port or (443 if self._tls else 80))

    def connect(self) -> None:
        """Dial and, for https, greet; called by the base class."""
        self.sock = self._route.dial(self.host, self.port, self._left())
        if self._tls:
            # Put in its place before the handshake, so that the watch can cut that too.
            self.sock = self._tls.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock.settimeout(self._left())
            self.sock.do_handshake()
        self.sock.settimeout(self._left())

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Cut the connection at the deadline: a socket's own time-out begins anew at every byte.

        Whatever comes after the deadline is a TimeoutError.
        """
        watch = threading.Timer(self._left(), self._cut)
        watch.daemon = True
        watch.start()
        try:
            yield
            self._left()  # http.client takes headers that were cut off for all of them
        except (OSError, http.client.HTTPException, SourceError):
            self._left()
            raise
        finally:
            watch.cancel()

    def _cut(self) -> None:
        dialled = self.sock
        if dialled is None:  # what dials looks at the time itself
            return
        with suppress(OSError):
            # Not by the TLS socket's own method: it would go on in plain text.
            socket.socket.shutdown(dialled, socket.SHUT_RDWR)

    def _left(self) -> float:
        """Return the seconds left; raise TimeoutError when there are none."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def seconds_of(retry_after: str) -> float:
    """Return what a ``Retry-After`` asks for (RFC 9110): seconds or a date; 0 if it is neither."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        moment = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - time.time())


def _target(parts: SplitResult) -> str:
    path = parts._replace(scheme="", netloc="", path=parts.path or "/", fragment="").geturl()
    return quote(path, safe=_URL_CHARACTERS, errors="replace")


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except (SourceForbiddenAddress, SourceNotFound) as error:
        raise NotDelivered(DeliveryFailure.FORBIDDEN_ADDRESS) from error
    except TimeoutError as error:
        raise NotDelivered(DeliveryFailure.TIMEOUT) from error
    except ssl.SSLError as error:
        raise NotDelivered(DeliveryFailure.TLS) from error
    except (OSError, SourceError) as error:
        raise NotDelivered(DeliveryFailure.UNREACHABLE) from error
    except (http.client.HTTPException, ValueError) as error:
        raise NotDelivered(DeliveryFailure.INVALID_ANSWER) from error
