"""What the Azure ML endpoint reads of a request, and what its image is made of."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_clf import EmotionClfError

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "azure" / "endpoint"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("azure_payload", FOLDER / "payload.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


payload = _load()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
REQUEST = st.fixed_dictionaries(
    {},
    optional={
        "texts": JSON,
        "input_data": JSON
        | st.fixed_dictionaries({"data": JSON}, optional={"columns": JSON, "index": JSON}),
        "params": JSON,
    },
)


@given(st.binary() | JSON.map(lambda j: json.dumps(j).encode()))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        assert payload.read(body).texts
    except EmotionClfError as error:
        assert error.http_status in {400, 413, 422}


@given(REQUEST)
def test_any_request_is_read_or_refused(request: dict[str, object]) -> None:
    try:
        found = payload.read(json.dumps(request).encode())
    except EmotionClfError as error:
        assert error.http_status in {400, 413, 422}
    else:
        assert all(isinstance(text, str) for text in found.texts)


@given(st.lists(st.text(), min_size=1))
def test_every_shape_carries_the_same_texts(texts: list[str]) -> None:
    shapes = (
        {"texts": texts},
        {"input_data": texts},
        {"input_data": [[text] for text in texts]},
        {"input_data": [{"text": text} for text in texts]},
        {"input_data": {"columns": ["text"], "data": [[text] for text in texts]}},
        {"input_data": {"columns": ["n", "text"], "data": [[1, text] for text in texts]}},
    )
    for shape in shapes:
        assert payload.read(json.dumps(shape).encode()).texts == tuple(texts)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"texts": ["a"], "input_data": ["a"]}, "either"),
        ({}, "either"),
        ({"texts": ["a"], "secret": "a"}, "Unknown members: 1"),
        ({"texts": ["a"], "params": {"in_order": 1}}, "in_order"),
        ({"texts": ["a"], "params": {"other_languages": ["mark"]}}, "other_languages"),
        ({"texts": ["a"], "params": {"model": "b"}}, "params"),
        ({"input_data": {"columns": ["a", "b"], "data": [["a", "b"]]}}, "no column text"),
        ({"input_data": {"columns": ["n", "text"], "data": [["a"]]}}, "as long as"),
        ({"input_data": {"columns": ["n", "text"], "data": ["a"]}}, "no list"),
        ({"input_data": [{"sentence": "a"}]}, "no text"),
        ({"texts": ["a"] * 1001}, "1001 texts"),
        ({"texts": ["a", "b" * 10_001]}, r"texts\[1\] has 10001"),
    ],
)
def test_what_is_wrong_is_said(request_: dict[str, object], said: str) -> None:
    with pytest.raises(EmotionClfError, match=said):
        payload.read(json.dumps(request_).encode())


def test_params_are_read() -> None:
    params = {"in_order": True, "other_languages": "mark"}
    found = payload.read(json.dumps({"texts": ["a"], "params": params}).encode())
    assert (found.in_order, found.other_languages) == (True, "mark")


def test_the_image_has_the_versions_of_the_lock() -> None:
    def pins(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), re.MULTILINE))

    own, locked = pins(FOLDER / "requirements.lock"), pins(ROOT / "requirements.lock")
    shared = own.keys() & locked.keys()
    assert len(shared) > 50
    # The server takes pydantic 2.12 alone.
    assert {name for name in shared if own[name] != locked[name]} == {"pydantic", "pydantic-core"}
    assert "torch" not in own
