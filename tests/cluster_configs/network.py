"""Which pod may connect to which under a set of NetworkPolicies: the definition, done for each connection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from kube_manifests import Document

OURS = "itkm"


@dataclass(frozen=True)
class Peer:
    """A pod, or an address that is no pod's, which has no labels and no namespace."""

    labels: dict[str, str] = field(default_factory=dict)
    namespace: str | None = OURS
    port_names: dict[str, int] = field(default_factory=dict)
    address: str = ""


def at(address: str) -> Peer:
    return Peer(namespace=None, address=address)


OUTSIDE = at("203.0.113.7")


def allowed(
    policies: Iterable[Document], source: Peer, target: Peer, port: int, protocol: str = "TCP"
) -> bool:
    """Whether `source` may open a connection: its own egress and the target's ingress both must say so."""
    every = list(policies)
    return _one_way(every, "Egress", source, target, target, port, protocol) and _one_way(
        every, "Ingress", target, source, target, port, protocol
    )


def _one_way(
    policies: list[Document],
    way: str,
    owner: Peer,
    other: Peer,
    target: Peer,
    port: int,
    protocol: str,
) -> bool:
    mine = [
        policy["spec"]
        for policy in policies
        if owner.namespace == policy["metadata"]["namespace"]
        and way in policy["spec"]["policyTypes"]
        and _selects(policy["spec"]["podSelector"], owner.labels)
    ]
    if not mine:
        return True  # a pod that no policy selects is open
    key, side = ("egress", "to") if way == "Egress" else ("ingress", "from")
    return any(
        _has_port(rule.get("ports"), target, port, protocol)
        and (side not in rule or any(_is_peer(peer, other) for peer in rule[side]))
        for spec in mine
        for rule in spec.get(key, [])
    )


def _has_port(ports: list[Document] | None, target: Peer, port: int, protocol: str) -> bool:
    return ports is None or any(
        each["protocol"] == protocol and target.port_names.get(each["port"], each["port"]) == port
        for each in ports
    )


def _is_peer(peer: Document, other: Peer) -> bool:
    if other.namespace is None:
        assert peer.get("ipBlock", {}).keys() <= {"cidr"}, peer
        return "ipBlock" in peer and ip_address(other.address) in ip_network(
            peer["ipBlock"]["cidr"]
        )
    namespaces = peer.get("namespaceSelector")
    if namespaces is None:
        near = other.namespace == OURS
    else:
        near = _selects(namespaces, {"kubernetes.io/metadata.name": other.namespace})
    return near and _selects(peer.get("podSelector", {}), other.labels)


def _selects(selector: Document, labels: dict[str, str]) -> bool:
    """An empty selector selects everything."""
    exact = selector.get("matchLabels", {})
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In", expression
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return all(labels.get(key) == value for key, value in exact.items())
