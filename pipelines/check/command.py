"""`itkm check`: what is wrong with a corpus' pictures and splits, without changing anything in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from itkm_core.corpus.checks.check import INDEX, check
from itkm_core.corpus.schema import Corpus
from itkm_core.errors import StorageError
from itkm_core.storage.place import Place
from pipelines.artifacts.claim import claim
from pipelines.bars import stage_bars
from pipelines.check.tables import print_issues
from pipelines.check.tasks import look_at_all
from pipelines.console import Console

ISSUES_FILE = "issues.parquet"


def run_check(
    path: str,
    out: str | None,
    console: Console,
    connect: Callable[[], AbstractContextManager[None]],
) -> pa.Table:
    """Look at every picture of the corpus at `path`, print what is found, and return it (ISSUES_SCHEMA).

    It is written to issues.parquet in the folder `out`, or nowhere: what a corpus is does not depend on what is thought
    of it. People are read, from identities.parquet, to say who is in both splits; nothing is learnt from them.

    connect: a connection to Ray for the block.

    Raises:
        CorpusError: no corpus, or one that cannot be read.
        StorageError: `out` is the corpus, or as `claim`.
    """
    corpus = Corpus.open(path)
    place = None if out is None else claim(_outside(Place.at(out), corpus), "check")
    index, identities = corpus.index(INDEX), corpus.identities()
    with stage_bars(console) as report, connect():
        report("look", 0, corpus.num_images)
        looks = look_at_all(corpus, lambda done, total: report("look", done, total))
        own = own_pictures(corpus, index)
        found = check(
            index.filter(own),
            looks.filter(own),
            None if identities is None else identities.filter(own),
            lambda done, total: report("compare", done, total),
        )
    print_issues(console, found, corpus)
    if place is not None:
        (place / ISSUES_FILE).write_table(found)
        console.print(f"{'issues':<22} {place / ISSUES_FILE}")
    return found


def own_pictures(corpus: Corpus, index: pa.Table) -> pa.Array:
    """bool [N]: whether a row of the index has a picture of its own, not another row's seen in other clothes."""
    own = np.ones(index.num_rows, bool)
    for scenario, group in corpus.in_other_clothes:
        of_scenario = pc.equal(index["scenario"], scenario).to_numpy(zero_copy_only=False)
        own &= ~(of_scenario & (index["group"].to_numpy() == group))
    return pa.array(own)


def _outside(out: Place, corpus: Corpus) -> Place:
    """`out`, if it is neither the corpus' folder nor inside it."""
    (files, path), (their_files, root) = (each.resolve() for each in (out, Place.at(corpus.root)))
    if out.is_local:
        path, root = os.path.realpath(path), os.path.realpath(root)
    same_store = files.type_name == their_files.type_name
    if same_store and f"{path}/".startswith(f"{root.rstrip('/')}/"):
        raise StorageError(
            f"--out {out} is in the corpus {corpus.root}, which is never changed; give another folder"
        )
    return out
