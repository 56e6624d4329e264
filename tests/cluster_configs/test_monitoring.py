"""cluster_configs/monitoring and docs/monitoring.md: every name in them is there, and the rules do what they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.telemetry.gauges import GAUGES

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "cluster_configs/monitoring"
PAGE = (ROOT / "docs/monitoring.md").read_text()
GROUPS = yaml.safe_load((FOLDER / "itkm-rules.yml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
DASHBOARD = json.loads((FOLDER / "itkm-dashboard.json").read_text())
PANELS = DASHBOARD["panels"]

# Ray 2.60's own, of dashboard/modules/reporter/reporter_agent.py, and their tags.
OF_RAY = {
    "node_gpus_utilization": ("ip", "GpuIndex"),
    "node_mem_used": ("ip",),
    "node_mem_total": ("ip",),
}
TAGS = {
    **{f"ray_{name}": tags for name, (_, tags) in GAUGES.items()},
    **{f"ray_{name}": tags for name, tags in OF_RAY.items()},
}
OF_ALL = {"SessionName", "WorkerId"}


def expressions() -> list[tuple[str, str, str]]:
    """(where, PromQL, what is shown beside its value) of every rule and every panel."""
    found = [
        (rule["alert"], rule["expr"], " ".join(rule["annotations"].values())) for rule in RULES
    ]
    for panel in PANELS:
        found += [(panel["title"], each["expr"], each["legendFormat"]) for each in panel["targets"]]
    return found


@pytest.mark.parametrize(("expression", "shown"), [each[1:] for each in expressions()])
def test_metrics_and_tags_are_those_that_are_exported(expression: str, shown: str) -> None:
    metrics = set(re.findall(r"\bray_\w+", expression))
    assert metrics
    assert metrics <= TAGS.keys()
    tags = OF_ALL.union(*(TAGS[name] for name in metrics))
    selected = set(re.findall(r"[{,]\s*(\w+)\s*[=!]", expression))
    grouped = re.findall(r"(?:by|on|without) \(([\w, ]*)\)", expression)
    used = selected.union(*(re.split(r",\s*", each) for each in grouped))
    used |= set(re.findall(r"\$labels\.(\w+)", shown)) | set(re.findall(r"{{(\w+)}}", shown))
    assert used <= tags


def test_every_gauge_is_on_the_dashboard_and_on_the_page() -> None:
    shown = set(re.findall(r"\bray_(itkm_\w+)", json.dumps(PANELS)))
    assert shown == GAUGES.keys()
    for name, (_, tags) in GAUGES.items():
        listed = f"{name}{{{','.join(tags)}}}" if tags else name
        assert f"| `{listed}` |" in PAGE


def test_every_rule_says_what_is_wrong_and_what_to_do() -> None:
    for rule in RULES:
        assert rule["alert"].startswith("Itkm")
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert f"**{rule['alert']}**" in PAGE
    assert len(set(re.findall(r"\*\*(Itkm\w+)\*\*", PAGE))) == len(RULES)


def test_panels_have_units_words_and_places_of_their_own() -> None:
    assert DASHBOARD["uid"]
    assert DASHBOARD["schemaVersion"] >= 39
    names = {each["name"] for each in DASHBOARD["templating"]["list"]}
    assert names == {"datasource", "session"}
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        at = panel["gridPos"]
        cells = {
            (at["x"] + column, at["y"] + row) for column in range(at["w"]) for row in range(at["h"])
        }
        assert max(column for column, _ in cells) < 24
        assert not cells & taken
        taken |= cells


def test_the_rules_reach_kubernetes_as_the_page_says(tmp_path: Path) -> None:
    """The page's shell lines with `cat` for kubectl: the rules, in an object of the Prometheus Operator."""
    (block,) = re.findall(r"((?:    .*\n)+    .*kubectl -n itkm apply -f -\n)", PAGE)
    command = re.sub(r"kubectl -n itkm apply -f -", "cat", block)
    done = subprocess.run(
        ["bash", "-euc", command], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = yaml.safe_load(done.stdout)
    assert (made["apiVersion"], made["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert made["spec"]["groups"] == GROUPS


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool on the path; it comes with Prometheus")
    return found


def test_alerts_fire_where_they_must_and_nowhere_else(promtool: str) -> None:
    cases = Path(__file__).with_name("itkm-rules-test.yml")
    done = subprocess.run(
        [promtool, "test", "rules", str(cases)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    fired = set(re.findall(r'alertname="(\w+)"', cases.read_text()))
    assert fired == {rule["alert"] for rule in RULES}


def test_prometheus_takes_the_configuration_and_every_panel(promtool: str, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "monitoring")
    panels = [
        {"record": f"panel:{row}", "expr": expression.replace("$session", ".+")}
        for row, (_, expression, _) in enumerate(expressions())
    ]
    (tmp_path / "panels.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "panels", "rules": panels}]})
    )
    for kind, path in (("config", "monitoring/prometheus.yml"), ("rules", "panels.yml")):
        done = subprocess.run(
            [promtool, "check", kind, str(tmp_path / path)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
