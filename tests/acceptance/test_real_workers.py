"""Workers with the real stages and models: what bad input and sudden death do to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from durability.cluster import Cluster, completed, done_more_than_once
from media import encode

from app.jobs import JobStatus, NewJob
from emotion_clf.local.servers import Postgres, Redis
from ml.text.segment import NO_SPEECH_NOTE

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def real(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis_server: Redis
) -> Iterator[Cluster]:
    """A dispatcher, a CPU worker and a GPU worker."""
    cluster = Cluster(tmp_path_factory.mktemp("real"), postgres, redis_server)
    settings = {
        "EMOTION_CLF_SOURCE__ALLOW_PRIVATE_ADDRESSES": "true",
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
