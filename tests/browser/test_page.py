"""The page in a real browser, against a service that answers late, badly, or not at all."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "app" / "web"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")

A, B = ("aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000")
SERVICE = """
const script = %s;
const said = {};
window.fetch = (path) => new Promise((resolve) => {
  const answers = script[path] ?? [[0, 200, { jobs: [], links: { next: null } }]];
  const turn = Math.min(said[path] ?? 0, answers.length - 1);
  said[path] = turn + 1;
  const [delay, status, body] = answers[turn];
  setTimeout(() => resolve(new Response(JSON.stringify(body), { status })), delay);
});
location.hash = %s;
setTimeout(() => { location.hash = %s; }, 300);
"""
GUARDED = """
const script = %s;
const tokens = %s;
const refused = { detail: "No such token.", hint: "Ask for one.", status: 401 };
window.fetch = async (path, { headers }) => {
  const good = headers.Authorization === "Bearer good";
  const body = good ? (script[path] ?? { jobs: [], links: { next: null } }) : refused;
  return new Response(JSON.stringify(body), { status: good ? 200 : 401 });
};
const saved = [];
URL.createObjectURL = (file) => {
  saved.push(file);
  return "blob:saved";
};
// Chromium would not end after a real download.
HTMLAnchorElement.prototype.click = async function () {
  document.body.dataset.saved = `${this.download} ${this.href} ${await saved[0].text()}`;
};
location.hash = %s;
const type = (token) => {
  document.getElementById("token").value = token;
  document.getElementById("sign-in").requestSubmit();
};
tokens.forEach((token, index) => setTimeout(type, 300 * (index + 1), token));
const click = new MouseEvent("click", { cancelable: true });
setTimeout(() => document.querySelector(".downloads a")?.dispatchEvent(click), 3000);
"""
DOWN = [0, 503, {"detail": "It restarts.", "hint": "Wait.", "status": 503}]
GONE = [0, 404, {"detail": "No such job.", "hint": "Look.", "status": 404}]


def job(job_id: str, status: str = "completed", delay: int = 0) -> list[object]:
    links = {"self": f"/jobs/{job_id}", "result": f"/jobs/{job_id}/result"}
    shown = {"id": job_id, "status": status, "title": f"Title {job_id[0]}", "progress": 0.5}
    return [delay, 200, {**shown, "stage": "classify", "detail": "", "error": None, "links": links}]


def result(job_id: str, delay: int = 0) -> list[object]:
    shown = {"language": "en", "duration": None, "models": {}, "segments": []}
    notes = [f"Note {job_id[0]}"]
    return [delay, 200, {**shown, "summary": {"segments": 0}, "notes": notes}]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """The folder that a server serves, and its address."""
    shutil.copytree(WEB, tmp_path / "web")
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *arguments: None})
    handler = partial(quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def shown(page: tuple[Path, str], script: object, first: str, second: str) -> str:
    """Open one job and then another; return the document half a minute later."""
    return after(page, SERVICE % tuple(json.dumps(value) for value in (script, first, second)))


def after(page: tuple[Path, str], service: str) -> str:
    """Open the page with a script that answers for the service; return the document."""
    directory, address = page
    (directory / "service.js").write_text(service)
    document = (WEB / "index.html").read_text()
    inserted = document.replace("<link", '<script src="/service.js"></script><link', 1)
    (directory / "index.html").write_text(inserted)
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={directory}/profile", "--virtual-time-budget=30000", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def hidden(document: str, name: str) -> bool:
    tag = re.search(rf'<[^>]*id="{name}"[^>]*>', document)
    assert tag
    return "hidden" in tag[0]


@pytest.mark.parametrize("late", ["job", "result"])
def test_a_late_answer_does_not_replace_the_job_that_was_opened_since(page, late):
    script = {
        f"/jobs/{A}": [job(A, delay=1000 if late == "job" else 0)],
        f"/jobs/{A}/result": [result(A, delay=1000 if late == "result" else 0)],
        f"/jobs/{B}": [job(B)],
        f"/jobs/{B}/result": [result(B)],
    }
    document = shown(page, script, A, B)
    assert "Title b" in document
    assert "Note b" in document
    assert "Title a" not in document
    assert "Note a" not in document


def test_a_service_that_restarts_is_waited_for(page):
    script = {
        f"/jobs/{A}": [job(A, "running"), DOWN, DOWN, job(A)],
        f"/jobs/{A}/result": [DOWN, result(A)],
    }
    document = shown(page, script, A, A)
    assert "Note a" in document
    assert "It restarts." not in document


def test_a_job_that_is_gone_leaves_nothing_of_the_one_before(page):
    script = {
        f"/jobs/{A}": [job(A)],
        f"/jobs/{A}/result": [result(A)],
        f"/jobs/{B}": [GONE],
    }
    document = shown(page, script, A, B)
    assert hidden(document, "job")
    assert "No such job." in document


def guarded(page: tuple[Path, str], tokens: list[str]) -> str:
    script: dict[str, object] = {f"/jobs/{A}": job(A)[2], f"/jobs/{A}/result": result(A)[2]}
    script[f"/jobs/{A}/result?format=json"] = [1, 2]
    return after(page, GUARDED % tuple(json.dumps(value) for value in (script, tokens, A)))


@pytest.mark.parametrize("tokens", [[], ["bad"]])
def test_without_a_good_token_the_page_asks_for_one(page, tokens):
    document = guarded(page, tokens)
    assert not hidden(document, "sign-in")
    assert "No such token." in document
    assert "Note a" not in document


def test_a_token_goes_with_every_request_and_download(page):
    document = guarded(page, ["bad", " good "])
    assert hidden(document, "sign-in")
    assert "No such token." not in document
    assert "Note a" in document
    assert f'data-saved="{A}.json blob:saved [1,2]"' in document


def test_where_nobody_asks_for_a_token_neither_does_the_page(page):
    script = {f"/jobs/{A}": [job(A)], f"/jobs/{A}/result": [result(A)]}
    assert hidden(shown(page, script, A, A), "sign-in")
