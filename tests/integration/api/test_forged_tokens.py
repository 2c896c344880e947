"""Forged tokens over HTTP, for a shared secret and for an identity provider's keys."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from forgeries import FORGERIES, KID, SECRET, Signer, claims, with_claims

from app.models import JobRow
from app.settings import Settings
from app.settings.sections import AuthSettings, LimitSettings


@pytest.fixture(scope="module", params=["HS256", "ES256", "RS256"])
def signer(request) -> Signer:
    makers = {"HS256": Signer.shared, "ES256": Signer.elliptic, "RS256": Signer.of_rsa}
    return makers[request.param]()


@pytest.fixture
def settings(settings, signer, tmp_path) -> Settings:
    own = {"algorithm": signer.algorithm}
    if signer.algorithm == "HS256":
        own["secret"] = SECRET
    else:
        own["jwks"] = str(signer.key_set(tmp_path / "keys.json"))
    unlimited = LimitSettings(reads_a_minute=0, creations_a_minute=0, tokens_a_minute=0)
    return settings.model_copy(update={"auth": AuthSettings(**own), "limits": unlimited})


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_no_forged_token_is_accepted(client, services, signer):
    accepted = {}
    for name, make in FORGERIES.items():
        reply = client.post("/jobs", json={"text": "Hello."}, headers=bearing(make(signer)))
        if (reply.status_code, reply.json.get("code")) != (401, "auth.invalid"):
            accepted[name] = reply.json
        else:
            assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"], name
    assert len(FORGERIES) >= 25
    assert not accepted
    with services.engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(JobRow)).scalar_one() == 0


@pytest.mark.parametrize(
    "good",
    [
        with_claims(),
        with_claims(aud=["other", "emotion-clf"]),
        with_claims(extra={"any": "thing"}, nbf=0),
        with_claims(scope="openid jobs:read jobs:write"),
        lambda signer: signer.token(typ="JWT"),
        lambda signer: signer.token(typ=None),
    ],
)
def test_the_same_token_without_the_forgery_is_accepted(client, signer, good):
    reply = client.post("/jobs", json={"text": "Hello."}, headers=bearing(good(signer)))
    assert reply.status_code == 202, reply.json


def test_a_token_is_accepted_in_one_header_and_nowhere_else(client, signer):
    token = signer.token()
    refused = [
        {"headers": [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]},
        {"headers": {"Authorization": token}},
        {"headers": {"Authorization": f"Basic {token}"}},
        {"headers": {"Cookie": f"access_token={token}"}},
        {"query_string": {"access_token": token}},
    ]
    assert {client.get("/jobs", **one).status_code for one in refused} == {401}
    assert client.get("/jobs", headers={"Authorization": f"bearer {token}"}).status_code == 200


def test_a_revoked_token_is_refused_and_no_other(client, services, signer):
    services.clients.revoke_token("token-1")
    reply = client.get("/jobs", headers=bearing(signer.token()))
    assert (reply.status_code, reply.json["code"]) == (401, "auth.invalid")
    other = signer.token(claims(jti="token-2"))
    assert client.get("/jobs", headers=bearing(other)).status_code == 200


def test_an_expired_token_is_told_so(client, signer):
    reply = client.get("/jobs", headers=bearing(FORGERIES["expired"](signer)))
    assert reply.json["detail"] == "The token has expired."


def test_without_its_name_a_key_is_not_guessed(client, signer):
    reply = client.get("/jobs", headers=bearing(signer.token(kid=None)))
    assert reply.status_code == (200 if signer.algorithm == "HS256" else 401)
    assert KID not in reply.text
