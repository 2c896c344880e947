"""One row for each bad input: which error it gets, how soon, and that nothing is left behind."""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from media import Answer, MediaServer, encode, raw, silent_video, tone

from ml.errors import Cancelled, EmotionClfError
from ml.options import PipelineOptions, SourceOptions, TranscriptionOptions
from ml.pipeline import Runner
from ml.results import Analysis
from ml.stage import Input, InputKind
from ml.text.segment import NO_SPEECH_NOTE, UNSURE_LANGUAGE_NOTE

SECONDS = 20.0
"""No bad input may keep us longer, models loaded and processors shared."""

LOCAL = SourceOptions(allowed_networks=("127.0.0.0/8",), timeout=3, max_bytes=2_000_000)


@dataclass(frozen=True)
class Row:
    """What is put in, and what has to come out: an error code, or a note on a result."""

    name: str
    make: Callable[[Path, MediaServer], str]
    kind: InputKind
    code: str | None = None
    note: str | None = None
    source: SourceOptions = field(default_factory=lambda: LOCAL)


def file(content: bytes, name: str = "recording.mp3") -> Callable[[Path, MediaServer], str]:
    def make(directory: Path, server: MediaServer) -> str:
        path = directory / name
        path.write_bytes(content)
        return str(path)

    return make


def made(maker: Callable[[Path], Path]) -> Callable[[Path, MediaServer], str]:
    return lambda directory, server: str(maker(directory))


def served(answer: Answer, path: str = "/x") -> Callable[[Path, MediaServer], str]:
    return lambda directory, server: server.put(path, answer)


def text(value: str) -> Callable[[Path, MediaServer], str]:
    return lambda directory, server: value


def music(directory: Path) -> Path:
    """Write chords with a beat."""
    rate, seconds = 16_000, 12.0
    chord = sum(tone(seconds, rate, f) for f in (220.0, 277.2, 329.6)) / 3
    beat = np.exp(-8 * (np.arange(len(chord)) / rate % 0.5))
    return encode(directory / "music.flac", (chord * beat).astype(np.float32), rate)


def lying_wav(directory: Path) -> Path:
    """Write one second of a tone under a header that promises four gigabytes."""
    data = (tone(1.0, 16_000) * 32767).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    header = b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"WAVEfmt " + struct.pack("<I", 16) + form
    path = directory / "lying.wav"
    path.write_bytes(header + b"data" + struct.pack("<I", 0xFFFFFFF0) + data)
    return path


def truncated(directory: Path) -> Path:
    """Write the second half of an mp4 file."""
    path = encode(directory / "talk.m4a", tone(4.0, 16_000), 16_000)
    path.write_bytes(path.read_bytes()[5_000:])
    return path


def ten_hours(directory: Path) -> Path:
    """Write ten hours of silence: frames of mp3 may simply be repeated."""
    minute = encode(directory / "minute.mp3", np.zeros(60 * 16_000, np.float32), 16_000)
    frames = minute.read_bytes()
    with (directory / "long.mp3").open("wb") as target:
        for _ in range(600):
            target.write(frames)
    return directory / "long.mp3"


def hostile(directory: Path) -> Path:
    """Write a playlist that names a local file under the name of a recording."""
    secret = encode(directory / "secret.wav", tone(3.0, 16_000), 16_000)
    path = directory / "talk.mp3"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n")
    return path


BOMBS: dict[str, Callable[[Path], Path]] = {
    "1 Hz mka": lambda directory: raw(directory / "x.mka", 1, 50_000, 5_000),
    "1 Hz mov": lambda directory: raw(directory / "x.mov", 1, 50_000, 5_000),
    "1 Hz flac": lambda directory: raw(directory / "x.flac", 1, 500_000, 4_608),
    "one huge packet": lambda directory: raw(directory / "x.mka", 4_000, 16 << 20, 16 << 20),
}
"""Small files that would become gigabytes of samples at once."""

LONG_FILES = SourceOptions(max_seconds=3600, max_bytes=2 * 1024**3)
PLAYLIST_PAGE = b"<html><video src='/a.mp4'></video><video src='/b.mp4'></video></html>"

ROWS = [
    Row("no bytes", file(b""), "file", "media.invalid"),
    Row("one byte", file(b"\0"), "file", "media.invalid"),
    Row("not media", file(b"%PDF-1.7 and so on" * 100), "file", "media.invalid"),
    Row("web page", file(b"<html><video src='x.mp4'></video></html>"), "file", "media.invalid"),
    Row("random", file(np.random.default_rng(3).bytes(200_000)), "file", "media.invalid"),
    Row("unknown format", file(b"MThd" + bytes(500), "song.mid"), "file", "media.invalid"),
    Row("playlist in disguise", made(hostile), "file", "media.invalid"),
    Row("beginning missing", made(truncated), "file", "media.invalid"),
    Row("no such file", text("/nowhere/talk.mp3"), "file", "source.not_found"),
    Row("directory", lambda directory, server: str(directory), "file", "media.invalid"),
    Row("no sound", made(lambda d: silent_video(d / "film.mp4")), "file", "media.no_audio"),
    Row("header lies", made(lying_wav), "file", note=NO_SPEECH_NOTE),
    Row(
        "silent",
        made(lambda d: encode(d / "silent.flac", np.zeros(160_000, np.float32), 16_000)),
        "file",
        note=NO_SPEECH_NOTE,
    ),
    Row("music only", made(music), "file", note=NO_SPEECH_NOTE),
    Row("ten hours", made(ten_hours), "file", "media.too_long", source=LONG_FILES),
    Row("file too large", file(bytes(3_000_000)), "file", "source.too_large"),
    *(
        Row(name, made(maker), "file", "media.invalid", source=SourceOptions())
        for name, maker in BOMBS.items()
    ),
    Row("null byte in the path", text("a\0b.wav"), "file", "source.not_found"),
    Row("path too long", text("x" * 5_000), "file", "source.not_found"),
    Row("upload gone", text("uploads/none"), "upload", "source.not_found"),
    Row("not a link", text("watch this"), "url", "source.not_found"),
    Row("dead", text("http://127.0.0.1:1/talk.mp3"), "url", "source.unreachable"),
    Row("no such host", text("http://nowhere.invalid/talk.mp3"), "url", "source.unreachable"),
    Row("not there", served(Answer(status=404)), "url", "source.not_found"),
    Row("private", served(Answer(status=403)), "url", "source.not_found"),
    Row("rate limited", served(Answer(status=429)), "url", "source.rate_limited"),
    Row("hangs", served(Answer(b"x", pause=30)), "url", "source.timeout"),
    Row(
        "drips",
        served(Answer(b"x", "audio/mpeg", endless=True, pause=0.1)),
        "url",
        "source.timeout",
    ),
    Row(
        "redirects for ever",
        served(Answer(status=302, headers={"Location": "/x"})),
        "url",
        "source.unreachable",
    ),
    Row(
        "redirects to a file",
        served(Answer(status=302, headers={"Location": "file:///etc/passwd"})),
        "url",
        "source.forbidden_address",
    ),
    Row("playlist", served(Answer(PLAYLIST_PAGE)), "url", "source.playlist",
        source=SourceOptions(allowed_networks=("127.0.0.0/8",), timeout=SECONDS)),
    Row("nothing on the page", served(Answer(b"<html>hi</html>")), "url", "source.unsupported",
        source=SourceOptions(allowed_networks=("127.0.0.0/8",), timeout=SECONDS)),
    Row(
        "announced too large",
        served(Answer(b"x", "audio/mpeg", length=10**12)),
        "url",
        "source.too_large",
    ),
    Row(
        "never ends",
        served(Answer(b"x" * 65_536, "audio/mpeg", endless=True)),
        "url",
        "source.too_large",
    ),
    Row("breaks off", served(Answer(b"x", "audio/mpeg", length=99)), "url", "source.unreachable"),
    Row("garbage behind a link", served(Answer(b"x" * 999, "audio/mpeg")), "url", "media.invalid"),
    Row("empty behind a link", served(Answer(b"", "audio/mpeg")), "url", "media.invalid"),
    Row(
        "private address",
        served(Answer(b"x", "audio/mpeg")),
        "url",
        "source.forbidden_address",
        source=SourceOptions(),
    ),
    Row("cloud metadata", text("http://169.254.169.254/latest/"), "url",
        "source.forbidden_address", source=SourceOptions()),
    Row("local file as link", text("file:///etc/passwd"), "url", "source.forbidden_address"),
    Row("credentials", text("http://a:b@example.com/x"), "url", "source.forbidden_address"),
    Row("no text", text(""), "text", "text.empty"),
    Row("white space", text(" \n\t\u00a0"), "text", "text.empty"),
    Row("control characters", text("\x00\x07\x1b\u200b\u202e"), "text", "text.empty"),
    Row("punctuation", text("?!..."), "text", "text.empty"),
    Row("a megabyte of text", text("I am happy. " * 87_382), "text", "text.too_long"),
    Row("German", text("Das ist ein wunderschöner Tag für uns."), "text", "language.unsupported"),
    Row("Japanese", text("今日はとても嬉しいです"), "text", "language.unsupported"),
    Row("emoji", text("😡😡"), "text", note=UNSURE_LANGUAGE_NOTE),
    Row("one word", text("Great"), "text", note=UNSURE_LANGUAGE_NOTE),
    Row("half a character", text("Great \ud83d news"), "text", note=UNSURE_LANGUAGE_NOTE),
    Row("words and control characters", text("I\x00 am\x1b so\u202e happy"), "text",
        note=UNSURE_LANGUAGE_NOTE),
]  # fmt: skip


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for temporary files, empty."""
    directory = tmp_path / "scratch"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return directory


@pytest.fixture(scope="module", autouse=True)
def models() -> None:
    """Load what is loaded once, so that the rows measure the inputs alone."""
    Runner().run(Input("text", "Such a lovely day, and what a good idea."))
    from ml.speech.engines.choice import warm

    warm(TranscriptionOptions())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_bad_input(row: Row, tmp_path: Path, scratch: Path, media_server: MediaServer) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    value = row.make(inputs, media_server)
    runner = Runner(options=PipelineOptions(source=row.source))
    began = time.monotonic()
    if row.code is not None:
        with pytest.raises(EmotionClfError) as caught:
            runner.run(Input(row.kind, value))
        assert caught.value.code == row.code
        assert not (value and value in str(caught.value))
    else:
        check_noted(runner.run(Input(row.kind, value)), row)
    assert time.monotonic() - began < SECONDS
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_does_not_fill_the_memory(name: str, tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from ml.errors import MediaInvalid; from ml.source.decode import decode\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before, bomb = peak(), Path(sys.argv[1])\n"
        "try: decode(bomb.open('rb'), bomb.with_name('out.wav'), max_seconds=21_600)\n"
        "except MediaInvalid: print(peak() - before)\n"
    )
    command = [sys.executable, "-c", code, str(BOMBS[name](tmp_path))]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    # FFmpeg itself reads the huge packet, of 32 MB, two or three times.
    assert int(result.stdout) < 130


def check_noted(analysis: Analysis, row: Row) -> None:
    assert row.note in analysis.notes
    assert bool(analysis.segments) == (row.kind == "text")
    assert Analysis.from_dict(analysis.to_dict()) == analysis


def test_cancelling_leaves_nothing_behind(
    jfk: Path, scratch: Path, cancel_after: Callable[[float], Callable[[], None]]
) -> None:
    with pytest.raises(Cancelled):
        Runner(check=cancel_after(0.2)).run(Input("file", str(jfk)))
    assert list(scratch.iterdir()) == []
