"""Recordings made on the spot, and a web server that behaves badly on request."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from ml.source.decode import decode
from ml.source.wav import read_span
from ml.stage import Span

FORMATS = {
    "wav": ("wav", "pcm_s16le", "s16", 44_100),
    "mp3": ("mp3", "libmp3lame", "s16p", 44_100),
    "flac": ("flac", "flac", "s16", 48_000),
    "ogg": ("ogg", "libopus", "flt", 48_000),
    "m4a": ("ipod", "aac", "fltp", 44_100),
    "mp4": ("mp4", "aac", "fltp", 44_100),
    "webm": ("webm", "libopus", "flt", 48_000),
    "mkv": ("matroska", "aac", "fltp", 16_000),
    "aac": ("adts", "aac", "fltp", 22_050),
}
"""Container, codec, sample format and rate by suffix."""


def tone(seconds: float, rate: int, frequency: float = 440.0) -> np.ndarray:
    times = np.arange(int(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def samples_of(path: Path) -> np.ndarray:
    """Return the samples of a recording at 16 kHz, mono, in -1..1."""
    with tempfile.TemporaryDirectory() as directory, path.open("rb") as file:
        target = Path(directory, "samples.wav")
        decoded = decode(file, target, max_seconds=60)
        with target.open("rb") as wav:
            return read_span(wav, Span(0.0, decoded.duration))


def encode(path: Path, samples: np.ndarray, rate: int, *, with_video: bool = False) -> Path:
    """Write mono float samples in the format that the suffix names."""
    container_name, codec, sample_format, stream_rate = FORMATS[path.suffix[1:]]
    with av.open(str(path), "w", format=container_name) as container:
        video = container.add_stream("mpeg4", rate=5) if with_video else None
        stream = container.add_stream(codec, rate=stream_rate, layout="mono")
        if video is not None:
            video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
            for _ in range(5):
                frame = av.VideoFrame(64, 64, "yuv420p")
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        resampler = av.AudioResampler(format=sample_format, layout="mono", rate=stream_rate)
        for start in range(0, len(samples), rate):
            block = np.ascontiguousarray(samples[start : start + rate]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate = rate
            for resampled in resampler.resample(frame):
                container.mux(stream.encode(resampled))
        for resampled in resampler.resample(None):
            container.mux(stream.encode(resampled))
        container.mux(stream.encode(None))
    return path


def raw(path: Path, rate: int, samples: int, packet_samples: int) -> Path:
    """Write silence in packets of a size and rate of one's own: raw samples or FLAC."""
    container_name, codec = {
        ".mka": ("matroska", "pcm_s16le"),
        ".mov": ("mov", "pcm_s16le"),
        ".flac": ("flac", "flac"),
    }[path.suffix]
    with av.open(str(path), "w", format=container_name) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        for start in range(0, samples, packet_samples):
            block = np.zeros((1, min(packet_samples, samples - start)), np.int16)
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def silent_video(path: Path) -> Path:
    """Write an mp4 file that has pictures and no sound."""
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("mpeg4", rate=5)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        for _ in range(5):
            container.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(video.encode(None))
    return path


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server sends for one path."""

    body: bytes = b""
    kind: str | None = "text/html"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = -1
    """Content-Length; -1 tells the truth, None sends none."""
    endless: bool = False
    """Send the body over and over."""
    pause: float = 0.0
    """Seconds before the answer, and between repetitions of the body."""

    @property
    def announced(self) -> int | None:
        """The Content-Length to send."""
        if self.endless:
            return None
        return len(self.body) if self.length == -1 else self.length


class MediaServer:
    """A web server with an answer for each path; it counts connections."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.answers: dict[str, Answer] = {}
        self.headers: dict[str, Mapping[str, str]] = {}
        """What the last request for each path carried."""
        self.connections = 0
        self._stopping = threading.Event()
        server = type("Server", (_Server,), {"address_family": _family(host)})
        self._server = server((host, port), type("Handler", (_Handler,), {"media": self}))
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def put(self, path: str, answer: Answer) -> str:
        """Serve an answer under a path and return its URL."""
        self.answers[path] = answer
        return self.url(path)

    def url(self, path: str) -> str:
        return f"http://{self.host}:{self.port}{path}"

    def wait(self, seconds: float) -> bool:
        """Wait, and say whether the server is still up."""
        return not self._stopping.wait(seconds)

    def stop(self) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    media: MediaServer

    def setup(self) -> None:
        self.media.connections += 1
        super().setup()

    def do_GET(self) -> None:
        self.media.headers[self.path] = self.headers
        answer = self.media.answers.get(self.path, Answer(b"nothing here", status=404))
        self.media.wait(answer.pause)
        with contextlib.suppress(OSError):
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        if answer.kind:
            self.send_header("Content-Type", answer.kind)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.announced is not None:
            self.send_header("Content-Length", str(answer.announced))
        self.end_headers()
        self.wfile.write(answer.body)
        while answer.endless and self.media.wait(answer.pause):
            self.wfile.write(answer.body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def media_server() -> Iterator[MediaServer]:
    server = MediaServer()
    yield server
    server.stop()


@pytest.fixture
def other_server() -> Iterator[MediaServer]:
    """A second server that nothing shall reach."""
    server = MediaServer()
    yield server
    server.stop()


@pytest.fixture
def cancel_after() -> Callable[[float], Callable[[], None]]:
    """Return a ``check`` that raises Cancelled once some seconds have passed."""
    from ml.errors import Cancelled

    def make(seconds: float) -> Callable[[], None]:
        deadline = time.monotonic() + seconds

        def check() -> None:
            if time.monotonic() > deadline:
                raise Cancelled()

        return check

    return make
