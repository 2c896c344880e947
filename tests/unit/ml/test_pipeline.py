from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ml.artifacts import ArtifactStore
from ml.errors import Cancelled
from ml.options import ClassificationOptions, PipelineOptions
from ml.pipeline import STAGES, Runner, plan, run_stage
from ml.speech.engines.weights import Weights
from ml.stage import Context, Input, Outputs, Stage


@dataclass(frozen=True)
class Count:
    value: int


def counting(calls: list[int]) -> Stage[Count]:
    def run(context: Context, outputs: Outputs, part: int) -> Count:
        calls.append(part)
        return Count(len(calls))

    return Stage(
        name="fetch",
        queue="cpu",
        version="1",
        output=Count,
        needs=(),
        weight=1,
        run=run,
        depends_on=lambda options: options.classification.features,
        fan_out=lambda output: output.value + 2,
    )


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(
        source=Input("url", "https://example.org/a.mp3"),
        options=PipelineOptions(),
        store=ArtifactStore(f"file://{tmp_path}"),
        workdir=tmp_path,
    )


def test_the_stages_stand_in_the_order_of_what_they_need() -> None:
    for index, stage in enumerate(STAGES):
        assert set(stage.needs) <= {earlier.name for earlier in STAGES[:index]}
    assert sum(stage.weight for stage in STAGES) == pytest.approx(1)


def test_a_text_job_skips_what_it_does_not_need() -> None:
    assert [stage.name for stage in plan("text")] == ["segment", "classify", "aggregate"]
    assert plan("url") == plan("upload") == STAGES


def test_an_output_that_is_there_is_not_made_again(context: Context) -> None:
    calls: list[int] = []
    stage = counting(calls)
    first = run_stage(stage, 0, context, {}, scope="job")
    assert run_stage(stage, 0, context, {}, scope="job") == first
    assert calls == [0]
    assert first.next_parts == 3


def test_an_output_is_made_again_where_a_blob_that_it_names_is_gone(context: Context) -> None:
    calls: list[int] = []
    stage = replace(counting(calls), blobs=lambda output: ("audio/1.wav",))
    context.store.write("audio/1.wav", b"x")
    run_stage(stage, 0, context, {}, scope="job")
    run_stage(stage, 0, context, {}, scope="job")
    assert calls == [0]
    context.store.delete("audio/1.wav")
    run_stage(stage, 0, context, {}, scope="job")
    assert calls == [0, 0]


def test_another_job_or_option_or_part_makes_its_own_output(context: Context) -> None:
    calls: list[int] = []
    stage = counting(calls)
    run_stage(stage, 0, context, {}, scope="job")
    run_stage(stage, 0, context, {}, scope="another")
    run_stage(stage, 1, context, {}, scope="job")
    context.options = replace(context.options, classification=ClassificationOptions(features=False))
    run_stage(stage, 0, context, {}, scope="job")
    assert calls == [0, 0, 1, 0]


def test_a_new_checkpoint_or_new_features_make_new_outputs(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = {stage.name: stage for stage in STAGES}
    classify, segment = stages["classify"], stages["segment"]
    before = [stage.depends_on(context.options) for stage in (classify, segment)]
    monkeypatch.setattr("ml.emotion.classify.identity", lambda folder: "another")
    monkeypatch.setattr("ml.text.features.FEATURES_VERSION", "another")
    after = [stage.depends_on(context.options) for stage in (classify, segment)]
    assert all(old != new for old, new in zip(before, after, strict=True))


def test_other_speech_weights_make_new_outputs(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (transcribe,) = (stage for stage in STAGES if stage.name == "transcribe")
    seen = []
    for directory, size in (("a", 10), ("a", 20), ("b", 20)):
        (tmp_path / directory).mkdir(exist_ok=True)
        (tmp_path / directory / "model.bin").write_bytes(bytes(size))
        found = Weights("some", (tmp_path / directory,))
        monkeypatch.setattr("ml.speech.engines.weights.resolve", lambda model, found=found: found)
        seen.append(transcribe.depends_on(context.options))
        assert transcribe.depends_on(context.options) == seen[-1]
    monkeypatch.setattr("ml.speech.engines.weights.version", lambda package: "another")
    seen.append(transcribe.depends_on(context.options))
    assert all(one != other for one, other in itertools.combinations(seen, 2))


def test_a_cancelled_job_starts_no_stage(context: Context) -> None:
    calls: list[int] = []

    def check() -> None:
        raise Cancelled

    context.check = check
    with pytest.raises(Cancelled):
        run_stage(counting(calls), 0, context, {}, scope="job")
    assert calls == []


def test_progress_rises_to_the_end_and_names_the_stages() -> None:
    reports: list[tuple[str, float]] = []
    runner = Runner(progress=lambda stage, fraction, detail: reports.append((stage, fraction)))
    analysis = runner.run(Input("text", "I am so happy for you. I am so angry with you!"))
    fractions = [fraction for _, fraction in reports]
    assert fractions == sorted(fractions)
    assert [segment.emotion for segment in analysis.segments] == ["happiness", "anger"]
