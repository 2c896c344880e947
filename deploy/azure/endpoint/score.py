"""The scoring script: what Azure ML's inference server calls for ``POST /score``.

The server imports this file, calls :func:`init` once in each of its processes and :func:`run` for
each request. No text is logged here, neither of requests nor of exceptions, which may quote one.
"""

from __future__ import annotations

import json
import logging
import os

from azureml_inference_server_http.api.aml_request import rawhttp
from flask import Request, Response
from payload import MAX_BYTES, Payload, TooLarge, read

from emotion_clf import ClassificationOptions, EmotionClfError, EmotionPredictor, PipelineOptions

_log = logging.getLogger("azmlinfsrv.emotion_clf")
_predictors: list[EmotionPredictor] = []


def init() -> None:
    """Load the classifier and run it once, so that no request waits for that."""
    processes = int(os.environ.get("WORKER_COUNT", "1"))
    options = ClassificationOptions(
        model=os.environ.get("EMOTION_MODEL", "default"),
        threads=max(1, len(os.sched_getaffinity(0)) // processes),
    )
    predictor = EmotionPredictor(PipelineOptions(classification=options))
    predictor.predict(["This is a test of the classifier."])
    _predictors[:] = [predictor]


@rawhttp
def run(request: Request) -> Response:
    """Return the predictions for the texts of a request, or an error as JSON.

    ``rawhttp`` asks the server for the request itself: with its default, the text of the body, it
    would hand each body to its own log of model data.
    """
    if request.method != "POST":
        return _failure(405, "request.method_not_allowed", "Predictions are asked for with POST.")
    if request.mimetype != "application/json":
        return _failure(415, "request.unsupported_media_type", "Send application/json.")
    try:
        return _answer(read(_body(request)))
    except EmotionClfError as error:
        return _failure(error.http_status, error.code, error.text, error.advice)
    except TimeoutError:
        raise  # the server's own clock, which it turns into an answer
    except Exception as error:
        _log.error("scoring failed: %s", type(error).__name__)
        return _failure(500, "internal", "Something went wrong inside.")


def _body(request: Request) -> bytes:
    # A length may be missing or untrue; what is read is bounded either way.
    if (request.content_length or 0) > MAX_BYTES:
        raise TooLarge
    return request.stream.read(MAX_BYTES + 1)


def _answer(payload: Payload) -> Response:
    found = _predictors[0].predict(
        payload.texts, in_order=payload.in_order, other_languages=payload.other_languages
    )
    return _json({"predictions": [prediction.to_dict() for prediction in found]}, 200)


def _failure(status: int, code: str, message: str, hint: str = "") -> Response:
    return _json({"code": code, "message": message} | ({"hint": hint} if hint else {}), status)


def _json(body: object, status: int) -> Response:
    return Response(json.dumps(body), status=status, mimetype="application/json")
