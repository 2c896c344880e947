"""What Azure takes for a resource, by the models of Azure's own management libraries.

The libraries are generated from the same specifications as Bicep's types: names of properties,
which of them are set by Azure alone, which must be there, and the values of enumerations.
"""

from __future__ import annotations

import re
from enum import EnumMeta
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from bicep import Expression

_ALWAYS = {"name", "parent", "scope", "dependsOn"}
MODELS = {
    "Microsoft.Authorization/roleAssignments": (
        "authorization.v2022_04_01.models",
        "RoleAssignmentCreateParameters",
    ),
    "Microsoft.Cache/redisEnterprise": ("redisenterprise.models", "Cluster"),
    "Microsoft.Cache/redisEnterprise/databases": ("redisenterprise.models", "Database"),
    "Microsoft.ContainerRegistry/registries": ("containerregistry.models", "Registry"),
    "Microsoft.ContainerService/managedClusters": ("containerservice.models", "ManagedCluster"),
    "Microsoft.ContainerService/managedClusters/agentPools": (
        "containerservice.models",
        "AgentPool",
    ),
    "Microsoft.DBforPostgreSQL/flexibleServers": ("postgresqlflexibleservers.models", "Server"),
    "Microsoft.DBforPostgreSQL/flexibleServers/configurations": (
        "postgresqlflexibleservers.models",
        "Configuration",
    ),
    "Microsoft.DBforPostgreSQL/flexibleServers/databases": (
        "postgresqlflexibleservers.models",
        "Database",
    ),
    "Microsoft.Insights/dataCollectionRules": ("monitor.models", "DataCollectionRuleResource"),
    "Microsoft.Insights/dataCollectionRuleAssociations": (
        "monitor.models",
        "DataCollectionRuleAssociationProxyOnlyResource",
    ),
    "Microsoft.KeyVault/vaults": ("keyvault.models", "VaultCreateOrUpdateParameters"),
    "Microsoft.KeyVault/vaults/secrets": ("keyvault.models", "SecretCreateOrUpdateParameters"),
    "Microsoft.ManagedIdentity/userAssignedIdentities": ("msi.v2024_11_30.models", "Identity"),
    "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials": (
        "msi.v2024_11_30.models",
        "FederatedIdentityCredential",
    ),
    "Microsoft.Network/privateDnsZones": ("privatedns.models", "PrivateZone"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": (
        "privatedns.models",
        "VirtualNetworkLink",
    ),
    "Microsoft.Network/privateEndpoints": ("network.models", "PrivateEndpoint"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": (
        "network.models",
        "PrivateDnsZoneGroup",
    ),
    "Microsoft.Network/virtualNetworks": ("network.models", "VirtualNetwork"),
    "Microsoft.OperationalInsights/workspaces": ("loganalytics.models", "Workspace"),
    "Microsoft.Storage/storageAccounts": ("storage.models", "StorageAccountCreateParameters"),
    "Microsoft.Storage/storageAccounts/blobServices": ("storage.models", "BlobServiceProperties"),
    "Microsoft.Storage/storageAccounts/blobServices/containers": (
        "storage.models",
        "BlobContainer",
    ),
    "Microsoft.Storage/storageAccounts/managementPolicies": ("storage.models", "ManagementPolicy"),
}
"""The model of each type of resource: a module below azure.mgmt, and a class in it."""


def complaints(kind: str, body: dict[str, Any]) -> list[str]:
    """Return what Azure would refuse of a resource's body."""
    module, name = MODELS[kind]
    models = import_module(f"azure.mgmt.{module}")
    own = {key: value for key, value in body.items() if key not in _ALWAYS}
    return _check(own, _fields(getattr(models, name)), models, kind)


@cache
def versions(kind: str) -> frozenset[str]:
    """Return the versions of the API that the library of a type speaks."""
    package = import_module("azure.mgmt." + MODELS[kind][0].rpartition(".models")[0])
    sources = [*Path(package.__path__[0]).rglob("*.py")]
    found = (re.findall(r'"(20\d\d-\d\d-\d\d)"', source.read_text()) for source in sources)
    return frozenset(version for some in found for version in some)


def _check(body: dict[str, Any], fields: dict[str, Any], models: Any, where: str) -> list[str]:
    found = [f"{where}: unknown {key}" for key in body if key not in fields]
    found += [
        f"{where}: {key} is missing"
        for key, known in fields.items()
        if known.get("required") and not known.get("readonly") and key not in body
    ]
    for key, value in body.items():
        if key in fields:
            found += _member(value, fields[key], models, f"{where}.{key}")
    return found


def _member(value: Any, known: dict[str, Any], models: Any, where: str) -> list[str]:
    if known.get("readonly"):
        return [f"{where} is set by Azure alone"]
    if isinstance(value, Expression) or value is None:
        return []
    kind = known.get("type", "")
    if kind.startswith(("[", "{")):
        return _members(value, kind, models, where)
    model = getattr(models, kind, None)
    if isinstance(model, EnumMeta):
        allowed = {str(member.value) for member in model}
        return [] if value in allowed else [f"{where} is {value!r}, not one of {sorted(allowed)}"]
    fields = known.get("fields") or (model and _fields(model))
    if fields:
        return _check(value, fields, models, where) if isinstance(value, dict) else [where]
    wanted = {"str": str, "int": int, "bool": bool}.get(kind)
    return [f"{where} is {value!r}, not {kind}"] if wanted and type(value) is not wanted else []


def _members(value: Any, kind: str, models: Any, where: str) -> list[str]:
    """Check what is in a list, ``[kind]``, or in a dictionary, ``{kind}``."""
    if not isinstance(value, list if kind.startswith("[") else dict):
        return [f"{where} is {value!r}, not {kind}"]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    inner = {"type": kind[1:-1]}
    return [c for key, item in items for c in _member(item, inner, models, f"{where}.{key}")]


def _fields(model: Any) -> dict[str, Any]:
    """Return the members of a model by their names in JSON, with type, readonly and required."""
    tree: dict[str, Any] = {}
    for attribute, key, plain, readonly, required in _attributes(model):
        *above, last = re.split(r"(?<!\\)\.", key)
        level = tree
        for name in above:
            level = level.setdefault(name, {"fields": {}})["fields"]
        enum = re.search(
            rf":vartype {attribute}: str or ~azure\.mgmt\.[\w.]+\.(\w+)", model.__doc__
        )
        kind = enum[1] if enum and plain == "str" else plain
        level[last.replace("\\", "")] = {"type": kind, "readonly": readonly, "required": required}
    return tree


def _attributes(model: Any) -> list[tuple[str, str, str, bool, bool]]:
    if hasattr(model, "_attribute_map"):
        rules = model._validation
        return [
            (
                name,
                entry["key"],
                entry["type"],
                rules.get(name, {}).get("readonly", False),
                rules.get(name, {}).get("required", False),
            )
            for name, entry in model._attribute_map.items()
        ]
    model()  # the younger generator fills the table when the first of a class is made
    hints: dict[str, str] = {}
    for base in reversed(model.__mro__):
        hints |= {k: str(v) for k, v in vars(base).get("__annotations__", {}).items()}
    return [
        (
            name,
            rest._rest_name,
            _kind(hints[name]),
            rest._visibility == ["read"],
            not re.search(r"Optional|None", hints[name]),
        )
        for name, rest in model._attr_to_rest_field.items()
    ]


def _kind(annotation: str) -> str:
    """Return an annotation such as ``Optional[List["_models.Rule"]]`` in the older notation."""
    name = re.search(r"_models\.(\w+)", annotation)
    plain = next((k for k in ("str", "int", "bool") if k in annotation), "object")
    inner = name[1] if name else plain
    lowered = annotation.lower()
    if "list[" in lowered:
        return f"[{inner}]"
    return f"{{{inner}}}" if "dict[" in lowered else inner
