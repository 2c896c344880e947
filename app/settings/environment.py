"""How environment variables name settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PREFIX = "EMOTION_CLF_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"
TOKEN_VARIABLE = f"{PREFIX}TOKEN"
"""What the command line shows a service, which is no setting."""
SHORT_NAMES: Mapping[str, str] = {
    "DATABASE_URL": "database_url",
    "REDIS_URL": "redis_url",
    "ARTIFACT_URL": "artifact_url",
    "LOG_LEVEL": "log_level",
    "ASSEMBLYAI_API_KEY": "transcription__api_key",
    "WHISPER_MODEL": "transcription__model",
    "EMOTION_MODEL": "classification__model",
}
"""Variables that carry no prefix, because platforms and people know them under these names.
Every other setting is ``EMOTION_CLF_<SECTION>__<KEY>``."""
_NO_SETTINGS = frozenset({CONFIG_VARIABLE, TOKEN_VARIABLE})
_LINK = re.compile(r"(?!.*__).*_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_.+)?)")


def settings_in(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what variables set, sections as mappings; empty ones count as not set."""
    named = {path: environment[name] for name, path in SHORT_NAMES.items() if name in environment}
    named |= {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and name not in _NO_SETTINGS and not _links(name, value)
    }
    values: dict[str, Any] = {}
    for path, value in named.items():
        section, _, key = path.partition("__")
        if value and key:
            values.setdefault(section, {})[key] = value
        elif value:
            values[section] = value
    return values


def _links(name: str, value: str) -> bool:
    """Whether Kubernetes set the variable, for a service whose name starts like ours."""
    return bool(_LINK.fullmatch(name)) or (name.endswith("_PORT") and "://" in value)
