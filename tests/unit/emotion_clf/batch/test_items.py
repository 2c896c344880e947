from __future__ import annotations

from emotion_clf.batch.items import input_of, sources_in
from ml.stage import Input


def test_a_list_has_one_source_a_line_each_once() -> None:
    lines = ["# mine\n", "\n", " talk one.mp3 \r\n", "https://a.example/#x\n", "talk one.mp3", "  "]
    assert sources_in(lines) == ("talk one.mp3", "https://a.example/#x")


def test_links_are_told_from_paths() -> None:
    assert input_of("HTTPS://a.example/x") == Input("url", "HTTPS://a.example/x")
    assert input_of("http/a.mp3") == Input("file", "http/a.mp3")
