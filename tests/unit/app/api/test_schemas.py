"""What clients may choose stays what the pipeline knows."""

import re
from dataclasses import fields

import pytest

from app.api.options import OPTIONS
from app.api.schemas import URL_PATTERN
from app.api.submissions import sections
from app.api.uploads import title_of
from ml.options import PipelineOptions


def test_every_option_is_one_of_the_pipeline():
    defaults = PipelineOptions()
    for name, rule in OPTIONS.items():
        known = {option.name for option in fields(getattr(defaults, rule.section))}
        assert (rule.key or name) in known


def test_the_bounds_are_those_of_the_pipeline():
    for value in (0, 1):
        type(PipelineOptions().classification)(confidence_threshold=value)
    for value in (1, 1000):
        type(PipelineOptions().summary)(timeline_bins=value)


def test_options_go_to_their_sections():
    assert sections({"features": False, "confidence_threshold": 0.5, "timeline_bins": 3}) == {
        "classification": {"features": False, "confidence_threshold": 0.5},
        "summary": {"timeline_bins": 3},
    }
    assert sections({"diarize": True, "speakers": 2}) == {
        "diarization": {"enabled": True, "speakers": 2}
    }


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("talk.mp3", "talk.mp3"),
        ("/etc/passwd", "passwd"),
        ("C:\\Users\\me\\talk.mp3", "talk.mp3"),
        ("a\x00b\u202ec\n.wav", "abc.wav"),
        ("x" * 500, "x" * 200),
        ("..", ".."),
        ("", None),
        ("dir/", None),
        (None, None),
    ],
)
def test_titles(name, title):
    assert title_of(name) == title


def test_the_pattern_has_no_slow_path():
    # Each of these made naive patterns backtrack for minutes.
    for text in ("http://" + "a" * 50_000 + "@", "http://a/" + "/?#" * 20_000 + " "):
        assert not re.match(URL_PATTERN, text)
