"""The dashboard and the alerts speak of what is really there."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import promql_parser
import pytest
import sqlalchemy as sa
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from app.models import JobRow, StepRow
from workers.metrics import ParentCollector, StepMetrics, gpu_families

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "deploy" / "monitoring"
ALERTS = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
GRAFANA_INTERVAL = "$__rate_interval"
FROM_PROMETHEUS = {"up": {"job", "instance"}}
"""What Prometheus itself records; it also gives every sample a job and an instance."""


def expressions() -> list[str]:
    shown = [target["expr"] for panel in PANELS for target in panel["targets"]]
    return [rule["expr"] for rule in ALERTS] + [e.replace(GRAFANA_INTERVAL, "5m") for e in shown]


def selectors(expression):
    """Yield every selector of a metric inside of a parsed expression."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for name in ("expr", "lhs", "rhs", "selector", "vector_selector", "args"):
        inner = getattr(expression, name, None)
        for part in inner if isinstance(inner, list) else [inner]:
            if part is not None and not isinstance(part, str):
                yield from selectors(part)


@pytest.fixture
def exposed(client, services, jobs) -> dict[str, set[str]]:
    """The labels of every sample that the API and a worker expose, by its name."""
    job = jobs.completed()
    now = datetime.now(UTC)
    with services.engine.begin() as connection:
        connection.execute(sa.update(JobRow).values(audio_seconds=10))
        heard = {"stage": "transcribe", "part": 0, "parts": 1, "queue": "gpu", "state": "done"}
        times = {"started_at": now, "finished_at": now}
        connection.execute(sa.insert(StepRow).values(job_id=job, output_key="k", **heard, **times))
    counted = StepMetrics()
    counted.observe("classify", "failed", 1.0, "worker.lost")
    parent = CollectorRegistry()
    parent.register(ParentCollector(lambda: 0))
    client.get("/health")
    texts = [
        client.get("/metrics").text,
        *(generate_latest(r).decode() for r in (counted.registry, parent)),
    ]
    found: dict[str, set[str]] = dict(FROM_PROMETHEUS)
    for family in gpu_families([(1, 2)]):
        found[family.name] = {"gpu"}
    for name, labels in re.findall(r"^([a-z_]+)(?:\{(.*)\})? ", "\n".join(texts), re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    # It has no sample before somebody is refused.
    found.setdefault("emotion_clf_rate_limited_total", {"class"})
    return found


def test_every_metric_and_label_that_is_asked_for_exists(exposed):
    for expression in expressions():
        parsed = promql_parser.parse(expression)
        found = list(selectors(parsed))
        assert found, expression
        for selector in found:
            assert selector.name in exposed, expression
            labels = {matcher.name for matcher in selector.matchers.matchers}
            assert labels <= exposed[selector.name] | {"job", "instance"}, expression


def test_every_metric_of_ours_is_shown_or_watched(exposed):
    asked = {s.name for e in expressions() for s in selectors(promql_parser.parse(e))}

    def families(samples: set[str]) -> set[str]:
        ours = {n for n in samples if n.startswith("emotion_clf") and not n.endswith("_created")}
        return {re.sub(r"_(bucket|count|sum)$", "", name) for name in ours}

    assert families(set(exposed)) == families(asked)


def test_operators_are_told_what_to_do_about_each_alert():
    operations = (ROOT / "docs" / "operations.md").read_text()
    told = re.findall(r"^\| `(EmotionClf\w+)` \|", operations, re.MULTILINE)
    assert told == [rule["alert"] for rule in ALERTS]


def test_alerts_are_complete():
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]


def test_the_dashboard_takes_any_prometheus():
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    for panel in PANELS:
        for source in [panel["datasource"], *(t["datasource"] for t in panel["targets"])]:
            assert source == {"type": "prometheus", "uid": "${datasource}"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_sample_configuration_names_the_jobs_that_alerts_speak_of():
    sample = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    jobs = {scrape["job_name"] for scrape in sample["scrape_configs"]}
    spoken = {
        matcher.value
        for expression in expressions()
        for selector in selectors(promql_parser.parse(expression))
        for matcher in selector.matchers.matchers
        if matcher.name == "job"
    }
    assert spoken <= jobs
    assert sample["rule_files"] == ["alerts.yml"]
