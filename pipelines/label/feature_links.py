"""What is known of images whose features were made elsewhere: columns of their file, and decisions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from itkm_core.links.decisions import NO_DECISIONS, decisions_file, read_decisions
from itkm_core.links.units import Links, tracker_links
from pipelines.config import RunConfig
from pipelines.label.input import FeatureSet


def feature_links(given: FeatureSet, config: RunConfig) -> Links | None:
    """The links among the rows of `given`; None where nothing is known, or `labels.links` is off.

    Decisions name images by their sample ids.

    Raises:
        LinkError: as `read_decisions` and `tracker_links`.
    """
    source = config.links.decisions
    if config.labels.links == "off" or (given.tracks is None and source is None):
        return None
    num = len(given.ids)
    tracks = np.full((num, 3), -1) if given.tracks is None else given.tracks
    decisions = NO_DECISIONS
    if source is not None:
        place = {str(number): row for row, number in enumerate(given.ids.tolist())}
        decisions = read_decisions(decisions_file(source), source, place.get)
    block = np.zeros(num, np.int64)
    if given.scenario is not None and given.group is not None:
        block = 2 * np.unique(given.scenario, return_inverse=True)[1] + given.group
    camera, tracklet, frame = tracks.T
    links = tracker_links(
        camera, tracklet, frame, decisions, block=block, name=lambda row: str(given.ids[row])
    )
    return replace(links, alone=config.links.alone)
