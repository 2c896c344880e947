"""A whole service whose processes share no directory, only a bucket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
import requests
from durability.cluster import Cluster, children_of
from durability.history import completed
from media import encode, samples_of
from object_store import BUCKET, S3

from app.settings import Settings
from app.storage import folder_of
from emotion_clf.local.servers import Postgres, Redis
from ml.pipeline import Runner
from ml.stage import Input

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]

PART_SECONDS = 30
OPTIONS = {"redact_audio": True}
WORKERS = ("cpu", "gpu-1", "gpu-2")


@pytest.fixture
def service(tmp_path: Path, postgres: Postgres, redis_server: Redis, s3: S3) -> Iterator[Cluster]:
    """Each process has a temporary directory of its own."""
    cluster = Cluster(tmp_path, postgres, redis_server)
    cluster.artifact_url = f"s3://{BUCKET}/{uuid4().hex}"
    for name in ("api", "dispatcher", *WORKERS):
        scratch = tmp_path / f"scratch-{name}"
        scratch.mkdir()
        settings = {
            "EMOTION_CLF_JOBS__LEASE_SECONDS": "30",
            "EMOTION_CLF_SOURCE__PART_SECONDS": str(PART_SECONDS),
            # Five processes on few cores would wait for each other's threads.
            "EMOTION_CLF_TRANSCRIPTION__THREADS": "1",
            "EMOTION_CLF_CLASSIFICATION__THREADS": "1",
            "TMPDIR": str(scratch),
            **s3.environment,
        }
        cluster.processes[name] = cluster._child(name, [], settings)
    yield cluster
    cluster.close()


@pytest.fixture
def recording(tmp_path: Path, jfk: Path) -> Path:
    """Half a minute of speech and some more, with a telephone number in it."""
    names = ("personal.flac", "LJ001-0001.wav", jfk.name)
    spoken = np.concatenate([samples_of(jfk.with_name(name)) for name in names])
    return encode(tmp_path / "spoken.flac", spoken, 16_000)


def alone(recording: Path, silenced: Path) -> dict[str, Any]:
    """Return the result of one process, as it is sent."""
    settings = Settings.load(source={"part_seconds": PART_SECONDS})
    runner = Runner(settings.pipeline_options({"privacy": OPTIONS}))
    result = runner.run(Input("file", str(recording)), redacted_audio=silenced)
    return json.loads(json.dumps(result.to_dict()))


def submit(service: Cluster, recording: Path) -> UUID:
    form = {"file": (recording.name, recording.read_bytes())}
    options = {"options": json.dumps(OPTIONS)}
    reply = requests.post(f"{service.address}/jobs", files=form, data=options, timeout=20)
    assert reply.status_code == 202, reply.text
    return UUID(reply.json()["id"])


def test_two_workers_take_parts_of_one_recording_and_the_result_is_that_of_one_process(
    service: Cluster, s3: S3, recording: Path, tmp_path: Path, report: Callable[..., None]
) -> None:
    silenced = tmp_path / "alone.wav"
    with ThreadPoolExecutor(1) as thread:
        expected = thread.submit(alone, recording, silenced)
        # Whatever does not run yet is started by who waits.
        service.until(lambda: set(service.up()) == set(service.processes), seconds=170)
    pools = [child for name in WORKERS for child in children_of(service.processes[name].pid)]
    assert len(pools) == 3, "each worker's steps run in a child"
    ours = service.artifact_url.rpartition("/")[2]
    theirs = f"{ours}/{folder_of('somebody else')}/uploads/1"
    s3.client.put_object(Bucket=BUCKET, Key=theirs, Body=b"x")
    job_id = submit(service, recording)
    service.wait_for([job_id], seconds=120)
    assert completed(service, [job_id]) == 1

    parts = service.rows("SELECT worker FROM steps WHERE stage = 'transcribe'")
    assert len(parts) >= 2
    assert len({worker for (worker,) in parts}) == 2
    assert service.count("SELECT sum(losses) FROM steps") == 0

    assert service.jobs.result(job_id, "local") == expected.result()
    audio = requests.get(f"{service.address}/jobs/{job_id}/audio", timeout=20)
    assert audio.status_code == 200
    assert audio.content == silenced.read_bytes()

    report(parts=len(parts), objects=len(s3.objects(ours)))
    reply = requests.delete(f"{service.address}/jobs/{job_id}?erase=true", timeout=20)
    assert reply.status_code == 204
    assert s3.objects(ours) == [theirs]
    service.until_nothing_is_left()
    for name in service.processes:
        for secret in s3.environment["AWS_ACCESS_KEY_ID"], s3.environment["AWS_SECRET_ACCESS_KEY"]:
            assert secret not in service.log_of(name)
