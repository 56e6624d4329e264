"""Scores over tracklets instead of images: retrieval by their mean vectors, and the quality of their labels.

A tracklet is the images of one (scenario, group, camera, tracklet), with tracklet >= 0. Its person is the most frequent
one among its images whose person is not -1, ties to the lower number; so a tracklet in which a tracker took two people
for one has one person here. [ours]
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from itkm_core.errors import FeatureError, LabelError
from itkm_core.evaluation.arrays import as_features, as_integers
from itkm_core.evaluation.clusters import LabelQuality, label_quality
from itkm_core.evaluation.pooling import sums_of
from itkm_core.evaluation.retrieval import (
    Columns,
    DirectionScore,
    column_of,
    directions,
    persons_of,
    rows_of,
    score_directions,
)
from itkm_core.neighbors.groups import most_frequent, number_groups


def evaluate_tracklets(
    index: Columns, identities: Columns, features: npt.ArrayLike, feature_ids: npt.ArrayLike
) -> list[DirectionScore]:
    """Score every direction that has query and gallery tracklets, by `rank`, with a tracklet in an image's place.

    The arguments are those of `evaluate_corpus`; `index` also has `tracklet`, and features are of unit norm. A
    tracklet's vector is the mean of its images' features; tracklets of the query's person and camera are left out
    (Zheng et al., MARS, ECCV 2016, and its official code; there, unlike here, a query without a match counts as 0).
    Images of no tracklet are left out, and a tracklet with images of both splits is one in each [ours].

    Returns no row if no direction is left; a direction all of whose queries are skipped has NaN means.

    Raises CorpusError and FeatureError as `evaluate_corpus`, but for queries without a match.
    """
    inside = (column_of(index, "tracklet") >= 0) & (column_of(index, "split") != "train")
    keys = ("scenario", "group", "camera", "split", "tracklet")
    columns = {name: column_of(index, name)[inside] for name in (*keys, "sample_id")}
    number, first = number_groups(*(columns[name] for name in keys))
    tracklets = {name: columns[name][first] for name in keys}
    asked = directions(tracklets)
    if not asked:
        return []
    images = columns["sample_id"]
    persons, _ = most_frequent(persons_of(identities, images), number, len(first))
    vectors = as_features(features, "corpus")
    ids = as_integers(feature_ids, "feature ids", FeatureError, len(vectors))
    rows = rows_of(ids, images, "features", FeatureError)
    sums = sums_of(vectors, rows, number, len(first))
    return score_directions(asked, tracklets, persons, sums, np.arange(len(first)))


def tracklet_quality(
    labels: npt.ArrayLike, persons: npt.ArrayLike, tracklets: npt.ArrayLike
) -> LabelQuality | None:
    """`label_quality` over the tracklets of one block: `num_images` and all shares count tracklets.

    labels, persons: int [N], as there. tracklets: int [N], which images are of one tracklet; below 0: of none, and left
    out. A tracklet's label is the most frequent one of its images that are no outliers, ties to the lower number;
    -1 if all are outliers [ours].

    Returns None if no tracklet has a known person. Raises LabelError for different lengths and values below -1.
    """
    label = as_integers(labels, "pseudo-labels", LabelError)
    person = as_integers(persons, "persons", LabelError, len(label))
    tracklet = as_integers(tracklets, "tracklets", LabelError, len(label))
    inside = tracklet >= 0
    number, first = number_groups(tracklet[inside])
    of_label, _ = most_frequent(label[inside], number, len(first))
    of_person, _ = most_frequent(person[inside], number, len(first))
    return label_quality(of_label, of_person) if (of_person > 0).any() else None
