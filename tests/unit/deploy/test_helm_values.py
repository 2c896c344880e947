"""Values that make no sense are refused with a reason, before anything reaches a cluster."""

from __future__ import annotations

import json

import pytest
import yaml
from helm_chart import CHART, SIZES, run, values

from app.settings import Settings

SCHEMA = json.loads((CHART / "values.schema.json").read_text())

NONSENSE = {
    "an unknown key": ("workers=3", "workers"),
    "an unknown key inside": ("api.replica=3", "replica"),
    "an unknown component's rules": ("networkPolicy.extraEgress.worker=[]", "worker"),
    "text for a number": ('api.replicas="two"', "api/replicas"),
    "an unknown server": ('api.server="uvicorn"', "api/server"),
    "fewer than none": ("workerCpu.replicas=-1", "workerCpu/replicas"),
    "no API at all": ("api.autoscaling.minReplicas=0", "minReplicas"),
    "two GPUs for a worker that uses one": ("workerGpu.gpus=2", "workerGpu/gpus"),
    "no GPU worker replaced at a time": ("workerGpu.maxUnavailable=0", "maxUnavailable"),
    "a share that is none": ('workerGpu.maxUnavailable="0%"', "maxUnavailable"),
    "two of Flower": ("flower.replicas=2", "flower/replicas"),
    "a processor of no size": ('api.resources.limits.cpu="0"', "cpu"),
    "memory without a unit": ('api.resources.limits.memory="512"', "memory"),
    "no limit": ("egress.resources.limits=null", "limits"),
    "a limit removed": ("egress.resources.limits.memory=null", "memory"),
    "a short secret": ('secrets.authSecret="hunter2"', "authSecret"),
    "a secret in the settings": (f'settings.auth.secret="{"s" * 40}"', "settings/auth"),
    "a key in the settings": ('settings.transcription.api_key="k"', "settings/transcription"),
    "an unknown section": ("settings.whisper={}", "whisper"),
    "a password that breaks an address": ('secrets.postgresPassword="a@b/c"', "postgresPassword"),
    "another database": ('secrets.databaseUrl="mysql://db/x"', "databaseUrl"),
    "a driver that KEDA does not know": (
        'secrets.databaseUrl="postgresql+psycopg2://db/x"',
        "databaseUrl",
    ),
    "artifacts on a pod's own disk": ('artifactUrl="file:///data"', "artifactUrl"),
    "a read-only volume": ('artifacts.accessMode="ReadOnlyMany"', "accessMode"),
    "a network without a size": ('networkPolicy.database.cidrs=["10.0.0.1"]', "cidrs"),
    "a port that is none": ("networkPolicy.broker.port=70000", "port"),
    "no DNS": ("networkPolicy.dns=[]", "dns"),
    "an ingress for no host": ('ingress={"enabled":true,"host":""}', "host"),
    "a digest that is none": ('image.api.digest="sha256:abc"', "digest"),
    "a tag with a space": ('image.api.tag="1 2"', "tag"),
    "an unknown policy": ('image.pullPolicy="Sometimes"', "pullPolicy"),
    "scraping without a token": ('prometheus.tokenSecret.name=""', "tokenSecret"),
    "an alert of somebody else": ('prometheus.leaveOut=["KubePodCrash"]', "leaveOut"),
}
CONTRADICTIONS = {
    "workers that drain longer than they are kept": (
        "workerCpu.drainSeconds=900",
        "workerCpu.autoscaling.cooldownSeconds must be longer than drainSeconds",
    ),
    "more at least than at most": ("api.autoscaling.minReplicas=50", "is more than maxReplicas"),
    "no database": ('secrets.existingSecret=""', "Where is Postgres?"),
    "a database that nothing reaches": ("networkPolicy.database.cidrs=[]", "reach Postgres"),
    "a broker that nothing reaches": ("networkPolicy.broker.cidrs=[]", "reach Redis"),
    "a store that nothing reaches": ("networkPolicy.objectStore.cidrs=[]", "reach the artifacts"),
}


def refusal(assignment: str) -> str:
    done = run("template", "x", str(CHART), *values("large"), "--set-json", assignment)
    assert done.returncode != 0, "it was taken"
    return "\n".join(line for line in done.stderr.splitlines() if not line.startswith("level="))


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_is_refused_by_the_schema(what: str) -> None:
    assignment, named = NONSENSE[what]
    said = refusal(assignment)
    assert "values don't meet the specifications of the schema" in said
    assert named in said


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_contradictions_are_refused_with_a_sentence(what: str) -> None:
    assignment, sentence = CONTRADICTIONS[what]
    assert sentence in refusal(assignment)


def test_the_schema_lists_every_value_and_no_other() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())

    def compare(schema: dict, given: dict, path: str) -> None:
        while "$ref" in schema:
            schema = SCHEMA["definitions"][schema["$ref"].rsplit("/", 1)[1]]
        if schema.get("additionalProperties") is not False:
            return
        assert set(schema["properties"]) - {"global"} >= set(given), path
        for key, value in given.items():
            if isinstance(value, dict):
                compare(schema["properties"][key], value, f"{path}.{key}")

    compare(SCHEMA, defaults, "values")
    assert set(SCHEMA["properties"]) - {"global"} == set(defaults)


def test_the_schema_knows_every_section_of_the_settings() -> None:
    known = set(SCHEMA["properties"]["settings"]["propertyNames"]["enum"])
    assert known == set(Settings.model_fields) - {"database_url", "redis_url", "artifact_url"}


@pytest.mark.parametrize("size", SIZES)
def test_the_notes_say_how_to_begin(size: str) -> None:
    done = run("install", "x", str(CHART), "--dry-run=client", "--namespace", "n", *values(size))
    assert done.returncode == 0, done.stderr
    notes = done.stdout.rsplit("NOTES:", 1)[1]
    assert "emotion-clf client add" in notes
    assert ("https://speech.example.org" in notes) == (size == "large")
