"""What may follow an answer, written into the OpenAPI document as its links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apispec import BasePlugin

_OF_A_JOB = ("getJob", "getResult", "getAudio", "followJob", "cancelJob", "redeliver")
_OF_A_BATCH = ("getBatch", "getBatchResults", "cancelBatch")
_AFTER: Mapping[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("submitJob", "202"): ("job_id", _OF_A_JOB),
    ("predict", "202"): ("job_id", _OF_A_JOB),
    ("getJob", "200"): ("job_id", _OF_A_JOB),
    ("submitBatch", "202"): ("batch_id", _OF_A_BATCH),
    ("getBatch", "200"): ("batch_id", _OF_A_BATCH),
}
"""By operation and status: the parameter that the answer's ``id`` is, and for which operations."""


class LinkPlugin(BasePlugin):
    """Tells readers and machines how to go on from what was created."""

    def operation_helper(
        self,
        path: str | None = None,
        operations: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Add the links to each operation of a path."""
        for operation in (operations or {}).values():
            for status, response in operation.get("responses", {}).items():
                after = _AFTER.get((operation.get("operationId", ""), str(status)))
                if after and isinstance(response, dict):
                    parameter, following = after
                    response["links"] = {name: _link(name, parameter) for name in following}


def _link(operation_id: str, parameter: str) -> dict[str, Any]:
    return {"operationId": operation_id, "parameters": {parameter: "$response.body#/id"}}
