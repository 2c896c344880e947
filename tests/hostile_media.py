"""Files made to harm whoever decodes them, and a process that is watched while it does.

Run as a command, this decodes each file of its arguments in a process of its own, forked off
one that has loaded the decoder, and prints a line of JSON for each: what came out, how long it
took and how much memory it needed.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from media import FORMATS, encode, raw, tone

ROOT = Path(__file__).parent.parent
_IN_OPEN = 0x20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file."""

    result: str
    """An error's code, the name of something worse, or the seconds decoded."""
    seconds: float
    peak_mib: float
    """Memory beyond what the process had before, in MiB."""
    written: int
    """Bytes of audio written before the end."""

    @property
    def decoded(self) -> float | None:
        """Seconds of audio; None where there was an error."""
        return float(self.result) if self.result[0].isdigit() else None


class Canary:
    """A recording that nobody may open; it notices (inotify(7))."""

    def __init__(self, path: Path) -> None:
        self.path = encode(path, tone(3.0, 16_000, 1_000.0), 16_000)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._events = self._libc.inotify_init1(os.O_NONBLOCK)
        if self._libc.inotify_add_watch(self._events, os.fsencode(path), _IN_OPEN) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch")

    def was_opened(self) -> bool:
        """Say whether the file was opened since this was last asked."""
        try:
            return bool(os.read(self._events, 65_536))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._events)


def examine(files: Sequence[Path], *, max_seconds: float) -> list[Outcome]:
    """Decode each file in a process of its own."""
    command = [sys.executable, str(Path(__file__)), str(max_seconds), *map(str, files)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=170, check=True
    )
    return [Outcome(**json.loads(line)) for line in result.stdout.splitlines()]


def _attempt(file: Path, target: Path, max_seconds: float) -> str:
    from ml.errors import EmotionClfError
    from ml.source.decode import decode

    try:
        with file.open("rb") as source:
            return f"{decode(source, target, max_seconds=max_seconds).duration:.3f}"
    except EmotionClfError as error:
        return error.code
    except BaseException as error:
        return f"UNTYPED {type(error).__name__}"


def _watched(work: Callable[[], str]) -> tuple[str, int]:
    """Return what ``work`` says in a forked process, and that process's peak, in KiB."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, work().encode())
        os._exit(0)
    os.close(writing)
    _, status, usage = os.wait4(pid, 0)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    return said if status == 0 else f"KILLED by signal {status}", usage.ru_maxrss


def main() -> None:
    """Print what becomes of each file."""
    import ml.source.decode  # noqa: F401  (before the fork, once for all)

    max_seconds, files = float(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    _, before = _watched(lambda: "")
    for file in files:
        target = file.with_name("decoded.wav")
        target.unlink(missing_ok=True)
        began = time.monotonic()
        result, peak = _watched(
            lambda file=file, target=target: _attempt(file, target, max_seconds)
        )
        outcome = Outcome(
            result=result,
            seconds=time.monotonic() - began,
            peak_mib=max(0, peak - before) / 1024,
            written=target.stat().st_size if target.exists() else 0,
        )
        sys.stdout.write(json.dumps(asdict(outcome)) + "\n")
        sys.stdout.flush()  # or the next fork inherits the line


PLAYLISTS = {
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:3,\n{target}\n#EXT-X-ENDLIST\n",
    "HLS with a key": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-KEY:METHOD=AES-128,"
    'URI="{target}"\n#EXTINF:3,\n{target}\n#EXT-X-ENDLIST\n',
    "HLS master": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n",
    "ffconcat": "ffconcat version 1.0\nfile '{target}'\n",
    "DASH": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT3S"><Period><AdaptationSet mimeType="audio/wav">'
    '<Representation id="1" bandwidth="1"><BaseURL>{target}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "SDP": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 5004 RTP/AVP 0\r\na=control:{target}\r\n",
    "IMF": '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/'
    '2067-3/2016"><Id>urn:uuid:0</Id><EditRate>1 1</EditRate><Path>{target}</Path>'
    "</CompositionPlaylist>",
    "VobSub": "# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\n"
    "timestamp: 00:00:00:000, filepos: 000000000\n# {target}\n",
    "SVG": '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" '
    'xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="{target}"/></svg>',
    "SMIL": '<smil><body><audio src="{target}"/></body></smil>',
    "ASX": '<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
    "M3U": "{target}\n",
    "PLS": "[playlist]\nFile1={target}\nNumberOfEntries=1\nVersion=2\n",
    "cue": 'FILE "{target}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
    "RealMedia": ".RMP\n{target}\n",
    "AviSynth": 'DirectShowSource("{target}")\n',
    "concat address": "concat:{target}|{target}",
    "image sequence": "image2:{target}%03d.png\n",
}
"""What FFmpeg's demuxers, or players, follow to another file."""

DISGUISES = {
    "mp3": b"",
    "id3.mp3": b"ID3\x04\0\0\0\0\0\x0a" + bytes(10),
    "wav": b"RIFF\xff\xff\xff\x7fWAVE",
    "m4a": struct.pack(">I4s4sI4s", 20, b"ftyp", b"M4A ", 0, b"isom"),
    "mkv": b"\x1aE\xdf\xa3\x80",
    "flac": b"fLaC",
    "ogg": b"OggS\0\x02" + bytes(21),
}
"""What a playlist wears in front, by the ending of its name."""


def polyglots(directory: Path, canary: Path, address: str) -> dict[str, Path]:
    """Write each playlist in each disguise, once for a local file and once for an address."""
    made: dict[str, Path] = {}
    for kind, content in PLAYLISTS.items():
        for ending, magic in DISGUISES.items():
            for place, target in {"file": str(canary), "address": address}.items():
                name = f"{kind} as {ending} to {place}"
                made[name] = directory / f"{len(made)}.{ending}"
                made[name].write_bytes(magic + content.format(target=target).encode())
    made["QuickTime alias"] = alias(directory / "alias.mov", canary)
    return made


def alias(path: Path, canary: Path) -> Path:
    """Write a QuickTime file whose samples lie in another file, by a Macintosh alias."""
    named = str(canary).replace("/", ":").encode()
    record = bytes(10) + b"\x01" + bytes(27) + bytes(12) + b"\x01" + bytes(63) + bytes(16)
    record += bytes(20)
    record += struct.pack(">HH", 2, len(named)) + named + bytes(len(named) % 2)
    record += struct.pack(">H", 0xFFFF)
    entry = struct.pack(">I4sI", len(record) + 12, b"alis", 0) + record
    return _with_box(encode(path.with_suffix(".mp4"), tone(1.0, 16_000), 16_000), b"dref", entry)


def _with_box(path: Path, name: bytes, entry: bytes) -> Path:
    """Replace the one entry of a box, and enlarge the boxes around it."""
    content = path.read_bytes()
    place = content.index(name)
    (old,) = struct.unpack(">I", content[place + 12 : place + 16])
    content = content[: place + 12] + entry + content[place + 12 + old :]
    patched = bytearray(content)
    for around in (name, b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        at = content.rindex(around, 0, place + 4) - 4
        (size,) = struct.unpack(">I", content[at : at + 4])
        patched[at : at + 4] = struct.pack(">I", size + len(entry) - old)
    path.write_bytes(patched)
    return path


def flac_silence(path: Path, seconds: int, rate: int = 16_000) -> Path:
    """Write silence in the fewest bytes that FLAC allows: 16 for each four seconds.

    RFC 9639: the largest blocks, each of one constant subframe.
    """
    block = 65_535
    header = struct.pack(">HH", block, block) + bytes(6)
    header += struct.pack(">Q", rate << 44 | 15 << 36) + bytes(16)
    with path.open("wb") as file:
        file.write(b"fLaC\x80\0\0\x22" + header)
        for number in range(seconds * rate // block):
            frame = b"\xff\xf8\x70\x08" + chr(number).encode("utf-8", "surrogatepass")
            frame += struct.pack(">H", block - 1)
            frame += bytes([_crc(frame, 0x07, 8)]) + bytes(3)
            file.write(frame + struct.pack(">H", _crc(frame, 0x8005, 16)))
    return path


def _crc(data: bytes | bytearray, polynomial: int, width: int) -> int:
    value, top = 0, 1 << (width - 1)
    for byte in data:
        value ^= byte << (width - 8)
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & ((1 << width) - 1)
    return value


def wav(path: Path, *, rate: int, channels: int, bits: int = 16, promised: int = 0) -> Path:
    """Write 64 KB of samples under a header of one's own."""
    align = channels * bits // 8 & 0xFFFF
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * align & 0xFFFFFFFF, align, bits)
    data = b"\x11\x07" * 32_768
    length = promised or len(data)
    path.write_bytes(
        b"RIFF" + struct.pack("<I", length) + b"WAVEfmt " + struct.pack("<I", 16) + form
        + b"data" + struct.pack("<I", length) + data
    )  # fmt: skip
    return path


def patched(path: Path, after: bytes, offset: int, value: bytes) -> Path:
    """Encode a tone, and overwrite some bytes behind a marker."""
    content = bytearray(encode(path, tone(2.0, 16_000), 16_000).read_bytes())
    place = content.index(after) + len(after) + offset
    content[place : place + len(value)] = value
    path.write_bytes(content)
    return path


def ogg_without_end(path: Path) -> Path:
    """Encode a tone whose last page claims the highest position there is (RFC 3533)."""
    content = encode(path, tone(2.0, 16_000), 16_000).read_bytes()
    place = content.rindex(b"OggS")
    page = bytearray(content[place:])
    page[6:14] = struct.pack("<q", 2**63 - 1)
    page[22:26] = bytes(4)
    page[22:26] = struct.pack("<I", _crc(page, 0x04C11DB7, 32))
    path.write_bytes(content[:place] + page)
    return path


def liars(directory: Path) -> dict[str, Path]:
    """Write files whose headers promise what is not there, or what nobody can want."""
    most = b"\xff" * 4
    return {
        "WAV of 4 GB": wav(directory / "a.wav", rate=16_000, channels=1, promised=0xFFFFFFF0),
        "WAV of 1 Hz": wav(directory / "b.wav", rate=1, channels=1),
        "WAV of 0 Hz": wav(directory / "c.wav", rate=0, channels=1),
        "WAV of 4 GHz": wav(directory / "d.wav", rate=0xFFFFFFFF, channels=1),
        "WAV of 0 channels": wav(directory / "e.wav", rate=16_000, channels=0),
        "WAV of 255 channels": wav(directory / "f.wav", rate=16_000, channels=255),
        "WAV of 65,535 channels": wav(directory / "g.wav", rate=16_000, channels=65_535),
        "WAV of 0 bits": wav(directory / "h.wav", rate=16_000, channels=1, bits=0),
        "WAV of 65,535 bits": wav(directory / "i.wav", rate=16_000, channels=1, bits=65_535),
        "FLAC of a day": patched(directory / "j.flac", b"fLaC", 18, most),
        "MP4 of a century": patched(directory / "k.m4a", b"mvhd", 16, most),
        "MP4 of 4 G samples": patched(directory / "l.m4a", b"stts", 8, most + b"\0\0\4\0"),
        "MP4 of 4 G sizes": patched(directory / "m.m4a", b"stsz", 4, most * 2),
        "MP4 of 4 G chunks": patched(directory / "n.m4a", b"stco", 4, most),
        "MP4 box of 4 GB": patched(directory / "o.m4a", b"mdat", -8, most),
        "Matroska of NaN Hz": patched(directory / "p.mkv", b"\xb5\x88", 0, b"\x7f\xf8" + bytes(6)),
        "Matroska without end": patched(directory / "u.mkv", b"\x44\x89\x88", 0, b"\x7f\xf0"),
        "Ogg of an aeon": ogg_without_end(directory / "q.ogg"),
        "mka of 1 Hz": raw(directory / "r.mka", 1, 50_000, 5_000),
        "FLAC of 1 Hz": raw(directory / "s.flac", 1, 500_000, 4_608),
        "one packet of an hour": raw(directory / "t.mka", 4_000, 16 << 20, 16 << 20),
    }


def broken(directory: Path) -> dict[str, Path]:
    """Write recordings that break off at many points, and ones with bytes changed at random."""
    made: dict[str, Path] = {}
    generator = np.random.default_rng(8)
    for suffix in FORMATS:
        content = encode(directory / f"whole.{suffix}", tone(2.0, 16_000), 16_000).read_bytes()
        points = {0, 1, 4, 12, 40, 100, *np.linspace(0, len(content), 12, dtype=int)[1:-1].tolist()}
        pieces = {f"cut at {point}": content[:point] for point in sorted(points)}
        for number in range(10):
            changed = np.frombuffer(content, np.uint8).copy()
            # Most of them near the beginning, where the structure is.
            places = (len(changed) * generator.random(20) ** 3).astype(int)
            changed[places] = generator.integers(0, 256, 20)
            pieces[f"changed, {number}"] = changed.tobytes()
        for name, piece in pieces.items():
            made[f"{suffix} {name}"] = directory / f"{len(made)}.{suffix}"
            made[f"{suffix} {name}"].write_bytes(piece)
    return made


if __name__ == "__main__":
    main()
