"""The export formats: read back by their own parsers, and safe to open."""

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import OptionInvalid
from ml.export import CSV_COLUMNS, FORMATS, MEDIA_TYPES, export
from ml.results import Analysis, Prosody, Segment, Summary
from ml.taxonomy import BASE_EMOTIONS, INTENSITIES, SUB_EMOTIONS

EMOTIONS = {name: round(1 / 7, 4) for name in BASE_EMOTIONS}


def segment(index=0, text="Great news!", start=0.0, end=1.5, speaker=None, **said):
    defaults = {
        "emotion": "happiness",
        "sub_emotion": "joy",
        "intensity": "moderate",
        "confidence": 0.91234,
        "low_confidence": False,
        "emotions": EMOTIONS,
        "sub_emotions": dict.fromkeys(SUB_EMOTIONS, 0.1),
        "intensities": dict.fromkeys(INTENSITIES, 0.3333),
        "labels": ("joy", "excitement"),
    }
    return Segment(index=index, start=start, end=end, speaker=speaker, text=text, **defaults | said)


def analysis(*segments, duration=10.0):
    return Analysis(
        language="en",
        duration=duration,
        models={"classifier": "test/1"},
        segments=segments,
        summary=Summary(
            segments=len(segments),
            speech_seconds=1.5,
            dominant_emotion="happiness",
            emotions=EMOTIONS,
            timeline=(),
            speakers=(),
        ),
    )


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_every_format_has_a_media_type():
    assert set(FORMATS) == set(MEDIA_TYPES) == {"json", "csv", "srt", "vtt"}


def test_an_unknown_format_names_the_allowed_ones():
    with pytest.raises(OptionInvalid, match="json, csv, srt, vtt"):
        export(analysis(), "xml")


def test_json_is_the_shape_of_to_dict():
    result = analysis(segment())
    assert json.loads(export(result, "json")) == json.loads(json.dumps(result.to_dict()))
    assert Analysis.from_dict(json.loads(export(result, "json"))) == result


def test_csv_has_stable_columns():
    text = export(analysis(segment(speaker="SPEAKER_00")), "csv")
    assert text.splitlines()[0] == (
        "index,start,end,speaker,emotion,sub_emotion,intensity,confidence,low_confidence,"
        "labels,text,happiness,sadness,anger,fear,surprise,disgust,neutral,"
        "original_text,loudness,pitch_median,pitch_range,speaking_rate,pause_seconds,pauses"
    )
    (row,) = rows(text)
    assert tuple(row) == CSV_COLUMNS
    assert row["speaker"] == "SPEAKER_00"
    assert row["confidence"] == "0.9123"
    assert row["low_confidence"] == "false"
    assert row["labels"] == "joy excitement"
    assert row["happiness"] == "0.1429"


def test_csv_of_a_text_has_empty_times():
    (row,) = rows(export(analysis(segment(start=None, end=None), duration=None), "csv"))
    assert row["start"] == row["end"] == row["speaker"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r+", "\n -", "\uff1d"])
def test_csv_cells_never_start_a_formula(start):
    evil = f"{start}cmd|' /C calc'!A0"
    (row,) = rows(export(analysis(segment(text=evil, speaker=evil)), "csv"))
    assert row["text"].startswith("'")
    assert row["speaker"].startswith("'")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_csv_gives_any_text_back_on_one_line(text):
    written = export(analysis(segment(text=text)), "csv")
    assert written.count("\n") == 2
    (row,) = rows(written)
    assert row["text"].removeprefix("'") == " ".join(text.split()).removeprefix("'")


def test_srt():
    result = analysis(
        segment(0, "Great\n\nnews!", 0.0, 1.5),
        segment(
            1, "Well.", 3599.9996, 3661.25, "SPEAKER_01", emotion="neutral", sub_emotion="neutral"
        ),
    )
    assert export(result, "srt") == (
        "1\n00:00:00,000 --> 00:00:01,500\n[happiness/joy] Great news!\n"
        "\n2\n01:00:00,000 --> 01:01:01,250\n[neutral] SPEAKER_01: Well.\n"
    )


def test_srt_text_is_not_read_as_markup():
    text = export(analysis(segment(text=r"{\an8}<i>up</i> --> 3 < 4")), "srt")
    assert "<i>" not in text
    assert "</i>" not in text
    assert r"{\an8}" not in text
    assert "3 < 4" in text
    assert text.count("-->") == 1


def test_vtt():
    result = analysis(
        segment(0, "1 < 2 && a --> b", 0.0, 1.5, "A <b>"), segment(1, "Hm.", 2.0, 2.0)
    )
    assert export(result, "vtt") == (
        "WEBVTT\n"
        "\n0\n00:00:00.000 --> 00:00:01.500\n"
        "<v A &lt;b&gt;>[happiness/joy] 1 &lt; 2 &amp;&amp; a -&gt; b\n"
        "\n1\n00:00:02.000 --> 00:00:02.001\n[happiness/joy] Hm.\n"
    )


@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(0, 400_000))
def test_subtitles_hold_one_cue_whatever_was_said(text, start):
    result = analysis(segment(text=text, start=start, end=start + 0.2))
    for name in ("srt", "vtt"):
        lines = export(result, name).split("\n")
        times = [line for line in lines if "-->" in line]
        assert len(times) == 1
        assert re.fullmatch(
            r"\d{2,}:[0-5]\d:[0-5]\d[,.]\d{3} --> \d{2,}:[0-5]\d:[0-5]\d[,.]\d{3}", times[0]
        )


def test_a_silent_recording_gives_empty_subtitles():
    assert export(analysis(), "srt") == ""
    assert export(analysis(), "vtt") == "WEBVTT\n"


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_a_text_has_no_subtitles(name):
    with pytest.raises(OptionInvalid, match="need times") as caught:
        export(analysis(segment(start=None, end=None), duration=None), name)
    assert "json or csv" in caught.value.advice


def test_csv_holds_what_was_said_and_how():
    sound = Prosody(-20.5, 118.0, None, 2.8, 0.4, 1)
    said = segment(text="Good morning.", original_text="=Buenos días.", prosody=sound)
    (row,) = rows(export(analysis(said), "csv"))
    assert row["original_text"] == "'=Buenos días."
    assert (row["loudness"], row["pitch_range"], row["pauses"]) == ("-20.5", "", "1")
    (row,) = rows(export(analysis(segment()), "csv"))
    assert row["original_text"] == row["loudness"] == row["pauses"] == ""
