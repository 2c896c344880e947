"""Workers of bench/scale.py: stages that only wait, in real workers or in many simulated ones.

``python scale_workers.py real QUEUE`` is ``python -m workers.main QUEUE`` with these stages.
``python scale_workers.py simulated COUNT`` runs COUNT workers as threads. Each does what a worker
does with a message, by the same code, but takes it from Redis itself instead of through Celery and
holds no models, so that 64 of them fit on a small machine.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
import time
from dataclasses import replace

import ml.pipeline
from ml.results import Analysis, Sentence, Summary
from ml.stage import Context, Outputs, Predictions, Sentences

READY, GO = "scale:ready", "scale:go"
"""Keys in Redis: how many processes wait, and that they may start."""
WORK_SECONDS = float(os.environ.get("SCALE_WORK_SECONDS", "0.2"))


def _segment(context: Context, outputs: Outputs, part: int) -> Sentences:
    time.sleep(WORK_SECONDS)
    said = Sentence(0, context.source.value)
    return Sentences("en", (said,), ((0.0,),), "none", None, {})


def _classify(context: Context, outputs: Outputs, part: int) -> Predictions:
    time.sleep(WORK_SECONDS)
    return Predictions((), "none")


def _aggregate(context: Context, outputs: Outputs, part: int) -> Analysis:
    time.sleep(WORK_SECONDS)
    return Analysis("en", None, {}, (), Summary(0, 0.0, None, {}, (), ()))


_RUN = {"segment": _segment, "classify": _classify, "aggregate": _aggregate}
ml.pipeline.STAGES = tuple(
    replace(stage, run=_RUN.get(stage.name, stage.run)) for stage in ml.pipeline.STAGES
)


def run_real(queue: str) -> int:
    """Run one worker with Celery, pool process and all; return its exit status."""
    from workers import main as worker
    from workers.celery_app import app

    worker.WARM = {"cpu": [], "gpu": []}
    app.conf.include = [*app.conf.include, "scale_workers"]
    return worker.main([queue])


def run_simulated(count: int) -> None:
    """Run many workers as threads, of which each takes from both queues, until killed."""
    import redis

    from app.db import create_db_engine
    from app.jobs import QUEUES
    from app.settings import Settings
    from app.storage import open_store
    from app.stores.steps import StepStore
    from workers.runner import StepRunner

    settings = Settings.load()
    engine = create_db_engine(settings.database_url, pool_size=8)
    steps = StepStore(engine, lease_seconds=settings.jobs.lease_seconds)
    runner = StepRunner(settings, steps, open_store(settings))
    broker = redis.Redis.from_url(settings.redis_url)

    def work(name: str) -> None:
        while True:
            _, message = broker.brpop(list(QUEUES))
            body = json.loads(base64.b64decode(json.loads(message)["body"]))
            runner.run(body[1]["step_id"], name)

    broker.incr(READY)
    while not broker.exists(GO):
        time.sleep(0.05)
    for number in range(count):
        threading.Thread(target=work, args=(f"simulated-{os.getpid()}-{number}",)).start()


if __name__ == "__main__":
    if sys.argv[1] == "real":
        name = sys.argv[2]
        sys.argv = sys.argv[:1]
        sys.exit(run_real(name))
    run_simulated(int(sys.argv[2]))
