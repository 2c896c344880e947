from __future__ import annotations

import subprocess
import sys

from app.settings import Settings
from workers.celery_app import create_app
from workers.main import node_name


def test_redis_never_delivers_a_running_step_twice() -> None:
    conf = create_app(Settings.load(jobs={"step_seconds": 100})).conf
    assert conf.broker_transport_options["visibility_timeout"] > conf.task_time_limit == 100


def test_redelivery_is_the_dispatchers_affair() -> None:
    conf = create_app(Settings.load()).conf
    assert conf.task_acks_late is True
    assert conf.task_reject_on_worker_lost is False
    assert conf.task_ignore_result is True
    assert conf.worker_prefetch_multiplier == 1


def test_only_json_is_accepted() -> None:
    assert create_app(Settings.load()).conf.accept_content == ["json"]


def test_children_are_spawned() -> None:
    assert create_app(Settings.load()).conf.worker_pool_start_method == "spawn"


def test_every_worker_has_its_own_name() -> None:
    assert node_name("gpu") != node_name("gpu")
    assert node_name("gpu").startswith("gpu-")


def test_the_parent_of_a_worker_loads_no_model_library() -> None:
    code = (
        "import sys, workers.main, workers.tasks, workers.warm_gpu, workers.warm_cpu,"
        " workers.child, workers.dispatcher; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "onnxruntime", "ctranslate2", "faster_whisper", "spacy", "transformers"}
    assert not heavy & set(done.stdout.split())
    assert "flask" not in done.stdout.split()
