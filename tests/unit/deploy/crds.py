"""What of KEDA's and the Prometheus operator's resources the chart uses, and nothing else.

Kept by hand: narrower than the published definitions, so that a misspelt key is an error.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string", "minLength": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
LABELS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}


def record(needed: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(needed),
        "properties": needed | (optional or {}),
    }


def listed(items: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": items}


def resource(version: str, kind: str, spec: Schema) -> Schema:
    metadata = record({"name": TEXT, "labels": LABELS}, {"annotations": LABELS})
    return record(
        {
            "apiVersion": {"const": version},
            "kind": {"const": kind},
            "metadata": metadata,
            "spec": spec,
        }
    )


POLICIES = listed(
    record({"type": {"enum": ["Pods", "Percent"]}, "value": COUNT, "periodSeconds": COUNT})
)
SCALING = record({}, {"stabilizationWindowSeconds": COUNT, "policies": POLICIES})
BEHAVIOUR = record({}, {"scaleUp": SCALING, "scaleDown": SCALING})
# KEDA reads a trigger's metadata as text, whatever it means.
TRIGGER: Schema = {
    "oneOf": [
        record(
            {
                "type": {"const": "postgresql"},
                "metadata": record(
                    {"query": TEXT, "targetQueryValue": TEXT},
                    {"activationTargetQueryValue": TEXT, "host": TEXT, "dbName": TEXT},
                ),
                "authenticationRef": record({"name": TEXT}),
            }
        ),
        record(
            {
                "type": {"const": "prometheus"},
                "metadata": record(
                    {"serverAddress": TEXT, "query": TEXT, "threshold": TEXT},
                    {"ignoreNullValues": {"enum": ["true", "false"]}},
                ),
            }
        ),
        record(
            {
                "type": {"const": "cpu"},
                "metricType": {"enum": ["Utilization", "AverageValue"]},
                "metadata": record({"value": TEXT}),
            }
        ),
    ]
}
SCALED_OBJECT = record(
    {"scaleTargetRef": record({"name": TEXT}), "triggers": listed(TRIGGER)},
    {
        "minReplicaCount": COUNT,
        "maxReplicaCount": COUNT,
        "pollingInterval": COUNT,
        "cooldownPeriod": COUNT,
        "advanced": record({"horizontalPodAutoscalerConfig": record({"behavior": BEHAVIOUR})}),
    },
)
SECRETS = listed(record({"parameter": TEXT, "name": TEXT, "key": TEXT}))
SELECTOR = record(
    {"matchLabels": LABELS},
    {
        "matchExpressions": listed(
            record({"key": TEXT, "operator": {"enum": ["In", "NotIn"]}, "values": listed(TEXT)})
        )
    },
)
RELABELINGS = listed(record({"targetLabel": TEXT, "replacement": TEXT}))
ENDPOINT = record(
    {"port": TEXT},
    {
        "path": TEXT,
        "relabelings": RELABELINGS,
        "authorization": record({"credentials": record({"name": TEXT, "key": TEXT})}),
    },
)
RULE = record({"alert": TEXT, "expr": TEXT, "labels": LABELS, "annotations": LABELS}, {"for": TEXT})
GROUPS = listed(record({"name": TEXT, "rules": listed(RULE)}))
OPERATOR = "monitoring.coreos.com/v1"

SCHEMAS = {
    "ScaledObject": resource("keda.sh/v1alpha1", "ScaledObject", SCALED_OBJECT),
    "TriggerAuthentication": resource(
        "keda.sh/v1alpha1", "TriggerAuthentication", record({"secretTargetRef": SECRETS})
    ),
    "ServiceMonitor": resource(
        OPERATOR, "ServiceMonitor", record({"selector": SELECTOR, "endpoints": listed(ENDPOINT)})
    ),
    "PodMonitor": resource(
        OPERATOR,
        "PodMonitor",
        record({"selector": SELECTOR, "podMetricsEndpoints": listed(ENDPOINT)}),
    ),
    "PrometheusRule": resource(OPERATOR, "PrometheusRule", record({"groups": GROUPS})),
}
