"""``python -m app.admin``: what operators do with clients and tokens, in the database.

``emotion-clf client`` and ``emotion-clf token`` start it; see there for help.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy.exc import OperationalError, ProgrammingError

from app.auth import Scope, Tokens, parse_scopes
from app.db import create_db_engine
from app.errors import Forbidden
from app.settings import Settings
from app.signatures import signing_key
from app.stores.clients import Client, ClientStore
from ml.errors import EmotionClfError, OptionInvalid, ServiceError, SettingInvalid

_LONGEST_NAME = 100
_HEAD = ("ID", "NAME", "CREATED", "STATE", "SCOPES")


def _add(arguments: argparse.Namespace, settings: Settings, clients: ClientStore) -> str:
    name = arguments.name.strip()
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise OptionInvalid(
            f"A name of {len(name)} characters; allowed: 1 to {_LONGEST_NAME}, on one line.",
            hint="See `emotion-clf client add --help`.",
        )
    client, secret = clients.add(name, _scopes(arguments.scope))
    return f"id      {client.id}\nsecret  {secret}"


def _list(arguments: argparse.Namespace, settings: Settings, clients: ClientStore) -> str:
    rows = [_HEAD, *(_row(client) for client in clients.list())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _row(client: Client) -> tuple[str, ...]:
    state = f"revoked {client.revoked_at:%Y-%m-%d}" if client.revoked_at else "active"
    created = f"{client.created_at:%Y-%m-%d}"
    return client.id, client.name, created, state, " ".join(sorted(client.scopes))


def _revoke(arguments: argparse.Namespace, settings: Settings, clients: ClientStore) -> str:
    clients.revoke(arguments.id)
    return ""


def _rotate(arguments: argparse.Namespace, settings: Settings, clients: ClientStore) -> str:
    return f"secret  {clients.rotate(arguments.id)}"


def _webhook_key(arguments: argparse.Namespace, settings: Settings, clients: ClientStore) -> str:
    # The database is not asked: an identity provider's users are no clients, and have keys too.
    if settings.webhooks.secret is None:
        raise SettingInvalid("webhooks.secret is not set; allowed: text of at least 32 characters.")
    return signing_key(settings.webhooks.secret, arguments.id)


def _token(arguments: argparse.Namespace, settings: Settings, clients: ClientStore) -> str:
    client = clients.get(arguments.client)
    scopes = _scopes(arguments.scope) or client.scopes
    if Scope.ADMIN not in client.scopes and (excess := sorted(scopes - client.scopes)):
        raise Forbidden(
            f"The client does not have the scope {excess[0]}.",
            hint="See `emotion-clf client list` for those that it has.",
        )
    return Tokens(settings.auth).issue(client.id, scopes, timedelta(hours=arguments.hours))


def _scopes(names: Sequence[str]) -> frozenset[Scope]:
    try:
        return parse_scopes(names)
    except ValueError:
        raise OptionInvalid(
            f"The scopes are {', '.join(names)}; allowed: {', '.join(Scope)}.",
            hint="See `emotion-clf client add --help`.",
        ) from None


_Command = Callable[[argparse.Namespace, Settings, ClientStore], str]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app.admin", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: _Command, *positional: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name)
        made.set_defaults(run=run)
        for argument in positional:
            made.add_argument(argument)
        return made

    command("client-add", _add, "name").add_argument("--scope", action="append", default=[])
    command("client-list", _list)
    command("client-revoke", _revoke, "id")
    command("client-rotate", _rotate, "id")
    command("client-webhook-key", _webhook_key, "id")
    token = command("token", _token)
    token.add_argument("--client", required=True)
    token.add_argument("--scope", action="append", default=[])
    token.add_argument("--hours", type=float, default=1.0)
    return parser


def _run(arguments: argparse.Namespace) -> str:
    settings = Settings.load()
    engine = create_db_engine(settings.database_url, pool_size=1)
    try:
        answer: str = arguments.run(arguments, settings, ClientStore(engine))
    except OperationalError as error:
        raise ServiceError(
            "The database does not answer.", hint="Check DATABASE_URL, and that it runs."
        ) from error
    except ProgrammingError as error:
        raise ServiceError(
            "The database lacks tables.", hint="Run python -m migrations.run."
        ) from error
    finally:
        engine.dispose()
    return answer


def main() -> int:
    """Do one thing, print what came of it; return the exit code of the command line."""
    try:
        answer = _run(_parser().parse_args())
    except EmotionClfError as error:
        sys.stderr.write(f"emotion-clf: {error.code}: {error}\n")
        return error.exit_code
    if answer:
        sys.stdout.write(f"{answer}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
