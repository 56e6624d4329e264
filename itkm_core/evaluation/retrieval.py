"""The retrieval protocol of a corpus with query and gallery splits: which group queries which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from itkm_core.errors import CorpusError, FeatureError
from itkm_core.evaluation.arrays import IntArray, as_features, as_integers
from itkm_core.evaluation.ranking import Ranking, rank
from itkm_core.neighbors.lookup import Lookup

Columns: TypeAlias = pa.Table | Mapping[str, npt.ArrayLike]


class Direction(NamedTuple):
    """Queries of one group of a scenario, answered from the gallery of a group of that scenario."""

    scenario: str
    query_group: int
    gallery_group: int

    def __str__(self) -> str:
        return f"{self.scenario} {self.query_group}->{self.gallery_group}"


@dataclass(frozen=True, eq=False)
class DirectionScore:
    """One row of the evaluation table."""

    direction: Direction
    ranking: Ranking

    def summary(self) -> dict[str, Any]:
        """Names and scores, ready for JSON."""
        return {**self.direction._asdict(), **self.ranking.summary()}


def directions(index: Columns) -> list[Direction]:
    """The directions of a corpus, sorted by scenario; g = 1 -> g = 0 before g = 0 -> g = 1.

    `index` has the corpus columns `scenario`, `group` and `split`. A scenario whose query and
    gallery images are of two groups is asked across them, both ways; one of a single group is
    asked within it. A direction with no query or no gallery image is left out (low-resolution
    queries against a high-resolution gallery go one way only). A corpus of only training images
    gives the empty list.
    """
    scenario, group, split = (_column(index, name) for name in ("scenario", "group", "split"))
    found: list[Direction] = []
    for name in np.unique(scenario).tolist():
        here = scenario == name
        queries = set(group[here & (split == "query")].tolist())
        gallery = set(group[here & (split == "gallery")].tolist())
        groups = queries | gallery
        crossed = ((1, 0), (0, 1)) if len(groups) == 2 else ((g, g) for g in groups)
        found += [Direction(name, q, g) for q, g in crossed if q in queries and g in gallery]
    return found


def evaluate_corpus(
    index: Columns,
    identities: Columns | None,
    features: npt.ArrayLike,
    feature_ids: npt.ArrayLike,
    *,
    block: int | None = None,
    max_rank: int = 20,
) -> list[DirectionScore]:
    """Score every direction of `directions(index)` with `rank`.

    `index` has the corpus columns `sample_id`, `scenario`, `group`, `camera` and `split`;
    `identities` has `sample_id` and `person`. Both are Arrow tables or mappings of arrays.
    `features` [M, D] with `feature_ids` int [M], their sample ids, come in any order and may cover
    more than the query and gallery images, never less.

    Same-camera removal holds across groups too: one camera number is one camera of a scenario,
    whichever group an image falls in. Queries without a match are counted in each ranking's
    `num_skipped`; a direction all of whose queries are skipped stays in the list, its means NaN.

    Raises CorpusError without identities, without a query and a gallery image of one scenario, or
    when no query of any direction has a match; FeatureError for a missing or repeated feature.
    """
    asked = directions(index)
    if not asked:
        found = sorted(set(_column(index, "split").tolist()))
        raise CorpusError(
            f"no scenario has both query and gallery images (splits in the corpus: {found}): "
            "ingest a source that marks them to evaluate retrieval"
        )
    if identities is None:
        raise CorpusError(
            "the corpus has no identities: retrieval is scored against person ids, so ingest it "
            "from a source that gives them"
        )
    sample_id, camera = _column(index, "sample_id"), _column(index, "camera")
    scenario, group, split = (_column(index, name) for name in ("scenario", "group", "split"))
    keys = _Lookup(_column(identities, "sample_id"), "identities", CorpusError)
    person = _column(identities, "person")
    vectors = as_features(features, "corpus")
    vector_ids = as_integers(feature_ids, "feature ids", FeatureError)
    vector_keys = _Lookup(vector_ids, "features", FeatureError)
    if len(vectors) != len(vector_ids):
        raise FeatureError(f"{len(vectors)} features for {len(vector_ids)} sample ids")

    rows: list[DirectionScore] = []
    for direction in asked:
        here = scenario == direction.scenario
        query = here & (split == "query") & (group == direction.query_group)
        gallery = here & (split == "gallery") & (group == direction.gallery_group)
        ranking = rank(
            vectors[vector_keys.rows(sample_id[query])],
            vectors[vector_keys.rows(sample_id[gallery])],
            person[keys.rows(sample_id[query])],
            person[keys.rows(sample_id[gallery])],
            camera[query],
            camera[gallery],
            block=block,
            max_rank=max_rank,
        )
        rows.append(DirectionScore(direction, ranking))
    if not any(row.ranking.num_queries for row in rows):
        raise CorpusError(
            "no query has a match in its gallery by another camera ("
            + ", ".join(f"{row.direction}: {row.ranking.num_skipped} skipped" for row in rows)
            + "): check the person ids (0 is a distractor, -1 unknown) and the camera numbers"
        )
    return rows


class _Lookup(Lookup):
    """The rows of a table by sample id, or an error that names the table."""

    def __init__(self, ids: IntArray, what: str, error: type[Exception]) -> None:
        super().__init__(ids)
        self.what, self.error = what, error
        if len(self.repeated):
            raise error(
                f"{what} hold {len(self.repeated)} sample ids more than once, first {self.repeated[0]}: "
                "expected each once"
            )

    def rows(self, wanted: IntArray) -> IntArray:
        rows, found = self.find(wanted)
        if not found.all():
            missing = wanted[~found]
            raise self.error(
                f"{self.what} lack {len(missing)} of {len(wanted)} query or gallery images, "
                f"first sample id {missing[0]}: make them again over the whole corpus"
            )
        return rows


def _column(table: Columns, name: str) -> npt.NDArray[Any]:
    names = table.column_names if isinstance(table, pa.Table) else list(table)
    if name not in names:
        raise CorpusError(f"no column {name!r} in {sorted(names)}: open the corpus with it")
    if isinstance(table, pa.Table):
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        return np.asarray(column.to_numpy())
    return np.asarray(table[name])
