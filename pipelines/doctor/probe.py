"""What `itkm doctor` asks one node. Runs there, as Ray tasks that hold no CPU.

Ray sends the functions of this file and of `disks.py` as code (see `ask.py`), so that a node with another version of
itkm, or none, can say so: nothing else of ours is imported at the top, and answers are plain dictionaries. A part
that cannot be determined is `{"error": message}`.
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
"""Libraries with a distribution for each kind of machine, such as faiss-cpu and faiss-gpu."""

OURS = ("itkm_core", "pipelines")
ENDS = 1 << 20  # bytes compared at each end of a weights file
READERS = 8


def look(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of this node.

    asked: "model" and "corpus", if there is one to look for, and the "seconds" that the GPUs have to answer.
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
    """Versions of Python, of `PACKAGES` (None: missing) and of those of `OPTIONAL` that are installed, without
    importing them; and a digest of our own code, which changes more often than its version."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    installed: dict[str, str] = {}
    for each in importlib.metadata.distributions():
        if each.name:  # None for the remains of a broken uninstall
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
    """Write the small file `name` into `folder`. Returns as "made" the local folders created for it."""
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
    """As "seen", those of `names` whose files are in `folder` with the contents that were written.

    "error": why others could not be read, unless they simply are not there.
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
    """A kilobyte: S3 clients fail on a refusal (503) whose message is longer than the requested file."""
    return (name.encode() + b"\n") * (1024 // (len(name) + 1) + 1)


def remove_mark(folder: str, name: str, made: Sequence[str]) -> None:
    """Remove this node's file, and the folders created for it as far as they are empty."""
    from itkm_core.storage.place import Place

    place = Place.at(folder)
    if not place.is_local:
        _guarded((place / name).remove)
        return
    (Path(place.resolve()[1]) / name).unlink(missing_ok=True)
    for above in made:  # the deepest first
        try:
            os.rmdir(above)
        except OSError:  # it still holds another node's file
            return


def _guarded(step: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    try:
        return step(*arguments) or {}
    except Exception as error:  # noqa: BLE001 - that something cannot be determined is a fact too
        # A store numbers its requests, and the same fault should have the same words on every node.
        said = re.sub(r" \(Request ID: [^)]*\)", "", str(error))
        return {"error": f"{type(error).__name__}: {shortened(said)}"}


def shortened(error: object, most: int = 300) -> str:
    """As `itkm_core.errors.shortened`, which the node need not have."""
    said = " ".join(str(error).split())
    return said if len(said) <= most else f"{said[: most // 3]} ... {said[-(most - most // 3) :]}"


def _package(name: str) -> str | None:
    found = importlib.util.find_spec(name)
    return None if found is None or found.origin is None else os.path.dirname(found.origin)


def _raylet() -> dict[str, Any]:
    """Flags and environment of the raylet, the parent of this process. Empty on systems without /proc."""
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
    """Size and folder of the object store, and the size of /dev/shm if there is one."""
    flags = raylet["flags"]
    found: dict[str, Any] = {"folder": flags.get("plasma_directory", "")}
    found["bytes"] = int(float(flags.get("object_store_memory", 0)))
    if os.path.isdir("/dev/shm"):
        found["shm"] = shutil.disk_usage("/dev/shm").total
    return found


def _model(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The weights: their "path" and a "digest" of their ends, or "fetchable", or why they are "missing"."""
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
    """The digest in corpus.json as seen from here; raises unless the end of one shard can be read."""
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
    """The GPUs that the libraries see, in a separate process: Ray hides them from a task that asks for none, and
    the answer must survive a driver that hangs or a library that ends its process."""
    found = importlib.util.find_spec("pipelines")
    # Before the working directory, which Ray adds, and whatever of that name is there.
    ours = (
        [os.path.dirname(each) for each in found.submodule_search_locations or ()] if found else []
    )
    folders = os.pathsep.join(filter(None, [*ours, *sys.path]))
    environment = {**os.environ, "PYTHONPATH": folders, "PYTHONSAFEPATH": "1"}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    if "CUDA_VISIBLE_DEVICES" in raylet:
        environment["CUDA_VISIBLE_DEVICES"] = raylet["CUDA_VISIBLE_DEVICES"]
    command = [sys.executable, "-m", "pipelines.doctor.gpus"]
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=seconds,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise RuntimeError(f"the GPU libraries failed: {last}")
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts
