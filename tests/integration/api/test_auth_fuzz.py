"""schemathesis with authentication on: what ``/auth`` answers, and that no token is ignored."""

from __future__ import annotations

from datetime import timedelta

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis import GenerationMode

from app.auth import Scope
from app.settings import Settings
from app.settings.sections import AuthSettings, LimitSettings

EXAMPLES = 8
"""Each request for a token that could be right costs a hash."""
OPERATIONS = ("/auth/token", "/auth/revoke")


@pytest.fixture
def settings(settings) -> Settings:
    unlimited = LimitSettings(reads_a_minute=0, creations_a_minute=0, tokens_a_minute=0)
    api = settings.api.model_copy(update={"wait_seconds": 0, "max_wait_seconds": 0})
    guarded = AuthSettings(secret="s" * 32)
    return settings.model_copy(update={"auth": guarded, "limits": unlimited, "api": api})


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("path", OPERATIONS)
def test_no_request_breaks_the_document(app, services, path, mode):
    operation = schemathesis.openapi.from_wsgi("/openapi.json", app)[path]["POST"]
    # An admin, so that taking back a token that does not exist is allowed.
    token = services.tokens.issue("alice", {Scope.ADMIN}, timedelta(hours=1))

    @given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis_settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case):
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"})

    check()
