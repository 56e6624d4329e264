"""`itkm label --features`: labels of features that were made elsewhere. Needs neither Ray nor a corpus."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console

from itkm_core.clustering import LabelOptions, PseudoLabels
from itkm_core.clustering.arrivals.label import Arrivals
from itkm_core.clustering.auto_eps import Labelled, label_rows, swept
from itkm_core.clustering.footprint import estimate_memory, free_memory, gigabytes
from itkm_core.clustering.sweep import sweep_with
from itkm_core.errors import FeatureError, LabelError
from itkm_core.storage.place import Place
from pipelines.artifacts.labels import LABELS_FILE, label_table
from pipelines.config import RunConfig
from pipelines.label.against import (
    PARAMETERS_FILE,
    Against,
    alone_facts,
    alone_note,
    facts_of,
    finish_index,
    known_images,
    notes_of,
)
from pipelines.label.index import FOLDER, Index, write_group
from pipelines.label.input import FeatureSet
from pipelines.label.tables import arrivals_table, labels_table, print_sweep

SWEEP_FILE = "sweep.json"


def label_features(
    given: FeatureSet,
    config: RunConfig,
    out: Place,
    console: Console,
    against: Against | None = None,
) -> None:
    """Write pseudo_labels.parquet (in order of the input's rows), parameters.json and an index; print a table.

    `against`: what images of its groups are labelled against; those of another group are labelled alone. Labels
    that could not be learnt from are an answer here, with a warning. For `eps: auto` there is also the
    sweep, as `sweep_features` shows it.

    Raises:
        FeatureError: there is no row, or rows or ids do not go with those of `against`.
        LabelError: eps is to be chosen, and no candidate gives labels that could be learnt from.
        StorageError: `out` cannot be written, or a file of `against` is damaged.
    """
    _refuse_empty(given)
    if against is not None:
        against.check_ids(given.ids)
    tables, rows, parameters, records, known = [], [], {}, {}, {}
    notes: list[str] = []
    for block, part in given.parts():
        where = block.name
        found: PseudoLabels | Arrivals
        if against is not None and where in against.index.groups:
            with _noted(notes, where):
                found, _ = against.label(where, part.features, part.ids)
            known[block], parameters[where] = found.known, found.parameters
            rows.append(facts_of(where, found))
        else:
            with _noted(notes, where):
                options = config.labels.for_scenario(block.scenario)
                _announce(console, where, part, options)
                labelled = label_rows(part.features, part.ids, options, where=where)
            if labelled.failure:
                raise LabelError(labelled.failure)
            found, parameters[where] = labelled.found, labelled.parameters
            known[block] = known_images(
                part.features, part.ids, found.labels, found.is_core, labelled.found.neighbors
            )
            line = _line(where, labelled)
            rows.append(line if against is None else alone_facts(where, line))
            notes += [] if against is None else [alone_note(where, against)]
        notes += notes_of(where, found)
        tables.append(label_table(block, part.ids, found.labels, found.is_core, found.confidence))
        if "sweep" in parameters[where]:
            records[where] = parameters[where]["sweep"]
    encoder = None if against is None else against.index.encoder
    index = Index((out / FOLDER).clear(), config.labels, False, encoder, {})
    write_labels(out, _in_order(pa.concat_tables(tables), given.ids), parameters, against)
    groups = {
        block.name: write_group(index.place, block.file_name, each, parameters[block.name])
        for block, each in known.items()
    }
    finish_index(index, groups, against)
    if records:
        show_sweeps(records, out, console)
    print_labels(console, rows, notes, out, against)


def sweep_features(
    given: FeatureSet, config: RunConfig, values: tuple[float, ...], out: Place, console: Console
) -> None:
    """Print what each value of eps gives, and write it to sweep.json; no labels are written.

    Raises:
        FeatureError: there is no row.
        StorageError: `out` cannot be written.
    """
    _refuse_empty(given)
    records = {}
    notes: list[str] = []
    for block, part in given.parts():
        where = block.name
        options = sweep_options(config, block.scenario, values)
        with _noted(notes, where):
            found = sweep_with(part.features, options, sample_ids=part.ids)
        records[where] = swept(found, where=where)
    show_sweeps(records, out, console)
    _print_notes(console, notes)


def sweep_options(config: RunConfig, scenario: str, values: tuple[float, ...]) -> LabelOptions:
    """What a scenario is labelled with at each of `values`."""
    return replace(config.labels.for_scenario(scenario), eps="auto", eps_candidates=values)


def show_sweeps(records: dict[str, dict[str, Any]], out: Place, console: Console) -> None:
    (out / SWEEP_FILE).write_json({"groups": records})
    for where, record in records.items():
        print_sweep(console, record, where)
    console.print(f"{'sweep':<22} {out / SWEEP_FILE}", highlight=False, soft_wrap=True)


def write_labels(
    out: Place,
    table: pa.Table,
    parameters: dict[str, Any],
    against: Against | None = None,
    **more: Any,
) -> None:
    """The table and parameters.json, with where known labels came from and `more`."""
    origin = {} if against is None else {"against": against.origin()}
    (out / LABELS_FILE).write_table(table)
    (out / PARAMETERS_FILE).write_json({"groups": parameters, **origin, **more})


def print_labels(
    console: Console,
    rows: list[dict[str, Any]],
    notes: list[str],
    out: Place,
    against: Against | None = None,
) -> None:
    console.print(labels_table(rows) if against is None else arrivals_table(rows))
    _print_notes(console, notes)
    path = out / LABELS_FILE
    console.print(f"{'pseudo-labels':<22} {path}", highlight=False, soft_wrap=True)


def _print_notes(console: Console, notes: list[str]) -> None:
    for note in notes:
        console.print(f"warning: {note}", highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _noted(notes: list[str], where: str) -> Iterator[None]:
    """Python's warnings inside become notes, printed with the table and not before it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    notes += [f"{where}: {warning.message}" for warning in caught]


def _refuse_empty(given: FeatureSet) -> None:
    if not len(given.ids):
        raise FeatureError("the features have no row; expected one for each image to label")


def _in_order(table: pa.Table, ids: np.ndarray) -> pa.Table:
    """Rows as `ids` has them: a row of the output belongs to that row of the input."""
    there = table["sample_id"].to_numpy()
    if np.array_equal(there, ids):
        return table
    by_id = np.argsort(there, kind="stable")
    return table.take(by_id[np.searchsorted(there, ids, sorter=by_id)])


def _announce(console: Console, where: str, part: FeatureSet, options: LabelOptions) -> None:
    """What labelling will take, before it takes it."""
    num, dimension = part.features.shape
    asked = estimate_memory(num, dimension, k1=options.k1, k2=options.k2, backend=options.backend)
    free = free_memory()
    beside = "" if free is None else f", {gigabytes(free)} are free"
    console.print(
        f"{where}: {num:,} images take about {gigabytes(asked)} of memory{beside}", highlight=False
    )


def _line(where: str, labelled: Labelled) -> dict[str, Any]:
    labels = labelled.found.labels
    sizes = np.bincount(labels[labels >= 0])
    return {
        "where": where,
        "images": len(labels),
        "clusters": len(sizes),
        "outlier_share": float(np.mean(labels < 0)),
        "largest_share": float(sizes.max(initial=0) / len(labels)),
        "eps": labelled.found.parameters["eps"],
        "eps_reason": labelled.reason,
    }
