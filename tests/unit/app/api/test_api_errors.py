"""The catalogue of errors, and how an error becomes a problem document."""

from __future__ import annotations

import re
from pathlib import Path

import app.api.errors
import app.errors
import ml.errors
from app.api.problems import field_errors, problem_document
from ml.errors import EmotionClfError, OptionInvalid, SourceTooLarge

DOCUMENTATION = Path(__file__).parents[4] / "docs" / "api.md"


def test_every_error_is_documented_and_no_other():
    rows = re.findall(r"^\| `([a-z_.]+)` \| (\d{3}) \| (.+) \|$", DOCUMENTATION.read_text(), re.M)
    documented = {code: (int(status), meaning) for code, status, meaning in rows}
    known = {
        error.code: (error.http_status, error.message)
        for module in (ml.errors, app.errors, app.api.errors)
        for error in vars(module).values()
        if isinstance(error, type) and issubclass(error, EmotionClfError) and "code" in vars(error)
    }
    assert documented == known


def test_a_problem_has_what_the_error_says():
    assert problem_document(SourceTooLarge("3 GB are too many.")) == {
        "type": "urn:emotion-clf:problem:source.too_large",
        "title": SourceTooLarge.message,
        "status": 413,
        "detail": "3 GB are too many.",
        "code": "source.too_large",
        "hint": SourceTooLarge.hint,
    }


def test_hints_do_not_speak_of_the_command_line():
    assert "emotion-clf" not in problem_document(OptionInvalid("no"))["hint"]
    assert problem_document(OptionInvalid("no", hint="Do this."))["hint"] == "Do this."


def test_errors_name_their_fields():
    error = app.api.errors.RequestInvalid([{"field": "a", "message": "No."}])
    assert problem_document(error)["errors"] == [{"field": "a", "message": "No."}]
    assert "errors" not in problem_document(EmotionClfError())


def test_nested_messages_become_one_entry_each():
    messages = {
        "text": ["Too long.", "Too dull."],
        "options": {"timeline_bins": ["Not a number."], "_schema": ["Odd."]},
        "_schema": ["Give one."],
        "list": {0: ["First."]},
    }
    assert field_errors(messages) == [
        {"field": "text", "message": "Too long."},
        {"field": "text", "message": "Too dull."},
        {"field": "options.timeline_bins", "message": "Not a number."},
        {"field": "options", "message": "Odd."},
        {"field": "", "message": "Give one."},
        {"field": "list.0", "message": "First."},
    ]
