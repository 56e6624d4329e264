"""`itkm label --features`: labels for features that were made elsewhere. Needs neither Ray nor a corpus."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from itkm_core.clustering import LabelOptions
from itkm_core.clustering.footprint import estimate_memory, free_memory, gigabytes
from itkm_core.errors import FeatureError
from itkm_core.neighbors.lookup import Lookup
from itkm_core.storage.place import Place
from pipelines.config import RunConfig
from pipelines.console import Console
from pipelines.label.against import Against
from pipelines.label.feature_links import feature_links
from pipelines.label.group import Images, label_images, sweep_images, sweep_options
from pipelines.label.index import FOLDER, Index, emptied
from pipelines.label.input import FeatureSet
from pipelines.label.output import Labelled, write_labels, write_sweeps


def label_features(
    given: FeatureSet,
    config: RunConfig,
    out: Place,
    console: Console,
    against: Against | None = None,
) -> None:
    """Write pseudo_labels.parquet (in the order of the input's rows), parameters.json and an index; print a table.

    `against`: what images of its blocks are labelled against; those of other blocks are labelled alone.

    Raises:
        FeatureError: there are no rows, or rows or ids do not fit those of `against`.
        LinkError: as `feature_links`.
        LabelError: eps is "auto", and no candidate gives labels that could be learnt from.
        StorageError: `out` cannot be written, or a file of `against` is damaged.
    """
    labelled = []
    _check_names(config, given)
    given = replace(given, links=feature_links(given, config))
    if against is not None:
        against.check_ids(given.ids)
    for images in _blocks(given):
        options = config.labels.for_scenario(images.block.scenario)
        if against is None or not against.knows(images.block.name):
            _announce(console, images, options)
        labelled.append(label_images(images, options, against))
    encoder = None if against is None else against.index.encoder
    # The index of an earlier call is removed only now that nothing can be refused any more.
    index = Index(emptied(out / FOLDER), config.labels, False, encoder, {})
    found = {
        each.block.name: Labelled(
            each.parameters, each.facts, each.notes, each.write_index(index.place)
        )
        for each in labelled
    }
    table = _in_order(pa.concat_tables([each.table for each in labelled]), given.ids)
    write_labels(out, table, found, index, console, against, tracks=given.tracks)


def sweep_features(given: FeatureSet, config: RunConfig, out: Place, console: Console) -> None:
    """Print what each of the `eps_candidates` gives, and write it to sweep.json; no labels are written.

    Raises:
        FeatureError: there are no rows.
        LinkError: as `feature_links`.
        StorageError: `out` cannot be written.
    """
    records, notes = {}, []
    _check_names(config, given)
    given = replace(given, links=feature_links(given, config))
    for images in _blocks(given):
        options = sweep_options(config.labels, images.block.scenario)
        records[images.block.name], more = sweep_images(images, options)
        notes += more
    write_sweeps(records, out, console, notes)


def _check_names(config: RunConfig, given: FeatureSet) -> None:
    """Raises as `RunConfig.check_names`."""
    known = [] if given.scenario is None else [block for block, _ in given.parts()]
    config.check_names(known)


def _blocks(given: FeatureSet) -> list[Images]:
    if not len(given.ids):
        raise FeatureError("the features have no rows; expected one for each image to label")
    return [
        Images(block, part.ids, part.features, links=part.links) for block, part in given.parts()
    ]


def _in_order(table: pa.Table, ids: np.ndarray) -> pa.Table:
    """The rows in the order of `ids`, so that each row of the output belongs to the same row of the input."""
    there = table["sample_id"].to_numpy()
    if np.array_equal(there, ids):
        return table
    return table.take(Lookup(there).find(ids)[0])


def _announce(console: Console, images: Images, options: LabelOptions) -> None:
    """Print how much memory labelling will take, before it does."""
    num, dimension = images.features.shape
    asked = estimate_memory(num, dimension, k1=options.k1, k2=options.k2, backend=options.backend)
    free = free_memory()
    beside = "" if free is None else f", {gigabytes(free)} are free"
    console.print(
        f"{images.block.name}: {num:,} images take about {gigabytes(asked)} of memory{beside}"
    )
