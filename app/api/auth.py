"""``/auth``: tokens for clients, and taking tokens back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import marshmallow as ma
from flask import request
from flask.views import MethodView
from flask_smorest import Api, Blueprint
from marshmallow import fields, validate
from werkzeug.exceptions import UnsupportedMediaType

from app.api.errors import RequestInvalid
from app.api.identity import current_identity
from app.api.options import Strict
from app.api.problems import field_errors
from app.api.services import services
from app.api.spec import fails_with
from app.auth import Scope, parse_scopes
from app.errors import Forbidden
from app.settings.sections import AuthSettings
from app.stores.clients import Client

tokens = Blueprint("tokens", __name__, description="Tokens for clients")
revocations = Blueprint("revocations", __name__, description="Tokens that are taken back")

_FORM = "application/x-www-form-urlencoded"
_LENGTH = 255


def register(api: Api, settings: AuthSettings) -> None:
    """Serve what these settings make sense of: without a secret no token can be issued here."""
    if settings.secret:
        api.register_blueprint(tokens)
    if settings.enabled:
        api.register_blueprint(revocations)


def _text(**arguments: Any) -> fields.String:
    return fields.String(validate=validate.Length(1, _LENGTH), **arguments)


class TokenRequest(ma.Schema):
    """RFC 6749, section 4.4: client credentials. They may come as HTTP Basic instead."""

    class Meta:
        """The RFC asks to ignore what is not known."""

        unknown = ma.EXCLUDE

    grant_type = fields.String(
        load_default="client_credentials", validate=validate.Equal("client_credentials")
    )
    client_id = _text(required=True)
    client_secret = _text(required=True)
    scope = fields.String(
        load_default="",
        validate=validate.Length(max=_LENGTH),
        metadata={"description": "Separated by blanks; without it all that the client has."},
    )


class TokenAnswer(ma.Schema):
    """A token, good for `expires_in` seconds."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True, validate=validate.Equal("Bearer"))
    expires_in = fields.Integer(required=True)
    scope = fields.String(required=True)


class Revocation(Strict):
    """Which token to take back."""

    jti = fields.String(
        load_default=None,
        validate=[
            validate.Length(1, _LENGTH),
            validate.Predicate("isprintable", error="Must be the `jti` of a token."),
        ],
        metadata={"description": "Of another's token, for admins; without it the one presented."},
    )


_BODY = {
    "required": False,
    "content": {
        _FORM: {"schema": TokenRequest},
        "application/json": {"schema": TokenRequest},
    },
}


@tokens.route("/auth/token")
class Token(MethodView):
    """Tokens for those who have a secret."""

    @tokens.doc(operationId="token", requestBody=_BODY)
    @fails_with(tokens, 400, 401, 403, 415, 422, 503)
    @tokens.response(200, TokenAnswer)
    def post(self) -> dict[str, Any]:
        """Exchange a client's credentials for a token.

        As a form or as JSON, or with id and secret as HTTP Basic.
        """
        asked = _credentials()
        client = services().clients.authenticate(asked["client_id"], asked["client_secret"])
        scopes = _granted(client, asked["scope"].split())
        life = services().settings.auth.token_seconds
        return {
            "access_token": services().tokens.issue(client.id, scopes, timedelta(seconds=life)),
            "token_type": "Bearer",
            "expires_in": life,
            "scope": " ".join(sorted(scopes)),
        }


@revocations.route("/auth/revoke")
class Revoke(MethodView):
    """Tokens that are not wanted any more."""

    @revocations.doc(operationId="revokeToken")
    @revocations.arguments(Revocation, required=False)
    @fails_with(revocations, 422, 503)
    @revocations.response(204)
    def post(self, body: dict[str, Any]) -> None:
        """Take a token back: the one that is presented, or, as an admin, any other."""
        identity = current_identity()
        jti = body["jti"]
        if jti is not None and jti != identity.jti:
            identity.require(Scope.ADMIN)
            services().clients.revoke_token(jti)
        elif identity.jti is not None:
            services().clients.revoke_token(identity.jti, identity.expires_at)


def _credentials() -> dict[str, Any]:
    """Return what the request asks for; raise what is wrong with it."""
    given = _body()
    basic = request.authorization
    if basic is not None and basic.type == "basic":
        if "client_secret" in given:
            message = "Send it once: in the body or as HTTP Basic."
            raise RequestInvalid([{"field": "client_secret", "message": message}])
        given |= {"client_id": basic.username, "client_secret": basic.password}
    try:
        loaded: dict[str, Any] = TokenRequest().load(given)
    except ma.ValidationError as error:
        raise RequestInvalid(field_errors(error.messages)) from None
    return loaded


def _body() -> dict[str, Any]:
    if request.is_json:
        body = request.get_json()
        if not isinstance(body, dict):
            raise RequestInvalid([{"field": "", "message": "Must be a JSON object."}])
        return body
    if request.mimetype not in ("", _FORM):
        raise UnsupportedMediaType
    return request.form.to_dict()


def _granted(client: Client, asked: list[str]) -> frozenset[Scope]:
    """Return the scopes of a token: those asked for, or all that the client has."""
    if not asked:
        return client.scopes
    try:
        wanted = parse_scopes(asked)
    except ValueError:
        raise Forbidden("One of the scopes does not exist.") from None
    if Scope.ADMIN not in client.scopes and (excess := sorted(wanted - client.scopes)):
        raise Forbidden(f"The client does not have the scope {excess[0]}.")
    return wanted
