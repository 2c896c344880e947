"""What clients get wrong, and the status and code that each mistake is answered with."""

from __future__ import annotations

import base64
import io
import json
import logging
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest

NOBODY = uuid.UUID(int=0)
BEFORE_THE_CALENDAR = base64.urlsafe_b64encode(
    json.dumps(["0001-01-01T00:00:00+23:59", str(NOBODY)]).encode()
).decode()
JSON = "application/json"
FORM = 'multipart/form-data; boundary="cut"'


@dataclass(frozen=True)
class Case:
    """One bad request, and its answer."""

    name: str
    status: int
    code: str
    method: str = "POST"
    path: str = "/jobs"
    fields: tuple[str, ...] = ()
    request: dict[str, Any] = field(default_factory=dict)


def post(name: str, status: int, code: str, *fields: str, **request: Any) -> Case:
    return Case(name, status, code, fields=fields, request=request)


def get(name: str, path: str, status: int, code: str, *fields: str) -> Case:
    return Case(name, status, code, "GET", path, fields)


def raw(data: bytes, content_type: str = JSON) -> dict[str, Any]:
    return {"data": data, "content_type": content_type}


def upload(data: bytes = b"x", name: str = "a.wav", **fields: Any) -> dict[str, Any]:
    return {"data": {"file": (io.BytesIO(data), name)} | fields}


INVALID = "request.invalid"
CASES = [
    # Bodies that cannot be read.
    post("no body", 415, "request.unsupported_media_type"),
    post("plain text", 415, "request.unsupported_media_type", **raw(b"x", "text/plain")),
    post("url-encoded form", 415, "request.unsupported_media_type", data={"text": "x"}),
    post("empty JSON", 400, "request.malformed", **raw(b"")),
    post("cut JSON", 400, "request.malformed", **raw(b'{"text": "x"')),
    post("JSON that is no UTF-8", 400, "request.malformed", **raw(b'{"text": "\xff\xfe"}')),
    post("deep JSON", 400, "request.malformed", **raw(b"[" * 100_000)),
    post("deep JSON in an object", 400, "request.malformed", **raw(b'{"text":' * 20_000)),
    post("a number of 5,000 digits", 400, "request.malformed", **raw(b"9" * 5000)),
    post("a list", 422, INVALID, "", json=[]),
    post("a string", 422, INVALID, "", json="text"),
    post("null", 422, INVALID, "", **raw(b"null")),
    # JSON with wrong fields.
    post("nothing asked", 422, INVALID, "", json={}),
    post("url and text", 422, INVALID, "", json={"url": "https://a.example/", "text": "x"}),
    post("unknown field", 422, INVALID, "txt", json={"text": "x", "txt": "y"}),
    post("text is a number", 422, INVALID, "text", json={"text": 5}),
    post("text is null", 422, INVALID, "text", json={"text": None}),
    post("empty text", 422, "text.empty", json={"text": ""}),
    post("blank text", 422, "text.empty", json={"text": " \t\r\n\u2003"}),
    post("text of NUL characters", 422, "text.empty", json={"text": "\x00\x00"}),
    post("text too long", 413, "text.too_long", json={"text": "x" * 20_001}),
    post("1 MB of text", 413, "request.too_large", json={"text": "x" * 1_000_000}),
    # Addresses.
    post("empty url", 422, INVALID, "url", json={"url": ""}),
    post("no scheme", 422, INVALID, "url", json={"url": "example.org/a.mp3"}),
    post("file scheme", 422, INVALID, "url", json={"url": "file:///etc/passwd"}),
    post("ftp scheme", 422, INVALID, "url", json={"url": "ftp://example.org/a"}),
    post("no host", 422, INVALID, "url", json={"url": "https:///a.mp3"}),
    post("credentials", 422, INVALID, "url", json={"url": "https://me:pw@example.org/"}),
    post("a blank inside", 422, INVALID, "url", json={"url": "https://example.org/a b"}),
    post("a line end behind", 422, INVALID, "url", json={"url": "https://example.org/\n"}),
    post("a NUL inside", 422, INVALID, "url", json={"url": "https://example.org/\x00"}),
    post("a back slash", 422, INVALID, "url", json={"url": "https://good.example\\@evil.example"}),
    post("url too long", 422, INVALID, "url", json={"url": "https://a.example/" + "a" * 2048}),
    # Options.
    post("options is a list", 422, INVALID, "options", json={"text": "x", "options": []}),
    post("unknown option", 422, INVALID, "options.x", json={"text": "x", "options": {"x": 1}}),
    *(
        post(
            f"{name} = {value!r}",
            422,
            INVALID,
            f"options.{name}",
            json={"text": "x", "options": {name: value}},
        )
        for name, value in [
            ("confidence_threshold", 1.5),
            ("confidence_threshold", -0.1),
            ("confidence_threshold", "0.5"),
            ("confidence_threshold", True),
            ("confidence_threshold", None),
            ("features", 1),
            ("features", "yes"),
            ("timeline_bins", 0),
            ("timeline_bins", 1001),
            ("timeline_bins", 2.5),
            ("timeline_bins", "20"),
        ]
    ),
    post("NaN", 422, INVALID, "options.confidence_threshold",
         **raw(b'{"text": "x", "options": {"confidence_threshold": NaN}}')),
    # Uploads.
    post("no file part", 422, INVALID, "file", data={"options": "{}"}, content_type=FORM),
    post("file is a field", 422, INVALID, "file", data={"file": "x"}, content_type=FORM),
    post("two files", 422, INVALID, "file",
         data={"file": [(io.BytesIO(b"x"), "a"), (io.BytesIO(b"y"), "b")]}),
    post("unknown part", 422, INVALID, "txt", **upload(txt="x")),
    post("unknown file part", 422, INVALID, "b", **upload(b=(io.BytesIO(b"x"), "b"))),
    post("empty file", 422, "media.invalid", **upload(b"")),
    post("options are no JSON", 422, INVALID, "options", **upload(options="{")),
    post("options are a list", 422, INVALID, "options", **upload(options="[]")),
    post("unknown option in a form", 422, INVALID, "options.x", **upload(options='{"x": 1}')),
    post("file too large", 413, "source.too_large", **upload(b"x" * 100_001)),
    post("body too large", 413, "source.too_large", **upload(b"x" * 300_000)),
    post("no boundary", 422, INVALID, "file", **raw(b"--cut", "multipart/form-data")),
    post("cut form", 422, INVALID, "file", **raw(b"--cut\r\nContent-Disp", FORM)),
    # Identifiers, queries, addresses and methods.
    get("id is no UUID", "/jobs/1", 404, "job.not_found"),
    get("unknown id", f"/jobs/{NOBODY}", 404, "job.not_found"),
    get("result of an unknown id", f"/jobs/{NOBODY}/result", 404, "job.not_found"),
    get("result of no UUID", "/jobs/x/result", 404, "job.not_found"),
    get("unknown format", f"/jobs/{NOBODY}/result?format=pdf", 422, INVALID, "format"),
    get("unknown status", "/jobs?status=lost", 422, INVALID, "status"),
    get("bad limit", "/jobs?limit=many", 422, INVALID, "limit"),
    get("limit of 0", "/jobs?limit=0", 422, INVALID, "limit"),
    get("huge limit", "/jobs?limit=1001", 422, INVALID, "limit"),
    get("unknown query", "/jobs?offset=5", 422, INVALID, "offset"),
    get("bad cursor", "/jobs?cursor=abc", 422, "option.invalid"),
    get("cursor of other letters", "/jobs?cursor=%C3%A4%00", 422, "option.invalid"),
    get("cursor before the calendar", f"/jobs?cursor={BEFORE_THE_CALENDAR}", 422, "option.invalid"),
    get("cursor too long", "/jobs?cursor=" + "W1tb" * 60, 422, INVALID, "cursor"),
    get("unknown address", "/nothing", 404, "request.not_found"),
    get("address above the page", "/web/../api/errors.py", 404, "request.not_found"),
    get("GET /predict", "/predict", 405, "request.method_not_allowed"),
    Case("DELETE /jobs", 405, "request.method_not_allowed", "DELETE"),
    Case("an invented method", 405, "request.method_not_allowed", "FROB"),
    Case("DELETE of an unknown id", 404, "job.not_found", "DELETE", f"/jobs/{NOBODY}"),
    Case("empty text to predict", 422, "text.empty", "POST", "/predict", (),
         {"json": {"text": ""}}),
]  # fmt: skip


def is_problem(reply) -> None:
    assert reply.mimetype == "application/problem+json"
    assert reply.json["type"] == f"urn:emotion-clf:problem:{reply.json['code']}"
    assert reply.json["status"] == reply.status_code
    for member in ("title", "detail", "code", "hint"):
        assert reply.json[member]
    assert set(reply.json) <= {"type", "title", "status", "detail", "code", "hint", "errors"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(client, services, case, tmp_path):
    reply = client.open(case.path, method=case.method, **case.request)
    is_problem(reply)
    assert (reply.status_code, reply.json["code"]) == (case.status, case.code), reply.json
    assert tuple(entry["field"] for entry in reply.json.get("errors", ())) == case.fields
    assert services.jobs.list("local", None, None, 1).jobs == ()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_405_says_what_is_allowed(client):
    reply = client.put("/jobs")
    is_problem(reply)
    assert {"GET", "POST"} <= set(reply.headers["Allow"].split(", "))


def test_an_unexpected_error_says_nothing_of_itself(client, services, monkeypatch, caplog):
    def fail(*arguments):
        raise RuntimeError("secret at /etc/passwd")

    monkeypatch.setattr(type(services.jobs), "list", fail)
    with caplog.at_level(logging.ERROR):
        reply = client.get("/jobs")
    is_problem(reply)
    assert (reply.status_code, reply.json["code"]) == (500, "internal")
    assert "secret" not in reply.text
    assert "X-Request-ID" in reply.json["hint"]


def test_odd_but_valid_text_is_taken(client, services):
    odd = 'Ha \ud83d\ude00 \ud800 \x00\x07\u202e "\\'
    body = json.dumps({"text": odd}).encode()
    reply = client.post("/jobs", data=body, content_type=JSON)
    assert reply.status_code == 202
    stored = services.jobs.get(uuid.UUID(reply.json["id"]), "local").source
    assert "\U0001f600" in stored
    assert "\x00" not in stored


def test_the_scheme_of_a_link_is_read_in_any_case(client):
    reply = client.post("/jobs", json={"url": "HTTP://EXAMPLE.com/x"})
    assert (reply.status_code, reply.json["title"]) == (202, "HTTP://EXAMPLE.com/x")


def test_the_largest_text_fits_however_it_is_escaped(client):
    body = json.dumps({"text": "\U0001f600" * 20_000}).encode()
    assert len(body) > 200_000
    assert client.post("/jobs", data=body, content_type=JSON).status_code == 202
