"""``/jobs`` on a real database."""

from __future__ import annotations

import io
import json
import uuid
from dataclasses import replace
from urllib.parse import quote

import pytest
from analyses import make_analysis

from app.api import create_app
from app.storage import store_of
from ml.export import FORMATS, MEDIA_TYPES
from ml.results import Analysis


def test_a_text_is_accepted(client, services):
    reply = client.post(
        "/jobs", json={"text": "I love it.", "options": {"confidence_threshold": 0.5}}
    )
    assert reply.status_code == 202
    assert reply.json["status"] == "queued"
    assert reply.json["kind"] == "text"
    assert reply.json["title"] == "I love it."
    assert reply.json["progress"] == 0
    assert reply.json["error"] is None
    assert reply.json["options"] == {"confidence_threshold": 0.5}
    assert reply.json["links"] == {"self": reply.headers["Location"]} | {
        "cancel": reply.headers["Location"]
    }
    job = services.jobs.get(uuid.UUID(reply.json["id"]), "local")
    assert job.source == "I love it."
    assert job.options == {"classification": {"confidence_threshold": 0.5}}


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "http://example.org:8080/talk.mp3?token=a%20b#t=10",
        "https://b\u00fccher.example/\u00e4.mp3",
        "http://[2001:db8::1]/x.wav",
    ],
)
def test_a_link_is_accepted(client, url):
    reply = client.post("/jobs", json={"url": url})
    assert reply.status_code == 202
    assert reply.json["kind"] == "url"
    assert reply.json["title"] == url


def test_an_upload_is_stored_under_a_name_of_our_own(client, services, tmp_path):
    reply = client.post(
        "/jobs",
        data={
            "file": (io.BytesIO(b"RIFF" * 1000), "../../etc/\x00pa\u202esswd.wav"),
            "options": json.dumps({"timeline_bins": 5, "features": False}),
        },
    )
    assert reply.status_code == 202
    assert reply.json["title"] == "passwd.wav"
    job = services.jobs.get(uuid.UUID(reply.json["id"]), "local")
    assert job.kind == "upload"
    assert job.source.startswith("uploads/")
    assert "passwd" not in job.source
    assert job.options == {"summary": {"timeline_bins": 5}, "classification": {"features": False}}
    assert store_of("local", services.artifacts).read(job.source) == b"RIFF" * 1000
    (stored,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert stored.parent.name == "uploads"


def test_an_upload_leaves_nothing_when_the_job_is_refused(settings, tmp_path):
    none = settings.jobs.model_copy(update={"max_queued": 0})
    client = create_app(settings.model_copy(update={"jobs": none})).test_client()
    reply = client.post("/jobs", data={"file": (io.BytesIO(b"x"), "a.wav")})
    assert reply.status_code == 503
    assert reply.json["code"] == "queue.full"
    assert reply.headers["Retry-After"]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_job_tells_where_it_stands(client, jobs):
    reply = client.get(f"/jobs/{jobs.running()}")
    assert reply.status_code == 200
    assert reply.json["status"] == "running"
    assert reply.json["stage"] == "classify"
    assert reply.json["progress"] == 0.5
    assert reply.json["created_at"].endswith("+00:00")


def test_a_failed_job_tells_why(client, jobs):
    reply = client.get(f"/jobs/{jobs.failed('media.no_audio')}")
    assert reply.json["error"] == {
        "code": "media.no_audio",
        "message": "It did not work.",
        "hint": "Do something else.",
    }
    assert set(reply.json["links"]) == {"self"}


def test_a_job_of_somebody_else_is_not_found(client, jobs):
    foreign = jobs.queued(owner="somebody else")
    for reply in (
        client.get(f"/jobs/{foreign}"),
        client.get(f"/jobs/{foreign}/result"),
        client.delete(f"/jobs/{foreign}"),
    ):
        assert reply.status_code == 404
        assert reply.json["code"] == "job.not_found"
    assert client.get("/jobs").json["jobs"] == []


def test_an_identifier_has_one_spelling(client, jobs):
    """Others could bring line ends and foreign letters into the name of a file, in a header."""
    job_id = str(jobs.completed())
    foreign = job_id.translate({ord("0") + digit: 0x660 + digit for digit in range(10)})
    for other in (foreign, f"{{{job_id}}}", f"urn:uuid:{job_id}", job_id.replace("-", "")):
        reply = client.get(f"/jobs/{quote(other)}/result?format=csv")
        assert (reply.status_code, reply.json["code"]) == (404, "job.not_found")
    assert client.get(f"/jobs/{job_id.upper()}/result?format=csv").status_code == 200


def test_cancel(client, jobs):
    job_id = jobs.queued()
    for _ in range(2):
        reply = client.delete(f"/jobs/{job_id}")
        assert reply.status_code == 200
        assert reply.json["status"] == "cancelled"
        assert set(reply.json["links"]) == {"self"}
    reply = client.get(f"/jobs/{job_id}/result")
    assert (reply.status_code, reply.json["code"]) == (409, "job.cancelled")


def test_an_ended_job_cannot_be_cancelled(client, jobs):
    for job_id in (jobs.completed(), jobs.failed()):
        reply = client.delete(f"/jobs/{job_id}")
        assert (reply.status_code, reply.json["code"]) == (409, "job.finished")


def test_the_list_goes_on_where_it_stopped(client, jobs):
    ids = [str(jobs.queued(f"Text {number}.")) for number in range(5)]
    found, address, pages = [], "/jobs?limit=2", 0
    while address:
        reply = client.get(address)
        assert reply.status_code == 200
        found += [job["id"] for job in reply.json["jobs"]]
        address = reply.json["links"]["next"]
        pages += 1
    assert found == ids[::-1]
    assert pages == 3


def test_the_list_can_be_filtered(client, jobs):
    jobs.queued()
    done = jobs.completed()
    reply = client.get("/jobs?status=completed&limit=1")
    assert [job["id"] for job in reply.json["jobs"]] == [str(done)]
    assert reply.json["links"]["next"] is None
    assert client.get("/jobs?status=failed").json["jobs"] == []


def test_pages_have_a_greatest_size(client, services, jobs, settings):
    assert client.get("/jobs?limit=1000").status_code == 200
    assert settings.api.max_page_size == 100


@pytest.mark.parametrize("name", FORMATS)
def test_a_result_comes_in_every_format(client, jobs, name):
    job_id = jobs.completed(make_analysis(text="=It <works> & more"))
    reply = client.get(f"/jobs/{job_id}/result?format={name}")
    assert reply.status_code == 200
    assert reply.mimetype == MEDIA_TYPES[name]
    if name == "json":
        assert Analysis.from_dict(reply.json) == make_analysis(text="=It <works> & more")
    else:
        assert "attachment" in reply.headers["Content-Disposition"]
        assert {
            "csv": "'=It <works> & more",
            "srt": "00:00:00,250 --> 00:00:02,000",
            "vtt": "<v SPEAKER_00>[happiness/joy] =It &lt;works&gt; &amp; more",
        }[name] in reply.text


def test_a_text_has_no_subtitles(client, jobs):
    job_id = jobs.completed(make_analysis(duration=None))
    reply = client.get(f"/jobs/{job_id}/result?format=srt")
    assert (reply.status_code, reply.json["code"]) == (422, "option.invalid")
    assert "json or csv" in reply.json["hint"]
    assert client.get(f"/jobs/{job_id}/result?format=csv").status_code == 200


def test_a_result_before_its_time(client, jobs):
    reply = client.get(f"/jobs/{jobs.running()}/result")
    assert (reply.status_code, reply.json["code"]) == (409, "job.not_finished")
    reply = client.get(f"/jobs/{jobs.failed()}/result")
    assert (reply.status_code, reply.json["code"]) == (409, "job.failed")


def redacted(services, key="audio/redacted/1.wav", content=b"RIFF silence"):
    store_of("local", services.artifacts).write(key, content)
    return replace(make_analysis(), redacted_audio=key)


def test_the_redacted_recording_can_be_fetched(client, jobs, services):
    job_id = jobs.completed(redacted(services))
    reply = client.get(f"/jobs/{job_id}/audio")
    assert (reply.status_code, reply.content_type) == (200, "audio/wav")
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.data == b"RIFF silence"


def test_a_job_without_a_redacted_recording_says_so(client, jobs, services):
    plain = jobs.completed()
    expired = jobs.completed(redacted(services))
    store_of("local", services.artifacts).delete("audio/redacted/1.wav")
    for job_id in (plain, expired):
        reply = client.get(f"/jobs/{job_id}/audio")
        assert (reply.status_code, reply.json["code"]) == (404, "job.no_audio")
    assert client.get(f"/jobs/{jobs.queued()}/audio").status_code == 409


def test_options_come_back_under_the_names_they_were_given(client):
    options = {
        "diarize": True,
        "speakers": 2,
        "language": "de",
        "translate": True,
        "redact_pii": ["person_name", "url"],
        "redact_audio": True,
        "prosody": True,
    }
    reply = client.post("/jobs", json={"url": "https://example.org/a.mp3", "options": options})
    assert reply.status_code == 202
    assert reply.json["options"] == options


@pytest.mark.parametrize(
    "options",
    [
        {"redact_pii": ["shoe_size"]},
        {"redact_pii": "person_name"},
        {"speakers": 0},
        {"speakers": 51},
        {"min_speakers": 5, "max_speakers": 2},
        {"language": "German"},
        {"diarize": "yes"},
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_done(client, options, services):
    reply = client.post("/jobs", json={"url": "https://example.org/a.mp3", "options": options})
    assert reply.status_code == 422
    assert reply.json["code"] in ("request.invalid", "option.invalid")
    assert services.jobs.list("local", None, None, 10).jobs == ()


@pytest.mark.parametrize("options", [{"redact_pii": True}, {"redact_audio": True}])
def test_a_text_that_shall_be_redacted_shows_no_title(client, options):
    reply = client.post("/jobs", json={"text": "I am Ann.", "options": options})
    assert reply.status_code == 202
    assert reply.json["title"] is None


def test_of_a_text_nothing_is_kept_but_its_result(client, services):
    reply = client.post("/jobs", json={"text": "I am Ann."})
    client.delete(f"/jobs/{reply.json['id']}")
    assert services.jobs.get(uuid.UUID(reply.json["id"]), "local").source == ""
