from __future__ import annotations

from collections.abc import Callable

import pytest

from ml.errors import OptionInvalid
from ml.options import (
    ClassificationOptions,
    SourceOptions,
    SummaryOptions,
    TranscriptionOptions,
)

BAD: list[tuple[str, Callable[[], object]]] = [
    ("source.max_bytes", lambda: SourceOptions(max_bytes=0)),
    ("source.max_seconds", lambda: SourceOptions(max_seconds=-1)),
    ("source.max_characters", lambda: SourceOptions(max_characters=0)),
    ("source.timeout", lambda: SourceOptions(timeout=0)),
    ("source.proxy", lambda: SourceOptions(proxy="socks5://egress:1080")),
    ("source.proxy", lambda: SourceOptions(proxy="https://egress:3128")),
    ("source.proxy", lambda: SourceOptions(proxy="http://user:secret@egress:3128")),
    ("source.proxy", lambda: SourceOptions(proxy="http://egress:3128/path")),
    ("source.proxy", lambda: SourceOptions(proxy="http://egress:99999")),
    ("source.proxy", lambda: SourceOptions(proxy="egress:3128")),
    ("source.extractors", lambda: SourceOptions(extractors=())),
    ("source.part_seconds", lambda: SourceOptions(part_seconds=1)),
    ("transcription.method", lambda: TranscriptionOptions(method="magic")),  # type: ignore[arg-type]
    ("transcription.model", lambda: TranscriptionOptions(model="")),
    ("transcription.timeout", lambda: TranscriptionOptions(timeout=0)),
    ("transcription.beam_size", lambda: TranscriptionOptions(beam_size=0)),
    ("transcription.threads", lambda: TranscriptionOptions(threads=-1)),
    (
        "classification.confidence_threshold",
        lambda: ClassificationOptions(confidence_threshold=1.5),
    ),
    ("classification.batch_size", lambda: ClassificationOptions(batch_size=0)),
    ("classification.threads", lambda: ClassificationOptions(threads=-1)),
    ("classification.device", lambda: ClassificationOptions(device="tpu")),
    ("classification.model", lambda: ClassificationOptions(model="")),
    ("summary.timeline_bins", lambda: SummaryOptions(timeline_bins=0)),
]


@pytest.mark.parametrize(("key", "make"), BAD, ids=[key for key, _ in BAD])
def test_a_bad_value_names_its_key_and_what_is_allowed(
    key: str, make: Callable[[], object]
) -> None:
    with pytest.raises(OptionInvalid, match=rf"^{key} is .*; allowed: "):
        make()


@pytest.mark.parametrize("url", ["http://egress", "http://egress:3128/", "http://[::1]:3128"])
def test_addresses_of_proxies(url: str) -> None:
    assert SourceOptions(proxy=url).proxy == url


def test_a_proxys_password_is_not_repeated() -> None:
    with pytest.raises(OptionInvalid) as caught:
        SourceOptions(proxy="http://user:secret@egress:3128")
    assert "secret" not in str(caught.value)
