"""Disruption budgets count the pods that they should, and no others."""

from __future__ import annotations

import pytest
from kube_manifests import VARIANTS, Document, groups, made, objects, pods, ray_spec

CLEANUP = {"ray.io/node-type": "redis-cleanup"}
JOBS = [name for name in VARIANTS if not name.startswith("cluster")]


def budgets(overlay: str) -> dict[str, Document]:
    """Spec by name."""
    return {
        document["metadata"]["name"]: document["spec"]
        for document in objects(f"overlays/{overlay}")
        if document["kind"] == "PodDisruptionBudget"
    }


def labels(overlay: str) -> dict[str, dict[str, str]]:
    """Of every pod there will be. The operator's clean-up pod is a head but for one label."""
    documents = objects(f"overlays/{overlay}")
    of_ray = groups(ray_spec(documents))
    found = {
        name: made(name, has) if name in of_ray else has
        for name, has in ((n, template["metadata"]["labels"]) for n, template in pods(documents))
    }
    return {**found, "clean-up": {**found["head"], **CLEANUP}}


def counted(budget: Document, of: dict[str, dict[str, str]]) -> list[str]:
    wanted = budget["selector"]["matchLabels"].items()
    return [name for name, has in of.items() if wanted <= has.items()]


@pytest.mark.parametrize("overlay", VARIANTS)
def test_a_budget_counts_as_pods_without_a_controller_must(overlay: str) -> None:
    protected = {}
    for budget in budgets(overlay).values():
        assert isinstance(budget["minAvailable"], int)
        assert budget.keys() == {"minAvailable", "selector"}
        (name,) = counted(budget, labels(overlay))
        protected[name] = budget["minAvailable"]
    expected = {
        name: group.get("minReplicas", 1)
        for name, group in groups(ray_spec(objects(f"overlays/{overlay}"))).items()
        if group.get("minReplicas", 1)
    }
    if "redis" in labels(overlay):
        expected["redis"] = 1
    assert protected == expected


@pytest.mark.parametrize("old", VARIANTS)
def test_budgets_left_behind_count_no_pods_of_the_next_overlay(old: str) -> None:
    for overlay in VARIANTS:
        for name in budgets(old).keys() - budgets(overlay).keys():
            pods_counted = set(counted(budgets(old)[name], labels(overlay)))
            assert pods_counted <= {"redis"}, (name, overlay)


@pytest.mark.parametrize("job", JOBS)
def test_a_job_and_the_cluster_that_stays_up_count_their_own(job: str) -> None:
    for one, other in ((job, "cluster"), ("cluster", job)):
        assert not budgets(one).keys() & budgets(other).keys()
        assert [counted(budget, labels(other)) for budget in budgets(one).values()] == [
            [] for _ in budgets(one)
        ]
