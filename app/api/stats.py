"""``/stats``: what happened lately, from the database."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
from flask.views import MethodView
from flask_smorest import Blueprint
from marshmallow import fields, validate

from app.api.identity import current_identity
from app.api.options import Strict
from app.api.services import services
from app.api.spec import fails_with
from app.auth import Scope
from app.jobs import JobStatus

PERIODS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}

blueprint = Blueprint("stats", __name__, description="For load balancers and operators")


class StatsQuery(Strict):
    """Since when to count."""

    period = fields.String(
        load_default="day",
        validate=validate.OneOf(list(PERIODS)),
        metadata={"description": "How far back to count. `since` overrides it."},
    )
    since = fields.AwareDateTime(
        load_default=None,
        default_timezone=UTC,
        metadata={
            "description": "Count from this moment on; UTC unless it says otherwise.",
            "examples": ["2026-11-01T00:00:00Z"],
        },
    )


def _count(description: str = "") -> fields.Integer:
    metadata = {"description": description} if description else {}
    return fields.Integer(required=True, validate=validate.Range(0), metadata=metadata)


def _number(description: str, *, allow_none: bool = False) -> fields.Float:
    return fields.Float(
        required=True,
        allow_none=allow_none,
        validate=validate.Range(0),
        metadata={"description": description},
    )


class JobCountSchema(ma.Schema):
    """How many jobs of one kind stand where."""

    kind = fields.String(required=True, validate=validate.OneOf(["url", "upload", "text"]))
    status = fields.Enum(JobStatus, by_value=True, required=True)
    count = _count()


class StageStatsSchema(ma.Schema):
    """How the steps of one stage went that ended."""

    stage = fields.String(required=True)
    done = _count()
    failed = _count()
    p50_seconds = _number("Median time of those that were done.", allow_none=True)
    p95_seconds = _number("95 % of them took less.", allow_none=True)
    max_seconds = _number("The longest of them.", allow_none=True)
    retries = _count("Transient errors that were tried again.")
    losses = _count("Workers that died with one of these steps.")


class ErrorCountSchema(ma.Schema):
    """How many jobs failed with one code."""

    code = fields.String(required=True)
    count = _count()


class DayStatsSchema(ma.Schema):
    """The jobs that were submitted on one day (UTC)."""

    day = fields.Date(required=True)
    submitted = _count()
    completed = _count()
    failed = _count()
    cancelled = _count()
    audio_hours = _number("Length of their recordings.")


class StatsSchema(ma.Schema):
    """Jobs that were submitted since a moment, and steps that ended since then."""

    since = fields.AwareDateTime(required=True)
    until = fields.AwareDateTime(required=True)
    clients = fields.String(
        required=True,
        validate=validate.OneOf(["own", "all"]),
        metadata={"description": "Whose jobs are counted: with the scope `admin` everybody's."},
    )
    jobs = fields.List(fields.Nested(JobCountSchema), required=True)
    stages = fields.List(fields.Nested(StageStatsSchema), required=True)
    errors = fields.List(fields.Nested(ErrorCountSchema), required=True)
    audio_hours = _number("Length of the recordings whose speech was heard.")
    real_time_factor = _number(
        "Time spent on hearing speech by its length; null where none was heard.", allow_none=True
    )
    days = fields.List(fields.Nested(DayStatsSchema), required=True)


def _in_utc(moment: datetime) -> datetime:
    """Return a moment as Postgres reads it, which knows fewer time zones than Python."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # It lies before the first year, or after the last.
        return (datetime.min if moment.year == 1 else datetime.max).replace(tzinfo=UTC)


@blueprint.route("/stats")
class StatsView(MethodView):
    """History."""

    @blueprint.doc(operationId="getStats")
    @blueprint.arguments(StatsQuery, location="query", unknown=ma.RAISE)
    @fails_with(blueprint, 422, 503)
    @blueprint.response(200, StatsSchema)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """Return how many jobs there were lately, how long they took and what went wrong."""
        until = datetime.now(UTC)
        since = _in_utc(query["since"]) if query["since"] else until - PERIODS[query["period"]]
        identity = current_identity()
        owner = None if Scope.ADMIN in identity.scopes else identity.owner
        return asdict(services().stats.read(since, owner)) | {
            "since": since,
            "until": until,
            "clients": "all" if owner is None else "own",
        }
