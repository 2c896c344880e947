"""The Bicep of deploy/azure: its syntax, its names, and its resources by Azure's own models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

_WHY = "needs Azure's management libraries: make test-azure"
pytest.importorskip("tree_sitter_bicep", reason=_WHY)
pytest.importorskip("azure.mgmt.containerservice", reason=_WHY)

from arm import complaints, versions  # noqa: E402
from bicep import Document, Expression, Resource, parse  # noqa: E402

ROOT = Path(__file__).parents[2] / "deploy" / "azure"
FILES = sorted(ROOT.rglob("*.bicep"))
KNOWN = {"any", "tenant", "resourceGroup", "subscription", "deployment", "environment", "sys", "az"}


@pytest.fixture(scope="module")
def documents() -> dict[str, Document]:
    return {str(path.relative_to(ROOT)): parse(path) for path in FILES}


@pytest.fixture(scope="module")
def resources(documents: dict[str, Document]) -> dict[str, list[Resource]]:
    """All that is made, by its type."""
    found: dict[str, list[Resource]] = {}
    for document in documents.values():
        for resource in document.resources:
            if not resource.existing:
                found.setdefault(resource.kind, []).append(resource)
    return found


def test_every_file_is_bicep(documents: dict[str, Document]) -> None:
    assert len(documents) > 8
    assert [fault for document in documents.values() for fault in document.wrong] == []


def test_the_parser_sees_what_is_no_bicep() -> None:
    assert parse(ROOT / "x.bicep", "resource a 'b@2020-01-01' = { name: }\n").wrong


def test_every_name_is_declared_and_used(documents: dict[str, Document]) -> None:
    for name, document in documents.items():
        assert document.used - document.declared - KNOWN == set(), name
        given = document.required | document.optional | document.variables
        assert given - document.used == set(), name


def test_modules_get_exactly_what_they_take(documents: dict[str, Document]) -> None:
    for document in documents.values():
        for module in document.modules:
            path = (document.path.parent / module.path).resolve()
            callee = documents[str(path.relative_to(ROOT))]
            assert callee.required - set(module.params) == set(), module.symbol
            assert set(module.params) - callee.required - callee.optional == set(), module.symbol


def test_outputs_of_modules_exist(documents: dict[str, Document]) -> None:
    main = documents["main.bicep"]
    callees = {module.symbol: documents[module.path] for module in main.modules}
    text = main.path.read_text()
    uses = re.findall(r"(\w+)\.outputs\.(\w+)", text)
    assert len(uses) > 10
    assert [(m, o) for m, o in uses if o not in callees[m].outputs] == []


def test_secrets_stay_secrets_all_the_way(documents: dict[str, Document]) -> None:
    main = documents["main.bicep"]
    assert main.secure == {"postgresPassword", "authSecret", "webhooksSecret", "flowerBasicAuth"}
    for module in main.modules:
        for param, value in module.params.items():
            if value in main.secure:
                assert param in documents[module.path].secure, module.symbol


def test_parameters_are_those_of_the_template(documents: dict[str, Document]) -> None:
    text = (ROOT / "main.bicepparam").read_text()
    main = documents["main.bicep"]
    given = set(re.findall(r"^param (\w+) = ", text, re.MULTILINE))
    assert re.search(r"^using 'main.bicep'$", text, re.MULTILINE)
    assert main.required <= given <= main.required | main.optional
    # The grammar knows no parameter files; their expressions are those of variables.
    as_variables = re.sub(r"^param ", "var ", text.replace("using 'main.bicep'", ""), flags=re.M)
    assert parse(ROOT / "main.bicepparam", as_variables).wrong == []


def test_azure_takes_every_resource(resources: dict[str, list[Resource]]) -> None:
    found = [c for kind, some in resources.items() for r in some for c in complaints(kind, r.body)]
    assert found == []
    assert sum(len(some) for some in resources.values()) > 25


def test_versions_are_those_of_the_models(documents: dict[str, Document]) -> None:
    every = [r for document in documents.values() for r in document.resources]
    assert [
        (r.kind, r.version)
        for r in every
        if not r.kind.endswith("/subnets") and r.version not in versions(r.kind)
    ] == []


@pytest.mark.parametrize(
    ("kind", "change", "complaint"),
    [
        ("Microsoft.Storage/storageAccounts", {"kind": "StorageV9"}, "StorageV9"),
        ("Microsoft.Storage/storageAccounts", {"propertys": {}}, "unknown propertys"),
        ("Microsoft.KeyVault/vaults", {"properties": {"sku": {}}}, "tenantId is missing"),
        (
            "Microsoft.ContainerService/managedClusters",
            {"properties": {"oidcIssuerProfile": {"issuerURL": "x"}}},
            "set by Azure alone",
        ),
        (
            "Microsoft.DBforPostgreSQL/flexibleServers",
            {"properties": {"storage": {"storageSizeGb": 1}}},
            "unknown storageSizeGb",
        ),
        (
            "Microsoft.Cache/redisEnterprise/databases",
            {"properties": {"clusteringPolicy": "None"}},
            "not one of",
        ),
    ],
)
def test_mistakes_are_seen(
    resources: dict[str, list[Resource]], kind: str, change: dict[str, Any], complaint: str
) -> None:
    assert any(complaint in c for c in complaints(kind, resources[kind][0].body | change))


def test_stores_answer_inside_the_network_alone(resources: dict[str, list[Resource]]) -> None:
    def properties(kind: str) -> dict[str, Any]:
        return dict(resources[kind][0].body["properties"])

    postgres = properties("Microsoft.DBforPostgreSQL/flexibleServers")
    assert postgres["network"]["publicNetworkAccess"] == "Disabled"
    redis = properties("Microsoft.Cache/redisEnterprise")
    assert (redis["publicNetworkAccess"], redis["minimumTlsVersion"]) == ("Disabled", "1.2")
    broker = properties("Microsoft.Cache/redisEnterprise/databases")
    assert (broker["evictionPolicy"], broker["clientProtocol"]) == ("NoEviction", "Encrypted")
    storage = properties("Microsoft.Storage/storageAccounts")
    assert storage["publicNetworkAccess"] == "Disabled"
    assert not storage["allowBlobPublicAccess"]
    assert not storage["allowSharedKeyAccess"]
    assert properties("Microsoft.KeyVault/vaults")["publicNetworkAccess"] == "Disabled"


def test_gpus_are_tainted_and_start_from_none(resources: dict[str, list[Resource]]) -> None:
    (pool,) = resources["Microsoft.ContainerService/managedClusters/agentPools"]
    wanted = {"nodeTaints": ["sku=gpu:NoSchedule"], "minCount": 0, "enableAutoScaling": True}
    assert wanted.items() <= pool.body["properties"].items()


def test_no_role_reaches_further_than_one_resource(resources: dict[str, list[Resource]]) -> None:
    roles = resources["Microsoft.Authorization/roleAssignments"]
    assert len(roles) == 5
    assert all(isinstance(role.body.get("scope"), Expression) for role in roles)
