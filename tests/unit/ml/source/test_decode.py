from __future__ import annotations

import hashlib
import struct
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from media import FORMATS, encode, raw, silent_video, tone

from ml.errors import MediaInvalid, MediaNoAudio, MediaTooLong
from ml.source.decode import Decoded, decode
from ml.source.wav import SAMPLE_RATE, read_span
from ml.stage import Span


def decoded(source: Path, max_seconds: float = 100.0) -> tuple[Decoded, np.ndarray]:
    target = source.with_name("decoded.wav")
    with source.open("rb") as file:
        result = decode(file, target, max_seconds=max_seconds)
    with target.open("rb") as wav:
        return result, read_span(wav, Span(0, result.duration))


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_becomes_the_same_tone(tmp_path: Path, suffix: str) -> None:
    source = encode(tmp_path / f"tone.{suffix}", tone(2.0, 22_050), 22_050)
    result, samples = decoded(source)
    assert result.duration == pytest.approx(2.0, abs=0.1)
    assert len(samples) == result.samples
    spectrum = np.abs(np.fft.rfft(samples[8000:24000]))
    assert int(spectrum.argmax()) == pytest.approx(440, abs=2)
    assert np.abs(samples).max() == pytest.approx(0.3, abs=0.05)


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    source = encode(tmp_path / "tone.ogg", tone(1.0, 16_000), 16_000).rename(tmp_path / "x.mp3")
    assert decoded(source)[0].duration == pytest.approx(1.0, abs=0.05)


def test_the_wav_file_is_what_its_digest_and_header_say(jfk: Path, tmp_path: Path) -> None:
    target = tmp_path / "decoded.wav"
    with jfk.open("rb") as file:
        result = decode(file, target, max_seconds=20)
    with wave.open(str(target)) as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (16_000, 1, 2)
        samples = wav.readframes(wav.getnframes())
    assert result.samples == len(samples) // 2 == 11 * SAMPLE_RATE
    assert result.sha256 == hashlib.sha256(samples).hexdigest()
    assert target.stat().st_size == 44 + len(samples)


def test_video_gives_its_sound(tmp_path: Path) -> None:
    source = encode(tmp_path / "film.mp4", tone(1.0, 16_000), 16_000, with_video=True)
    assert decoded(source)[0].duration == pytest.approx(1.0, abs=0.1)


def test_video_without_sound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaNoAudio):
        decoded(silent_video(tmp_path / "film.mp4"))


def film_that_falls_silent(path: Path, frames: int) -> Path:
    """Write one second of sound and then pictures alone, of 100 KB each."""
    noise = np.random.default_rng(5)
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        pictures = container.add_stream("ffv1", rate=5)
        pictures.width, pictures.height, pictures.pix_fmt = 256, 256, "yuv420p"
        second = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.int16), layout="mono")
        second.sample_rate = 16_000
        container.mux(sound.encode(second))
        for _ in range(frames):
            pixels = noise.integers(0, 256, (384, 256), np.uint8)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels, "yuv420p")))
        container.mux(pictures.encode(None))
    return path


def test_a_long_film_with_little_sound_is_no_bomb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.source.decode.MAX_READ_BYTES", 6_000_000)
    source = film_that_falls_silent(tmp_path / "film.mkv", 150)
    assert source.stat().st_size > 12_000_000
    assert decoded(source)[0].duration == pytest.approx(1.0, abs=0.01)


def test_what_would_be_read_into_memory_at_once_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.source.decode.MAX_READ_BYTES", 500_000)
    with pytest.raises(MediaInvalid):
        decoded(raw(tmp_path / "packet.mka", 16_000, 400_000, 400_000))


def garbage(length: int) -> bytes:
    return np.random.default_rng(7).bytes(length)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"RIFF",
        b"ID3\x03\0\0\0\0\0\0",
        b"<html><video src='x.mp4'></video></html>",
        b"%PDF-1.7",
        b"\x7fELF" + bytes(1000),
        bytes(100_000),
        garbage(100_000),
        b"fLaC" + garbage(50_000),
        b"OggS" + garbage(50_000),
        b"\x1aE\xdf\xa3" + garbage(50_000),
        b"\0\0\0\x20ftypisom" + garbage(50_000),
        b"\xff\xfb\x90\x00" + garbage(50_000),
    ],
    ids=lambda content: repr(content[:12]),
)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "recording.mp3"
    source.write_bytes(content)
    with pytest.raises(MediaInvalid):
        decoded(source)


@pytest.mark.parametrize("name", ["playlist.mp3", "playlist.m3u8", "playlist.wav", "playlist.mp4"])
@pytest.mark.parametrize("address", ["{path}", "file:{path}", "file://{path}", "concat:{path}"])
@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:20\n#EXTINF:11,\n{address}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{address}'\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT11S"><Period><AdaptationSet mimeType="audio/wav">'
        '<Representation id="1" bandwidth="1"><BaseURL>{address}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>",
    ],
)
def test_a_playlist_cannot_read_another_file(
    tmp_path: Path, jfk: Path, playlist: str, address: str, name: str
) -> None:
    source = tmp_path / name
    source.write_text(playlist.format(address=address.format(path=jfk)))
    with pytest.raises(MediaInvalid):
        decoded(source)


def test_an_mp4_file_cannot_refer_to_another_file(tmp_path: Path, jfk: Path) -> None:
    """A "url " data reference that is not self-contained names an external file."""
    source = encode(tmp_path / "tone.mp4", tone(1.0, 16_000), 16_000)
    content = source.read_bytes()
    own = struct.pack(">I4sI", 12, b"url ", 1)
    assert own in content
    foreign = struct.pack(">I4sI", 12, b"alis", 0)
    source.write_bytes(content.replace(own, foreign))
    try:
        result, samples = decoded(source)
    except MediaInvalid:
        return
    assert result.duration == pytest.approx(1.0, abs=0.1)
    assert np.abs(np.fft.rfft(samples[:16000])).argmax() == pytest.approx(440, abs=2)


@pytest.mark.parametrize("suffix", ["wav", "mp3", "flac", "ogg", "webm", "aac"])
def test_a_recording_that_breaks_off_is_decoded_as_far_as_it_goes(
    tmp_path: Path, suffix: str
) -> None:
    source = encode(tmp_path / f"tone.{suffix}", tone(4.0, 16_000), 16_000)
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    assert 1.0 < decoded(source)[0].duration < 3.0


def test_a_hole_in_a_recording_is_skipped(tmp_path: Path) -> None:
    source = encode(tmp_path / "tone.mp3", tone(4.0, 16_000), 16_000)
    content = bytearray(source.read_bytes())
    content[10_000:14_000] = garbage(4_000)
    source.write_bytes(content)
    assert 2.0 < decoded(source)[0].duration < 4.5


def test_a_recording_without_its_beginning_is_refused(tmp_path: Path) -> None:
    source = encode(tmp_path / "tone.m4a", tone(4.0, 16_000), 16_000)
    source.write_bytes(source.read_bytes()[5_000:])
    with pytest.raises(MediaInvalid):
        decoded(source)


def test_less_than_a_tenth_of_a_second_is_refused(tmp_path: Path) -> None:
    source = encode(tmp_path / "blip.wav", tone(0.05, 44_100), 44_100)
    with pytest.raises(MediaInvalid):
        decoded(source)


def test_silence_is_a_recording(tmp_path: Path) -> None:
    source = encode(tmp_path / "silence.flac", np.zeros(16_000, np.float32), 16_000)
    result, samples = decoded(source)
    assert result.samples == pytest.approx(16_000, abs=64)
    assert not samples.any()


def lying_wav(path: Path, promised_bytes: int, seconds: float) -> Path:
    """Write a WAV file whose header promises another length than it has."""
    data = (tone(seconds, 16_000) * 32767).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    path.write_bytes(
        b"RIFF" + struct.pack("<I", (promised_bytes + 36) & 0xFFFFFFFF) + b"WAVEfmt "
        + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", promised_bytes) + data
    )  # fmt: skip
    return path


def test_a_header_that_promises_a_day_is_not_believed(tmp_path: Path) -> None:
    source = lying_wav(tmp_path / "day.wav", 0xFFFF_FFF0, 1.0)
    assert decoded(source, max_seconds=2)[0].duration == pytest.approx(1.0, abs=0.01)


def test_a_header_that_promises_nothing_does_not_get_past_the_limit(tmp_path: Path) -> None:
    for promised in (0, 1_000):
        source = lying_wav(tmp_path / "none.wav", promised, 4.0)
        try:
            assert decoded(source, max_seconds=2)[0].duration <= 2.0
        except (MediaTooLong, MediaInvalid):
            continue


def test_the_limit_counts_samples_and_stops_there(tmp_path: Path) -> None:
    source = encode(tmp_path / "tone.flac", tone(30.0, 16_000), 16_000)
    with pytest.raises(MediaTooLong):
        decoded(source, max_seconds=10)
    assert (tmp_path / "decoded.wav").stat().st_size < 11 * SAMPLE_RATE * 2


def test_progress_tells_seconds_and_what_the_header_promises(tmp_path: Path) -> None:
    source = encode(tmp_path / "tone.flac", tone(10.0, 16_000), 16_000)
    seen: list[tuple[float, float | None]] = []
    with source.open("rb") as file:
        decode(
            file,
            tmp_path / "out.wav",
            max_seconds=60,
            on_progress=lambda done, expected: seen.append((done, expected)),
        )
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (pytest.approx(10.0, abs=0.01), pytest.approx(10.0, abs=0.01))
