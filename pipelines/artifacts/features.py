"""Features of images in a run folder: their files, and reading them in order.

Files: features/scenario=<s>/group=<g>/split=<p>/from-<first sample_id>.parquet with `sample_id` and
`feature` [D] float32 of unit norm, and features/files.json, which names them and is written last. Ray Data
does not keep the order of rows, so reading sorts and checks them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads

from itkm_core.errors import FeatureError
from itkm_core.neighbors.lookup import Lookup
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block

FILES = "files.json"


def part_folder(block: Block, split: str) -> str:
    """The folder of a block's images of one split, below the features."""
    return f"{_block_folder(block)}/split={quote(split, safe='')}"


def write_files(place: Place, names: Sequence[str]) -> None:
    """Record which files below `place` are the features.

    Other files may lie there: half a file from a node that was lost, or one from an earlier try that an
    object store still lists after its deletion.
    """
    (place / FILES).write_json(sorted(set(names)))


def feature_files(place: Place, block: Block | None = None) -> list[str]:
    """Sorted paths (on the resolved file system) of the feature files of one block, or of all.

    A folder from a version without files.json is listed.
    """
    _, root = place.resolve()
    if (place / FILES).exists():
        files = [f"{root}/{name}" for name in (place / FILES).read_json()]
    else:
        files = place.files(".parquet")
    if block is None:
        return files
    return [path for path in files if path.startswith(f"{root}/{_block_folder(block)}/")]


@contextmanager
def seen_from_here(place: Place) -> Iterator[None]:
    """Turns "no such file" into a FeatureError for files of `place`, which an encoder wrote somewhere."""
    try:
        yield
    except FileNotFoundError as error:
        raise FeatureError(
            f"{place}: {error}. An encoder wrote it; if that was on another machine, the folder is not one that "
            "all machines share: expected a shared folder, s3:// or gs://. If it was deleted, delete the whole "
            "folder to redo it"
        ) from error


def read_features(place: Place, ids: np.ndarray, block: Block | None = None) -> np.ndarray:
    """Features of exactly `ids`, in that order: float32 [len(ids), D].

    block: the one that all of them are in; only its files are read.

    Raises:
        FeatureError: a file or an id is missing, an id is repeated, or a row is not finite or not of unit norm.
    """
    table = _read(place, feature_files(place, block))
    by_id = Lookup(table["sample_id"].to_numpy())
    if len(by_id.repeated):
        raise FeatureError(f"{place}: {len(by_id.repeated)} sample ids are repeated")
    place_of, there = by_id.find(ids)
    if not there.all():
        raise FeatureError(
            f"{place}: no feature for {int((~there).sum())} of {len(ids)} images, "
            f"the first is sample_id {int(np.asarray(ids)[~there][0])}; delete the folder to redo it"
        )
    width = table.schema.field("feature").type.list_size
    # flatten() honours the slice of each chunk, .values would not.
    flat = np.concatenate([chunk.flatten().to_numpy() for chunk in table["feature"].chunks])
    features = flat.reshape(-1, width)[place_of]
    norms = np.linalg.norm(features, axis=1)
    wrong = ~(np.abs(norms - 1.0) < 1e-3)  # also true for NaN
    if wrong.any():
        raise FeatureError(
            f"{place}: {int(wrong.sum())} features are not finite or not of unit norm, the first is "
            f"sample_id {int(np.asarray(ids)[wrong][0])}; the encoder that made them has diverged"
        )
    return features


def _read(place: Place, files: list[str]) -> pa.Table:
    columns = ["sample_id", "feature"]
    if not files:
        return pa.table({name: [] for name in columns})
    fs, _ = place.resolve()
    with seen_from_here(place):
        return pads.dataset(files, filesystem=fs, format="parquet").to_table(columns=columns)


def _block_folder(block: Block) -> str:
    return f"scenario={quote(block.scenario, safe='')}/group={block.group}"
