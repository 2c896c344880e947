"""``python -m app.admin`` in this process: what it prints, and how it fails."""

from __future__ import annotations

import sys

import pytest
from click import Group

from app import admin
from app.auth import Scope
from app.signatures import signing_key
from emotion_clf.cli.client import command as client_command
from emotion_clf.cli.token import command as token_command

WEBHOOKS = "another secret of at least thirty-two characters"


@pytest.fixture
def run(database, monkeypatch, capsys, tmp_path):
    """Run a command; return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("EMOTION_CLF_AUTH__SECRET", "s" * 32)
    monkeypatch.setenv("EMOTION_CLF_WEBHOOKS__SECRET", WEBHOOKS)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["admin", *words])
        code = admin.main()
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def client_id(run) -> str:
    _, output, _ = run("client-add", "--scope=jobs:read", "--", "night shift")
    return output.split()[1]


def test_the_list_shows_all_but_the_secrets(run, client_id):
    _, output, _ = run("client-add", "--scope=admin", "--scope=jobs:read", "--", "-operator-")
    other, secret = (line.split()[1] for line in output.splitlines())
    run("client-revoke", other)
    _, listed, _ = run("client-list")
    head, first, second = listed.splitlines()
    assert head.split() == ["ID", "NAME", "CREATED", "STATE", "SCOPES"]
    assert first.startswith(f"{client_id}  night shift  ")
    assert first.endswith("  active              jobs:read")
    assert second.startswith(f"{other}  -operator-   ")
    assert "  revoked " in second
    assert second.endswith("  admin jobs:read")
    assert secret not in listed


def test_a_webhook_key_is_the_one_that_reports_are_signed_with(run):
    for owner in ("a client", "a user of an identity provider"):
        assert run("client-webhook-key", owner) == (0, f"{signing_key(WEBHOOKS, owner)}\n", "")


@pytest.mark.parametrize(
    ("words", "changes", "expected", "begins"),
    [
        (("client-revoke", "nobody"), {}, 69, "client.not_found"),
        (("client-add", "--scope=jobs:delete", "x"), {}, 64, "option.invalid"),
        (("client-add", "--scope=admin", "two\nlines"), {}, 64, "option.invalid"),
        (("client-add", "--scope=admin", " "), {}, 64, "option.invalid"),
        (("client-list",), {"DATABASE_URL": "postgresql://127.0.0.1:1/x"}, 69, "service.failed"),
        (("token", "--client=nobody"), {}, 69, "client.not_found"),
        (("token", "--client={id}", "--scope=admin"), {}, 77, "auth.forbidden"),
        (("token", "--client={id}"), {"EMOTION_CLF_AUTH__SECRET": ""}, 78, "setting.invalid"),
        (("token", "--client={id}"), {"EMOTION_CLF_AUTH__SECRET": "weak"}, 78, "setting.invalid"),
        (("client-webhook-key", "x"), {"EMOTION_CLF_WEBHOOKS__SECRET": ""}, 78, "setting.invalid"),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(
    run, client_id, monkeypatch, words, changes, expected, begins
):
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    code, output, said = run(*(word.format(id=client_id) for word in words))
    (line,) = said.splitlines()
    assert (code, output) == (expected, "")
    assert line.startswith(f"emotion-clf: {begins}: ")
    assert "weak" not in line


def test_the_command_line_offers_every_scope():
    assert isinstance(client_command, Group)
    for command in (client_command.commands["add"], token_command):
        (option,) = [one for one in command.params if one.name == "scopes"]
        assert list(option.type.choices) == list(Scope)
