"""``/health``: whether the process lives, and whether jobs can be worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from flask.views import MethodView
from flask_smorest import Blueprint
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.api.errors import ServiceNotReady
from app.api.schemas import Health
from app.api.services import Services, services
from app.api.spec import fails_with
from app.models import ask_for_tables
from app.queue import BrokerUnavailable

blueprint = Blueprint("health", __name__, description="For load balancers and operators")

_OK = {"status": "ok"}


@blueprint.route("/health")
class Live(MethodView):
    """Liveness."""

    @blueprint.doc(operationId="live")
    @blueprint.response(200, Health)
    def get(self) -> dict[str, str]:
        """Say that the process answers; looks at nothing else."""
        return _OK


@blueprint.route("/health/ready")
class Ready(MethodView):
    """Readiness."""

    @blueprint.doc(operationId="ready")
    @fails_with(blueprint, 503)
    @blueprint.response(200, Health)
    def get(self) -> dict[str, str]:
        """Say that jobs are worked on, or what is missing for it.

        That takes the database, the broker, a dispatcher that sends, and workers of both kinds
        that take what waits.
        """
        missing = [
            {"field": name, "message": message} for name, message in missing_parts(services())
        ]
        if missing:
            names = ", ".join(entry["field"] for entry in missing)
            raise ServiceNotReady(f"Not ready: {names}.", missing)
        return _OK


def missing_parts(services: Services) -> Iterator[tuple[str, str]]:
    """Yield the name of each part that is missing, and what is wrong with it."""
    yield from _missing_in_database(services)
    if not _answers(services.broker.ping, *BrokerUnavailable):
        yield "broker", "It does not answer."


def _missing_in_database(services: Services) -> Iterator[tuple[str, str]]:
    # The workers' register lies in the database: without it nothing is known of them.
    if not _answers(lambda: _ask_database(services), SQLAlchemyError):
        yield "database", "It does not answer."
        return
    try:
        ask_for_tables(services.engine)
        alive = services.workers.alive()
        hanging = services.workers.hanging().values()
        unsent = services.workers.unsent()
    except SQLAlchemyError:
        yield "database", "Its tables are missing or old: run python -m migrations.run."
        return
    if unsent:
        yield "dispatcher", "It does not send what waits."
    for queue, count in alive.items():
        if not count:
            yield f"workers.{queue}", "None was seen lately."
        elif queue in hanging:
            yield f"workers.{queue}", "It does not take what waits."


def _ask_database(services: Services) -> None:
    with services.engine.connect() as connection:
        connection.execute(text("SELECT 1"))


def _answers(ask: Callable[[], None], *failures: type[Exception]) -> bool:
    try:
        ask()
    except failures:
        return False
    return True
