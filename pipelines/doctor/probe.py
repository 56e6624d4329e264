"""What `itkm doctor` asks one node. Runs there, as Ray tasks that hold no CPU.

Ray sends this file's functions whole (`ask.py`), and those of `disks.py`, so that a node without
itkm, or with another one, can say so: no other import of ours at the top, and answers are plain dictionaries. A
part that cannot be had is `{"error": what was said}`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pipelines.doctor.disks import cache, spill

PACKAGES = (
    *("ray", "torch", "torchvision", "numpy", "pyarrow", "open_clip_torch", "numba"),
    *("scikit-learn", "scipy", "safetensors", "itkm"),
)
OPTIONAL = ("faiss", "cuml")
"""Libraries that have a distribution for each kind of machine, such as faiss-cpu and faiss-gpu."""

OURS = ("itkm_core", "pipelines")
ENDS = 1 << 20  # bytes at each end of a weights file that are compared
READERS = 8


def look(asked: Mapping[str, Any]) -> dict[str, Any]:
    """This node's facts.

    asked: "model" and "corpus" where there is one to look for, "seconds" that the GPUs have to answer.
    """
    raylet = _raylet()
    facts: dict[str, Any] = {
        "versions": versions(),
        "token": os.environ.get("RAY_AUTH_MODE", "").lower() == "token",
        "store": _guarded(_store, raylet),
        "spill": _guarded(spill, raylet["flags"].get("fallback_directory", "")),
        "cache": _guarded(cache, asked.get("corpus")),
    }
    if asked.get("model"):
        facts["model"] = _guarded(_model, asked["model"])
    if asked.get("corpus"):
        facts["corpus"] = _guarded(_corpus, asked["corpus"])
    if asked.get("gpus") or os.path.exists("/proc/driver/nvidia/version"):
        facts["gpus"] = _guarded(_gpus, raylet["environment"], asked["seconds"])
    return facts


def versions() -> dict[str, str | None]:
    """Of Python, `PACKAGES` (None: missing) and those of `OPTIONAL` that are there, from what is installed without
    importing it; and a digest of our own code, which changes more often than its number."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    installed: dict[str, str] = {}
    for each in importlib.metadata.distributions():
        if each.name:  # none in what a broken removal left behind
            installed.setdefault(each.name.lower(), each.version)  # the first is the one imported
    for library in OPTIONAL:
        have = {installed[name] for name in installed if re.split("[-_.]", name)[0] == library}
        if have:
            found[library] = " and ".join(sorted(have))
    folders = [_package(name) for name in OURS]
    code = None
    if None not in folders:
        whole = hashlib.sha256()
        for folder in folders:
            for file in sorted(Path(str(folder)).rglob("*.py")):
                whole.update(f"{file.relative_to(str(folder))}\0".encode() + file.read_bytes())
        code = whole.hexdigest()[:8]
    return {**found, "itkm's code": code}


def write_mark(folder: str, name: str) -> dict[str, Any]:
    """Write the small file `name` into `folder`. "made": folders of this machine that were not there before."""
    from itkm_core.storage.place import Place

    place = Place.at(folder)
    made = []
    if place.is_local:
        above = Path(place.resolve()[1])
        while not above.exists():
            made.append(str(above))
            above = above.parent
    return {"made": made, **_guarded(lambda: (place / name).write_bytes(_mark(name)))}


def read_marks(folder: str, names: Sequence[str]) -> dict[str, Any]:
    """Those of `names` whose files are in `folder` and hold what was written, as "seen".

    "error": what kept others from being read, where it is more than that they are not there.
    """
    from itkm_core.storage.place import Place

    def there(name: str) -> dict[str, Any]:
        try:
            return {"whole": (Place.at(folder) / name).read_bytes() == _mark(name)}
        except Exception as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return {}
            raise

    with ThreadPoolExecutor(READERS) as pool:
        found = dict(zip(names, pool.map(lambda name: _guarded(there, name), names), strict=True))
    seen = [name for name, each in found.items() if each.get("whole")]
    errors = [each["error"].replace(name, "…") for name, each in found.items() if "error" in each]
    return {"seen": seen, **({"error": errors[0]} if errors else {})}


def _mark(name: str) -> bytes:
    """A kilobyte: S3 clients fail on a refusal (503) whose words are longer than the file that was asked for."""
    return (name.encode() + b"\n") * (1024 // (len(name) + 1) + 1)


def remove_mark(folder: str, name: str, made: Sequence[str]) -> None:
    """Take away this node's file, and what folders were made for it as soon as they are empty."""
    from itkm_core.storage.place import Place

    place = Place.at(folder)
    if not place.is_local:
        _guarded((place / name).remove)
        return
    (Path(place.resolve()[1]) / name).unlink(missing_ok=True)
    for above in made:  # the deepest first
        try:
            os.rmdir(above)
        except OSError:  # another node's file is still in it
            return


def _guarded(step: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    try:
        return step(*arguments) or {}
    except Exception as error:  # noqa: BLE001 - a fact that cannot be had is a fact
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}


def _package(name: str) -> str | None:
    found = importlib.util.find_spec(name)
    return None if found is None or found.origin is None else os.path.dirname(found.origin)


def _raylet() -> dict[str, Any]:
    """Flags and environment of the raylet, this process's parent. Empty where the system has no /proc."""
    try:
        process = Path(f"/proc/{os.getppid()}")
        words = process.joinpath("cmdline").read_bytes().decode(errors="replace").split("\0")
        pairs = process.joinpath("environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        words, pairs = [], []
    flags = dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)
    return {
        "flags": flags,
        "environment": dict(pair.split("=", 1) for pair in pairs if "=" in pair),
    }


def _store(raylet: Mapping[str, Any]) -> dict[str, Any]:
    """Size and folder of the object store, and of /dev/shm where there is one."""
    flags = raylet["flags"]
    found: dict[str, Any] = {"folder": flags.get("plasma_directory", "")}
    found["bytes"] = int(float(flags.get("object_store_memory", 0)))
    if os.path.isdir("/dev/shm"):
        found["shm"] = shutil.disk_usage("/dev/shm").total
    return found


def _model(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Where the weights are: "path" and a digest of their ends; "fetchable", or why they are "missing"."""
    from itkm_core.model.pretrained import EMBEDDED_WEIGHTS, find_on_hub

    if asked["kind"] == "tag":
        found, reason = find_on_hub(asked["repository"], asked["files"])
        if found is None:
            return {"fetchable": True} if reason is None else {"missing": reason}
        path = found
    else:
        path = EMBEDDED_WEIGHTS if asked["kind"] == "embedded" else Path(asked["path"]).expanduser()
    if not path.is_file():
        return {"missing": f"{path} is not there"}
    size = path.stat().st_size
    with path.open("rb") as file:
        ends = hashlib.sha256(file.read(ENDS))
        file.seek(max(0, size - ENDS))
        ends.update(file.read())
    return {"path": str(path), "digest": f"{ends.hexdigest()[:12]} of {size:,} bytes"}


def _corpus(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The digest that corpus.json has here, and that one shard's end can be read."""
    import pyarrow.parquet as pq

    from itkm_core.corpus.schema import Corpus
    from itkm_core.storage.paths import resolve

    corpus = Corpus.open(asked["path"])
    filesystem, path = resolve(corpus.shard_paths()[asked["shard"]])
    with filesystem.open_input_file(path) as source:
        rows = pq.ParquetFile(source).metadata.num_rows
    if rows != corpus.shard_rows[asked["shard"]]:
        raise ValueError(
            f"{path} has {rows} rows, corpus.json says {corpus.shard_rows[asked['shard']]}"
        )
    return {"digest": corpus.digest}


def _gpus(raylet: Mapping[str, str], seconds: float) -> dict[str, Any]:
    """GPUs as the libraries see them, in a process of its own: Ray hides them from a task that asks for none, and
    a driver that hangs, or a library that ends its process, must not take the answer with it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    if "CUDA_VISIBLE_DEVICES" in raylet:
        environment["CUDA_VISIBLE_DEVICES"] = raylet["CUDA_VISIBLE_DEVICES"]
    command = [sys.executable, "-m", "pipelines.doctor.gpus"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise RuntimeError(f"asking the libraries failed: {last}")
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts
