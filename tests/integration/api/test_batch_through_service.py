"""``emotion-clf batch --api``: the real command, the real API; a thread plays the workers."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa
from werkzeug.serving import make_server

from app.api.services import EXTENSION
from app.jobs import Quotas
from emotion_clf.batch.submissions import Submissions
from emotion_clf.client import Client

LINK = "https://media.example/{}.mp3"


@pytest.fixture
def address(app):
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Workers:
    """Ends every queued job: well, or badly where its title says so."""

    def __init__(self, services, jobs) -> None:
        self._services, self._jobs = services, jobs
        self._stop = threading.Event()
        self.hold = 10**6
        """How many jobs may be ended."""
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.wait(0.02):
            for job in self._services.jobs.list("local", "queued", None, 1000).jobs:
                if self.hold <= 0:
                    break
                self.hold -= 1
                if "bad" in (job.title or job.source):
                    self._jobs.fail(job.id, "source.not_found")
                else:
                    self._jobs.complete(job.id)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def workers(services, jobs):
    workers = Workers(services, jobs)
    yield workers
    workers.stop()


@pytest.fixture
def listing(tmp_path) -> Path:
    """Three files, one of which is missing and one a directory, and three links."""
    (tmp_path / "good.wav").write_bytes(b"RIFF" * 1000)
    (tmp_path / "folder").mkdir()
    sources = [LINK.format(name) for name in ("one", "bad", "two")]
    paths = [str(tmp_path / name) for name in ("good.wav", "missing.wav", "folder")]
    listing = tmp_path / "list.txt"
    listing.write_text("\n".join(["# links", *sources, "", *paths, sources[0]]))
    return listing


def command(address: str, listing: Path, *options: str) -> list[str]:
    batch = [sys.executable, "-m", "emotion_clf", "batch", str(listing), "--api", address]
    return [*batch, "--quiet", *options]


def run(address: str, listing: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(address, listing, *options), capture_output=True, text=True, timeout=60, check=False
    )


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def job_titles(app) -> Counter[str]:
    with app.extensions[EXTENSION].engine.connect() as connection:
        return Counter(
            connection.execute(sa.text("SELECT coalesce(title, source) FROM jobs")).scalars()
        )


def test_links_and_files_come_back_with_what_became_of_them(app, address, workers, listing):
    output = listing.with_name("out.jsonl")
    done = run(address, listing, "--output", str(output), "--timeline-bins", "3")
    assert done.returncode == 1, done.stderr
    found = {Path(line["source"]).name: line for line in lines_of(output)}
    assert {name: line["status"] for name, line in found.items()} == {
        "one.mp3": "completed",
        "bad.mp3": "failed",
        "two.mp3": "completed",
        "good.wav": "completed",
        "missing.wav": "failed",
        "folder": "failed",
    }
    assert found["bad.mp3"]["error"]["code"] == "source.not_found"
    assert found["folder"]["error"]["code"] == "media.invalid"
    assert found["good.wav"]["analysis"]["segments"]
    assert done.stderr.splitlines()[0] == "3 of 6 failed:"
    assert sum("missing.wav: The file does not exist" in line for line in done.stderr.splitlines())
    batch = app.test_client().get("/batches").json["batches"][0]
    (job, *_) = app.test_client().get(batch["links"]["jobs"]).json["jobs"]
    assert (batch["total"], job["options"]) == (3, {"timeline_bins": 3})
    assert not output.with_name("out.jsonl.jobs").exists()


def test_a_second_run_asks_for_nothing_and_a_retry_for_what_has_failed(
    app, address, workers, listing
):
    output = listing.with_name("out.csv")
    for _ in range(2):
        assert run(address, listing, "--output", str(output)).returncode == 1
    assert job_titles(app)[LINK.format("bad")] == 1
    listing.with_name("missing.wav").write_bytes(b"RIFF")
    assert run(address, listing, "--output", str(output), "--retry-failed").returncode == 1
    assert job_titles(app) == {
        LINK.format("one"): 1,
        LINK.format("two"): 1,
        LINK.format("bad"): 2,
        "good.wav": 1,
        "missing.wav": 1,
    }
    rows = list(csv.DictReader(output.open()))
    assert Counter(Path(row["source"]).name for row in rows) == dict.fromkeys(
        ("one.mp3", "two.mp3", "good.wav", "missing.wav"), 1
    )


@pytest.mark.parametrize("ended", [0, 2])
def test_killed_in_the_middle_it_makes_no_second_job(app, address, workers, listing, ended):
    output = listing.with_name("out.jsonl")
    workers.hold = ended
    process = subprocess.Popen(command(address, listing, "--output", str(output)))
    deadline = time.monotonic() + 30
    while sum(job_titles(app).values()) < 4 or len(lines_of(output)) < ended + 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    workers.hold = 10**6
    assert run(address, listing, "--output", str(output)).returncode == 1
    assert set(job_titles(app).values()) == {1}
    assert len({line["source"] for line in lines_of(output)}) == len(lines_of(output)) == 6


def test_what_was_sent_without_hearing_the_answer_is_sent_again_under_its_key(
    app, address, workers, listing
):
    output = listing.with_name("out.jsonl")
    links = [LINK.format(name) for name in ("one", "bad", "two")]
    submissions = Submissions(output.with_name("out.jsonl.jobs"))
    asked = submissions.ask(links, {})
    Client(address).submit_urls(links, {}, asked.key)
    submissions.close()
    assert run(address, listing, "--output", str(output)).returncode == 1
    assert set(job_titles(app).values()) == {1}


def test_links_that_are_none_do_not_hold_up_the_others(app, address, workers, listing):
    wrong = ["http://", "https://user:secret@media.example/a.mp3"]
    listing.write_text("\n".join([LINK.format("one"), *wrong, LINK.format("two")]))
    done = run(address, listing)
    assert done.returncode == 1
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["source"]: line["error"]["code"] for line in found if "error" in line} == (
        dict.fromkeys(wrong, "request.invalid")
    )
    assert job_titles(app) == {LINK.format("one"): 1, LINK.format("two"): 1}


def test_a_quota_is_kept_by_asking_for_less(app, address, workers, listing):
    batches = app.extensions[EXTENSION].batches
    batches._quotas = Quotas(jobs_at_once=3)
    links = [LINK.format(number) for number in range(10)]
    listing.write_text("\n".join(links))
    done = run(address, listing)
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(line)["source"] for line in done.stdout.splitlines()) == links
    assert set(job_titles(app).values()) == {1}


def test_a_file_that_has_changed_since_is_sent_anew(app, address, workers, listing):
    path = listing.with_name("good.wav")
    output = listing.with_name("out.jsonl")
    submissions = Submissions(output.with_name("out.jsonl.jobs"))
    Client(address).submit_file(path, {}, submissions.ask([str(path)], {}).key)
    submissions.close()
    path.write_bytes(b"OggS")
    listing.write_text(str(path))
    assert run(address, listing, "--output", str(output)).returncode == 0
    assert job_titles(app) == {"good.wav": 2}


def test_jobs_that_somebody_erased_are_given_up(app, address, workers, listing):
    workers.hold = 0
    output = listing.with_name("out.jsonl")
    listing.write_text("\n".join(LINK.format(name) for name in ("one", "two")))
    process = subprocess.Popen(command(address, listing, "--output", str(output)))
    while sum(job_titles(app).values()) < 2:
        time.sleep(0.02)
    with app.extensions[EXTENSION].engine.begin() as connection:
        connection.execute(sa.text("UPDATE jobs SET erasing = true"))
    assert process.wait(30) == 1
    assert {line["error"]["code"] for line in lines_of(output)} == {"job.not_found"}


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--method", "openai-whisper"], 2, "--method is the service's own with --api."),
        (["--timeline-bins", "0"], 69, "options.timeline_bins: Must be greater"),
        (["--min-speakers", "5", "--max-speakers", "2"], 64, "option.invalid: "),
    ],
)
def test_what_no_item_is_to_blame_for_ends_the_batch(address, listing, options, code, words):
    done = run(address, listing, *options)
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    assert words in line
    assert done.stdout == ""


def test_uploads_arrive_as_they_are_whatever_their_name(app, address, tmp_path):
    path = tmp_path / 'a "quoted"; näme.wav'
    data = uuid.uuid4().bytes * 5000
    path.write_bytes(data)
    job = Client(address).job(Client(address).submit_file(path, {"timeline_bins": 4}))
    assert (job["title"], job["options"]) == ('a "quoted"; näme.wav', {"timeline_bins": 4})
    stored = app.extensions[EXTENSION].jobs.get(uuid.UUID(job["id"]), "local").source
    (found,) = [p for p in tmp_path.rglob("*") if p.is_file() and p.name == Path(stored).name]
    assert found.read_bytes() == data
