"""The house's walls: imports go down the floors of docs/architecture.md, in no circle, and files stay small.

`python tests/test_layout.py` prints the rooms: their floors, files, lines and what they import.
"""

import ast
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 400

# From the top floor down. A room may import from its own floor and those below; `*` is any other room of pipelines,
# that is a command's. A file outside the rooms is named as it is.
FLOORS = (
    ("pipelines/cli", "pipelines/cli_corpus"),
    ("pipelines/*",),
    ("pipelines/steps", "pipelines/training"),
    ("pipelines/artifacts", "pipelines/telemetry"),
    (
        "pipelines/config",
        "pipelines/config_augmentation",
        "pipelines/config_labels",
        "pipelines/session",
        "pipelines/signals",
        "pipelines/secrets",
        "pipelines/bars",
        "pipelines/console",
        "pipelines/faults",
        "pipelines/imports",
        "pipelines/own_packages",
        "pipelines/yaml_text",
    ),
    ("itkm_core/learning",),
    ("itkm_core/model",),
    ("itkm_core/matching", "itkm_core/synthetic", "itkm_core/collections"),
    ("itkm_core/clustering", "itkm_core/links"),
    ("itkm_core/corpus",),
    ("itkm_core/neighbors", "itkm_core/evaluation"),
    ("itkm_core/storage",),
    ("itkm_core/errors",),
)
PIPELINE_SIDE = {"ray", "pipelines"}
# A bare install of the core has none of these; importing the core must not need them.
OPTIONAL = {"av", "faiss", "cuml", "cupy", "cugraph", "matplotlib", "plotly", "jinja2"}
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


def python_files(*rooms, root=ROOT):
    files = sorted(path for room in rooms for path in (root / room).rglob("*.py"))
    assert files, f"no files in {rooms}: the test looks in the wrong place"
    return files


def module_name(path, root=ROOT):
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(source, package):
    """Dotted names a module imports at any depth, by statement or by import_module("..."), and their lines.

    `from a import b` gives a.b, which may be a module or a name in one.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            climbed = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = [".".join(climbed)] if node.level and climbed else []
            for alias in node.names:
                yield ".".join([*base, *filter(None, [node.module]), alias.name]), node.lineno
        elif isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            target = node.args[0]
            if name in ("import_module", "__import__") and isinstance(target, ast.Constant):
                yield str(target.value), node.lineno


def imported_packages(source, package):
    """The top-level name of each of these."""
    for name, line in imported_names(source, package):
        yield name.partition(".")[0], line


def import_graph(root):
    """{file: {file it imports: line}} of itkm_core and pipelines below `root`; a package is its __init__.py.

    A file in a package counts as importing none of the packages around it, though Python runs their __init__.py first:
    these only hand names on.
    """
    files = {
        module_name(path, root): path for path in python_files("itkm_core", "pipelines", root=root)
    }
    graph = {}
    for path in files.values():
        package = ".".join(path.relative_to(root).parent.parts)
        found = graph[path.relative_to(root).as_posix()] = {}
        for name, line in imported_names(path.read_text("utf-8"), package):
            module = name if name in files else name.rpartition(".")[0]
            if module in files:
                found.setdefault(files[module].relative_to(root).as_posix(), line)
    return graph


def room_of(file):
    """`itkm_core/corpus` of itkm_core/corpus/arrays/csr.py, `pipelines/cli` of pipelines/cli.py."""
    parts = Path(file).with_suffix("").parts
    return "/".join(parts[:2])


def floor_of(room):
    for number, rooms in enumerate(FLOORS):
        if room in rooms:
            return number
    if room.endswith("/__init__"):
        return len(FLOORS)
    commands = next(number for number, rooms in enumerate(FLOORS) if "pipelines/*" in rooms)
    return commands if room.startswith("pipelines/") else None


def climbs(graph):
    """One line for each import that goes up a floor, or whose file is in no room there is."""
    for file, imported in graph.items():
        if floor_of(room_of(file)) is None:
            yield f"{file} is in no room of FLOORS"
            continue
        for other, line in imported.items():
            if (floor_of(room_of(other)) or 0) < floor_of(room_of(file)):
                yield f"{file}:{line} imports {other}, which is {room_of(other)}, a floor above"


def circles(graph):
    """The files of each circle of imports: the strongly connected parts (Tarjan, SIAM J. Comput. 1972)."""
    number, low, stack, found = {}, {}, [], []

    def visit(file):
        number[file] = low[file] = len(number)
        stack.append(file)
        for other in graph.get(file, ()):
            if other not in number:
                visit(other)
            if other in stack:
                low[file] = min(low[file], low[other])
        if low[file] == number[file]:
            part = stack[stack.index(file) :]
            del stack[stack.index(file) :]
            if len(part) > 1 or file in graph.get(file, ()):
                found.append(sorted(part))

    for file in graph:
        if file not in number:
            visit(file)
    return found


def by_room(graph):
    """The same graph between rooms."""
    rooms = defaultdict(dict)
    for file, imported in graph.items():
        rooms[room_of(file)].update({room_of(other): 0 for other in imported})
    return {room: {other: 0 for other in found if other != room} for room, found in rooms.items()}


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


def test_imports_go_down():
    assert not list(climbs(import_graph(ROOT)))


def test_no_circles():
    graph = import_graph(ROOT)
    assert not circles(graph)
    assert not circles(by_room(graph))


@pytest.mark.parametrize(
    ("files", "climb", "circle"),
    [
        ({"itkm_core/storage/a.py": "from itkm_core.corpus import b"}, True, False),
        ({"itkm_core/storage/a.py": "def f():\n    from itkm_core.corpus.b import x"}, True, False),
        ({"itkm_core/corpus/a.py": "from itkm_core.storage.c import x"}, False, False),
        ({"itkm_core/corpus/a.py": "from .b import x"}, False, False),
        ({"itkm_core/corpus/b.py": "from itkm_core.corpus.a import x"}, False, False),
        (
            {
                "itkm_core/corpus/a.py": "import itkm_core.corpus.b",
                "itkm_core/corpus/b.py": "if x:\n    from itkm_core.corpus.a import y",
            },
            False,
            True,
        ),
        ({"pipelines/steps/a.py": "from pipelines.walk import command"}, True, False),
        ({"pipelines/config.py": "import pipelines.cli"}, True, False),
        ({"pipelines/walk/command.py": "from pipelines.cli import app"}, True, False),
        (
            {
                "pipelines/walk/command.py": "from pipelines.run.command import x",
                "pipelines/run/tables.py": "from pipelines.walk.other import y",
            },
            False,
            False,
        ),
        ({"itkm_core/attic/a.py": ""}, True, False),
    ],
)
def test_a_made_tree_with_each_fault(tmp_path, files, climb, circle):
    empty = [
        "itkm_core/corpus/a.py",
        "itkm_core/corpus/b.py",
        "itkm_core/storage/c.py",
        "pipelines/cli.py",
    ]
    empty += ["pipelines/walk/command.py", "pipelines/walk/other.py", "pipelines/run/command.py"]
    for name, source in {**dict.fromkeys(empty, ""), **files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    graph = import_graph(tmp_path)
    found = list(climbs(graph))
    assert bool(found) == climb
    assert bool(circles(graph)) == circle
    (first, *_) = files
    assert all(first in line for line in found)  # both files by name
    if "pipelines/run/tables.py" in files:
        assert circles(by_room(graph)) == [["pipelines/run", "pipelines/walk"]]


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


def test_packages_only_hand_names_on():
    for path in python_files("itkm_core", "pipelines"):
        if path.name == "__init__.py":
            for node in ast.parse(path.read_text("utf-8")).body:
                allowed = isinstance(node, (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr))
                assert allowed, (
                    f"{path.relative_to(ROOT)}:{node.lineno} does more than hand names on"
                )


def print_rooms():
    graph = import_graph(ROOT)
    rooms = defaultdict(list)
    for file in graph:
        rooms[room_of(file)].append(len((ROOT / file).read_text("utf-8").splitlines()))
    imported = by_room(graph)
    print(f"{'floor':>5} {'room':<24} {'files':>5} {'lines':>6}  imports")
    for room in sorted(rooms, key=lambda name: (floor_of(name), name)):
        if room.endswith("/__init__"):
            continue
        below = " ".join(sorted(name.partition("/")[2] for name in imported[room]))
        print(
            f"{floor_of(room):>5} {room:<24} {len(rooms[room]):>5} {sum(rooms[room]):>6}  {below}"
        )
    for name, found in (("files", circles(graph)), ("rooms", circles(imported))):
        print(f"circles of {name}: {found or 'none'}")
    print(*climbs(graph), sep="\n")


def test_the_picture_of_the_architecture_has_the_floors_as_they_are() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    drawn = [found.split(" · ") for found in re.findall(r'\bF\d+\["([^"]+)"\]', page)]
    named = {room for floor in FLOORS for room in floor}
    folders = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("*/*/__init__.py")}
    commands = sorted(room for room in folders - named if room.startswith("pipelines/"))
    floors = [commands if floor == ("pipelines/*",) else floor for floor in FLOORS]
    expected = [[room.rpartition("/")[2] for room in floor] for floor in floors]
    assert [sorted(rooms) for rooms in drawn] == [sorted(rooms) for rooms in expected]


if __name__ == "__main__":
    print_rooms()
