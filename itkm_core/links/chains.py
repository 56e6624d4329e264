"""Why two images are one person, in words: the shortest chain of must-links between them. [ours]"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from itkm_core.links.decisions import Decisions

Ints = npt.NDArray[np.int64]


def chain_in_words(
    a: int,
    b: int,
    hub: Ints,
    decisions: Decisions,
    cameras: Ints,
    tracklets: Ints,
    name: Callable[[int], str],
) -> str:
    """The fewest must-links from image a to image b, as "x = y (tracklet 3 of camera 1), y = z (d.csv, line 2)".

    `hub` int64 [N]: the tracklet of each image, numbered over all cameras, -1 for none. a and b are connected.
    """
    decided: defaultdict[int, list[int]] = defaultdict(list)
    for here, there in decisions.same.tolist():
        decided[here].append(there)
        decided[there].append(here)
    before, waiting, seen = {a: a}, deque([a]), {-1}
    while b not in before:
        here = waiting.popleft()
        tracked = [] if hub[here] in seen else np.flatnonzero(hub == hub[here]).tolist()
        seen.add(int(hub[here]))
        for there in [*decided[here], *tracked]:
            if there not in before:
                before[there] = here
                waiting.append(there)
    images = [b]
    while images[-1] != a:
        images.append(before[images[-1]])
    said = []
    for here, there in pairwise(reversed(images)):
        why = (
            decisions.line_of(here, there)
            or f"tracklet {tracklets[here]} of camera {cameras[here]}"
        )
        said.append(f"{name(here)} = {name(there)} ({why})")
    return ", ".join(said)
