"""How a step ends: what the store is told for each way a stage may go."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import ml.pipeline
from app.errors import LeaseLost
from app.jobs import Claim, NextStage
from app.settings import Settings
from app.stores.steps import StepStore
from ml.artifacts import ArtifactMissing, ArtifactStore
from ml.errors import Cancelled, SourceUnreachable, StoreUnavailable, TextEmpty
from ml.results import Analysis, Sentence, Summary
from ml.stage import Context, Outputs, Sentences
from workers.runner import StepRunner

SENTENCES = Sentences("en", (Sentence(0, "Hi."),), ((0.0,),), "1", None, {})
ANALYSIS = Analysis("en", None, {}, (), Summary(0, 0.0, None, {}, (), ()))


def claim_of(stage: str, failures: int = 0, store_failures: int = 0) -> Claim:
    return Claim(
        step_id=1,
        job_id=uuid.uuid4(),
        owner="local",
        kind="text",
        source="Hi.",
        title=None,
        options={},
        stage=stage,
        part=0,
        parts=1,
        attempt=1,
        failures=failures,
        store_failures=store_failures,
        lease_until=datetime.now(UTC),
    )


Run = Callable[..., Mock]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(
        work: Callable[[Context], Any],
        stage: str = "segment",
        failures: int = 0,
        store_failures: int = 0,
        **store: Any,
    ) -> Mock:
        def stage_run(context: Context, outputs: Outputs, part: int) -> Any:
            return work(context)

        stages = [
            replace(s, run=stage_run, needs=()) if s.name == stage else s
            for s in ml.pipeline.STAGES
        ]
        monkeypatch.setattr(ml.pipeline, "STAGES", tuple(stages))
        steps = Mock(StepStore)
        steps.claim.return_value = claim_of(stage, failures, store_failures)
        steps.heartbeat.return_value = False
        steps.outputs.return_value = {}
        steps.configure_mock(**store)
        artifacts = ArtifactStore(f"file://{tmp_path}")
        StepRunner(Settings.load(), steps, artifacts).run(1, "worker")
        return steps

    return run


def fails_with(error: Exception) -> Callable[[Context], Any]:
    def work(context: Context) -> Any:
        raise error

    return work


def test_a_step_that_cannot_be_claimed_is_left_alone(run: Run) -> None:
    steps = run(fails_with(AssertionError("ran")), **{"claim.return_value": None})
    assert [call[0] for call in steps.method_calls] == ["claim"]


def test_a_finished_step_names_the_next_stage(run: Run) -> None:
    steps = run(lambda context: SENTENCES)
    _, output, following = steps.finish.call_args.args
    assert output.key.startswith("stages/segment/")
    assert following == NextStage("classify", "gpu", 1, pytest.approx(0.2))


def test_the_last_step_brings_the_result(run: Run) -> None:
    steps = run(lambda context: ANALYSIS, stage="aggregate")
    _, _, following, result = steps.finish.call_args.args
    assert following is None
    assert Analysis.from_dict(result) == ANALYSIS


def test_a_permanent_error_fails_the_job(run: Run) -> None:
    steps = run(fails_with(TextEmpty()))
    assert steps.fail.call_args.args[1].code == "text.empty"


def test_a_transient_error_is_retried_later(run: Run) -> None:
    steps = run(fails_with(SourceUnreachable()), failures=1)
    _, error, delay = steps.retry.call_args.args
    assert error.code == "source.unreachable"
    assert 0 <= delay <= 4
    steps.fail.assert_not_called()


def test_a_transient_error_fails_the_job_in_the_end(run: Run) -> None:
    steps = run(fails_with(SourceUnreachable()), failures=4)
    assert steps.fail.call_args.args[1].code == "source.unreachable"
    steps.retry.assert_not_called()


def test_what_the_store_was_away_for_is_not_held_against_the_job(run: Run) -> None:
    away = run(fails_with(StoreUnavailable()), failures=12, store_failures=12)
    away.retry.assert_called_once()
    limited = run(fails_with(SourceUnreachable()), failures=15, store_failures=12)
    limited.retry.assert_called_once()
    often = run(fails_with(SourceUnreachable()), failures=16, store_failures=12)
    often.fail.assert_called_once()
    for_ever = run(fails_with(StoreUnavailable()), failures=30, store_failures=30)
    for_ever.fail.assert_called_once()


def test_a_retry_of_a_cancelled_job_stops(run: Run) -> None:
    steps = run(fails_with(SourceUnreachable()), **{"retry.side_effect": Cancelled})
    steps.stop.assert_called_once()


def test_a_defect_fails_the_job_and_leaks_nothing(run: Run) -> None:
    steps = run(fails_with(RuntimeError("/etc/secret")))
    error = steps.fail.call_args.args[1]
    assert error.code == "internal"
    assert "secret" not in error.message + error.hint


def test_a_cancelled_step_is_acknowledged(run: Run) -> None:
    steps = run(fails_with(Cancelled()))
    steps.stop.assert_called_once()
    steps.fail.assert_not_called()


def test_a_lost_lease_writes_nothing(run: Run) -> None:
    steps = run(fails_with(LeaseLost()))
    assert {call[0] for call in steps.method_calls} <= {"claim", "outputs", "heartbeat"}


def test_what_a_step_writes_is_noted_before(run: Run) -> None:
    def work(context: Context) -> Sentences:
        context.store.write("audio/1.wav", b"x")
        return SENTENCES

    steps = run(work)
    (audio, _), (output, _) = (call.args[1] for call in steps.note.call_args_list)
    assert (audio, output) == ("audio/1.wav", steps.finish.call_args.args[1].key)
    noted, finished = (
        [call[0] for call in steps.method_calls].index(name) for name in ("note", "finish")
    )
    assert noted < finished


def test_what_was_written_when_the_step_was_lost_is_handed_over(run: Run) -> None:
    def work(context: Context) -> Sentences:
        context.store.write("audio/1.wav", b"x")
        raise LeaseLost

    steps = run(work)
    assert steps.discard.call_args.args[1][0] == "audio/1.wav"


def test_a_step_that_was_lost_before_it_wrote_writes_nothing(run: Run, tmp_path: Path) -> None:
    steps = run(lambda context: SENTENCES, **{"note.side_effect": LeaseLost})
    steps.finish.assert_not_called()
    steps.discard.assert_not_called()
    assert not list(tmp_path.rglob("*.json"))


def test_what_is_missing_makes_the_job_begin_again(run: Run) -> None:
    steps = run(lambda context: context.store.read("audio/1.wav"), **{"rewind.return_value": True})
    steps.rewind.assert_called_once()
    steps.fail.assert_not_called()


def test_what_is_missing_again_and_again_fails_the_job(run: Run) -> None:
    steps = run(lambda context: context.store.read("audio/1.wav"), **{"rewind.return_value": False})
    assert steps.fail.call_args.args[1].code == "internal"


def test_a_cancelled_job_does_not_begin_again(run: Run) -> None:
    steps = run(fails_with(ArtifactMissing("x")), **{"rewind.side_effect": Cancelled})
    steps.stop.assert_called_once()


def test_a_step_has_a_directory_that_goes_with_it(run: Run) -> None:
    seen: list[Path] = []

    def work(context: Context) -> Sentences:
        (context.workdir / "file").write_text("x")
        seen.append(context.workdir)
        return SENTENCES

    run(work)
    assert not seen[0].exists()
