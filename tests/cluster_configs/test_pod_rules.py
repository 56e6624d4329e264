"""Our rules of pods find what they are there to find; Ray's autoscaler reads the same resources; the hook works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from kube_manifests import VARIANTS, Document, groups, objects, ray_spec
from pod_rules import STORE_MOST, STORE_SHARE, complaints, disk_complaints, size


def spec_of(overlay: str) -> Document:
    spec = ray_spec(objects(f"overlays/{overlay}"))
    assert spec is not None
    return spec


@pytest.mark.parametrize("overlay", VARIANTS)
def test_every_overlay_keeps_the_rules(overlay: str) -> None:
    assert list(complaints(spec_of(overlay))) == []


def set_env(group: str, name: str, value: str) -> Callable[[Document], None]:
    def change(spec: Document) -> None:
        (container,) = groups(spec)[group]["template"]["spec"]["containers"]
        (entry,) = [entry for entry in container["env"] if entry["name"] == name]
        entry["value"] = value

    return change


def grace(spec: Document) -> None:
    groups(spec)["driver"]["template"]["spec"]["terminationGracePeriodSeconds"] = 30


def no_hook(spec: Document) -> None:
    del groups(spec)["driver"]["template"]["spec"]["containers"][0]["lifecycle"]


def larger_volume(spec: Document) -> None:
    volumes = groups(spec)["gpu"]["template"]["spec"]["volumes"]
    next(v for v in volumes if v["name"] == "scratch")["emptyDir"]["sizeLimit"] = "101Gi"


BROKEN = {
    "driver: ITKM_CACHE_LIMIT is 1Gi": set_env("driver", "ITKM_CACHE_LIMIT", "1Gi"),
    "gpu: ITKM_TMP_LIMIT is 250Gi, the limit of /tmp 101Gi": larger_volume,
    "head: ITKM_TMP_LIMIT is 21Gi, the limit of /tmp/ray 20Gi": set_env(
        "head", "ITKM_TMP_LIMIT", "21Gi"
    ),
    "cpu: no memory for tasks": lambda spec: groups(spec)["cpu"].pop("resources"),
    "gpu: 768Gi for tasks": lambda spec: groups(spec)["gpu"]["resources"].update(memory="768Gi"),
    "head: 6Gi for tasks": lambda spec: groups(spec)["head"]["resources"].update(memory="6Gi"),
    "head: a job that is stopped has 40 s": set_env("head", "RAY_JOB_STOP_WAIT_TIME_S", "40"),
    "driver: the hook and Ray's own end": grace,
    "driver: a run on an evicted pod": no_hook,
}


@pytest.mark.parametrize("words", BROKEN)
def test_a_broken_rule_is_found(words: str) -> None:
    spec = spec_of("gang")
    BROKEN[words](spec)
    assert any(each.startswith(words) for each in complaints(spec)), list(complaints(spec))


def test_disk_that_is_not_asked_for_is_found() -> None:
    pod = groups(spec_of("gang"))["head"]["template"]["spec"]
    assert list(disk_complaints("head", pod)) == []
    pod["volumes"].append({"name": "more", "emptyDir": {"sizeLimit": "1Gi"}})
    assert "asked of the machine's disk" in "".join(disk_complaints("head", pod))
    pod["volumes"].append({"name": "boundless", "emptyDir": {}})
    assert list(disk_complaints("head", pod)) == ["head: a volume without a limit"]


def test_rays_autoscaler_reads_the_resources_that_the_operator_gives_ray() -> None:
    from ray._private import ray_constants
    from ray.autoscaler._private.kuberay import autoscaling_config

    read = autoscaling_config._generate_available_node_types_from_ray_cr_spec(spec_of("gang"))
    found = {name: kind["resources"] for name, kind in read.items()}
    assert found == {
        "headgroup": {"CPU": 0, "memory": size("4Gi")},
        "driver": {"CPU": 0, "memory": size("4Gi"), "itkm_driver": 1},
        "gpu": {"CPU": 96, "GPU": 8, "memory": size("512Gi")},
        "cpu": {"CPU": 16, "memory": size("40Gi")},
    }
    assert ray_constants.DEFAULT_OBJECT_STORE_MEMORY_PROPORTION == STORE_SHARE
    assert ray_constants.DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES == STORE_MOST


WAITS = """
import signal, sys, time
def told(*_):
    time.sleep(3)
    sys.exit(143)
signal.signal(signal.SIGTERM, {handler})
print("waiting", flush=True)
time.sleep(120)
"""


@contextmanager
def running(words: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        yield process
    finally:
        process.kill()
        process.wait(timeout=30)


def run_hook(folder: Path, processes: list[Any], *, most: int = 30) -> float:
    """Run the driver's hook where it sees nothing but `processes`: others of this machine are not its business."""
    (container,) = groups(spec_of("one-gpu"))["driver"]["template"]["spec"]["containers"]
    *python, script = container["lifecycle"]["preStop"]["exec"]["command"]
    assert python == ["python", "-c"]
    seen = folder / "proc"
    seen.mkdir()
    for process in processes:
        (seen / str(process.pid)).symlink_to(f"/proc/{process.pid}")
    for old, new, times in (("/proc", str(seen), 2), ("() + 30", f"() + {most}", 1)):
        assert script.count(old) == times
        script = script.replace(old, new)
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    return time.monotonic() - start


def write_runs(folder: Path, handler: str) -> None:
    (folder / "pipelines").mkdir()
    (
        folder / "pipelines/__init__.py"
    ).touch()  # or a package elsewhere on the path would come first
    for name in ("itkm", "pipelines/cli.py"):
        (folder / name).write_text(WAITS.format(handler=handler))


def test_an_evicted_pod_tells_its_runs_and_waits_for_their_end(tmp_path: Path) -> None:
    write_runs(tmp_path, "told")
    python = sys.executable
    script = [python, str(tmp_path / "itkm"), "run", "--out", "/data/run"]
    module = [python, "-m", "pipelines.cli", "run"]
    shell = ["sh", "-c", "echo waiting; sleep 120; : itkm run --out itkm"]
    ray = [python, "-c", WAITS.format(handler="told"), "ray::IDLE", "itkm"]
    with ExitStack() as stack:
        each = [stack.enter_context(running(w, tmp_path)) for w in (script, module, shell, ray)]
        run_hook(tmp_path, each)
        # Their own end takes longer than what the hook leaves Ray after it.
        assert [process.poll() for process in each] == [143, 143, None, None]


def test_the_hook_gives_up_on_a_run_that_does_not_end(tmp_path: Path) -> None:
    write_runs(tmp_path, "signal.SIG_IGN")
    with running([sys.executable, "itkm", "run"], tmp_path) as process:
        assert run_hook(tmp_path, [process], most=1) >= 1
        assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)


def test_the_hook_is_done_at_once_where_no_run_is(tmp_path: Path) -> None:
    with running([sys.executable, "-c", WAITS.format(handler="told")], tmp_path) as process:
        run_hook(tmp_path, [process])
        assert process.poll() is None
