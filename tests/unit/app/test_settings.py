from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import Settings
from ml.errors import OptionInvalid, SettingInvalid
from ml.options import PII_POLICIES


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "REDIS_URL", "ARTIFACT_URL", "LOG_LEVEL", "WHISPER_MODEL"):
        monkeypatch.delenv(name, raising=False)


def config(text: str) -> Path:
    path = Path("settings.yaml")
    path.write_text(text)
    return path


def test_defaults() -> None:
    settings = Settings.load()
    assert settings.jobs.lease_seconds == 60
    assert settings.classification.confidence_threshold == 0.65
    assert settings.pipeline_options().transcription.model == "tiny.en"


def test_explicit_beats_environment_beats_file_beats_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = config("source: {max_bytes: 1, max_characters: 1, part_seconds: 40}")
    monkeypatch.setenv("EMOTION_CLF_SOURCE__MAX_BYTES", "2")
    monkeypatch.setenv("EMOTION_CLF_SOURCE__MAX_CHARACTERS", "2")
    source = Settings.load(path, source={"max_bytes": 3}).source
    assert (source.max_bytes, source.max_characters, source.part_seconds) == (3, 2, 40)
    assert source.timeout == 600


def test_well_known_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHISPER_MODEL", "medium")
    monkeypatch.setenv("EMOTION_MODEL", "org/name")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/x")
    settings = Settings.load()
    assert settings.transcription.model == "medium"
    assert settings.classification.model == "org/name"
    assert settings.log_level == "debug"
    assert settings.database_url == "postgresql://db/x"


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHISPER_MODEL", "")
    assert Settings.load().transcription.model == "tiny.en"


def test_config_in_the_working_directory_is_read() -> None:
    Path("config.yaml").write_text("jobs: {max_attempts: 5}")
    assert Settings.load().jobs.max_attempts == 5


def test_variable_names_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_CLF_CONFIG", str(config("jobs: {max_attempts: 6}")))
    assert Settings.load().jobs.max_attempts == 6


BAD = [
    ("sorce: {}", ["sorce", "source"]),
    ("source: {max_byte: 1}", ["source.max_byte", "max_bytes"]),
    ("source: {max_bytes: many}", ["source.max_bytes", "'many'", "a whole number"]),
    ("source: {max_bytes: 1.5}", ["source.max_bytes", "1.5", "a whole number"]),
    ("source: {max_bytes: -1}", ["source.max_bytes", "-1", "above 0"]),
    ("source: {max_seconds: .nan}", ["source.max_seconds", "nan"]),
    ("source: {max_seconds: .inf}", ["source.max_seconds", "inf", "finite"]),
    ("source: {max_bytes: true}", ["source.max_bytes", "True", "a number"]),
    ("jobs: {retry_seconds: true}", ["jobs.retry_seconds", "True", "a number"]),
    ("source: 3", ["source", "3", "a section"]),
    ("source: null", ["source", "None", "a section"]),
    ("transcription: {method: magic}", ["transcription.method", "'magic'", "faster-whisper"]),
    ("classification: {confidence_threshold: 2}", ["confidence_threshold", "2", "0 to 1"]),
    ("classification: {features: maybe}", ["classification.features", "maybe", "true or false"]),
    ("summary: {timeline_bins: 0}", ["summary.timeline_bins", "0", "1 to 1000"]),
    ("jobs: {lease_seconds: 1}", ["jobs.lease_seconds", "1", "2 or more"]),
    ("jobs: {max_attempts: 0}", ["jobs.max_attempts", "0", "1 or more"]),
    ("jobs: {retry_seconds: 0}", ["jobs.retry_seconds", "0", "above 0"]),
    ("jobs: {colour: red}", ["jobs.colour", "lease_seconds"]),
    ("api: {port: 70000}", ["api.port", "70000", "65535 or less"]),
    ("api: {host: 3}", ["api.host", "3", "text"]),
    ("api: {host: ''}", ["api.host", "''", "at least 1"]),
    ("api: {page_size: 200}", ["api.page_size", "200", "max_page_size", "100"]),
    ("api: {max_page_size: 5}", ["api.page_size", "20", "max_page_size", "5"]),
    ("log_level: 3", ["log_level", "3", "debug"]),
    ("log_level: loud", ["log_level", "'loud'", "debug", "error"]),
    ("database_url: mysql://x", ["database_url", "postgresql://"]),
    ("redis_url: http://x", ["redis_url", "redis://"]),
    ("artifact_url: ''", ["artifact_url", "at least 1"]),
    ("- a\n- b", ["settings.yaml", "keys"]),
    ("a: [", ["settings.yaml", "YAML", "line"]),
]


@pytest.mark.parametrize(("text", "named"), BAD, ids=[text[:40] for text, _ in BAD])
def test_a_bad_setting_stops_the_start_and_is_named(text: str, named: list[str]) -> None:
    with pytest.raises(SettingInvalid) as caught:
        Settings.load(config(text))
    for words in named:
        assert words in caught.value.text


def test_an_unknown_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_CLF_JOBS__MAX_ATEMPTS", "3")
    with pytest.raises(SettingInvalid, match=r"jobs\.max_atempts.*max_attempts"):
        Settings.load()


LINKS = {
    "EMOTION_CLF_SERVICE_HOST": "10.0.0.1",
    "EMOTION_CLF_SERVICE_PORT": "8000",
    "EMOTION_CLF_SERVICE_PORT_HTTP": "8000",
    "EMOTION_CLF_PORT": "tcp://10.0.0.1:8000",
    "EMOTION_CLF_PORT_8000_TCP": "tcp://10.0.0.1:8000",
    "EMOTION_CLF_PORT_8000_TCP_ADDR": "10.0.0.1",
    "EMOTION_CLF_API_SERVICE_HOST": "10.0.0.2",
    "EMOTION_CLF_API_PORT": "tcp://10.0.0.2:8000",
}


def test_the_links_that_kubernetes_sets_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in LINKS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EMOTION_CLF_API__PORT", "9000")
    assert Settings.load().api.port == 9000


def test_a_port_that_is_no_link_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_CLF_API_PORT", "9000")
    with pytest.raises(SettingInvalid, match="api_port"):
        Settings.load()


def test_the_log_level_is_read_in_any_case() -> None:
    assert Settings.load(config("log_level: INFO")).log_level == "info"


def test_a_missing_config_is_named() -> None:
    with pytest.raises(SettingInvalid, match=r"gone\.yaml"):
        Settings.load(Path("gone.yaml"))


def test_no_password_in_a_message() -> None:
    with pytest.raises(SettingInvalid) as caught:
        Settings.load(database_url="mysql://me:hunter2@db/x")
    assert "hunter2" not in str(caught.value)


def test_no_password_is_shown() -> None:
    address = "://me:hunter2@host/1"
    settings = Settings.load(
        database_url=f"postgresql{address}",
        redis_url=f"redis{address}",
        limits={"redis_url": f"redis{address}"},
        egress={"upstream": "http://me:hunter2@host"},
    )
    assert "hunter2" not in f"{settings!r} {settings}"


def test_the_key_is_a_secret() -> None:
    settings = Settings.load(transcription={"api_key": "hunter2"})
    assert "hunter2" not in repr(settings)
    assert settings.pipeline_options().transcription.api_key == "hunter2"
    assert "hunter2" not in repr(settings.pipeline_options())


@pytest.mark.parametrize(
    ("value", "policies"),
    [
        ("true", PII_POLICIES),
        ("false", ()),
        ("person_name", ("person_name",)),
        ("phone_number, url", ("phone_number", "url")),
    ],
)
def test_what_is_redacted_can_be_said_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, value: str, policies: tuple[str, ...]
) -> None:
    monkeypatch.setenv("EMOTION_CLF_PRIVACY__REDACT_PII", value)
    assert Settings.load().privacy.policies == policies


def test_an_unknown_policy_names_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_CLF_PRIVACY__REDACT_PII", "person_name,shoe_size")
    with pytest.raises(SettingInvalid, match=r"shoe_size.*person_name"):
        Settings.load()


def test_settings_are_frozen() -> None:
    settings = Settings.load()
    with pytest.raises(ValueError, match="frozen"):
        settings.redis_url = "redis://elsewhere"  # type: ignore[misc]


def test_a_job_overrides_options() -> None:
    options = Settings.load(classification={"batch_size": 7}).pipeline_options(
        {"classification": {"confidence_threshold": 0.5}}
    )
    assert options.classification.confidence_threshold == 0.5
    assert options.classification.batch_size == 7


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"colour": {}}, "colour"),
        ({"summary": {"bins": 3}}, "timeline_bins"),
        ({"summary": 3}, "a section"),
        ({"summary": {"timeline_bins": "x"}}, "a whole number"),
        ({"summary": {"timeline_bins": True}}, "a number"),
        ({"classification": {"confidence_threshold": 7}}, "0 to 1"),
    ],
)
def test_a_bad_option_of_a_job(overrides: dict[str, object], named: str) -> None:
    with pytest.raises(OptionInvalid, match=named):
        Settings.load().pipeline_options(overrides)


def test_loading_settings_loads_nothing_heavy() -> None:
    code = "import sys, app.settings; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "spacy", "flask", "celery", "sqlalchemy", "faster_whisper", "onnxruntime"}
    assert not heavy & set(done.stdout.split())


def test_what_the_operator_redacts_no_job_can_switch_off() -> None:
    settings = Settings.load(privacy={"redact_pii": ["person_name"], "redact_audio": True})
    for asked in ({}, {"redact_pii": False, "redact_audio": False}):
        options = settings.pipeline_options({"privacy": asked})
        assert options.privacy.policies == ("person_name",)
        assert options.privacy.redact_audio
    more = settings.pipeline_options({"privacy": {"redact_pii": ["url"]}})
    assert more.privacy.policies == ("person_name", "url")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("rediss://cache:6380/0", "rediss://cache:6380/0?ssl_cert_reqs=required"),
        (
            "rediss://cache/0?ssl_ca_certs=/ca.pem",
            "rediss://cache/0?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required",
        ),
        ("rediss://cache/0?ssl_cert_reqs=none", "rediss://cache/0?ssl_cert_reqs=none"),
        ("redis://cache/0", "redis://cache/0"),
    ],
)
def test_certificates_of_the_broker_are_checked_unless_that_is_switched_off(
    given: str, used: str
) -> None:
    assert Settings.load(redis_url=given).redis_url == used
