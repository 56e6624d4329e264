"""The strict check finds each kind of mistake, in a small schema and in KubeRay's."""

from __future__ import annotations

from typing import Any

import pytest
from crd_schema import Schemas, problems, wrong
from kube_manifests import objects, the

SMALL: dict[str, Any] = {
    "type": "object",
    "required": ["name", "size"],
    "properties": {
        "name": {"type": "string", "maxLength": 3, "pattern": "^[a-z]*$"},
        "size": {"type": "integer", "format": "int32", "minimum": 1, "default": 1},
        "mode": {"type": "string", "enum": ["a", "b"]},
        "amount": {"x-kubernetes-int-or-string": True, "pattern": "^[0-9]+(Gi)?$"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "when": {"type": "string", "nullable": True},
        "items": {
            "type": "array",
            "minItems": 1,
            "x-kubernetes-list-map-keys": ["key"],
            "items": {"type": "object", "properties": {"key": {"type": "string"}}},
        },
    },
}


@pytest.mark.parametrize(
    "value",
    [
        {"name": "a"},
        {"name": "abc", "size": 2, "mode": "b", "amount": 3, "when": None},
        {"name": "", "amount": "3Gi", "labels": {"x": "1"}, "free": {"what": [1]}},
        {"name": "a", "items": [{"key": "1"}, {"key": "2"}]},
    ],
)
def test_what_fits_passes(value: Any) -> None:
    assert list(problems(value, SMALL)) == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, ".name: missing"),
        ({"name": "a", "nme": 1}, ".nme: no such field"),
        ({"name": 1}, ".name: expected string"),
        ({"name": "abcd"}, ".name: length: 4 is above 3"),
        ({"name": "A"}, ".name: 'A' does not match"),
        ({"name": "a", "size": "2"}, ".size: expected integer"),
        ({"name": "a", "size": True}, ".size: expected integer"),
        ({"name": "a", "size": 0}, ".size: 0 is below 1"),
        ({"name": "a", "size": 2**31}, ".size: 2147483648 is no int32"),
        ({"name": "a", "mode": "c"}, ".mode: 'c' is not one of"),
        ({"name": "a", "amount": 1.5}, ".amount: expected an integer or a string"),
        ({"name": "a", "amount": "3 Gi"}, ".amount: '3 Gi' does not match"),
        ({"name": "a", "labels": {"x": 1}}, ".labels.x: expected string"),
        ({"name": None}, ".name: null"),
        ({"name": "a", "items": []}, ".items: number of items: 0 is below 1"),
        ({"name": "a", "items": [{"kee": "1"}]}, ".items[0].kee: no such field"),
        ({"name": "a", "items": [{"key": "1"}, {"key": "1"}]}, ".items: ['key'] ('1',) comes"),
        ([], "<object>: expected object"),
    ],
)
def test_what_does_not_fit_is_named(value: Any, words: str) -> None:
    found = list(problems(value, SMALL))
    assert len(found) == 1
    assert found[0].startswith(words)


def test_a_word_of_the_schema_that_the_check_does_not_know_is_no_pass() -> None:
    with pytest.raises(AssertionError, match="multipleOf"):
        list(problems(1, {"type": "integer", "multipleOf": 2}))


def test_kuberay_has_both_kinds(schemas: Schemas) -> None:
    assert {("ray.io/v1", "RayJob"), ("ray.io/v1", "RayCluster")} <= schemas.keys()


def test_a_misspelt_field_deep_in_a_pod_template_is_found(schemas: Schemas) -> None:
    job = the(objects("overlays/gang"), "RayJob")
    schema = schemas[job["apiVersion"], job["kind"]]
    assert list(problems(job, schema)) == []
    group = job["spec"]["rayClusterSpec"]["workerGroupSpecs"][1]
    group["template"]["spec"]["containers"][0]["volumeMount"] = []
    group["rayStartParams"]["num-cpus"] = 8
    job["spec"]["entrypointResources"] = {"itkm_driver": 1}
    assert {problem.partition(":")[0] for problem in problems(job, schema)} == {
        ".spec.rayClusterSpec.workerGroupSpecs[1].template.spec.containers[0].volumeMount",
        ".spec.rayClusterSpec.workerGroupSpecs[1].rayStartParams.num-cpus",
        ".spec.entrypointResources",
    }


def test_kubernetes_own_kinds_are_checked_as_strictly() -> None:
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    assert wrong({**policy, "metadata": {"name": "x"}, "spec": {"podSelector": {}}}, {}) == []
    (found,) = wrong({**policy, "metadata": {"name": "x"}, "spec": {"podSelektor": {}}}, {})
    assert "podSel" in found
