from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from media import Answer, MediaServer, encode, tone

from ml.errors import Cancelled, MediaInvalid, SourceNotFound, SourceTooLarge
from ml.options import PipelineOptions, SourceOptions
from ml.pipeline import plan, run_stage
from ml.source.fetch import fetch
from ml.source.wav import read_span
from ml.stage import Context, Input, Span


def options(**changes: object) -> PipelineOptions:
    return PipelineOptions(source=SourceOptions(**changes))  # type: ignore[arg-type]


def test_a_file(context: Context, jfk: Path) -> None:
    context.source = Input("file", str(jfk))
    recording = fetch(context)
    assert recording.duration == 11.0
    assert recording.parts == (Span(0.0, 11.0),)
    with context.store.open(recording.audio) as wav:
        assert len(read_span(wav, recording.parts[0])) == 176_000


def test_the_same_samples_have_the_same_name(context: Context, jfk: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other-name.bin"
    copy.write_bytes(jfk.read_bytes())
    keys = set()
    for path in (jfk, copy):
        context.source = Input("file", str(path))
        keys.add(fetch(context).audio)
    assert len(keys) == 1


def test_a_name_that_is_not_utf8(context: Context, jfk: Path, tmp_path: Path) -> None:
    named = tmp_path / os.fsdecode(b"caf\xe9.flac")
    named.write_bytes(jfk.read_bytes())
    context.source = Input("file", str(named))
    (stage, *_) = plan("file")
    key = run_stage(stage, 0, context, {}, scope="").key
    assert context.store.exists(key)


def test_an_upload(context: Context, jfk: Path) -> None:
    context.store.write_file("uploads/one", jfk)
    context.source = Input("upload", "uploads/one")
    recording = fetch(context)
    assert recording.duration == 11.0


def test_a_link(context: Context, jfk: Path, media_server: MediaServer) -> None:
    url = media_server.put("/a%20talk.flac", Answer(jfk.read_bytes(), "audio/flac"))
    context.source = Input("url", url)
    context.options = options(allowed_networks=("127.0.0.0/8",))
    recording = fetch(context)
    assert recording.duration == 11.0


@pytest.mark.parametrize("kind", ["file", "upload"])
def test_what_is_not_there(context: Context, kind: str) -> None:
    context.source = Input(kind, "nowhere/to/be/found")  # type: ignore[arg-type]
    with pytest.raises(SourceNotFound) as caught:
        fetch(context)
    assert "nowhere" not in str(caught.value)


def test_pipes_devices_and_directories_are_refused(context: Context, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        context.source = Input("file", str(path))
        with pytest.raises(MediaInvalid):
            fetch(context)


@pytest.mark.parametrize("kind", ["file", "upload"])
def test_files_above_the_limit_are_refused(context: Context, jfk: Path, kind: str) -> None:
    context.store.write_file("uploads/one", jfk)
    context.source = Input(kind, str(jfk) if kind == "file" else "uploads/one")  # type: ignore[arg-type]
    context.options = options(max_bytes=1_000)
    with pytest.raises(SourceTooLarge):
        fetch(context)


def test_long_recordings_are_cut_at_pauses(context: Context, jfk: Path, tmp_path: Path) -> None:
    """Speech and pauses take turns; every cut must fall into a pause."""
    context.source = Input("file", str(jfk))
    recording = fetch(context)
    with context.store.open(recording.audio) as wav:
        speech = read_span(wav, Span(0.0, 11.0))
    pause = np.zeros(2 * 16_000, np.float32)
    talk = encode(tmp_path / "talk.flac", np.concatenate([speech, pause] * 8), 16_000)
    context.source = Input("file", str(talk))
    context.options = options(part_seconds=30.0)
    parts = fetch(context).parts
    assert len(parts) == 4
    assert parts[0].start == 0.0
    assert parts[-1].end == pytest.approx(8 * 13.0, abs=0.01)
    for part, following in itertools.pairwise(parts):
        assert part.end == following.start
        assert 10.4 < part.end % 13.0 < 13.0
    assert max(part.end - part.start for part in parts) < 45


def test_cancelling_stops_the_decoder(
    context: Context, tmp_path: Path, cancel_after: Callable[[float], Callable[[], None]]
) -> None:
    source = encode(tmp_path / "long.flac", tone(60.0, 16_000), 16_000)
    context.source = Input("file", str(source))
    context.check = cancel_after(-1)
    with pytest.raises(Cancelled):
        fetch(context)
    assert not context.store.exists("audio")


def test_progress_never_goes_back(context: Context, jfk: Path, media_server: MediaServer) -> None:
    seen: list[tuple[float, str]] = []
    url = media_server.put("/talk.flac", Answer(jfk.read_bytes(), "audio/flac"))
    context.source = Input("url", url)
    context.options = options(allowed_networks=("127.0.0.0/8",))
    context.progress = lambda fraction, detail: seen.append((fraction, detail))
    fetch(context)
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert seen[-1] == (1.0, "11 s of audio")
