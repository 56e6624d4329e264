"""Copies into a run the steps that another run has already done, so that they are not computed again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pyarrow as pa
import pyarrow.fs as pafs

from itkm_core.corpus.schema import Corpus
from itkm_core.errors import StorageError
from itkm_core.storage.object_store import patiently
from itkm_core.storage.place import Place
from pipelines.artifacts.run_folder import MANIFEST, RAY_TRAIN, Manifest, RunFolder
from pipelines.config import RunConfig
from pipelines.run.dag import Round
from pipelines.run.inputs import step_inputs


def adopt_steps(
    run: RunFolder,
    config: RunConfig,
    corpus: Corpus,
    rounds: Sequence[Round],
    donors: Sequence[RunFolder],
) -> list[str]:
    """Copy into `run` every missing step that a donor made from the same inputs. Returns their names.

    A step that needs one which is done nowhere is left to the run. The manifest, which says that a step is done, is
    copied last.
    """
    done: dict[str, Manifest] = {}
    adopted = []
    for each in rounds:
        for step in each.steps:
            if any(need not in done for need in step.needs):
                continue
            inputs = step_inputs(config, corpus, each, step, done)
            manifest = run.finished(step.name, inputs)
            if manifest is None:
                donor = next((one for one in donors if one.finished(step.name, inputs)), None)
                if donor is None:
                    continue
                run.begin(step.name, inputs)
                _copy(donor.step(step.name), run.step(step.name))
                manifest = run.finished(step.name, inputs)
                assert manifest is not None, f"{step.name} was copied from {donor.place}"
                adopted.append(step.name)
            done[step.name] = manifest
    return adopted


def _copy(source: Place, target: Place) -> None:
    """Copy a step that is done, without Ray Train's own folder, which only an unfinished step needs.

    This is the only place that relies on a listing: the step was done long ago, so S3 and GCS list all of it.
    """
    source_fs, source_path = source.resolve()
    target_fs, target_path = target.resolve()
    for name in source.files():
        inner = name.removeprefix(f"{source_path}/")
        if inner == MANIFEST or inner.startswith(f"{RAY_TRAIN}/"):
            continue
        path = f"{target_path}/{inner}"
        try:
            if target.is_local:  # an object store has no folders
                target_fs.create_dir(path.rpartition("/")[0], recursive=True)
            patiently(partial(pafs.copy_files, name, path, source_fs, target_fs))
        except (OSError, pa.ArrowException) as error:
            raise StorageError(f"cannot copy {source}/{inner} to {target}: {error}") from error
    (target / MANIFEST).write_bytes((source / MANIFEST).read_bytes())
