"""Scores against the hidden identities: retrieval and the quality of pseudo-labels."""

from itkm_core.evaluation.clusters import LabelQuality, label_quality
from itkm_core.evaluation.open_set import OpenSet
from itkm_core.evaluation.ranking import Ranking, rank
from itkm_core.evaluation.results import Retrieval, retrieve
from itkm_core.evaluation.retrieval import Direction, DirectionScore, directions, evaluate_corpus
from itkm_core.evaluation.rules import Rules
from itkm_core.evaluation.tracklets import evaluate_tracklets, tracklet_quality
from itkm_core.evaluation.verification import Verification

__all__ = [
    "Direction",
    "DirectionScore",
    "LabelQuality",
    "OpenSet",
    "Ranking",
    "Retrieval",
    "Rules",
    "Verification",
    "directions",
    "evaluate_corpus",
    "evaluate_tracklets",
    "label_quality",
    "rank",
    "retrieve",
    "tracklet_quality",
]
