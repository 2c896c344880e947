"""What the files of deploy/azure, the chart and the pages say of each other."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
AZURE = ROOT / "deploy" / "azure"
CHART = ROOT / "deploy" / "helm" / "emotion-clf"
VARIABLES = {"NAMESPACE", "HOST", "VAULT_NAME", "TENANT_ID", "SECRETS_CLIENT_ID"}


def _manifests(name: str) -> dict[str, Any]:
    text = (AZURE / name).read_text()
    filled = Template(text).substitute({variable: variable.lower() for variable in VARIABLES})
    return {found["kind"]: found for found in yaml.safe_load_all(filled)}


def test_the_page_exports_what_the_manifests_ask_for() -> None:
    page = (AZURE / "README.md").read_text()
    for name in ("secrets.yaml", "gateway.yaml"):
        asked = set(re.findall(r"\$\{(\w+)\}", (AZURE / name).read_text()))
        assert asked <= VARIABLES
        exported = " ".join(re.findall(r"^export (.*)$", page, re.MULTILINE))
        assert all(f"{variable}=" in exported for variable in asked)


def test_the_vault_holds_what_the_driver_brings() -> None:
    made = set(re.findall(r"'secrets' = \{\n +name: '([\w-]+)'", _bicep("vault")))
    spec = _manifests("secrets.yaml")["SecretProviderClass"]["spec"]
    items = yaml.safe_load(spec["parameters"]["objects"])["array"]
    assert {yaml.safe_load(item)["objectName"] for item in items} == made
    (secret,) = spec["secretObjects"]
    assert {item["objectName"] for item in secret["data"]} == made


def test_the_secret_is_the_one_that_the_chart_reads() -> None:
    (secret,) = _manifests("secrets.yaml")["SecretProviderClass"]["spec"]["secretObjects"]
    values = yaml.safe_load((CHART / "values-aks.yaml").read_text())
    assert values["secrets"]["existingSecret"] == secret["secretName"]
    known = re.search(r"secrets:\n((?:  # .*\n)+)", (CHART / "values.yaml").read_text())
    assert known
    assert all(item["key"] in known[1] for item in secret["data"])


def test_identities_trust_the_accounts_that_exist() -> None:
    main = (AZURE / "main.bicep").read_text()
    trusted = set(re.findall(r"serviceaccount:\$\{namespace\}:([\w-]+)'", main))
    account = _manifests("secrets.yaml")["ServiceAccount"]["metadata"]["name"]
    assert trusted == {account, "emotion-clf"}


def test_the_chart_may_reach_the_networks_that_are_laid_out() -> None:
    networks = dict(re.findall(r"^var (\w+) = '([\d./]+)'$", _bicep("network"), re.MULTILINE))
    policy = yaml.safe_load((CHART / "values-aks.yaml").read_text())["networkPolicy"]
    assert policy["database"]["cidrs"] == [networks["postgres"]]
    assert policy["broker"]["cidrs"] == [networks["endpoints"]]
    assert f"port: {policy['broker']['port']}" in _bicep("redis")
    assert networks["endpoints"] in policy["objectStore"]["cidrs"]


def test_the_chart_tolerates_the_taint_of_the_gpu_nodes() -> None:
    (taint,) = re.findall(r"nodeTaints: \['(\w+)=(\w+):(\w+)'\]", _bicep("cluster"))
    (tolerated,) = yaml.safe_load((CHART / "values-aks.yaml").read_text())["workerGpu"][
        "tolerations"
    ]
    assert (tolerated["key"], tolerated["value"], tolerated["effect"]) == taint


def test_the_route_leads_to_the_api() -> None:
    manifests = _manifests("gateway.yaml")
    (rule,) = manifests["HTTPRoute"]["spec"]["rules"]
    assert rule["backendRefs"] == [{"name": "emotion-clf-api", "port": 8000}]
    gateway = manifests["Gateway"]["metadata"]["name"]
    values = yaml.safe_load((CHART / "values-aks.yaml").read_text())
    (peer,) = values["networkPolicy"]["apiFrom"]
    labels = peer["podSelector"]["matchLabels"]
    assert labels == {"gateway.networking.k8s.io/gateway-name": gateway}
    assert values["settings"]["api"]["trusted_proxies"] == 1


def test_no_container_may_do_more_than_it_must() -> None:
    pod = _manifests("secrets.yaml")["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    (container,) = pod["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"].keys() == {"requests", "limits"}


def _bicep(module: str) -> str:
    return (AZURE / "modules" / f"{module}.bicep").read_text()
