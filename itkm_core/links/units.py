"""Units of images that show one person, and pairs of units that show two: docs/definition.md, "Links". [ours]

Suffixes: N images, U units, P pairs.

Must-links are the images of a tracklet and the pairs that a person called `same`; a unit is what they connect.
Cannot-links are two units that are in one camera at the same moment, and the pairs that a person called `different`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from itkm_core.errors import LinkError
from itkm_core.links.chains import chain_in_words
from itkm_core.links.decisions import NO_DECISIONS, Decisions
from itkm_core.links.moments import pairs_of_one_moment
from itkm_core.neighbors.groups import number_in_order

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Links:
    """`unit_of` int64 [N]: the unit of each image, numbered in order of first member; an image that nothing is known of
    is a unit of its own. `apart` int64 [P, 2]: pairs of units that show two people, the lower first, sorted, each once.
    `alone`: so many images are a cluster by themselves, if their unit joins no other.
    """

    unit_of: Ints
    apart: Ints
    alone: int = 4

    @property
    def num_units(self) -> int:
        return int(self.unit_of.max(initial=-1)) + 1

    @property
    def say_nothing(self) -> bool:
        """Whether every image is a unit, and no two are apart."""
        return self.num_units == len(self.unit_of) and not len(self.apart)

    def take(self, rows: npt.NDArray[np.integer]) -> Links:
        """The links among these images, int [M], in their order."""
        found = self.unit_of[rows]
        number, first = number_in_order(found)
        new = np.full(self.num_units, -1)
        new[found[first]] = np.arange(len(first))
        pairs = new[self.apart]
        pairs = _each_once(pairs[(pairs >= 0).all(axis=1)], len(first))
        return Links(number, pairs, self.alone)


def tracker_links(
    camera: npt.ArrayLike,
    tracklet: npt.ArrayLike,
    frame: npt.ArrayLike,
    decisions: Decisions = NO_DECISIONS,
    *,
    block: npt.ArrayLike | None = None,
    name: Callable[[int], str] = str,
) -> Links:
    """The links among images from their `camera`, `tracklet` and `frame`, int [N] each (-1 unknown), and decisions.

    A tracklet is known by its camera and number. Rows of `decisions` are places in these arrays. `block` int [N]:
    images of different ones share no camera. `name`: what an error calls the image at a place.

    Raises:
        LinkError: `different`, or a moment that two images share, contradicts a chain of must-links; the error has
            the shortest one. Or a frame with more images than one moment can have.
    """
    cameras, tracklets, frames = (np.asarray(each, np.int64) for each in (camera, tracklet, frame))
    num = len(cameras)
    blocks = np.zeros(num, np.int64) if block is None else np.asarray(block, np.int64)
    hub, num_hubs = _hubs(blocks, cameras, tracklets)
    tracked = np.flatnonzero(hub >= 0)
    starts = np.concatenate([tracked, decisions.same[:, 0]])
    ends = np.concatenate([num + hub[tracked], decisions.same[:, 1]])
    size = num + num_hubs
    graph = coo_array((np.ones(len(starts), np.int8), (starts, ends)), shape=(size, size))
    part = connected_components(graph, directed=False)[1][:num]
    unit_of, first = number_in_order(part)

    moment = pairs_of_one_moment(cameras, frames, blocks)
    # Two boxes of one tracklet in a frame are the tracker's slip, and no two people.
    moment = moment[(hub[moment[:, 0]] != hub[moment[:, 1]]) | (hub[moment[:, 0]] < 0)]
    for pairs, why in ((decisions.different, "decided"), (moment, "moment")):
        wrong = np.flatnonzero(unit_of[pairs[:, 0]] == unit_of[pairs[:, 1]])
        if len(wrong):
            a, b = (int(each) for each in pairs[wrong[0]])
            said = (
                f"{decisions.where(int(wrong[0]), same=False)} says that they are different"
                if why == "decided"
                else f"both are in frame {frames[a]} of camera {cameras[a]}"
            )
            chain = chain_in_words(a, b, hub, decisions, cameras, tracklets, name)
            raise LinkError(
                f"{name(a)} and {name(b)} are one person by {chain}, but {said}; one of these is wrong: correct it in "
                "the decisions"
            )
    apart = unit_of[np.concatenate([moment, decisions.different])]
    return Links(unit_of, _each_once(apart, len(first)))


def _hubs(blocks: Ints, cameras: Ints, tracklets: Ints) -> tuple[Ints, int]:
    """The number of each image's tracklet among those of all cameras (-1: none), and how many there are."""
    hub = np.full(len(cameras), -1)
    tracked = np.flatnonzero(tracklets >= 0)
    if not len(tracked):
        return hub, 0
    keys = np.stack([tracklets[tracked], cameras[tracked], blocks[tracked]])
    by_key = np.lexsort(keys)
    order, new = tracked[by_key], (np.diff(keys[:, by_key]) != 0).any(axis=0)
    numbers = np.concatenate([[0], np.cumsum(new)])
    hub[order] = numbers
    return hub, int(numbers[-1]) + 1


def _each_once(pairs: Ints, num_units: int) -> Ints:
    """Pairs int64 [P, 2] with the lower first, sorted, without repeats."""
    if not len(pairs):
        return np.zeros((0, 2), np.int64)
    keys = np.unique(pairs.min(axis=1) * num_units + pairs.max(axis=1))
    return np.stack(np.divmod(keys, num_units), axis=1)
