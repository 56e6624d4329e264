"""The run folder: what was asked, what each step did, and what may be skipped.

    config.yaml                       the resolved configuration and the corpus it is for
    round-NNN/<step>/inputs.json      digests of the step's inputs; written when it starts
    round-NNN/<step>/manifest.json    digests of inputs and output, seconds, facts; written last
    round-NNN/<step>/...              what the step made
    metrics.jsonl                     one line per finished step, rebuilt from the manifests

A step that has a manifest with the digests its inputs have now is not run again. That is all there is to
resuming: a step that died left no manifest and starts over, a training from its last checkpoint if its inputs
are the same.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import yaml

from itkm_core.errors import ConfigError, StorageError
from itkm_core.storage.place import Place
from pipelines.artifacts.differences import differences
from pipelines.yaml_text import parse_yaml

MANIFEST = "manifest.json"
INPUTS = "inputs.json"
RAY_TRAIN = "ray_train"  # folder of Ray Train's own bookkeeping and mid-stage checkpoints in a step

STEP_FILES = (
    MANIFEST,  # these two first: a step that is half deleted must not look finished, or begun
    INPUTS,
    RAY_TRAIN,
    "features",
    "checkpoint",
    "labels.parquet",
    "centroids.npy",
    "neighbours.npy",
    "clusters.parquet",
    "instances-*.npz",
    "text-*.npy",
    "instance-text-*.npy",
    "tokens.safetensors",
    "parameters.json",
    "facts.json",
    "fault.json",
    "evaluation.json",
)
"""All that a step writes into its folder; whatever else is there stays."""


def digest_of(value: Any) -> str:
    """Short SHA-256 of a JSON-able value (keys sorted) or of bytes."""
    data = value if isinstance(value, bytes) else json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()[:24]


@dataclass(frozen=True)
class Manifest:
    """What a finished step says about itself. `digest` names its output; later steps build on it."""

    inputs: dict[str, str]
    digest: str
    facts: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class RunFolder:
    """A run's place. It holds only the address, so every process may have its own."""

    place: Place

    def step(self, name: str) -> Place:
        return self.place / name

    def finished(self, name: str, inputs: Mapping[str, str]) -> Manifest | None:
        """The manifest of step `name` if it was made from exactly these inputs, else None."""
        manifest = self.read(name)
        return manifest if manifest is not None and manifest.inputs == dict(inputs) else None

    def begin(self, name: str, inputs: Mapping[str, str]) -> None:
        """Prepare the folder of step `name`: kept if the step was started with these inputs, else emptied of
        `STEP_FILES`.

        A training must not resume from what a training on other labels left.
        """
        path = self.step(name) / INPUTS
        if not path.exists() or path.read_json() != dict(inputs):
            self.step(name).clear(*STEP_FILES)
            path.write_json(dict(inputs))

    def read(self, name: str) -> Manifest | None:
        path = self.step(name) / MANIFEST
        if not path.exists():
            return None
        raw = path.read_json()
        if raw.get("status") != "complete":
            return None
        return Manifest(raw["inputs"], raw["digest"], raw["facts"], raw["seconds"])

    def finish(
        self,
        name: str,
        *,
        inputs: Mapping[str, str],
        digest: str,
        facts: Mapping[str, Any],
        started: float,
        resources: Mapping[str, Any] | None = None,
    ) -> Manifest:
        manifest = Manifest(dict(inputs), digest, dict(facts), round(time.time() - started, 3))
        (self.step(name) / MANIFEST).write_json(
            {
                "step": name,
                "status": "complete",
                "inputs": manifest.inputs,
                "digest": digest,
                "facts": manifest.facts,
                "started": round(started, 3),
                "seconds": manifest.seconds,
                "resources": dict(resources or {}),
                "itkm": version("itkm"),
                "python": platform.python_version(),
            }
        )
        return manifest

    def write_metrics(self, steps: list[str]) -> None:
        """Write metrics.jsonl from the manifests, so that a rerun or a resume neither loses nor repeats a line."""
        lines = []
        for name in steps:
            manifest = self.read(name)
            if manifest is not None:
                row = {"step": name, "seconds": manifest.seconds, **manifest.facts}
                lines.append(json.dumps(row, sort_keys=True))
        (self.place / "metrics.jsonl").write_bytes(("\n".join(lines) + "\n").encode())


def open_run(place: Place, identity: Mapping[str, Any], resolved: Mapping[str, Any]) -> RunFolder:
    """Start or continue the run at `place`.

    `identity` is what determines the run's results (method, model, corpus digest); `resolved` is the whole
    configuration, of which workers and devices may change between starts of the same run.

    Raises:
        ConfigError: the place holds a run of another identity; the difference is shown.
        StorageError: the place holds something that is no run, or is a file.
    """
    config = place / "config.yaml"
    if config.exists():
        before = read_run(place)[1]["identity"]
        changes = differences(before, json.loads(json.dumps(identity)))
        if changes:
            raise ConfigError(
                f"{place} holds a run with another configuration:\n  "
                + "\n  ".join(changes)
                + "\nGive another --out, or undo the change to continue that run."
            )
    elif names := place.names():
        raise StorageError(
            f"{place} is not empty (it holds {names[0]!r}) and is not the folder of a run; give another --out"
        )
    document = {"identity": json.loads(json.dumps(identity)), "config": dict(resolved)}
    config.write_bytes(yaml.safe_dump(document, sort_keys=False).encode())
    return RunFolder(place)


def read_run(place: Place) -> tuple[RunFolder, dict[str, Any]]:
    """The run at `place` and its config.yaml. StorageError where there is none, or a damaged one."""
    config = place / "config.yaml"
    if not config.exists():
        raise StorageError(f"no run at {place}: expected config.yaml in it; check the path")
    try:
        document = parse_yaml(config.read_bytes(), str(config))
    except ConfigError:
        document = None
    parts = (document.get("identity"), document.get("config")) if isinstance(document, dict) else ()
    if not parts or not all(isinstance(part, dict) for part in parts):
        raise StorageError(
            f"no run at {place}: its config.yaml is not one that `itkm run` wrote; give another folder"
        )
    return RunFolder(place), document
