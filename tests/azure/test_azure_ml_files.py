"""The endpoint's files, by Azure ML's own validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ml: Any = pytest.importorskip("azure.ai.ml", reason="needs azure-ai-ml: make test-azure")

FOLDER = Path(__file__).parents[2] / "deploy" / "azure" / "endpoint"


def test_the_endpoint_is_valid() -> None:
    endpoint = ml.load_online_endpoint(FOLDER / "endpoint.yml")
    assert endpoint.auth_mode == "aad_token"


def test_the_deployment_is_valid_and_leads_to_the_server() -> None:
    endpoint = ml.load_online_endpoint(FOLDER / "endpoint.yml")
    deployment = ml.load_online_deployment(FOLDER / "deployment.yml")
    assert deployment.endpoint_name == endpoint.name
    assert deployment.environment.inference_config == {
        "livenessRoute": {"port": 5001, "path": "/"},
        "readinessRoute": {"port": 5001, "path": "/"},
        "scoringRoute": {"port": 5001, "path": "/score"},
    }
    assert (FOLDER / deployment.environment.build.dockerfile_path).is_file()


def test_azure_sends_as_many_requests_as_there_are_processes() -> None:
    deployment = ml.load_online_deployment(FOLDER / "deployment.yml")
    processes = int(deployment.environment_variables["WORKER_COUNT"])
    assert deployment.request_settings.max_concurrent_requests_per_instance == processes


def test_probes_outlast_the_longest_request() -> None:
    deployment = ml.load_online_deployment(FOLDER / "deployment.yml")
    longest = deployment.request_settings.request_timeout_ms / 1000
    assert int(deployment.environment_variables["SCORING_TIMEOUT_MS"]) / 1000 == longest
    for probe in (deployment.liveness_probe, deployment.readiness_probe):
        assert probe.period * probe.failure_threshold > longest


def test_no_request_is_collected() -> None:
    deployment = ml.load_online_deployment(FOLDER / "deployment.yml")
    assert deployment.app_insights_enabled is False
    assert deployment.data_collector is None
    assert deployment.environment_variables["AML_MODEL_DC_STORAGE_ENABLED"] == "false"


@pytest.mark.parametrize(
    ("key", "value"), [("instance_count", "one"), ("request_setings", {}), ("liveness_probe", 3)]
)
def test_the_validation_refuses_nonsense(tmp_path: Path, key: str, value: object) -> None:
    deployment = yaml.safe_load((FOLDER / "deployment.yml").read_text()) | {key: value}
    (tmp_path / "deployment.yml").write_text(yaml.safe_dump(deployment))
    with pytest.raises(Exception, match=key):
        ml.load_online_deployment(tmp_path / "deployment.yml")
