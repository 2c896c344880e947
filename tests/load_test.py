"""Load on a running service, from a mix of clients: locust -f tests/load_test.py --host URL.

    locust -f tests/load_test.py --host http://127.0.0.1:8000 --headless -u 40 -r 10 -t 60s

Dashboards poll what they have submitted, analysts submit batches and fetch results, and products
ask for a prediction and wait. With authentication on, LOAD_TOKEN holds a token with the scopes
jobs:read and jobs:write. Answers that the service means (429 with Retry-After, a job that has not
finished) count as such, not as failures.
"""

from __future__ import annotations

import os
import random
from http import HTTPStatus
from typing import Any

from locust import HttpUser, between, task

SENTENCES = (
    "I love it!",
    "This is the worst service that I have ever had.",
    "Could you tell me when it opens?",
    "We were so afraid that night.",
    "Thank you all so much.",
)
REMEMBERED = 50
"""Jobs that one user goes on looking at."""


def some_text() -> str:
    """Return a text that no other request has sent, so that no cache answers."""
    return f"{random.choice(SENTENCES)} {random.getrandbits(48):x}"


class Client(HttpUser):
    """A program that knows the jobs that it has submitted."""

    abstract = True

    def on_start(self) -> None:
        """Take the token, if there is one."""
        self.jobs: list[str] = []
        if token := os.environ.get("LOAD_TOKEN"):
            self.client.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, meant: set[int], **arguments: Any) -> Any:
        """Send a request; return its answer, or None where it was refused as is meant."""
        refusals = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
        with self.client.request(method, path, catch_response=True, **arguments) as response:
            if response.status_code in meant:
                response.success()
                return response.json()
            if response.status_code in refusals and "Retry-After" in response.headers:
                response.success()
            else:
                response.failure(f"{response.status_code}")
        return None

    def submit(self) -> None:
        """Submit a text, and remember the job."""
        job = self.ask("POST", "/jobs", {HTTPStatus.ACCEPTED}, json={"text": some_text()})
        if job:
            self.jobs = [*self.jobs[-REMEMBERED:], job["id"]]


class Dashboard(Client):
    """Submits now and then, and polls all the time."""

    weight = 6
    wait_time = between(0.2, 1.0)

    @task(8)
    def poll(self) -> None:
        """Look at a job."""
        if self.jobs:
            path = f"/jobs/{random.choice(self.jobs)}"
            self.ask("GET", path, {HTTPStatus.OK}, name="/jobs/{id}")

    @task(1)
    def look_at_the_list(self) -> None:
        """List the newest jobs."""
        self.ask("GET", "/jobs?limit=20", {HTTPStatus.OK}, name="/jobs")

    @task(2)
    def new(self) -> None:
        """Submit a text."""
        self.submit()


class Analyst(Client):
    """Submits batches, and fetches what has ended."""

    weight = 1
    wait_time = between(1, 4)

    @task
    def batch(self) -> None:
        """Submit twenty texts at once."""
        items = [{"text": some_text()} for _ in range(20)]
        self.ask("POST", "/batches", {HTTPStatus.ACCEPTED}, json={"items": items})

    @task(3)
    def result(self) -> None:
        """Fetch a result that may not be there yet."""
        self.submit()
        path = f"/jobs/{random.choice(self.jobs)}/result" if self.jobs else "/jobs"
        meant = {HTTPStatus.OK, HTTPStatus.CONFLICT}
        self.ask("GET", path, meant, name="/jobs/{id}/result")


class Product(Client):
    """Asks for one prediction and waits for it."""

    weight = 3
    wait_time = between(0.5, 2)

    @task
    def predict(self) -> None:
        """Predict one sentence."""
        meant = {HTTPStatus.OK, HTTPStatus.ACCEPTED}
        headers = {"Prefer": "wait=10"}
        self.ask("POST", "/predict", meant, json={"text": some_text()}, headers=headers)
