"""Retrieval over a corpus with query and gallery splits: by the protocol of its collection, or group against group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from itkm_core.errors import CorpusError, FeatureError, ItkmError
from itkm_core.evaluation.arrays import IntArray, as_features, as_integers
from itkm_core.evaluation.protocols.known import settings_of
from itkm_core.evaluation.protocols.scoring import SettingScore, score_settings
from itkm_core.evaluation.protocols.setting import Drawn, Tested
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

    def __str__(self) -> str:
        return str(self.direction)

    @property
    def num_queries(self) -> int:
        """Queries with a match."""
        return self.ranking.num_queries

    @property
    def num_skipped(self) -> int:
        """Queries without one."""
        return self.ranking.num_skipped

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
    scenario, group, split = (column_of(index, name) for name in ("scenario", "group", "split"))
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
    protocols: Mapping[str, str] | None = None,
    draws: Columns | None = None,
    block: int | None = None,
    max_rank: int = 20,
) -> list[DirectionScore | SettingScore]:
    """Score every scenario with `rank`: by the settings of its protocol, or by its `directions` if it has none.

    `index` has the corpus columns `sample_id`, `scenario`, `group`, `camera` and `split`;
    `identities` has `sample_id` and `person`. Both are Arrow tables or mappings of arrays.
    `features` [M, D] with `feature_ids` int [M], their sample ids, come in any order and may cover
    more than the query and gallery images, never less.

    protocols: by scenario, a key of PROTOCOLS; for these scenarios `index` also has `tracklet`, `identities` `clothes`,
    and features are of unit norm. draws: the published ones (DRAWS_SCHEMA).

    In directions, same-camera removal holds across groups too: one camera number is one camera of a scenario,
    whichever group an image falls in. Queries without a match are counted in each score's
    `num_skipped`; a row all of whose queries are skipped stays in the list, its means NaN.

    Raises CorpusError without identities, without a query and a gallery image of one scenario, for an unknown protocol,
    or when no query of any row has a match; FeatureError for a missing or repeated feature.
    """
    asked = directions(index)
    if not asked:
        found = sorted(set(column_of(index, "split").tolist()))
        raise CorpusError(
            f"no scenario has both query and gallery images (splits in the corpus: {found}): "
            "ingest a source that marks them to evaluate retrieval"
        )
    if identities is None:
        raise CorpusError(
            "the corpus has no identities: retrieval is scored against person ids, so ingest it "
            "from a source that gives them"
        )
    tested = column_of(index, "split") != "train"
    names = ["sample_id", "scenario", "group", "camera", "split"]
    images = {
        name: column_of(index, name)[tested] for name in names + ["tracklet"] * bool(protocols)
    }
    vectors = as_features(features, "corpus")
    vector_ids = as_integers(feature_ids, "feature ids", FeatureError)
    if len(vectors) != len(vector_ids):
        raise FeatureError(f"{len(vectors)} features for {len(vector_ids)} sample ids")
    labels = {"person": persons_of(identities, images["sample_id"])}
    if protocols:
        labels["clothes"] = persons_of(identities, images["sample_id"], "clothes")
    vector_rows = rows_of(vector_ids, images["sample_id"], "features", FeatureError)
    limits: dict[str, Any] = {"block": block, "max_rank": max_rank}
    rows: list[DirectionScore | SettingScore] = []
    for scenario in dict.fromkeys(direction.scenario for direction in asked):
        protocol = (protocols or {}).get(scenario)
        if protocol is None:
            here = [direction for direction in asked if direction.scenario == scenario]
            person = labels["person"]
            rows += score_directions(here, images, person, vectors, vector_rows, **limits)
        else:
            kept = np.flatnonzero(images["scenario"] == scenario)
            chosen = tested_images({**images, **labels}, kept, draws)
            settings = settings_of(protocol, chosen)
            rows += score_settings(scenario, settings, chosen, vectors, vector_rows[kept], **limits)
    if not any(row.num_queries for row in rows):
        raise CorpusError(
            "no query has a match in its gallery by another camera ("
            + ", ".join(f"{row}: {row.num_skipped} skipped" for row in rows)
            + "): check the person ids (0 is a distractor, -1 unknown) and the camera numbers"
        )
    return rows


def tested_images(
    images: Mapping[str, npt.NDArray[Any]], kept: IntArray, draws: Columns | None
) -> Tested:
    """The rows `kept` of the columns that `Tested` has, and the draws of those images."""
    names = ("sample_id", "group", "camera", "person", "clothes", "tracklet")
    columns = {name: np.asarray(images[name][kept], np.int64) for name in names}
    drawn = None
    if draws is not None:
        row, inside = Lookup(columns["sample_id"]).find(column_of(draws, "sample_id"))
        if inside.any():
            more = (column_of(draws, name)[inside].astype(np.int64) for name in ("draw", "place"))
            drawn = Drawn(row[inside], *more)
    return Tested(**columns, split=images["split"][kept], draws=drawn)


def score_directions(
    asked: Sequence[Direction],
    index: Mapping[str, npt.NDArray[Any]],
    persons: IntArray,
    vectors: npt.NDArray[Any],
    rows: IntArray,
    *,
    block: int | None = None,
    max_rank: int = 20,
) -> list[DirectionScore]:
    """Score each direction with `rank`, over whatever the rows of `index` are.

    `index` has `scenario`, `group`, `camera` and `split` [N], `persons` int [N]; `vectors` [M, D] has the vector of row
    i of the index in row `rows[i]`.
    """
    found: list[DirectionScore] = []
    for direction in asked:
        here = index["scenario"] == direction.scenario
        query, gallery = (
            np.flatnonzero(here & (index["split"] == split) & (index["group"] == group))
            for split, group in (
                ("query", direction.query_group),
                ("gallery", direction.gallery_group),
            )
        )
        ranking = rank(
            vectors[rows[query]],
            vectors[rows[gallery]],
            persons[query],
            persons[gallery],
            index["camera"][query],
            index["camera"][gallery],
            block=block,
            max_rank=max_rank,
        )
        found.append(DirectionScore(direction, ranking))
    return found


def persons_of(identities: Columns, wanted: IntArray, column: str = "person") -> IntArray:
    """The person, or another column, of each sample id. Raises CorpusError if one is missing, or there twice."""
    rows = rows_of(column_of(identities, "sample_id"), wanted, "identities", CorpusError)
    return np.asarray(column_of(identities, column)[rows], np.int64)


def rows_of(ids: IntArray, wanted: IntArray, what: str, error: type[ItkmError]) -> IntArray:
    """The row of each wanted sample id in a table with these ids, or an error that names the table."""
    lookup = Lookup(ids)
    if len(lookup.repeated):
        raise error(
            f"{what} hold {len(lookup.repeated)} sample ids more than once, first {lookup.repeated[0]}: "
            "expected each once"
        )
    rows, found = lookup.find(wanted)
    if not found.all():
        missing = wanted[~found]
        raise error(
            f"{what} lack {len(missing)} of {len(wanted)} query or gallery images, "
            f"first sample id {missing[0]}: make them again over the whole corpus"
        )
    return rows


def column_of(table: Columns, name: str) -> npt.NDArray[Any]:
    """A column of an Arrow table or a mapping as an array. Raises CorpusError if it is not there."""
    names = table.column_names if isinstance(table, pa.Table) else list(table)
    if name not in names:
        raise CorpusError(f"no column {name!r} in {sorted(names)}: open the corpus with it")
    if isinstance(table, pa.Table):
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        return np.asarray(column.to_numpy())
    return np.asarray(table[name])
