"""Sends reports on how jobs ended to their ``callback_url``; part of every dispatcher.

A report is sent at least once. A sender that dies after the receiver took it, and before that
was noted, is followed by another one with the same event id: receivers tell repetitions by it.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec
import structlog

from app.db import create_db_engine
from app.jobs import DeliveryState, JobStatus
from app.settings import Settings
from app.signatures import sign, signing_key
from app.stores.deliveries import ClaimedDelivery, DeliveryFailure, DeliveryStore
from workers.database import patiently
from workers.rounds import Rounds
from workers.webhook_client import Answer, NotDelivered, WebhookClient

SENDERS = 16
"""Reports that one dispatcher sends at the same time."""
PER_HOST = 4
"""And how many of them to one host, so that slow receivers leave room for the others."""
PER_OWNER = 8
"""And of one owner, who may have as many slow receivers as a domain has names."""
POLL_SECONDS = 1.0
FIRST_RETRY_SECONDS = 10.0
LONGEST_RETRY_SECONDS = 3600.0
USER_AGENT = "emotion-clf-webhooks"
log = structlog.get_logger(__name__)


class Webhooks:
    """Takes the reports that are due and sends them. Its threads share one."""

    def __init__(self, store: DeliveryStore, client: WebhookClient, settings: Settings) -> None:
        self._store = store
        self._client = client
        self._secret = settings.webhooks.secret or ""
        self._give_up_seconds = settings.webhooks.give_up_hours * 3600
        self._lease_seconds = 2 * settings.webhooks.timeout
        self._lock = threading.Lock()
        self._hosts: Counter[str] = Counter()
        self._owners: Counter[str] = Counter()
        self._quiet_until = 0.0

    def send_next(self) -> bool:
        """Send one report; return whether one was due."""
        claimed = self._claim()
        if claimed is None:
            return False
        try:
            self._send(claimed)
        finally:
            with self._lock:
                self._hosts[claimed.host] -= 1
                self._owners[claimed.owner] -= 1
                self._quiet_until = 0.0
        return True

    def _claim(self) -> ClaimedDelivery | None:
        with self._lock:
            if time.monotonic() < self._quiet_until:
                return None
            # One look is enough for all the threads where it finds nothing, or no database.
            self._quiet_until = time.monotonic() + POLL_SECONDS / 2
            self._hosts, self._owners = +self._hosts, +self._owners
            hosts = [host for host, count in self._hosts.items() if count >= PER_HOST]
            owners = [owner for owner, count in self._owners.items() if count >= PER_OWNER]
            claimed = self._store.claim(self._lease_seconds, hosts, owners)
            if claimed:
                self._quiet_until = 0.0
                self._hosts[claimed.host] += 1
                self._owners[claimed.owner] += 1
        return claimed

    def _send(self, claimed: ClaimedDelivery) -> None:
        at, began = datetime.now(UTC), time.monotonic()
        outcome: Answer | DeliveryFailure
        try:
            body = msgspec.json.encode(report(claimed))
            outcome = self._client.post(claimed.url, self._headers(claimed, body), body)
        except NotDelivered as error:
            outcome = error.failure
        seconds = time.monotonic() - began
        said = {"status": outcome.status} if isinstance(outcome, Answer) else {"error": outcome}
        attempt = {"at": at.isoformat(), **said, "ms": round(seconds * 1000)}
        state, retry = judge(outcome, claimed.age_seconds + seconds, self._give_up_seconds)
        patiently()(self._store.note, claimed, attempt, state, retry_seconds=retry)
        log.info(
            "webhook", job_id=str(claimed.job_id), event_id=str(claimed.id), state=state, **said
        )

    def _headers(self, claimed: ClaimedDelivery, body: bytes) -> dict[str, str]:
        timestamp = int(time.time())
        signature = sign(signing_key(self._secret, claimed.owner), timestamp, body)
        return {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "Connection": "close",
            "Webhook-Id": str(claimed.id),
            "Webhook-Timestamp": str(timestamp),
            "Webhook-Signature": f"v1={signature}",
        }


def report(claimed: ClaimedDelivery) -> dict[str, Any]:
    """Return what a receiver is told. The start of a text, which is its title, is content."""
    address = f"/jobs/{claimed.job_id}"
    links = {"self": address}
    if claimed.status is JobStatus.COMPLETED:
        links["result"] = f"{address}/result"
    told = {
        "id": claimed.id,
        "type": claimed.event,
        "created_at": claimed.ended_at,
        "job": {
            "id": claimed.job_id,
            "batch_id": claimed.batch_id,
            "status": claimed.status,
            "kind": claimed.kind,
            "title": None if claimed.kind == "text" else claimed.title,
            "error": claimed.error,
            "links": links,
        },
    }
    return told if claimed.result is None else told | {"result": claimed.result}


def judge(
    outcome: Answer | DeliveryFailure, age_seconds: float, give_up_seconds: float
) -> tuple[DeliveryState, float]:
    """Return what becomes of a report after an attempt, and in how many seconds it is retried.

    Each wait is about as long as all that went before, so waits grow exponentially without a
    count of attempts; jitter keeps reports that failed together from coming back together.
    """
    status = outcome.status if isinstance(outcome, Answer) else None
    if status is not None and 200 <= status < 300:
        return DeliveryState.DELIVERED, 0.0
    longest = min(max(age_seconds, FIRST_RETRY_SECONDS), LONGEST_RETRY_SECONDS)
    wait = random.uniform(longest / 2, longest)  # noqa: S311 (no secret)
    if isinstance(outcome, Answer):
        wait = max(wait, outcome.retry_after)
    if status == HTTPStatus.GONE or age_seconds + wait > give_up_seconds:
        return DeliveryState.FAILED, 0.0
    return DeliveryState.PENDING, wait


def webhook_rounds(settings: Settings) -> tuple[Rounds, ...]:
    """Return the senders of a dispatcher; none where nothing can be signed."""
    if not settings.webhooks.secret:
        return ()
    store = DeliveryStore(create_db_engine(settings.database_url, pool_size=2))
    client = WebhookClient(settings.source, timeout=settings.webhooks.timeout)
    webhooks = Webhooks(store, client, settings)
    return tuple(
        Rounds(f"webhooks-{number}", webhooks.send_next, seconds=POLL_SECONDS)
        for number in range(SENDERS)
    )
