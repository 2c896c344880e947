"""Who reaches whom under the chart's network policies, worked out as Kubernetes defines it."""

from __future__ import annotations

import ipaddress
from itertools import product

import pytest
from helm_chart import NAMESPACE, Manifest, container, of_kind, render, templates

from ml.source import addresses

FLOWER = "--set=flower.enabled=true,secrets.flowerBasicAuth=flower:power"
LISTENS = {
    "api": 8000,
    "egress": 3128,
    "postgres": 5432,
    "redis": 6379,
    "flower": 5555,
    "worker-cpu": 9100,
}
OUTSIDE = "93.184.216.34"
METADATA = ("169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254")
Labels = dict[str, str]


def policies(manifests: tuple[Manifest, ...], labels: Labels, direction: str) -> list[Manifest]:
    """The specs that hold for a pod in one direction."""
    return [
        one["spec"]
        for one in of_kind(manifests, "NetworkPolicy")
        if direction in one["spec"]["policyTypes"]
        and labels.items() >= one["spec"]["podSelector"]["matchLabels"].items()
    ]


def peer_means(peer: Manifest, target: Labels | str, namespace: str) -> bool:
    """Whether a peer of a rule means a pod, by its labels, or an address."""
    if "ipBlock" in peer:
        if not isinstance(target, str):
            return False
        address, block = ipaddress.ip_address(target), peer["ipBlock"]
        inside = address in ipaddress.ip_network(block["cidr"])
        return inside and all(
            address not in ipaddress.ip_network(n) for n in block.get("except", [])
        )
    if isinstance(target, str):
        return False
    wanted = peer.get("namespaceSelector", {}).get(
        "matchLabels", {"kubernetes.io/metadata.name": NAMESPACE}
    )
    selected = peer.get("podSelector", {}).get("matchLabels", {})
    return wanted["kubernetes.io/metadata.name"] == namespace and target.items() >= selected.items()


def allows(
    specs: list[Manifest],
    direction: str,
    target: Labels | str,
    ports: set[object],
    namespace: str = NAMESPACE,
) -> bool:
    """Whether what is selected by these policies may exchange with the target; all may add."""
    peers = "to" if direction == "Egress" else "from"
    rules = [rule for spec in specs for rule in spec.get(direction.lower(), [])]
    return not specs or any(
        (peers not in rule or any(peer_means(peer, target, namespace) for peer in rule[peers]))
        and ("ports" not in rule or ports & {port["port"] for port in rule["ports"]})
        for rule in rules
    )


class Cluster:
    """The pods of a release and its policies."""

    def __init__(self, size: str, *arguments: str) -> None:
        self.manifests = render(size, FLOWER, *arguments)
        self.pods = templates(self.manifests)

    def labels(self, name: str) -> Labels:
        return self.pods[name]["metadata"]["labels"]

    def sends(self, name: str, address: str, port: int) -> bool:
        """Whether a pod may connect to an address."""
        return allows(
            policies(self.manifests, self.labels(name), "Egress"), "Egress", address, {port}
        )

    def reaches(self, source: str, target: str) -> bool:
        """Whether a pod may connect to where another listens."""
        names = {one["name"] for one in container(self.pods[target]).get("ports", [])}
        ports: set[object] = {LISTENS[target], *names}
        out = policies(self.manifests, self.labels(source), "Egress")
        return allows(out, "Egress", self.labels(target), ports) and self.admits(
            target, self.labels(source), NAMESPACE
        )

    def admits(self, target: str, source: Labels, namespace: str) -> bool:
        names = {one["name"] for one in container(self.pods[target]).get("ports", [])}
        into = policies(self.manifests, self.labels(target), "Ingress")
        return allows(into, "Ingress", source, {LISTENS[target], *names}, namespace)


def test_every_pod_is_under_policies_in_both_directions() -> None:
    for size in ("laptop", "aks", "large"):
        cluster = Cluster(size)
        for name in cluster.pods:
            for direction in ("Ingress", "Egress"):
                assert policies(cluster.manifests, cluster.labels(name), direction), name


def test_pods_reach_what_they_need_and_nothing_else() -> None:
    cluster = Cluster("laptop")
    stores = {"postgres", "redis"}
    needs = {
        "api": stores,
        "dispatcher": stores | {"egress"},
        "worker-cpu": stores | {"egress"},
        "worker-gpu": stores,
        "flower": {"redis"},
        "migrate": {"postgres"},
    }
    for source, target in product(cluster.pods, LISTENS):
        if source != target:
            assert cluster.reaches(source, target) == (target in needs.get(source, ())), (
                source,
                target,
            )


@pytest.mark.parametrize("size", ["laptop", "aks", "large"])
def test_only_the_proxy_gets_out(size: str) -> None:
    cluster = Cluster(size)
    for name, port in product(cluster.pods, (80, 443)):
        assert cluster.sends(name, OUTSIDE, port) == (name == "egress"), name
    for name, address in product(cluster.pods, METADATA):
        assert not cluster.sends(name, address, 80), (name, address)
    assert not cluster.sends("egress", OUTSIDE, 22)


def test_the_proxy_may_reach_what_the_code_calls_public() -> None:
    cluster = Cluster("large", "--set=networkPolicy.egressExcept={20.1.0.0/16,2a01:111::/32}")
    denied = [str(network[0]) for network in (*addresses._DENIED_V4, *addresses._DENIED_V6)]
    for address in (*denied, "::1", "::ffff:10.0.0.1", "fe80::1", "20.1.2.3", "2a01:111::1"):
        assert not cluster.sends("egress", address, 443), address
    for address in (OUTSIDE, "8.8.8.8", "2606:4700:4700::1111"):
        assert addresses.is_public(address)
        assert cluster.sends("egress", address, 443), address


def test_networks_that_downloads_may_use_are_open_to_the_proxy() -> None:
    for given in ('["192.168.7.0/24"]', '"192.168.7.0/24, 10.1.2.3/32"'):
        cluster = Cluster("large", f"--set-json=settings.source.allowed_networks={given}")
        assert cluster.sends("egress", "192.168.7.5", 8080)
        assert not cluster.sends("egress", "192.168.8.5", 8080)
        assert not cluster.sends("worker-cpu", "192.168.7.5", 8080)


def test_servers_elsewhere_are_reached_at_their_ports() -> None:
    cluster = Cluster("aks")
    database, broker, store = ("10.10.8.4", 5432), ("10.10.8.36", 10000), ("10.10.8.37", 443)
    for name in ("api", "dispatcher", "worker-cpu", "worker-gpu"):
        assert all(cluster.sends(name, *place) for place in (database, broker, store)), name
        assert not cluster.sends(name, "10.10.8.4", 22)
    assert cluster.sends("migrate", *database)
    assert not any(cluster.sends("migrate", *place) for place in (broker, store))
    assert not any(cluster.sends("egress", *place) for place in (database, broker, store))


def test_without_the_proxy_downloads_leave_by_themselves() -> None:
    cluster = Cluster("laptop", "--set=egress.enabled=false")
    assert cluster.sends("worker-cpu", OUTSIDE, 443)
    assert cluster.sends("dispatcher", OUTSIDE, 443)
    assert not cluster.sends("worker-gpu", OUTSIDE, 443)
    assert not any(cluster.sends("worker-cpu", address, 80) for address in METADATA)


def test_only_dns_is_asked_for_names() -> None:
    cluster = Cluster("large")
    dns: Labels = {"k8s-app": "kube-dns"}
    for name in cluster.pods:
        out = policies(cluster.manifests, cluster.labels(name), "Egress")
        assert allows(out, "Egress", dns, {53}, "kube-system"), name
        assert not allows(out, "Egress", dns, {443}, "kube-system"), name
        assert not allows(out, "Egress", {"k8s-app": "other"}, {53}, "kube-system"), name


def test_only_the_named_namespaces_come_in() -> None:
    cluster = Cluster("large")
    assert cluster.admits("api", {}, "ingress")
    assert cluster.admits("api", {}, "monitoring")
    assert cluster.admits("worker-cpu", {}, "monitoring")
    for target in ("api", "worker-cpu", "egress", "flower"):
        assert not cluster.admits(target, {}, "elsewhere"), target
    assert not cluster.admits("worker-cpu", {}, "ingress")


def test_keda_reaches_a_bundled_database_where_it_scales() -> None:
    scaled = Cluster("laptop", "--set=workerCpu.autoscaling.enabled=true")
    assert scaled.admits("postgres", {}, "keda")
    assert not Cluster("laptop").admits("postgres", {}, "keda")


def test_further_rules_are_added() -> None:
    rule = '[{"to": [{"ipBlock": {"cidr": "10.9.0.0/24"}}], "ports": [{"port": 4318}]}]'
    cluster = Cluster("large", f"--set-json=networkPolicy.extraEgress.workerGpu={rule}")
    assert cluster.sends("worker-gpu", "10.9.0.7", 4318)
    assert not cluster.sends("worker-cpu", "10.9.0.7", 4318)
