"""The house's walls: the method knows nothing of Ray or the pipelines, and files stay small."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 400
PIPELINE_SIDE = {"ray", "pipelines"}
# A bare install of the core has none of these; importing the core must not need them.
OPTIONAL = {"faiss", "cuml", "cupy", "cugraph", "matplotlib", "plotly", "jinja2"}
HEAVY = ("torch", "open_clip", "torchvision")

# Imports every module named in argv behind a finder that refuses some packages; prints what failed.
IMPORT_ALL = """
import importlib, json, sys
blocked, modules = map(json.loads, sys.argv[1:])
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"blocked import of {name}", name=name)
sys.meta_path.insert(0, Refuse())
failed = {}
for module in modules:
    try:
        importlib.import_module(module)
    except Exception as error:
        failed[module] = repr(error)
print(json.dumps({"failed": failed, "loaded": sorted(sys.modules)}))
"""


def python_files(*rooms):
    files = sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))
    assert files, f"no files in {rooms}: the test looks in the wrong place"
    return files


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_packages(source, package):
    """Top-level names a module imports at any depth, by statement or by import_module("...")."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            climbed = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = [".".join(climbed)] if node.level and climbed else []
            for alias in node.names:
                full = ".".join([*base, *filter(None, [node.module]), alias.name])
                yield full.partition(".")[0], node.lineno
        elif isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            target = node.args[0]
            if name in ("import_module", "__import__") and isinstance(target, ast.Constant):
                yield str(target.value).partition(".")[0], node.lineno


def import_all(modules, blocked):
    command = [sys.executable, "-c", IMPORT_ALL, json.dumps(sorted(blocked)), json.dumps(modules)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_core_names_neither_ray_nor_pipelines():
    found = []
    for path in python_files("itkm_core"):
        package = ".".join(path.relative_to(ROOT).parent.parts)
        for name, line in imported_packages(path.read_text("utf-8"), package):
            if name in PIPELINE_SIDE:
                found.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "import ray",
        "import os, ray.data as data",
        "def f():\n    from ray.train import report",
        "try:\n    import ray\nexcept ImportError:\n    ray = None",
        "import importlib\nimportlib.import_module('ray.data')",
        "from ... import pipelines",
        "from ...pipelines import cli",
        "__import__('pipelines.cli')",
    ],
)
def test_the_search_finds_every_way_to_import(source):
    names = {name for name, _ in imported_packages(source, "itkm_core.corpus")}
    assert names & PIPELINE_SIDE


def test_the_search_does_not_mistake_our_own_names():
    source = "from . import ray\nfrom .pipelines import x\nfrom itkm_core import ray\nray_count = 1"
    names = {name for name, _ in imported_packages(source, "itkm_core.corpus")}
    assert names == {"itkm_core"}


def test_core_imports_without_ray_or_the_extras():
    modules = [module_name(path) for path in python_files("itkm_core")]
    result = import_all(modules, PIPELINE_SIDE | OPTIONAL)
    assert not result["failed"]
    assert not PIPELINE_SIDE & {name.partition(".")[0] for name in result["loaded"]}


@pytest.mark.parametrize("blocked", ["ray", "faiss"])
def test_the_blocked_import_is_refused(blocked):
    assert "blocked import" in import_all([blocked], {blocked})["failed"][blocked]


@pytest.mark.parametrize(
    "room", ["itkm_core.clustering", "itkm_core.evaluation", "itkm_core.matching"]
)
def test_light_rooms_import_no_model_library(room):
    result = import_all([room], PIPELINE_SIDE)
    assert not result["failed"]
    assert not set(HEAVY) & set(result["loaded"])


def test_files_are_small():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in python_files("itkm_core", "pipelines")
    }
    assert not {path: length for path, length in lengths.items() if length > MAX_LINES}
