"""From bytes of any kind to 16 kHz mono 16-bit PCM, without trusting a word of them.

FFmpeg's default settings let a file named ``.mp3`` be a playlist that reads other files.
So the containers and codecs are listed, nothing beside the file itself can be opened, and
the samples are counted while they are decoded: headers are never believed.
"""

from __future__ import annotations

import hashlib
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import av

from ml.errors import MediaInvalid, MediaNoAudio, MediaTooLong
from ml.source.wav import BYTES_PER_SAMPLE, SAMPLE_RATE

MIN_SECONDS = 0.1
"""Less decoded audio than this means that the file is not a recording."""
CONTAINERS = "mp3,wav,flac,ogg,mov,matroska,aac,mpegts"
"""FFmpeg's demuxers. mov stands for mp4, m4a and 3gp, matroska for webm; mpegts is what
segmented streams consist of. None of them can refer to other files as configured here."""
_CODEC_NAMES = (
    "aac aac_latm ac3 adpcm_ima_wav adpcm_ms alac amrnb amrwb eac3 flac mp2 mp2float mp3 mp3float "
    "opus pcm_alaw pcm_f32be pcm_f32le pcm_f64be pcm_f64le pcm_mulaw pcm_s16be pcm_s16le pcm_s24be "
    "pcm_s24le pcm_s32be pcm_s32le pcm_s8 pcm_u8 vorbis"
)
CODECS = frozenset(_CODEC_NAMES.split())
"""FFmpeg's audio decoders."""
RATES = range(4_000, 384_001)
"""Sample rates in Hz. At 1 Hz a kilobyte would become a quarter of an hour."""
MAX_PACKET_BYTES = 1 << 20
"""A codec's packets have kilobytes; raw samples are packed by fractions of a second."""
_MAX_PACKET_SAMPLES = 2 * MAX_PACKET_BYTES
"""Over all channels; what FFmpeg refuses to decode. No codec puts more than two samples into
a byte, but for silence, of which a few bytes can stand for any number."""
MAX_READ_BYTES = 128 << 20
"""Read for the header, or for one packet of sound or picture: FFmpeg holds either in memory as
a whole, before anybody can judge it."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was written."""

    samples: int
    sha256: str
    """Digest of the little-endian 16-bit samples, in hexadecimal."""

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.samples / SAMPLE_RATE


def decode(
    source: IO[bytes],
    target: Path,
    *,
    max_seconds: float,
    on_progress: Callable[[float, float | None], None] = lambda done, expected: None,
) -> Decoded:
    """Decode the first usable audio track of an open file into a WAV file at ``target``.

    A file that breaks off is decoded as far as it goes. Memory stays flat: one packet is held
    at a time, and its samples are counted before they are resampled. ``on_progress`` is called
    for each packet with the seconds decoded and the seconds that the header promises (None if
    it promises nothing); what it raises ends the decoding.

    Raises:
        MediaInvalid: not a supported recording, or less than 0.1 s of audio.
        MediaNoAudio: a video or other file without an audio track.
        MediaTooLong: more than ``max_seconds``.

    """
    file = _Metered(source)
    with _open(file) as container:
        stream = _audio_stream(container)
        expected = _promised_seconds(container)
        with wave.open(str(target), "wb") as wav:
            wav.setnchannels(1)
            wav.setsampwidth(BYTES_PER_SAMPLE)
            wav.setframerate(SAMPLE_RATE)
            sink = _Sink(wav, limit=int(max_seconds * SAMPLE_RATE))
            resampler = _Resampler()
            for frames in _frames(container, stream, file):
                for frame in frames:
                    sink.check_room_for(frame)
                    sink.write(resampler.convert(frame))
                on_progress(sink.samples / SAMPLE_RATE, expected)
            sink.write(resampler.flush())
            on_progress(sink.samples / SAMPLE_RATE, expected)
    if sink.samples < MIN_SECONDS * SAMPLE_RATE:
        raise MediaInvalid()
    return Decoded(samples=sink.samples, sha256=sink.hash.hexdigest())


@dataclass(slots=True)
class _Sink:
    """Counts, hashes and writes samples."""

    wav: wave.Wave_write
    limit: int
    samples: int = 0
    hash: Any = field(default_factory=hashlib.sha256)

    def check_room_for(self, frame: Any) -> None:
        """Raise MediaTooLong or MediaInvalid for a frame that resampling would blow up."""
        if frame.sample_rate not in RATES:
            raise MediaInvalid()
        if self.samples + frame.samples * SAMPLE_RATE // frame.sample_rate > self.limit:
            raise MediaTooLong()

    def write(self, pcm: bytes) -> None:
        self.samples += len(pcm) // BYTES_PER_SAMPLE
        if self.samples > self.limit:
            raise MediaTooLong()
        self.hash.update(pcm)
        self.wav.writeframesraw(pcm)


def _refuse(url: str, flags: int, options: dict[str, str]) -> None:
    raise PermissionError("a recording may not open other files")


def _open(file: _Metered) -> Any:
    """Open a container; only the file object itself can be read."""
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file,pipe"}
    try:
        return av.open(file, options=options, io_open=_refuse)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaInvalid() from error


class _Metered:
    """A readable file that counts what is read.

    It has no name: the suffix shall not sway FFmpeg's guess.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell
        self.bytes_read = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.bytes_read += len(data)
        if self.bytes_read > MAX_READ_BYTES:
            raise MediaInvalid()
        return data


def _audio_stream(container: Any) -> Any:
    """Return the first audio stream that can be decoded."""
    if not container.streams.audio:
        raise MediaNoAudio()
    for stream in container.streams.audio:
        if stream.codec_context is not None and stream.codec_context.name in CODECS:
            stream.codec_context.options = {"max_samples": str(_MAX_PACKET_SAMPLES)}
            return stream
    raise MediaInvalid()


def _promised_seconds(container: Any) -> float | None:
    """Return the header's duration; good for a progress bar and nothing else."""
    return container.duration / av.time_base if container.duration else None


def _frames(container: Any, stream: Any, file: _Metered) -> Iterator[list[Any]]:
    """Yield the frames of each packet; none for a broken one or one of another stream.

    Where the file breaks off, that is its end.

    Raises MediaInvalid when a packet is larger than any recorder makes them, or when most are
    broken: then it is not a damaged recording but bytes that happen to look like one.
    """
    good = bad = 0
    # Of all streams, since a film may go on for long without a sound.
    packets = iter(container.demux())
    while True:
        file.bytes_read = 0
        try:
            packet = next(packets)
        except StopIteration:
            break
        except (av.FFmpegError, OSError):
            break
        if packet.stream.index != stream.index:
            yield []
            continue
        if packet.size > MAX_PACKET_BYTES:
            raise MediaInvalid()
        try:
            frames = packet.decode()
            good += 1
        except (av.FFmpegError, ValueError):
            frames = []
            bad += 1
        yield frames
    if bad > good:
        raise MediaInvalid()


class _Resampler:
    """Resamples frames whose format may change on the way."""

    def __init__(self) -> None:
        self._format: tuple[str, str, int] | None = None
        self._resampler: Any = None

    def convert(self, frame: Any) -> bytes:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        before = b""
        if form != self._format:
            before = self.flush()
            self._format = form
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        # Timestamps are dropped: damaged ones would make the resampler refuse the frame.
        frame.pts = None
        try:
            return before + _bytes_of(self._resampler.resample(frame))
        except (av.FFmpegError, ValueError) as error:
            raise MediaInvalid() from error

    def flush(self) -> bytes:
        return _bytes_of(self._resampler.resample(None)) if self._resampler else b""


def _bytes_of(frames: list[Any]) -> bytes:
    return b"".join(bytes(frame.planes[0])[: frame.samples * BYTES_PER_SAMPLE] for frame in frames)
