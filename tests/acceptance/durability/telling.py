"""Classifying tells the text, and more, to whoever may pass it on to a log."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace

import requests
import sqlalchemy as sa
import stubs  # noqa: F401 - whose classifier this one replaces, in whatever order they are imported

import ml.pipeline
from app.db import create_db_engine
from app.settings import Settings
from ml.stage import Context, Outputs, Predictions

LIBRARIES = ("urllib3", "httpx", "httpcore", "werkzeug", "botocore", "yt_dlp", "celery", "kombu")


def classify(context: Context, outputs: Outputs, part: int) -> Predictions:
    text = context.source.value
    for name in LIBRARIES:
        logging.getLogger(f"{name}.anything").debug("sending %s", {"text": text})
    warnings.warn("GET /fetch?token=marker-in-a-query", stacklevel=2)
    address = text.split()[3]
    requests.get(
        f"{address}?key=marker-in-a-query",
        headers={"Authorization": "Bearer marker-in-a-header"},
        timeout=5,
    )
    engine = create_db_engine(Settings.load().database_url)
    try:
        with engine.begin() as connection:
            connection.execute(sa.text("SELECT CAST(:text AS int)"), {"text": text})
    except sa.exc.SQLAlchemyError as error:
        raise ValueError(f"cannot classify {text}") from error
    raise AssertionError("a text is no number")


ml.pipeline.STAGES = tuple(
    replace(stage, run=classify) if stage.name == "classify" else stage
    for stage in ml.pipeline.STAGES
)
