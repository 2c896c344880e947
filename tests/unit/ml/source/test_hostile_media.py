"""Files made to do harm get a typed error, in little memory, and nothing else is opened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from hostile_media import Canary, broken, examine, flac_silence, liars, polyglots
from media import MediaServer

from ml.errors import catalogue
from ml.source.wav import BYTES_PER_SAMPLE, SAMPLE_RATE

TYPED = {code for code in catalogue() if code.startswith("media.")}
PEAK_MIB = 30
"""Beyond what the decoder's process has once it is loaded."""
LARGE_PACKET_MIB = 110
"""For the file that has one packet of 32 MiB: FFmpeg holds it two or three times."""


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    bird = Canary(tmp_path / "canary.wav")
    yield bird
    bird.close()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    directory = tmp_path / "files"
    directory.mkdir()
    return directory


def test_no_playlist_is_followed_whatever_it_looks_like(
    files: Path, canary: Canary, media_server: MediaServer
) -> None:
    cases = polyglots(files, canary.path, media_server.url("/secret.wav"))
    outcomes = examine(list(cases.values()), max_seconds=60)
    assert {outcome.result for outcome in outcomes} == {"media.invalid"}
    assert max(outcome.peak_mib for outcome in outcomes) < PEAK_MIB
    assert not canary.was_opened()
    assert media_server.connections == 0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ffconcat as mp3 to file", {"safe": "0"}),
        ("QuickTime alias", {"enable_drefs": "1", "use_absolute_path": "1"}),
    ],
)
def test_a_careless_decoder_opens_the_canary(
    files: Path, canary: Canary, name: str, options: dict[str, str]
) -> None:
    case = polyglots(files, canary.path, "http://127.0.0.1:9/")[name]
    with av.open(str(case), options=options) as container:
        next(container.demux())
    assert canary.was_opened()


def test_a_careless_decoder_calls_the_server(
    files: Path, canary: Canary, media_server: MediaServer
) -> None:
    cases = polyglots(files, canary.path, media_server.url("/secret.wav"))
    options = {"safe": "0", "protocol_whitelist": "file,http,tcp"}
    with contextlib.suppress(av.FFmpegError):
        av.open(str(cases["ffconcat as mp3 to address"]), options=options).close()
    assert media_server.connections > 0


def test_a_header_that_lies_is_refused_or_not_believed(files: Path) -> None:
    cases = liars(files)
    for name, outcome in zip(cases, examine(list(cases.values()), max_seconds=21_600), strict=True):
        limit = LARGE_PACKET_MIB if name == "one packet of an hour" else PEAK_MIB
        assert outcome.peak_mib < limit, name
        if outcome.decoded is None:
            assert outcome.result in TYPED, name
        else:
            assert outcome.decoded == pytest.approx(2.0, abs=0.1), name


def test_ten_hours_of_silence_in_a_few_kilobytes_end_at_the_limit(files: Path) -> None:
    bomb = flac_silence(files / "silence.flac", 36_000)
    assert bomb.stat().st_size < 200_000
    (outcome,) = examine([bomb], max_seconds=1_200)
    assert outcome.result == "media.too_long"
    assert outcome.written <= 1_200 * SAMPLE_RATE * BYTES_PER_SAMPLE + 44
    assert outcome.peak_mib < PEAK_MIB


def test_silence_is_decoded_to_the_end_where_the_limit_allows(files: Path) -> None:
    (outcome,) = examine([flac_silence(files / "silence.flac", 1_200)], max_seconds=1_200)
    assert outcome.decoded == pytest.approx(1_200, abs=5)


def test_what_is_cut_off_or_changed_gives_a_part_or_a_typed_error(files: Path) -> None:
    cases = broken(files)
    outcomes = examine(list(cases.values()), max_seconds=60)
    for name, outcome in zip(cases, outcomes, strict=True):
        assert outcome.peak_mib < PEAK_MIB, name
        if outcome.decoded is None:
            assert outcome.result in TYPED, (name, outcome.result)
        else:
            assert outcome.decoded <= 60, name
    decoded = [name for name, outcome in zip(cases, outcomes, strict=True) if outcome.decoded]
    assert len(decoded) > len(cases) / 3
