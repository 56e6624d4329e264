"""The command and Ray's workers use itkm's own packages, whatever others a user has of the same names."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines import own_packages

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "pipelines/bin/itkm"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder with packages of a user's that have our names."""
    for name in ("pipelines", "itkm_core"):
        (tmp_path / "foreign" / name).mkdir(parents=True)
        (tmp_path / "foreign" / name / "__init__.py").write_text("raise RuntimeError('foreign')")
    return tmp_path / "foreign"


def environment(*folders: Path | str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}


@pytest.mark.parametrize("given", ["", ".", "FOREIGN", "FOREIGN:ROOT", ":FOREIGN"])
def test_the_command_finds_its_own(given: str, foreign: Path) -> None:
    path = given.replace("FOREIGN", str(foreign)).replace("ROOT", str(ROOT))
    # As installed: the packages' folder is in sys.path after those of PYTHONPATH.
    code = (
        f"import sys, runpy; sys.path.append({str(ROOT)!r}); sys.argv = ['itkm', 'config', "
        f"'--recipe', 'tiny']; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=environment(path) if path else os.environ,
        cwd=foreign,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout.startswith("model:") or "seed:" in done.stdout


def test_one_of_pythonpath_is_used_if_no_other_is_installed(
    foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_folder = runpy.run_path(str(SCRIPT))["own_folder"]
    monkeypatch.setattr(sys, "path", [str(foreign), str(ROOT)])
    monkeypatch.setenv("PYTHONPATH", f"{foreign}{os.pathsep}{ROOT}")
    assert own_folder() == str(ROOT)
    copy = foreign.parent / "installed"
    for each in ("pipelines/recipes/tiny.yaml", "itkm_core/errors.py"):
        (copy / each).parent.mkdir(parents=True)
        shutil.copy(ROOT / each, copy / each)
    sys.path.append(str(copy))
    assert own_folder() == str(copy)
    monkeypatch.setattr(sys, "path", [str(foreign)])
    assert own_folder() is None


def test_workers_are_told_only_where_others_would_be_found(
    foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(foreign.parent)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert own_packages.for_workers() is None
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert own_packages.for_workers() is None
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{foreign}")
    assert own_packages.for_workers() is None
    monkeypatch.setenv("PYTHONPATH", f"{foreign}{os.pathsep}{ROOT}")
    assert own_packages.for_workers() is not None
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.chdir(foreign)
    assert own_packages.for_workers() is not None
    shutil.rmtree(foreign / "pipelines")
    (foreign / "itkm_core/__init__.py").unlink()  # such a folder gives way to a package
    assert own_packages.for_workers() is None
    (foreign / "pipelines").with_suffix(".py").touch()
    assert own_packages.for_workers() is not None


IN_WORKERS = """
import sys
sys.path.insert(0, {root!r})
import itkm_core, pipelines
sys.path.remove({root!r})
from pipelines.console import Console
from pipelines.session import ray_session
from pipelines.steps.tasks import remote
from itkm_core.errors import shortened
with ray_session(Console()):
    print("found", remote(shortened, "a step", "by a worker"))
"""


@pytest.mark.ray
def test_workers_import_the_own_ones(
    foreign: Path, own_ray: Callable[[Path], dict[str, str]], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_WORKERS.format(root=str(ROOT))],
        env={**own_ray(tmp_path), "PYTHONPATH": str(foreign)},
        cwd=foreign,
        capture_output=True,
        encoding="utf-8",
        timeout=240,
    )
    assert "found by a worker" in done.stdout, done.stderr
