"""Write an analysis in the formats that people open elsewhere: JSON, CSV, SRT and VTT."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Final, Literal, get_args

import msgspec

from ml.errors import OptionInvalid
from ml.results import Analysis, Prosody, Segment
from ml.taxonomy import BASE_EMOTIONS

Format = Literal["json", "csv", "srt", "vtt"]

FORMATS: Final[tuple[Format, ...]] = get_args(Format)
"""The names of the formats."""

MEDIA_TYPES: Final[Mapping[Format, str]] = MappingProxyType(
    {
        "json": "application/json",
        "csv": "text/csv",
        "srt": "application/x-subrip",
        "vtt": "text/vtt",
    }
)
"""The media type of each format; all are UTF-8."""

PROSODY_COLUMNS: Final[tuple[str, ...]] = tuple(field.name for field in fields(Prosody))

CSV_COLUMNS: Final[tuple[str, ...]] = (
    "index",
    "start",
    "end",
    "speaker",
    "emotion",
    "sub_emotion",
    "intensity",
    "confidence",
    "low_confidence",
    "labels",
    "text",
    *BASE_EMOTIONS,
    "original_text",
    *PROSODY_COLUMNS,
)
"""The columns of the CSV format. New ones are only ever added at the end."""

# What spreadsheets take for the start of a formula, full-width forms included
# (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20]")
# SRT has no escapes; a word joiner keeps players from reading text as their markup.
_SRT_MARKUP = re.compile(r"(<)(?=[A-Za-z/])|(\{)(?=\\)")
_WORD_JOINER = "\u2060"
_SHORTEST_CUE = 0.001


def export(analysis: Analysis, format: Format) -> str:
    """Return ``analysis`` as text in ``format``.

    Raises :class:`ml.errors.OptionInvalid` for an unknown format, and for subtitles of a
    text, which has no times.
    """
    writer = _WRITERS.get(format)
    if writer is None:
        raise OptionInvalid(f"format is {format!r}; allowed: {', '.join(FORMATS)}.")
    return writer(analysis)


def _json(analysis: Analysis) -> str:
    return msgspec.json.format(msgspec.json.encode(analysis), indent=2).decode() + "\n"


def _csv(analysis: Analysis) -> str:
    sink = io.StringIO()
    rows = csv.writer(sink, lineterminator="\n")
    rows.writerow(CSV_COLUMNS)
    rows.writerows(csv_rows(analysis))
    return sink.getvalue()


def csv_rows(analysis: Analysis) -> Iterator[list[str | int | float | None]]:
    """Yield one row a segment, with the columns :data:`CSV_COLUMNS`."""
    return map(_csv_row, analysis.segments)


def csv_text(text: str) -> str:
    """Return text as one line that no spreadsheet takes for a formula."""
    line = _one_line(text)
    return f"'{line}" if _FORMULA.match(line) else line


def _csv_row(segment: Segment) -> list[str | int | float | None]:
    return [
        segment.index,
        _rounded(segment.start),
        _rounded(segment.end),
        csv_text(segment.speaker or ""),
        segment.emotion,
        segment.sub_emotion,
        segment.intensity,
        round(segment.confidence, 4),
        str(segment.low_confidence).lower(),
        " ".join(segment.labels),
        csv_text(segment.text),
        *(round(segment.emotions.get(name, 0.0), 4) for name in BASE_EMOTIONS),
        csv_text(segment.original_text or ""),
        *(_rounded(getattr(segment.prosody, name, None)) for name in PROSODY_COLUMNS),
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _srt(analysis: Analysis) -> str:
    cues = [
        f"{number}\n{start.replace('.', ',')} --> {end.replace('.', ',')}\n"
        f"{_caption(segment)} {_srt_text(segment)}\n"
        for number, (segment, start, end) in enumerate(_cues(analysis), 1)
    ]
    return "\n".join(cues)


def _srt_text(segment: Segment) -> str:
    text = f"{segment.speaker}: {segment.text}" if segment.speaker else segment.text
    return _SRT_MARKUP.sub(lambda found: found[0] + _WORD_JOINER, _cue_line(text))


def _vtt(analysis: Analysis) -> str:
    cues = [
        f"{segment.index}\n{start} --> {end}\n"
        f"{_vtt_voice(segment)}{_caption(segment)} {_vtt_escaped(segment.text)}\n"
        for segment, start, end in _cues(analysis)
    ]
    return "\n".join(["WEBVTT\n", *cues])


def _vtt_voice(segment: Segment) -> str:
    return f"<v {_vtt_escaped(segment.speaker)}>" if segment.speaker else ""


def _vtt_escaped(text: str) -> str:
    return _cue_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _caption(segment: Segment) -> str:
    if segment.emotion == segment.sub_emotion:
        return f"[{segment.emotion}]"
    return f"[{segment.emotion}/{segment.sub_emotion}]"


def _cue_line(text: str) -> str:
    # An empty line ends a cue, and an arrow inside one starts another.
    return _one_line(text).replace("-->", "->")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cues(analysis: Analysis) -> list[tuple[Segment, str, str]]:
    if analysis.duration is None:
        raise OptionInvalid(
            "Subtitles need times, and a text has none.",
            hint="Choose json or csv for the result of a text.",
        )
    cues = []
    for segment in analysis.segments:
        start = segment.start or 0.0
        end = max(segment.end or start, start + _SHORTEST_CUE)
        cues.append((segment, _clock(start), _clock(end)))
    return cues


def _clock(seconds: float) -> str:
    """Return seconds as HH:MM:SS.mmm."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


_WRITERS: Final[Mapping[str, Callable[[Analysis], str]]] = MappingProxyType(
    {"json": _json, "csv": _csv, "srt": _srt, "vtt": _vtt}
)
