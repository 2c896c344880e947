"""Workers with the real stages and models: what bad input and sudden death do to them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
import requests
from durability.cluster import Cluster
from durability.history import completed, done_more_than_once
from durability.remains import artifacts, hits
from media import encode, samples_of

from app.jobs import JobStatus, NewJob
from app.storage import store_of
from emotion_clf.local.servers import Postgres, Redis
from ml.artifacts import ArtifactStore
from ml.text.segment import NO_SPEECH_NOTE

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def real(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis_server: Redis
) -> Iterator[Cluster]:
    """A dispatcher, a CPU worker and a GPU worker."""
    cluster = Cluster(tmp_path_factory.mktemp("real"), postgres, redis_server)
    settings = {
        "EMOTION_CLF_SOURCE__ALLOWED_NETWORKS": "127.0.0.0/8",
        "EMOTION_CLF_JOBS__MAX_RETRIES": "1",
        "EMOTION_CLF_JOBS__RETRY_SECONDS": "0.1",
    }
    cluster.start("dispatcher", "cpu", "gpu", faults=[], **settings)
    yield cluster
    cluster.stop()
    cluster.engine.dispose()


def test_bad_input_ends_in_its_error_and_the_worker_goes_on(real: Cluster, tmp_path: Path) -> None:
    silence = encode(tmp_path / "silent.flac", np.zeros(80_000, np.float32), 16_000)
    damaged = tmp_path / "damaged.flac"
    damaged.write_bytes(silence.read_bytes()[100:])
    workers = real.rows("SELECT id FROM workers ORDER BY id")
    bad = {
        real.upload(damaged): "media.invalid",
        real.jobs.submit(NewJob("url", "http://127.0.0.1:1/a.mp3")).id: "source.unreachable",
    }
    silent = real.upload(silence)
    real.wait_for([*bad, silent], seconds=60)
    for job_id, code in bad.items():
        job = real.job(job_id)
        assert (job.status, job.error and job.error.code) == (JobStatus.FAILED, code)
    result = real.jobs.result(silent, "local")
    assert (result["segments"], result["notes"]) == ([], [NO_SPEECH_NOTE])

    good = real.jobs.submit(NewJob("text", "I am so happy about this!")).id
    real.wait_for([good], seconds=30)
    assert completed(real, [good]) == 1
    assert real.count("SELECT sum(losses) FROM steps") == 0
    assert real.rows("SELECT id FROM workers ORDER BY id") == workers
    real.until_nothing_is_left()


def test_real_jobs_survive_kills_too(real: Cluster, jfk: Path, report: Callable[..., None]) -> None:
    """Text, and speech that runs through all five stages."""
    real.clear()
    speech = real.upload(jfk)
    texts = [
        real.jobs.submit(NewJob("text", f"I am so happy about day {day}! It rained.")).id
        for day in range(29)
    ]
    jobs = [speech, *texts]
    real.until(lambda: real.job(speech).stage == "transcribe", seconds=60)
    real.kill("gpu")
    real.kill("cpu")
    real.wait_for(jobs, seconds=90)
    report(completed=completed(real, jobs), repeated=len(done_more_than_once(real)))
    assert completed(real, jobs) == 30
    assert done_more_than_once(real) == []
    segments = real.jobs.result(speech, "local")["segments"]
    said = " ".join(segment["text"] for segment in segments)
    assert "ask not what your country can do for you" in said.lower()
    real.until_nothing_is_left()


def everything_that_is_kept(cluster: Cluster) -> str:
    """Return the database, the logs and all artifacts but the audio, as one text."""
    tables = ("jobs", "steps", "results", "workers")
    rows = [str(cluster.rows(f"SELECT to_json(t) FROM {table} t")) for table in tables]
    logs = [cluster.log_of(name) for name in cluster.processes]
    stages = (cluster.directory / "artifacts").rglob("stages/**/*.json")
    return "\n".join([*rows, *logs, *(path.read_text() for path in stages)])


def test_of_what_is_redacted_nothing_is_left_anywhere(real: Cluster, jfk: Path) -> None:
    """personal.flac is spoken by espeak-ng: a phone number and a city, among other things."""
    real.clear()
    private = {"privacy": {"redact_pii": True, "redact_audio": True}}
    speech = real.upload(jfk.with_name("personal.flac"), **private)
    text = "My name is Heather Quigley and my number is 555-234-9876. I am so happy today!"
    written = real.jobs.submit(NewJob("text", text, {"privacy": {"redact_pii": True}})).id
    real.wait_for([speech, written], seconds=90)
    assert completed(real, [speech, written]) == 2

    heard = real.jobs.result(speech, "local")
    said = " ".join(segment["text"] for segment in heard["segments"])
    assert "my phone number is [PHONE_NUMBER]" in said
    assert "[LOCATION]" in said
    assert "very happy today" in said
    read = real.jobs.result(written, "local")["segments"]
    assert read[0]["text"] == "My name is [PERSON_NAME] and my number is [PHONE_NUMBER]."

    kept = everything_that_is_kept(real)
    assert "very happy today" in kept
    for secret in ("London", "Quigley", "234-9876", "5 5 2 3", "4 9 8 7"):
        assert secret not in kept, secret

    number = next(w for s in heard["segments"] for w in s["words"] if w["text"] == "[PHONE_NUMBER]")
    silenced = store_of("local", ArtifactStore(real.artifact_url)).read(heard["redacted_audio"])
    samples = np.frombuffer(silenced[44:], "<i2")
    inside = samples[round(number["start"] * 16_000) : round(number["end"] * 16_000)]
    assert len(inside) > 16_000
    assert not inside.any()
    assert np.abs(samples[: 3 * 16_000]).max() > 1000


MARKERS = ("heliotrope", "your country", "very happy today")
"""Of the text, which is also in the file's name, of the recording, and of the redacted one."""


def erase(cluster: Cluster, job_id: UUID) -> int:
    reply = requests.delete(f"{cluster.address}/jobs/{job_id}?erase=true", timeout=10)
    return reply.status_code


@pytest.fixture
def api(real: Cluster) -> Iterator[None]:
    """An API process beside the workers, in a house that is empty."""
    real.clear()
    shutil.rmtree(real.directory / "artifacts", ignore_errors=True)
    real.start("api", faults=[])
    yield
    real.stop("api")


def send(cluster: Cluster, content: str | Path, **options: object) -> UUID:
    """Submit a text, or a recording under a name of its own."""
    if isinstance(content, str):
        body = {"json": {"text": content, "options": options}}
    else:
        form = {"file": ("heliotrope.flac", content.read_bytes())}
        body = {"files": form, "data": {"options": json.dumps(options)}}
    return UUID(requests.post(f"{cluster.address}/jobs", **body, timeout=10).json()["id"])


@pytest.mark.usefixtures("api")
def test_of_what_is_erased_nothing_is_left_anywhere(
    real: Cluster, jfk: Path, report: Callable[..., None]
) -> None:
    """Neither of jobs that have ended, nor of one that waits, nor of one that runs."""
    written = send(real, "I am so happy about the heliotrope! It rained.")
    spoken = send(real, jfk)
    redacted = send(real, jfk.with_name("personal.flac"), redact_audio=True)
    real.wait_for([written, spoken, redacted], seconds=90)
    assert completed(real, [written, spoken, redacted]) == 3

    running = send(real, jfk.with_name("LJ001-0001.wav"))
    real.until(lambda: real.job(running).stage == "transcribe", seconds=30)
    ids = [written, spoken, redacted, running]
    before = hits(real, *MARKERS, *map(str, ids))
    for needle in (*MARKERS, *map(str, ids)):
        assert any(needle in hit for hit in before), needle
    answers = [erase(real, job_id) for job_id in ids]
    real.stop("dispatcher")
    waiting = [send(real, "The heliotrope waits."), send(real, jfk)]
    assert [real.job(job_id).status for job_id in waiting] == [JobStatus.QUEUED] * 2
    answers += [erase(real, job_id) for job_id in waiting]
    real.start("dispatcher", faults=[])

    real.until(lambda: real.count("SELECT count(*) FROM jobs") == 0, seconds=30)
    real.until(lambda: real.count("SELECT count(*) FROM deletions") == 0, seconds=30)
    real.until_nothing_is_left()
    after = hits(real, *MARKERS) + hits(real, *map(str, [*ids, *waiting]), logs=False)
    report(answers=answers, places_before=len(before), places_after=len(after))
    assert answers == [204, 204, 204, 202, 204, 204]
    assert after == []
    assert artifacts(real) == []


def test_who_said_what_and_how_through_the_service(
    real: Cluster, jfk: Path, tmp_path: Path
) -> None:
    """Two people take turns."""
    real.clear()
    pause = np.zeros(8_000, np.float32)
    president, reader = samples_of(jfk), samples_of(jfk.with_name("LJ001-0001.wav"))
    both = np.concatenate([president, pause, reader, pause, president])
    recording = encode(tmp_path / "both.flac", both, 16_000)
    job = real.upload(recording, diarization={"enabled": True}, prosody={"enabled": True})
    real.wait_for([job], seconds=90)
    result = real.jobs.result(job, "local")
    speakers = {segment["speaker"] for segment in result["segments"]}
    assert speakers == {"A", "B"}
    assert {one["speaker"] for one in result["summary"]["speakers"]} == {"A", "B"}
    for segment in result["segments"]:
        middle = (segment["start"] + segment["end"]) / 2
        assert segment["speaker"] == ("B" if 11.5 < middle < 21.2 else "A"), segment["text"]
        assert {word["speaker"] for word in segment["words"]} == {segment["speaker"]}
        assert segment["prosody"]["speaking_rate"] > 0.5
        assert 100 < segment["prosody"]["pitch_median"] < 350
