"""A whole corpus checked, from what its index says and a look at each of its pictures. [ours]"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from itkm_core.corpus.checks.alike import Pairs, Report, pairs_across, pairs_within, vectors
from itkm_core.corpus.checks.issues import ISSUES_SCHEMA, KINDS, issues
from itkm_core.corpus.checks.look import THUMB
from itkm_core.corpus.checks.quality import SPREAD, picture_issues
from itkm_core.corpus.checks.splits import copies, lone_cameras, people_in_both_splits
from itkm_core.neighbors.groups import number_groups

INDEX = ("sample_id", "scenario", "group", "camera", "tracklet", "split", "height", "width")
"""The columns of a corpus that a check needs."""


def check(
    index: pa.Table, looks: pa.Table, identities: pa.Table | None, report: Report
) -> pa.Table:
    """What is wrong with a corpus, ISSUES_SCHEMA. Nothing of it says that a picture must go.

    Args:
        index: INDEX of all pictures, sorted by sample_id.
        looks: LOOK_SCHEMA, in the same order.
        identities: IDENTITY_SCHEMA in the same order, or None. Checking is not training: nothing is learnt from them.
        report: called with how many of the pictures that may be near copies were compared, and of how many.
    """
    ids = index["sample_id"].to_numpy()
    exact = copies(ids, index["split"], looks["digest"])
    found = [*exact, *near_copies(index, looks, exact, report)]
    if identities is not None:
        found.append(people_in_both_splits(identities, index))
    found += [lone_cameras(index), *picture_issues(index, looks)]
    table = pa.concat_tables(found)
    order = list(KINDS)
    rank = pa.array([order.index(kind) for kind in table["kind"].to_pylist()], pa.int8())
    ranked = table.append_column("rank", rank)
    ranked = ranked.sort_by([("rank", "ascending"), ("sample_id", "ascending")])
    return ranked.select(ISSUES_SCHEMA.names).combine_chunks()


def near_copies(
    index: pa.Table, looks: pa.Table, exact: list[pa.Table], report: Report
) -> list[pa.Table]:
    """The near leaks and near duplicates, ISSUES_SCHEMA; `exact` are the exact ones, which are not said again.

    Pictures of one tracklet are alike by nature and are not compared. Each picture is compared with the few nearest
    ones only, so that in a large set of near copies the one that is named is one of them, not always the first.
    """
    ids = index["sample_id"].to_numpy()
    thumbs = _thumbs(looks)
    rows = vectors(thumbs)
    shown = rows.any(axis=1) & (looks["spread"].to_numpy() >= SPREAD)
    shown &= ~np.isin(ids, pa.concat_tables(exact)["sample_id"].to_numpy())
    in_train = pc.equal(index["split"], "train").to_numpy(zero_copy_only=False)
    train, test = (np.flatnonzero(shown & part) for part in (in_train, ~in_train))
    tracklet = _tracklets(index)
    pairs = pairs_across(rows[test], thumbs[test], rows[train], thumbs[train], report)
    found = [_of_pairs("near_leak", pairs, ids[test], ids[train])]
    for part in (train, test):
        pairs = pairs_within(rows[part], thumbs[part], report, tracklet[part])
        found.append(_of_pairs("near_duplicate", pairs, ids[part], ids[part]))
    return found


def _thumbs(looks: pa.Table) -> np.ndarray:
    """uint8 [N, 32, 16], without a copy."""
    column = looks["thumb"].combine_chunks()
    every = np.frombuffer(column.buffers()[1], np.uint8).reshape(-1, *THUMB)
    return every[column.offset : column.offset + len(column)]


def _tracklets(index: pa.Table) -> np.ndarray:
    """int64 [N]: a number for each tracklet of the corpus, -1 for pictures of none."""
    tracklet = index["tracklet"].to_numpy()
    scenario = index["scenario"].combine_chunks().dictionary_encode().indices.to_numpy()
    place = (index[name].to_numpy() for name in ("group", "camera"))
    number, _ = number_groups(scenario, *place, tracklet)
    return np.where(tracklet < 0, -1, number)


def _of_pairs(kind: str, pairs: Pairs, left: np.ndarray, right: np.ndarray) -> pa.Table:
    """A row for each left picture, with the most alike of its right ones."""
    order = np.lexsort((pairs.right, -pairs.likeness, pairs.left))
    this, first = np.unique(pairs.left[order], return_index=True)
    other, alike = right[pairs.right[order][first]], pairs.likeness[order][first].astype(float)
    words = [f"{each:.3f} alike" for each in alike]
    return issues(kind, left[this], alike, other, words)
