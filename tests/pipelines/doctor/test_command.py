"""`itkm doctor` on a cluster of three simulated nodes, and what it asks a node."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from itkm_core.model import pretrained
from pipelines.cli import app
from pipelines.config import ModelConfig
from pipelines.console import Console
from pipelines.doctor import gpus as doctor_gpus
from pipelines.doctor import probe as doctor_probe
from pipelines.doctor.ask import sent_whole
from pipelines.doctor.command import _wanted
from pipelines.doctor.judge_cluster import Line
from pipelines.doctor.tables import report

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def lines(
    tmp_path_factory: pytest.TempPathFactory, own_ray: Callable[[Path], dict[str, str]]
) -> list[str]:
    """What `cluster_for_doctor.py` prints; with its own Ray, in its own process."""
    base = tmp_path_factory.mktemp("doctor")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("cluster_for_doctor.py")), str(base)],
        env={**own_ray(base), "ITKM_CACHE": str(base / "c")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "0123456789abcdef" not in done.stdout
    return done.stdout.splitlines()


@pytest.mark.ray
def test_three_nodes_are_one_line_a_check(lines: list[str]) -> None:
    said = {line[5:15].strip(): line for line in lines if line[:5] in ("ok   ", "warn ", "fail ")}
    assert list(said) == [
        *("nodes", "versions", "token", "out", "corpus", "model"),
        *("gpus", "disk", "/dev/shm", "labelling"),
    ]
    assert {check for check, line in said.items() if line.startswith("fail")} == {"gpus"}
    assert "3 with 2 CPUs and 1 GPUs" in said["nodes"]
    assert "every node wrote a file that every node read" in said["out"]
    assert "40 training images of uvi, 2 shards" in said["corpus"]
    assert "itkm-tiny: the same weights" in said["model"]
    assert "uvi/0 of 20 images" in said["labelling"]
    assert "fits 2 of 2 nodes" in said["labelling"]
    assert "Ray counts 1, torch sees 0" in said["gpus"]
    assert "--num-gpus=0" in said["gpus"]
    assert "failed: True" in lines


@pytest.mark.ray
def test_nothing_is_left_where_the_nodes_wrote(lines: list[str]) -> None:
    assert "left behind: []" in lines


@pytest.mark.ray
def test_a_folder_that_is_one_nodes_own_is_found_out(lines: list[str]) -> None:
    assert "apart: fail True" in lines


@pytest.mark.ray
def test_a_node_that_does_not_answer_is_named_and_not_waited_for(lines: list[str]) -> None:
    assert "silent: True" in lines
    assert "in time: True" in lines


BARE = """
import pickle, sys
sys.modules["itkm_core"] = sys.modules["pipelines"] = None  # as if not installed
look = pickle.loads(bytes.fromhex(sys.argv[1]))
facts = look({"model": {"kind": "embedded", "path": None}, "seconds": 1})
print(facts["model"]["error"], facts["cache"]["error"], facts["versions"]["itkm's code"])
"""


def test_a_node_without_itkm_can_still_say_so() -> None:
    from ray import cloudpickle

    with sent_whole():
        sent = cloudpickle.dumps(doctor_probe.look).hex()
    done = subprocess.run(
        [sys.executable, "-c", BARE, sent], capture_output=True, text=True, timeout=60, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ModuleNotFoundError") == 2
    assert done.stdout.endswith("None\n")


def test_a_file_that_is_not_there_is_no_fault_and_one_that_cannot_be_read_is(
    tmp_path: Path,
) -> None:
    folder = str(tmp_path / "runs" / "mine")
    made = doctor_probe.write_mark(folder, "node-a")["made"]
    assert made == [folder, str(tmp_path / "runs")]
    assert doctor_probe.read_marks(folder, ["node-a", "node-b"]) == {"seen": ["node-a"]}
    (tmp_path / "runs" / "mine" / "node-b").write_bytes(b"of another")
    assert doctor_probe.read_marks(folder, ["node-a", "node-b"]) == {"seen": ["node-a"]}
    (tmp_path / "runs" / "mine" / "node-c").mkdir()
    found = doctor_probe.read_marks(folder, ["node-a", "node-c"])
    assert found["seen"] == ["node-a"]
    assert found["error"].startswith("StorageError: cannot read")
    (tmp_path / "runs" / "mine" / "node-c").rmdir()
    (tmp_path / "runs" / "mine" / "node-b").unlink()
    doctor_probe.remove_mark(folder, "node-a", made)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_bytes(b"")
    assert (
        "StorageError" in doctor_probe.write_mark(str(tmp_path / "file" / "x"), "node-a")["error"]
    )


def test_a_changed_file_of_ours_is_another_version(tmp_path, monkeypatch) -> None:
    for package in doctor_probe.OURS:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    specs = {
        name: SimpleNamespace(origin=str(tmp_path / name / "__init__.py"))
        for name in doctor_probe.OURS
    }
    monkeypatch.setattr(doctor_probe.importlib.util, "find_spec", specs.get)
    monkeypatch.setattr(doctor_probe.importlib.metadata, "distributions", list)
    before = doctor_probe.versions()["itkm's code"]
    assert before == doctor_probe.versions()["itkm's code"]
    (tmp_path / "pipelines" / "label.py").write_text("k1 = 31\n")
    assert doctor_probe.versions()["itkm's code"] not in (before, None)
    del specs["pipelines"]
    assert doctor_probe.versions()["itkm's code"] is None


def test_faiss_and_cuml_are_known_by_any_of_their_distributions(monkeypatch) -> None:
    monkeypatch.setattr(doctor_probe, "OURS", ())  # whose digest is of no interest here

    def found(*installed: tuple[str | None, str]) -> dict[str, str | None]:
        pairs = [SimpleNamespace(name=name, version=version) for name, version in installed]
        monkeypatch.setattr(doctor_probe.importlib.metadata, "distributions", lambda: pairs)
        seen = doctor_probe.versions()
        return {name: seen.get(name, "left out") for name in ("faiss", "cuml")}

    assert found((None, "")) == {"faiss": "left out", "cuml": "left out"}
    assert found(("faiss-cpu", "1.15.1"), ("types-faiss", "0"), ("libcuml-cu13", "0")) == {
        "faiss": "1.15.1",
        "cuml": "left out",
    }
    gpu = (("faiss_gpu_cu12", "1.15.1"), ("faiss-gpu-cu12", "1.14"), ("cuml-cu13", "26.10.0"))
    assert found(*gpu) == {"faiss": "1.14 and 1.15.1", "cuml": "26.10.0"}
    shadowed = (("cuml", "26.10.0"), ("cuml", "26.4.0"))
    assert found(*shadowed)["cuml"] == "26.10.0"


def test_every_package_that_is_compared_goes_by_the_name_it_is_installed_under(monkeypatch) -> None:
    monkeypatch.setattr(doctor_probe, "OURS", ())
    found = doctor_probe.versions()
    assert {name for name in doctor_probe.PACKAGES if found[name] is None} == set()
    assert {"scikit-learn", "scipy", "safetensors", "torchvision"} <= found.keys()


def test_the_raylets_gpus_are_asked_for_and_not_the_tasks(monkeypatch) -> None:
    """Ray hides the GPUs from a task that asks for none."""
    seen = {}

    def run(command, *, env, timeout, **_):
        seen.update(env=env, timeout=timeout)
        return SimpleNamespace(returncode=0, stdout='warning\n{"torch": null}\n', stderr="")

    monkeypatch.setattr(doctor_probe.subprocess, "run", run)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert doctor_probe._gpus({"CUDA_VISIBLE_DEVICES": "2,3"}, 7) == {"torch": None}
    assert (seen["env"]["CUDA_VISIBLE_DEVICES"], seen["timeout"]) == ("2,3", 7)
    doctor_probe._gpus({}, 7)
    assert "CUDA_VISIBLE_DEVICES" not in seen["env"]


def test_a_library_that_is_missing_or_broken_is_a_fact() -> None:
    def broken() -> dict[str, object]:
        raise RuntimeError("no driver\n  found")

    assert doctor_gpus.asked("no_such_library", broken) is None
    assert doctor_gpus.asked("json", broken) == {"error": "RuntimeError: no driver found"}
    assert doctor_gpus.asked("json", lambda: {"count": 1}) == {"count": 1}


def test_a_report_says_what_to_do_and_hides_what_is_secret(monkeypatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "s3cr3t-t0ken")
    console = Console(record=True, width=60, color_system=None, file=StringIO())
    lines = [Line("ok", "nodes", "3"), Line("warn", "gpus", "[none] s3cr3t-t0ken", "do this")]
    assert report(iter(lines), console) is False
    text = console.export_text()
    assert "warn gpus       [none] ***: do this" in text
    assert "1 ok, 1 warn, 0 fail" in text
    assert report(iter([Line("fail", "out", "no")]), console) is True


@pytest.mark.parametrize(
    ("model", "wanted", "said"),
    [
        ({}, {"kind": "embedded", "path": None}, ""),
        (
            {"pretrained": "/data/w.safetensors"},
            {"kind": "file", "path": "/data/w.safetensors"},
            "",
        ),
        ({"pretrained": "openai"}, None, "is not a tag of itkm-tiny"),
        ({"name": "ViT-B-17"}, None, "is not a known CLIP"),
        ({"name": "ViT-B-16"}, None, "model.pretrained is not set"),
        ({"name": "ViT-B-16", "pretrained": "nope"}, None, "neither a file nor a tag"),
        (
            {"name": "ViT-B-16", "pretrained": "openai"},
            {
                "kind": "tag",
                "repository": "timm/vit_base_patch16_clip_224.openai",
                "files": ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"],
            },
            "",
        ),
    ],
)
def test_what_a_node_is_to_look_for(model, wanted, said) -> None:
    found, unknown = _wanted(ModelConfig(**model))
    assert found == wanted
    assert said in unknown
    assert bool(said) == bool(unknown)


def test_weights_that_nothing_reads_are_found_out_here(tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_bytes(b"")
    wanted, unknown = _wanted(ModelConfig(pretrained=str(tmp_path / "w.txt")))
    assert wanted is None
    assert "expected one of .safetensors" in unknown


def test_weights_in_the_hubs_cache_out_of_reach_and_to_be_fetched(monkeypatch, tmp_path) -> None:
    import huggingface_hub

    asked = {"kind": "tag", "repository": "somebody/small", "files": ["a.safetensors", "a.bin"]}
    (tmp_path / "a.bin").write_bytes(b"weights")
    cache = {"a.bin": str(tmp_path / "a.bin")}
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda _, name: cache.get(name))
    found = doctor_probe._model(asked)
    assert found["path"] == cache["a.bin"]
    assert found["digest"].endswith("of 7 bytes")
    cache.clear()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(pretrained, "_unreachable", lambda _: None)
    assert doctor_probe._model(asked) == {"fetchable": True}
    monkeypatch.setattr(pretrained, "_unreachable", lambda _: "timed out")
    assert "does not answer: timed out" in doctor_probe._model(asked)["missing"]
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in doctor_probe._model(asked)["missing"]


@pytest.mark.ray
@pytest.mark.parametrize(("corpus", "code"), [(None, 0), ("/no/such/corpus", 2)])
def test_the_exit_code_is_for_scripts(local_ray, monkeypatch, corpus, code) -> None:
    from contextlib import nullcontext

    monkeypatch.setattr("pipelines.session.ray_session", lambda _: nullcontext())
    given = [] if corpus is None else ["--corpus", corpus]
    done = CliRunner().invoke(app, ["doctor", *given, "labels.eps=0.5"])
    assert done.exit_code == code, done.output
    assert "--out is not given" in done.output
    assert ("fail corpus     no corpus at /no/such/corpus" in done.output) is (code == 2)
