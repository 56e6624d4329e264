"""Steps that another run has done already are copied into a run, not computed again."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow.fs as pafs

from itkm_core.corpus.schema import Corpus
from pipelines.config import RunConfig
from pipelines.dag import Round
from pipelines.runs import MANIFEST, Manifest, RunFolder
from pipelines.step_inputs import step_inputs
from pipelines.storage import Place


def adopt_steps(
    run: RunFolder,
    config: RunConfig,
    corpus: Corpus,
    rounds: Sequence[Round],
    donors: Sequence[RunFolder],
) -> list[str]:
    """Copy into `run` every step it has not done that a donor made from the same inputs. Returns their names.

    A step whose needs are nowhere done is left to the run. The manifest, which says that a step is done, is
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
                _copy(donor.step(step.name), run.step(step.name).clear())
                manifest = run.finished(step.name, inputs)
                assert manifest is not None, f"{step.name} was copied from {donor.place}"
                adopted.append(step.name)
            done[step.name] = manifest
    return adopted


def _copy(source: Place, target: Place) -> None:
    source_fs, source_path = source.resolve()
    target_fs, target_path = target.resolve()
    infos = source_fs.get_file_info(pafs.FileSelector(source_path, recursive=True))
    names = [info.path for info in infos if info.type == pafs.FileType.File]
    for name in sorted(names, key=lambda name: name == f"{source_path}/{MANIFEST}"):
        path = target_path + name.removeprefix(source_path)
        if target.is_local:  # an object store has no folders
            target_fs.create_dir(path.rpartition("/")[0], recursive=True)
        pafs.copy_files(name, path, source_filesystem=source_fs, destination_filesystem=target_fs)
